"""Who was removed is invited again: the same conference goes on, with all that was said before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from roomkey.conference import records
from roomkey.conference.conference import Conference
from roomkey.conference.events import MessageArrived
from roomkey.crypto.provider import CryptoProvider
from roomkey.mls.creation import create_group
from roomkey.mls.group import Group, JoinKeys

from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, origin_of, until


class Two:
    def __init__(self, simulation: Simulation, alice: Person, bob: Person) -> None:
        self.simulation, self.alice, self.bob = simulation, alice, bob


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with Simulation(tmp_path) as simulation:
        alice = await enrol(simulation, "alice@email1.example")
        bob = await enrol(simulation, "bob@email2.example", publish=4)
        yield Two(simulation, alice, bob)
        for person in (alice, bob):
            await person.close()
        assert simulation.keys_used_twice() == 0


async def texts(conference: Conference) -> list[tuple[int, bytes]]:
    return [(message.seq, message.data) for message in await conference.history.messages()]


def heard(person: Person) -> list[bytes]:
    return [event.message.data for event in person.told if isinstance(event, MessageArrived)]


async def removed(two: Two) -> Conference:
    """Alice's conference, from which bob was removed after two messages; a third was not for him."""
    conference = await call(two.alice, two.bob)
    await conference.send(b"one")
    await until(lambda: heard(two.bob) == [b"one"], "the message")
    await two.bob.conference.send(b"two")
    await conference.remove(identity=two.bob.identity)
    await until(lambda: two.bob.conference.status == records.REMOVED, "bob to be removed")
    await conference.send(b"not for bob")
    return conference


async def again(two: Two, conference: Conference) -> Conference:
    fetched = await two.alice.client.fetch([two.bob.identity])
    await two.alice.client.invite(conference, fetched.keys)
    await until(two.bob.client.invitations, "the second invitation")
    (invitation,) = two.bob.client.invitations()
    return two.bob.listen(invitation)


@pytest.mark.parametrize("restart", [False, True])
async def test_the_conference_goes_on(two: Two, restart: bool) -> None:
    conference = await removed(two)
    before = two.bob.conference
    invitation = await again(two, conference)
    assert two.bob.client.conferences() == [before]
    assert await texts(before) == [(1, b"one"), (2, b"two")]
    await conference.send(b"while it waits")
    await until(lambda: b"while it waits" in heard(two.bob), "the message")
    if restart:
        await two.bob.power_cut()
        (invitation,) = two.bob.client.invitations()
        (before,) = two.bob.client.conferences()
    await two.bob.client.accept(invitation)
    assert before.gone
    assert two.bob.client.conferences() == [invitation]
    assert two.bob.client.invitations() == []
    await together(conference, two.bob)
    await two.bob.conference.send(b"four")
    said = [(1, b"one"), (2, b"two"), (3, b"while it waits"), (4, b"four")]
    assert await texts(invitation) == said
    await before.leave()  # a page that still has the old one at hand
    assert await texts(invitation) == said
    await two.bob.power_cut()
    await together(conference, two.bob)
    assert await texts(two.bob.conference) == said
    await conference.update()
    await together(conference, two.bob)
    assert two.bob.errors == []
    names = [name for name in two.bob.host.disks[two.bob.identity].records if "~" in name]
    assert names == []


async def test_declined_it_leaves_what_was_said(two: Two) -> None:
    conference = await removed(two)
    invitation = await again(two, conference)
    await invitation.leave()
    await until(lambda: len(conference.members) == 1, "alice to see bob off")
    assert await texts(two.bob.conference) == [(1, b"one"), (2, b"two")]
    assert two.bob.conference.status == records.REMOVED
    second = await again(two, conference)
    await two.bob.client.accept(second)
    await together(conference, two.bob)
    assert [seq for seq, _ in await texts(second)] == [1, 2]


async def test_removed_twice(two: Two) -> None:
    conference = await removed(two)
    for turn in range(2):
        await two.bob.client.accept(await again(two, conference))
        await together(conference, two.bob)
        await two.bob.conference.send(b"%d" % turn)
        await conference.remove(identity=two.bob.identity)
        await until(lambda: two.bob.conference.status == records.REMOVED, "bob to be removed")
    assert await texts(two.bob.conference) == [(1, b"one"), (2, b"two"), (3, b"0"), (4, b"1")]


async def test_who_has_not_heard_of_the_removal_learns_it_when_they_accept(two: Two) -> None:
    """Bob's device cannot reach the ordering service, so for it the conference goes on."""
    conference = await call(two.alice, two.bob)
    before = two.bob.conference
    service = origin_of("email1.example")
    two.bob.host.unreachable.add(service)
    await conference.remove(identity=two.bob.identity)
    invitation = await again(two, conference)
    assert before.status == records.ACTIVE
    two.bob.host.unreachable.clear()
    await two.bob.client.accept(invitation)
    assert before.gone
    await together(conference, two.bob)


async def test_a_power_cut_at_any_step_of_coming_back(tmp_path: Path) -> None:
    step, went = 0, True
    while went:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        async with Simulation(folder) as simulation:
            people = Two(
                simulation,
                await enrol(simulation, "alice@email1.example"),
                await enrol(simulation, "bob@email2.example", publish=4),
            )
            went = await _cut_while_accepting(people, step)
            assert simulation.keys_used_twice() == 0, f"step {step}"
            for person in (people.alice, people.bob):
                await person.close()
    assert step > 5


async def _cut_while_accepting(two: Two, step: int) -> bool:
    conference = await removed(two)
    invitation = await again(two, conference)
    two.bob.host.stop_after(step)
    accepting = asyncio.ensure_future(two.bob.client.accept(invitation))
    stopped = asyncio.ensure_future(two.bob.host.stopped.wait())
    await asyncio.wait({accepting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    went = two.bob.host.stopped.is_set()
    if went:
        await two.bob.power_cut()
    two.bob.host.stop_after(None)
    stopped.cancel()
    await asyncio.gather(accepting, stopped, return_exceptions=True)
    for waiting in two.bob.client.invitations():
        await two.bob.client.accept(waiting)
    await together(conference, two.bob)
    assert await texts(two.bob.conference) == [(1, b"one"), (2, b"two")], f"step {step}"
    return went


async def test_a_stranger_s_group_of_the_same_id_is_not_that_conference(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory has seen the id. She founds a group of it at her own service, and moves that to the conference's."""
    conference = await removed(two)
    before = two.bob.conference
    mallory = await enrol(two.simulation, "mallory@email2.example")
    other = await enrol(two.simulation, "other@email1.example")

    async def same_id(crypto: CryptoProvider, package: JoinKeys, group_id: bytes, *args: Any, **how: Any) -> Group:
        return await create_group(crypto, package, conference.id, *args, **how)

    with monkeypatch.context() as patch:
        patch.setattr("roomkey.client.creating.create_group", same_id)
        hers = await call(mallory, other, name="stand-up")
    await hers.move_ordering(conference.ordering)
    fetched = await mallory.client.fetch([two.bob.identity])
    await mallory.client.invite(hers, fetched.keys)
    invitation = await two.bob.invited()
    assert (invitation.id, invitation.ordering) == (before.id, before.ordering)
    assert await texts(invitation) == []
    assert set(two.bob.client.conferences()) == {before, invitation}
    assert await texts(before) == [(1, b"one"), (2, b"two")]
    await two.bob.client.accept(await again(two, conference))  # and keeps nobody from the true one
    (back,) = [item for item in two.bob.client.conferences() if item is not invitation]
    await until(lambda: back.verification_digits == conference.verification_digits, "one epoch")
    await back.send(b"back")
    assert await texts(back) == [(1, b"one"), (2, b"two"), (3, b"back")]
    assert await texts(invitation) == []
    for person in (mallory, other):
        await person.close()
