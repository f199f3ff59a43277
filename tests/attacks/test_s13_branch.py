"""S13: a commit that nobody can follow wins its epoch. The members go on in a branch of their group (RFC 9420 section
11.3), without who signed the commit, in the same conference.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from roomkey.conference import ordering, succession
from roomkey.conference.conference import Conference
from roomkey.conference.events import Succeeded
from roomkey.conference.succession import Due
from roomkey.federation.delivery import Accepted
from roomkey.mls import committing
from roomkey.mls.framing import COMMIT, PrivateMessage, message
from roomkey.mls.group import Group

from tests.attacks.mallory import crypto_of, group_of, heard
from tests.support.conferences import said
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, origin_of, until
from tests.unit.test_client_power_cuts import cut, every_step

pytestmark = pytest.mark.usefixtures("patient")


async def submit(person: Person, group: Group, commit: bytes) -> None:
    """Puts a commit into the register, with the token that every member has."""
    answer = await person.conference._session.ordering_service().submit_commit(
        group.group_id, group.epoch, commit, ordering.token(group), bytes(32)
    )
    assert isinstance(answer, Accepted)


async def junk(person: Person) -> bytes:
    """Wins the epoch with bytes that say nothing of their sender."""
    group = group_of(person)
    data = message(PrivateMessage(group.group_id, group.epoch, COMMIT, b"", bytes(28), bytes(64))).encode()
    await submit(person, group, data)
    return data


async def signed(person: Person) -> bytes:
    """Wins the epoch with a commit that is signed, and that no member follows."""
    group = group_of(person)
    proposals = ordering.moving(group, "nowhere.example")
    made = await committing.commit(crypto_of(person), group, person.host.now(), proposals=proposals)
    await submit(person, group, made.message)
    return made.message


async def one_group(before: bytes, *people: Person) -> Conference:
    """Waits until all are together in a branch."""
    first = people[0].conference
    await until(lambda: {person.conference.id for person in people} == {first.id} != {before}, "one branch")
    await until(lambda: all(person.conference.epoch >= 2 for person in people), "the founder's first commit")
    await together(first, *people[1:])
    return first


def names(conference: Conference) -> set[str]:
    return {member.identity for member in conference.members}


async def test_junk_ends_the_group_and_not_the_conference(alice: Person, bob: Person, carol: Person) -> None:
    """Nobody can be held to it, so everybody comes along; what was said stays, and what was on its way arrives."""
    conference = await call(alice, bob, carol, name="stand-up")
    before, followed = conference.id, bob.conference
    await conference.send(b"before")
    await until(lambda: said(carol) == [b"before"], "the message")
    await junk(alice)
    await followed.update()  # the caller need not know
    await one_group(before, alice, bob, carol)
    assert bob.conference is followed
    assert followed.name == "stand-up"
    for person in (alice, bob, carol):
        assert len(person.conference.members) == 3
        assert [e.reason for e in person.told if isinstance(e, Succeeded)] == ["branch"]
        assert person.errors == []
    await heard(carol, bob, b"after")
    assert [item.data for item in await followed.history.messages()] == [b"before", b"after"]
    await carol.power_cut()
    await alice.conference.update()
    await together(alice.conference, bob, carol)


async def test_who_signed_it_stays_behind(alice: Person, bob: Person, carol: Person, mallory: Person) -> None:
    conference = await call(alice, bob, carol, mallory)
    before = conference.id
    await signed(mallory)
    await mallory.client.close()
    await conference.update()
    await one_group(before, alice, bob, carol)
    assert names(conference) == {alice.identity, bob.identity, carol.identity}
    await heard(alice, bob, b"without her")


async def test_who_signed_it_founds_no_branch_for_the_others(alice: Person, bob: Person, mallory: Person) -> None:
    """Her own client is as stuck, and may win the founding: nobody follows her."""
    conference = await call(alice, bob, mallory)
    before = conference.id
    await alice.client.close()
    await bob.client.close()
    await signed(mallory)
    mallory.conference.settle()
    await until(lambda: mallory.conference.id != before, "mallory's own branch")
    await alice.power_cut()
    await bob.power_cut()
    conference = await one_group(before, alice, bob)
    assert names(conference) == {alice.identity, bob.identity}
    assert set(alice.errors) | set(bob.errors) <= {"invalid-welcome"}


async def test_who_squats_the_branch_delays_it(alice: Person, bob: Person, mallory: Person) -> None:
    """A member can know the id of a branch in advance, and open a register of that id; an outsider cannot."""
    conference = await call(alice, bob, mallory)
    group, before = group_of(mallory), conference.id
    await alice.client.close()
    await bob.client.close()
    ended = hashlib.sha256(await signed(mallory)).digest()
    await mallory.client.home.register_group(
        succession.successor_id(group, Due("branch", ended, None), 0), hashlib.sha256(b"mine").digest()
    )
    await mallory.client.close()
    await alice.power_cut()
    await bob.power_cut()
    await one_group(before, alice, bob)


async def test_who_was_away_follows_into_the_branch(alice: Person, bob: Person, carol: Person) -> None:
    conference = await call(alice, bob, carol)
    before = conference.id
    await carol.client.close()
    await junk(bob)
    await conference.update()
    await conference.send(b"where is carol?")
    await carol.power_cut()
    await one_group(before, alice, bob, carol)
    await until(lambda: said(carol) == [b"where is carol?"], "the message")
    assert carol.errors == []


async def test_a_founder_who_dies_before_telling(
    simulation: Simulation, alice: Person, bob: Person, carol: Person
) -> None:
    """The others wait, and then found a branch of their own. When the first one comes back, each side lets the other
    go, and nobody is shown who is not there.
    """
    conference = await call(alice, bob, carol)
    before = conference.id
    for person in (bob, carol):
        await person.client.close()
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"
    await junk(alice)
    await conference.update()
    assert conference.id != before
    await alice.client.close()
    simulation.network.swallow = None
    for person in (bob, carol):
        await person.power_cut()
    await one_group(before, bob, carol)
    assert bob.conference.id != conference.id
    await alice.power_cut()
    await until(lambda: names(alice.conference) == {alice.identity}, "alice to see that she is alone")
    await until(lambda: names(bob.conference) == {bob.identity, carol.identity}, "the others to see her go")
    await together(bob.conference, carol)


async def test_a_branch_waits_for_a_service_that_is_down(simulation: Simulation, alice: Person, bob: Person) -> None:
    """Bob's keys cannot be had for a while."""
    conference = await call(alice, bob)
    before = conference.id
    await bob.client.close()
    simulation.network.unreachable.add(origin_of("email2.example"))
    await junk(alice)
    conference.settle()
    await until(lambda: "service-unreachable" in alice.errors, "a try")
    simulation.network.unreachable.clear()
    await bob.power_cut()
    await one_group(before, alice, bob)


async def test_power_cuts(tmp_path: Path) -> None:
    """B7 of a branch: wherever its founder stops, all go on together."""

    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        conference = await call(alice, bob)
        before = conference.id
        await junk(bob)
        went = await cut(alice, step, lambda: alice.conference.update())
        if not went:
            assert alice.conference.id != before
        alice.conference.settle()
        await one_group(before, alice, bob)
        await alice.conference.send(b"still here")
        await until(lambda: said(bob) == [b"still here"], f"the message after step {step}")
        for person in (alice, bob):
            await person.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 15
