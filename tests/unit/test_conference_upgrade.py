"""A conference moves to a better suite that everybody offers: ReInit, and a new group that follows on the old one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.conference.events import MessageArrived, Succeeded, UpgradeOffered
from roomkey.errors import RoomkeyError

from tests.support.conferences import said
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, origin_of, until
from tests.unit.test_client_power_cuts import cut, every_step

pytestmark = pytest.mark.usefixtures("patient")
WEAK = {"standard": (3, 2), "experimental": (3, 2)}


async def weak(simulation: Simulation, identity: str) -> Person:
    """Somebody whose client has no AES-GCM over X25519."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roomkey.client.opening.CHOICES", WEAK)
        return await enrol(simulation, identity)


@pytest.fixture
async def old(simulation: Simulation) -> AsyncIterator[Person]:
    made = await weak(simulation, "old@email2.example")
    yield made
    await made.close()


async def held_down(alice: Person, bob: Person, old: Person) -> None:
    """A conference of alice and bob in the suite that somebody needed who has gone."""
    conference = await call(alice, bob, old)
    assert conference.suite == 3
    await conference.remove(identity=old.identity)
    await together(conference, bob)


def succeeded(person: Person) -> list[Succeeded]:
    return [event for event in person.told if isinstance(event, Succeeded)]


async def settled(*people: Person) -> None:
    """Waits until all are in one successor."""
    await until(lambda: all(person.conference._session.group is not None for person in people), "a group")
    await until(lambda: len({person.conference.id for person in people}) == 1, "one id")
    await until(lambda: all(person.conference.epoch >= 2 for person in people), "the founder's first commit")
    await together(people[0].conference, *people[1:])


async def test_everybody_follows_into_a_better_group(alice: Person, bob: Person, old: Person) -> None:
    await held_down(alice, bob, old)
    conference, followed = alice.conference, bob.conference
    assert [event for event in bob.told if isinstance(event, UpgradeOffered)] == [UpgradeOffered(1)]
    assert (conference.better_suite, followed.better_suite) == (1, 1)
    before, key, name = conference.id, conference.key, conference.name
    await conference.send(b"before")
    await until(lambda: said(bob) == [b"before"], "the message")
    await conference.upgrade()
    await settled(alice, bob)
    assert bob.conference is followed
    assert alice.conference is conference
    for person in (alice, bob):
        here = person.conference
        assert (here.suite, here.key, here.name) == (1, key, name)
        assert here.id != before
        assert succeeded(person) == [Succeeded(before, "reinit")]
        assert here.better_suite is None
        assert person.errors == []
    await followed.send(b"after")
    await until(lambda: said(alice) == [b"after"], "the message")
    assert [item.data for item in await conference.history.messages()] == [b"before", b"after"]
    with pytest.raises(RoomkeyError) as caught:
        await conference.upgrade()
    assert caught.value.code == "no-better-suite"
    await alice.power_cut()
    await bob.power_cut()
    assert alice.conference.id == bob.conference.id != before
    await bob.conference.update()
    await together(bob.conference, alice)


async def test_who_was_away_follows_later(alice: Person, bob: Person, old: Person) -> None:
    await held_down(alice, bob, old)
    before = bob.conference.id
    await bob.client.close()
    await alice.conference.upgrade()
    await alice.conference.send(b"where are you?")
    await bob.power_cut()
    await settled(alice, bob)
    assert succeeded(bob) == [Succeeded(before, "reinit")]
    await until(lambda: said(bob) == [b"where are you?"], "the message")
    assert bob.errors == []


async def test_what_was_on_its_way_arrives(simulation: Simulation, alice: Person, bob: Person, old: Person) -> None:
    """Bob's words of the old group come after the new one began."""
    await held_down(alice, bob, old)
    bob.host.unreachable.add(origin_of("email1.example"))  # alice's inbox, and the ordering service
    await bob.conference.send(b"said before")
    await alice.conference.upgrade()
    assert said(alice) == []
    bob.host.unreachable.clear()
    bob.client._outbox.wake()
    await until(lambda: said(alice) == [b"said before"], "the message of the old group")
    (arrived,) = [event.message for event in alice.told if isinstance(event, MessageArrived)]
    assert (arrived.identity, arrived.own) == (bob.identity, False)
    await settled(alice, bob)
    assert alice.errors == []


async def test_a_member_whose_keys_cannot_be_had_leaves_all_as_it_was(
    simulation: Simulation, alice: Person, bob: Person, old: Person
) -> None:
    await held_down(alice, bob, old)
    simulation.network.unreachable.add(origin_of("email2.example"))
    with pytest.raises(RoomkeyError) as caught:
        await alice.conference.upgrade()
    assert caught.value.code == "service-unreachable"
    assert alice.conference.suite == 3
    simulation.network.unreachable.clear()
    await alice.conference.update()
    await together(alice.conference, bob)


async def test_two_who_upgrade_at_the_same_time(alice: Person, bob: Person, old: Person) -> None:
    await held_down(alice, bob, old)
    results = await asyncio.gather(alice.conference.upgrade(), bob.conference.upgrade(), return_exceptions=True)
    assert all(item is None or (isinstance(item, RoomkeyError) and item.retryable) for item in results)
    await settled(alice, bob)
    assert len(succeeded(alice)) == len(succeeded(bob)) == 1


async def test_power_cuts(tmp_path: Path) -> None:
    """B7 of an upgrade: wherever its maker stops, all go on together in the new group or the old one."""

    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        old = await weak(simulation, "old@email2.example")
        await held_down(alice, bob, old)
        went = await cut(alice, step, lambda: alice.conference.upgrade())
        await alice.conference.send(b"still here")
        await until(lambda: said(bob) == [b"still here"], f"the message after step {step}")
        if alice.conference.suite == 3:
            await alice.conference.upgrade()
        await settled(alice, bob)
        assert alice.conference.suite == bob.conference.suite == 1, f"step {step}"
        for person in (alice, bob, old):
            await person.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 15


async def test_whoever_adds_upgrades_first(alice: Person, bob: Person, carol: Person, old: Person) -> None:
    """Carol would refuse a group that could be better, and alice and bob would have to leave it."""
    await held_down(alice, bob, old)
    before = alice.conference.id
    fetched = await alice.client.fetch([carol.identity])
    added = await alice.client.invite(alice.conference, fetched.keys)
    assert [member.identity for member in added.members] == [carol.identity]
    await carol.invited()
    await settled(alice, bob, carol)
    assert alice.conference.suite == 1
    assert succeeded(alice) == succeeded(bob) == [Succeeded(before, "reinit")]
    assert succeeded(carol) == []
    assert alice.errors == bob.errors == carol.errors == []


async def test_who_leaves_while_it_goes_on_is_gone_afterwards(alice: Person, bob: Person, carol: Person) -> None:
    """Carol's wish comes with the ReInit; the new group must have her, and sees her off."""
    old = await weak(alice.simulation, "other@email2.example")
    conference = await call(alice, bob, carol, old)
    await conference.remove(identity=old.identity)
    await together(conference, bob, carol)
    network = alice.simulation.network
    network.swallow = lambda origin, path, body: path == "/v1/messages" and origin == origin_of("email1.example")
    await carol.conference.leave()
    await conference.upgrade()
    network.swallow = None
    await until(lambda: {m.identity for m in conference.members} == {alice.identity, bob.identity}, "carol to be gone")
    await together(conference, bob)
    await old.close()
