"""A client deletes keys that are too old from its disk by itself, also while nothing happens and after it was away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from roomkey.client import living
from roomkey.conference.upkeep import INBOX_FIRST
from roomkey.mls.group import MAX_PAST_AGE

from tests.support.conferences import said
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import SimulatedHost, SimulatedStore, Simulation, origin_of, until


@pytest.fixture
async def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Person, Person]]:
    monkeypatch.setattr(living, "HOUSE_INTERVAL", 0.02)
    async with Simulation(tmp_path) as simulation:
        alice = await enrol(simulation, "alice@email1.example")
        bob = await enrol(simulation, "bob@email2.example")
        yield alice, bob
        for person in (alice, bob):
            await person.close()


def disk(person: Person) -> bytes:
    return b"\x00".join(person.host.disks[person.identity].records.values())


async def with_a_past(alice: Person, bob: Person) -> tuple[bytes, bytes]:
    """The secrets that read the senders of two ended epochs: both are on bob's disk."""
    conference = await call(alice, bob)
    secrets = []
    for _ in range(2):
        secrets.append(bob.conference._session.live.secrets.sender_data_secret)
        await conference.update()
        await together(conference, bob)
    # From when on an epoch's age counts: its keys are looked at first when the inbox has shown what waited there.
    await until(lambda: all(past.ended for past in bob.conference._session.live.past), "the time of the epochs' ends")
    assert all(secret in disk(bob) for secret in secrets)
    return secrets[0], secrets[1]


async def test_while_nothing_happens(two: tuple[Person, Person]) -> None:
    alice, bob = two
    first, second = await with_a_past(alice, bob)
    writes = bob.host.disks[bob.identity].records["group/" + bob.conference.id.hex()]
    bob.host.clock_error = MAX_PAST_AGE - 3600
    await bob.host.sleep(0.05)
    await bob.host.sleep(0.05)
    assert bob.host.disks[bob.identity].records["group/" + bob.conference.id.hex()] == writes
    bob.host.clock_error = MAX_PAST_AGE + 3600
    await until(lambda: first not in disk(bob) and second not in disk(bob), "the keys to go")
    bob.host.clock_error = 0
    await alice.conference.update()
    await together(alice.conference, bob)


async def test_after_it_was_away(two: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = two
    first, second = await with_a_past(alice, bob)
    await bob.close()
    monkeypatch.setattr(SimulatedHost, "now", lambda host: time.time() + MAX_PAST_AGE + 3600)
    await bob.power_cut()
    await until(lambda: first not in disk(bob) and second not in disk(bob), "the keys to go")


async def test_messages_that_waited_while_it_was_away_are_read_first(
    two: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alice's device fell asleep with two messages of an epoch that bob saw end; hers wakes up before his does."""
    alice, bob = two
    conference = await call(alice, bob)
    alice.host.unreachable.add(origin_of("email2.example"))
    for text in (b"one", b"two"):
        await conference.send(text)
    await bob.conference.update()
    await bob.close()
    alice.host.unreachable.clear()
    alice.client._outbox.wake()
    await until(lambda: not [name for name in alice.host.disks[alice.identity].records if "out/" in name], "delivery")
    monkeypatch.setattr(SimulatedHost, "now", lambda host: time.time() + MAX_PAST_AGE + 3600)
    honest = SimulatedHost.sleep

    async def sleep(host: SimulatedHost, seconds: float) -> None:
        """The inbox comes first, however slow this machine is."""
        if seconds == INBOX_FIRST:
            await asyncio.Event().wait()
        await honest(host, seconds)

    monkeypatch.setattr(SimulatedHost, "sleep", sleep)
    monkeypatch.setattr(living, "INBOX_FIRST", 3600)
    await bob.power_cut()
    await until(lambda: said(bob) == [b"one", b"two"], "both messages")


async def test_a_pending_commit_holds_no_ended_epoch(
    two: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = two
    first, _ = await with_a_past(alice, bob)
    seen: list[bytes] = []
    write = SimulatedStore.write

    async def watching(store: SimulatedStore, puts: Mapping[str, bytes], *rest: Any, **keys: Any) -> None:
        seen.extend(value for name, value in puts.items() if name.startswith("commit/"))
        await write(store, puts, *rest, **keys)

    monkeypatch.setattr(SimulatedStore, "write", watching)
    await bob.conference.update()
    assert len(seen) == 1
    assert first not in seen[0]
    assert first in disk(bob)
