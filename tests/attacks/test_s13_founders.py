"""S13: members who keep others from the group that follows on theirs, or show somebody another one of the same id."""

from __future__ import annotations

import hashlib
from typing import Literal

import pytest
from roomkey.conference import attempts, founding, ordering, receiving, succession, upkeep
from roomkey.conference.events import Succeeded
from roomkey.conference.session import Session
from roomkey.conference.succession import Due
from roomkey.federation.client_leaf import named_client
from roomkey.federation.delivery import Accepted
from roomkey.mls import successor
from roomkey.mls.committing import PendingCommit
from roomkey.mls.framing import COMMIT, PrivateMessage, message
from roomkey.mls.group import Group

from tests.attacks.mallory import crypto_of, group_of, heard, put
from tests.attacks.test_s13_branch import junk, names, one_group
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, origin_of, until
from tests.unit.test_conference_upgrade import weak

Kind = Literal["another token", "unsigned", "forged", "signed"]


async def ended(mallory: Person, *others: Person) -> Due:
    """Those others are away, and Mallory ends the epoch with junk that nobody can be held to."""
    for person in others:
        await person.client.close()
    mallory.conference._session.succeeding = True  # her client does not look for a successor
    return Due("branch", hashlib.sha256(await junk(mallory)).digest(), None)


async def spoil(mallory: Person, what: Due, attempt: int, kind: Kind) -> None:
    """Takes an attempt at founding the successor, to which no Welcome will ever come."""
    old, service = group_of(mallory), mallory.conference._session.ordering_service()
    group_id = succession.successor_id(old, what, attempt)
    token = succession.founding_token(old, group_id)
    if kind == "another token":
        await service.register_group(group_id, hashlib.sha256(b"mine").digest())
        return
    await service.register_group(group_id, hashlib.sha256(token).digest())
    statement = await attempts.sign(crypto_of(mallory), old, group_id) if kind == "signed" else b""
    if kind == "forged":
        signature = attempts.RoomkeyFounding.decode(await attempts.sign(crypto_of(mallory), old, group_id)).signature
        statement = attempts.RoomkeyFounding(1 - min(old.own_leaf, 1), signature).encode()
    commit = message(PrivateMessage(group_id, 0, COMMIT, statement, bytes(28), bytes(64))).encode()
    assert await service.submit_commit(group_id, 0, commit, token, bytes(32)) == Accepted(0)


async def make(mallory: Person, old: Group, group_id: bytes, victim: Person) -> PendingCommit:
    """A group of hers and the victim that follows on the old one, whatever the register says of it."""
    session = mallory.conference._session
    people = [member for member in session.members if member.client == victim.client.client_id]
    found, missing = await session.around.heirs.keys(people, old.suite.number)
    assert missing is None
    package = found[victim.client.client_id].package_for(old.suite.number)
    return await successor.branch_group(
        crypto_of(mallory), old, await session.around.heirs.own(old.suite.number), [package], group_id,
        mallory.host.now(), extensions=old.context.extensions, who=named_client,
        authenticated_data=await attempts.sign(crypto_of(mallory), old, group_id),
    )  # fmt: skip


async def test_who_spoils_attempts_is_passed_over(
    alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than anybody would wait for; what is signed twice by one member is waited for once."""
    conference = await call(alice, bob, mallory)
    before = conference.id
    what = await ended(mallory, alice, bob)
    kinds: tuple[Kind, ...] = ("another token", "unsigned", "forged", "signed")
    for attempt in range(12):
        await spoil(mallory, what, attempt, kinds[attempt % 4])
    waited, welcomed = set(), upkeep._welcomed

    async def wait(session: Session) -> bool:
        if succession.due(session) is not None:  # else its Welcome came first, and there is nothing to wait for
            waited.add(session.attempt)
        return await welcomed(session)

    monkeypatch.setattr(upkeep, "_welcomed", wait)
    wanted = succession.successor_id(group_of(mallory), what, 12)
    await mallory.client.close()
    await alice.power_cut()
    await bob.power_cut()
    conference = await one_group(before, alice, bob)
    assert conference.id == wanted
    assert alice.errors == bob.errors == []
    assert 3 in waited <= {3, 12}
    await heard(alice, bob, b"after all that")


async def test_a_founder_in_whose_way_somebody_gets(
    alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory spoils each attempt at the worst moment, for as long as the service lets her."""
    conference = await call(alice, bob, mallory)
    before = conference.id
    what = await ended(mallory, alice, bob)
    submit = founding._submit
    budget = [5]

    async def too_late(session: Session) -> bool:
        if budget[0] > 0:
            budget[0] -= 1
            old = group_of(mallory)
            assert session.founding is not None
            number = succession.attempt_of(old, what, session.founding.group_id)
            assert number is not None
            await spoil(mallory, what, number, "unsigned")
        return await submit(session)

    monkeypatch.setattr(founding, "_submit", too_late)
    await alice.power_cut()
    await until(lambda: alice.conference.id != before, "alice's branch")
    assert budget == [0]
    await bob.power_cut()
    await one_group(before, alice, bob)
    assert alice.errors == bob.errors == []


async def test_a_welcome_to_another_group_of_the_same_id(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person
) -> None:
    """Alice founds the branch. Before Bob hears of it Mallory sends him a Welcome of hers, with the branch's id, and
    opens a register where its token is good. Bob refuses it, and takes Alice's.
    """
    conference = await call(alice, bob, mallory)
    before, old = conference.id, group_of(mallory)
    what = await ended(mallory, bob)
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"
    conference.settle()
    await until(lambda: conference.id != before, "alice's branch")
    await alice.client.close()
    simulation.network.swallow = None
    forged = await make(mallory, old, conference.id, bob)
    service = mallory.conference._session.ordering_service()
    await service.register_group(conference.id, ordering.token_hash(forged.group), 1)
    assert forged.welcome is not None
    await put(mallory, forged.welcome, bob)
    await mallory.client.close()
    assert what.absent is None
    await bob.power_cut()
    await until(lambda: "invalid-welcome" in bob.errors, "bob to refuse")
    assert bob.conference.id == before
    await alice.power_cut()
    await one_group(before, alice, bob)
    assert bob.conference.id == alice.conference.id
    assert bob.errors == ["invalid-welcome"]
    await heard(alice, bob, b"the one group")


async def test_a_founder_of_two_groups(alice: Person, bob: Person, mallory: Person) -> None:
    """The register holds Mallory's founding of one, and Bob gets a Welcome to another. He refuses; after a while he
    and Alice found the next.
    """
    conference = await call(alice, bob, mallory)
    before, old = conference.id, group_of(mallory)
    what = await ended(mallory, alice, bob)
    group_id = succession.successor_id(old, what, 0)
    token = succession.founding_token(old, group_id)
    one, other = [await make(mallory, old, group_id, person) for person in (alice, bob)]
    service = mallory.conference._session.ordering_service()
    await service.register_group(group_id, hashlib.sha256(token).digest())
    assert await service.submit_commit(group_id, 0, one.message, token, ordering.token(one.group)) == Accepted(0)
    await service.register_group(group_id, ordering.token_hash(other.group), 1)
    assert other.welcome is not None
    await put(mallory, other.welcome, bob)
    await mallory.client.close()
    await alice.power_cut()
    await bob.power_cut()
    conference = await one_group(before, alice, bob)
    assert conference.id == succession.successor_id(old, what, 1)
    assert bob.errors == ["invalid-welcome"]


async def test_a_welcome_to_a_later_attempt_waits(alice: Person, bob: Person, mallory: Person) -> None:
    """Mallory founds one out of turn, as the register says, and shows it to Bob alone: he goes where all go."""
    conference = await call(alice, bob, mallory)
    before, old = conference.id, group_of(mallory)
    what = await ended(mallory, alice, bob)
    group_id = succession.successor_id(old, what, 5)
    token = succession.founding_token(old, group_id)
    made = await make(mallory, old, group_id, bob)
    service = mallory.conference._session.ordering_service()
    await service.register_group(group_id, hashlib.sha256(token).digest())
    assert await service.submit_commit(group_id, 0, made.message, token, ordering.token(made.group)) == Accepted(0)
    assert made.welcome is not None
    await put(mallory, made.welcome, bob)
    await mallory.client.close()
    await bob.power_cut()
    await alice.power_cut()
    conference = await one_group(before, alice, bob)
    assert conference.id == succession.successor_id(old, what, 0)
    assert mallory.identity in names(conference)  # nobody can be held to the junk
    assert bob.errors == []


async def test_who_spoils_an_upgrade_only_delays_it(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person
) -> None:
    """The group id of a ReInit is one, and can be spoilt: the next attempt at the better suite has another."""
    old = await weak(simulation, "old@email2.example")
    conference = await call(alice, bob, mallory, old)
    await conference.remove(identity=old.identity)
    await together(conference, bob, mallory)
    await old.close()
    before = conference.id
    await bob.client.close()
    session = conference._session
    async with session.lock:
        await founding.reinitialise(session, receiving.process_commits)
    await alice.client.close()
    mallory.conference._session.succeeding = True
    await mallory.conference.catch_up()
    what = succession.due(mallory.conference._session)
    assert what is not None
    await spoil(mallory, what, 0, "unsigned")
    await mallory.client.close()
    await alice.power_cut()
    await bob.power_cut()
    await one_group(before, alice, bob)
    assert (alice.conference.suite, bob.conference.suite) == (1, 1)
    for person in (alice, bob):
        assert [e for e in person.told if isinstance(e, Succeeded)] == [Succeeded(before, "reinit")]
        assert person.errors == []


async def test_whose_keys_are_withheld_holds_up_no_upgrade(
    simulation: Simulation, alice: Person, carol: Person, bob: Person
) -> None:
    """The last to have keys for the better suite is Bob's service, and it hands none out any more."""
    old = await weak(simulation, "old@email2.example")
    conference = await call(alice, carol, bob, old)
    await conference.remove(identity=old.identity)
    await together(conference, carol, bob)
    await old.close()
    before = conference.id
    session = conference._session
    await carol.client.close()
    async with session.lock:
        await founding.reinitialise(session, receiving.process_commits)
    await alice.client.close()
    await bob.client.close()
    simulation.network.unreachable.add(origin_of("email2.example"))
    await carol.power_cut()  # alice has claimed some before
    await until(lambda: carol.conference.id != before, "carol to go on without bob")
    await alice.power_cut()
    await one_group(before, alice, carol)
    assert (alice.conference.suite, names(alice.conference)) == (1, {alice.identity, carol.identity})
