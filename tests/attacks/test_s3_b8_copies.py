"""S3, B8: what happens today when an old copy of a service's database, or of a device's disk, is put in its place.

Nothing notices at once (security.md says so); these hold what it costs, and whom.
"""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.client.opening import open_client
from roomkey.errors import RoomkeyError
from roomkey.federation.trust import FirstUse

from tests.support.conferences import said
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Disk, Simulation, origin_of, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Simulation]:
    """Without the check that no message key is used twice, which B8 is about."""
    async with Simulation(tmp_path) as made:
        yield made


def copied(source: Path, target: Path) -> Path:
    """Copies a database, also over one that is in use."""
    old, new = sqlite3.connect(source), sqlite3.connect(target)
    try:
        old.backup(new)
    finally:
        old.close()
        new.close()
    return target


def restored(world: Simulation, database: Path, kept: Path) -> None:
    """An operator puts the copy in its place and starts the service again: streams break, and are opened anew."""
    copied(kept, database)
    service = world.network.services[origin_of(database.stem)].service
    for listeners in service.hub._listeners.values():
        for listener in listeners:
            listener.end()


@pytest.mark.parametrize("changed", [True, False])
async def test_b8_an_old_copy_of_a_disk(world: Simulation, changed: bool) -> None:
    """Bob says three things that his restored disk knows nothing of. If the conference changed since, he comes into its
    newest epoch and is heard; else his first words are taken for repetitions, until he is past what was read.
    """
    alice, bob = await enrol(world, "alice@email1.example"), await enrol(world, "bob@email2.example")
    conference = await call(alice, bob)
    await bob.host.bury()
    disks = copy.deepcopy(bob.host.disks)
    await switched_on(bob, bob.host.disks)
    for number in range(3):
        await bob.conference.send(b"forgotten %d" % number)
    await conference.send(b"read and forgotten")
    await until(lambda: len(said(alice)) == 3 and said(bob) == [b"read and forgotten"], "all to be read")
    if changed:
        await conference.update()
        await together(conference, bob)

    await bob.host.bury()
    bob.told.clear()
    await switched_on(bob, disks)
    await together(conference, bob)
    for number in range(5):
        await bob.conference.send(b"anew %d" % number)
    await until(lambda: said(alice)[-1:] == [b"anew 4"], "the last words")
    lost = 0 if changed else 3
    assert said(alice)[3:] == [b"anew %d" % number for number in range(lost, 5)]
    assert world.keys_used_twice() == lost
    await conference.send(b"news")
    await until(lambda: said(bob) == [b"news"], "news")
    for person in (alice, bob):
        await person.close()


async def switched_on(person: Person, disks: dict[str, Disk]) -> None:
    person.host = person.simulation.device(disks)
    person.client = await open_client(person.host, person.identity, {}, FirstUse(), person.events.append)
    for conference in person.client.conferences():
        person.listen(conference)


async def test_s3_keys_and_inboxes_of_an_old_database(world: Simulation, tmp_path: Path) -> None:
    """Keys that were used are handed out again: their receiver is told, nobody else is harmed. Inboxes number anew what
    comes, and all of it is read.
    """
    alice, bob = await enrol(world, "alice@email1.example"), await enrol(world, "bob@email2.example")
    carol = await enrol(world, "carol@email1.example")
    database = tmp_path / "email2.example.db"
    kept = copied(database, tmp_path / "kept.db")
    first = await call(alice, bob)
    await first.send(b"one")
    await until(lambda: said(bob) == [b"one"], "the message")
    restored(world, database, kept)
    fetched = await carol.client.fetch([bob.identity])
    second = carol.listen(await carol.client.create_conference("second", fetched.keys))
    await carol.client.invite(second, fetched.keys)
    await until(lambda: "welcome-not-for-us" in bob.errors, "bob to be told")
    assert bob.client.invitations() == []
    for number in range(3):
        await first.send(b"after %d" % number)
    await until(lambda: said(bob) == [b"one", b"after 0", b"after 1", b"after 2"], "the messages")
    for person in (alice, bob, carol):
        await person.close()


async def test_s3_a_register_of_an_old_database(world: Simulation, tmp_path: Path) -> None:
    """It knows no token of the conference's epoch: changes have ended, messages go on, a new conference works."""
    alice, bob = await enrol(world, "alice@email1.example"), await enrol(world, "bob@email2.example")
    database = tmp_path / "email1.example.db"
    first = await call(alice, bob)
    kept = copied(database, tmp_path / "kept.db")
    await first.update()
    await together(first, bob)
    restored(world, database, kept)
    with pytest.raises(RoomkeyError) as caught:
        await first.update()
    assert caught.value.code == "wrong-token"
    await first.send(b"still here")
    await until(lambda: said(bob) == [b"still here"], "the message")
    fetched = await alice.client.fetch([bob.identity])
    second = alice.listen(await alice.client.create_conference("second", fetched.keys))
    await alice.client.invite(second, fetched.keys)
    joined = await bob.invited()
    await second.update()
    await until(lambda: joined.epoch == second.epoch, "one epoch")
    for person in (alice, bob):
        await person.close()
