"""A conference moves from one ordering service to another, by a commit that the new service expects already."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError

from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, origin_of, until
from tests.unit.test_client_power_cuts import contents, cut, every_step, stored

FIRST, SECOND = "email1.example", "email2.example"


def counted(simulation: Simulation) -> Counter[tuple[str, str]]:
    """The requests about registers from now on, by domain and path."""
    seen: Counter[tuple[str, str]] = Counter()

    def note(origin: str, path: str, body: bytes) -> bool:
        if path.startswith(("/v1/groups", "/v1/commits")):
            seen[(origin.removeprefix("https://ds."), path)] += 1
        return False

    simulation.network.swallow = note
    return seen


def services(conference_people: tuple[Person, ...]) -> set[str]:
    return {person.conference.ordering for person in conference_people}


async def test_all_follow_to_the_new_service(simulation: Simulation, alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    assert conference.ordering == FIRST
    seen = counted(simulation)
    await conference.move_ordering(SECOND)
    assert seen[(SECOND, "/v1/groups")] == 1
    assert seen[(FIRST, "/v1/commits")] == 1
    await together(conference, bob)
    assert services((alice, bob)) == {SECOND}
    simulation.network.unreachable.add(origin_of(FIRST))
    await bob.conference.update()
    await until(lambda: bob.conference.epoch == 3, "the next epoch")
    await until(lambda: bob.errors, "bob not to reach alice's inbox")
    simulation.network.unreachable.clear()
    await together(bob.conference, alice)
    await conference.move_ordering(SECOND)  # nothing to do
    assert conference.epoch == 3
    await conference.move_ordering(FIRST)
    await together(conference, bob)
    await bob.conference.update()
    await together(conference, bob)
    assert services((alice, bob)) == {FIRST}
    assert (alice.errors, bob.errors) == ([], ["service-unreachable"])  # what bob had for alice's inbox


async def test_who_was_away_reads_the_old_register_to_its_end(
    simulation: Simulation, alice: Person, bob: Person
) -> None:
    conference = await call(alice, bob)
    bob.host.unreachable |= {origin_of(FIRST), origin_of(SECOND)}
    await bob.client.close()
    await conference.update()
    await conference.move_ordering(SECOND)
    await conference.update()
    await conference.move_ordering(FIRST)
    await conference.update()
    await bob.power_cut()
    await together(conference, bob)
    await bob.conference.update()
    await together(conference, bob)


async def test_a_squatted_id_blocks_no_move(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person
) -> None:
    conference = await call(alice, bob)
    for epoch in range(5):  # whatever she can think of
        await mallory.client._routes.by_domain[SECOND].register_group(conference.id, b"x" * 32, epoch)
    await conference.move_ordering(SECOND)
    await together(conference, bob)
    await bob.conference.update()
    await together(conference, bob)


async def test_only_to_where_all_members_have_a_way(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    for domain, code in (("email3.example", "bad-argument"), ("Email2.example", "invalid-identity")):
        with pytest.raises(RoomkeyError) as caught:
            await conference.move_ordering(domain)
        assert caught.value.code == code
    assert (conference.epoch, conference.ordering) == (1, FIRST)


@pytest.mark.parametrize("down", [FIRST, SECOND])
async def test_a_service_that_is_down_leaves_everything_as_it_was(
    simulation: Simulation, alice: Person, bob: Person, down: str
) -> None:
    conference = await call(alice, bob)
    simulation.network.unreachable.add(origin_of(down))
    with pytest.raises(RoomkeyError) as caught:
        await conference.move_ordering(SECOND)
    assert caught.value.code == "service-unreachable"
    assert (conference.epoch, conference.ordering) == (1, FIRST)
    simulation.network.unreachable.clear()
    await bob.conference.update()  # of this and a move that may have been submitted one comes first
    await until(lambda: conference._session.pending is None, "the move to be decided")
    await conference.move_ordering(SECOND)
    await together(conference, bob)


async def test_a_lost_race_costs_one_round_trip(simulation: Simulation, alice: Person, bob: Person) -> None:
    """The refusal brings the commits that won: nothing else is asked for, and the second try wins."""
    conference = await call(alice, bob)
    sessions = [conference._session, bob.conference._session]
    await until(lambda: not any(session.settling for session in sessions), "what joining asks for in the background")
    for session in sessions:
        session.settling = True  # whatever else there is to find out in the background waits
    simulation.network.unreachable.add(origin_of(SECOND))  # bob's inbox: he hears of nothing
    bob.host.unreachable.add(origin_of(SECOND))
    for _ in range(3):
        await conference.update()
    seen = counted(simulation)
    await bob.conference.update()
    assert seen == {(FIRST, "/v1/commits"): 2}
    assert bob.conference.epoch == conference.epoch + 1 == 5
    for session, one in zip(sessions, (conference, bob.conference), strict=True):
        session.settling = False
        one.settle()
    bob.host.unreachable.clear()
    simulation.network.unreachable.clear()
    await together(bob.conference, alice)


async def test_a_move_that_loses_the_race_leaves_nothing_harmful(
    simulation: Simulation, alice: Person, bob: Person
) -> None:
    conference = await call(alice, bob)
    seen = counted(simulation)
    moving = asyncio.gather(
        conference.move_ordering(SECOND), bob.conference.move_ordering(SECOND), return_exceptions=True
    )
    assert list(await moving) == [None, None]
    await together(conference, bob)
    assert services((alice, bob)) == {SECOND}
    assert conference.epoch == 2
    assert seen[(FIRST, "/v1/commits")] == 2
    await conference.update()
    await bob.conference.update()
    await together(conference, bob)


async def test_power_cuts(tmp_path: Path) -> None:
    """B7 of a move: wherever the mover stops, the conference is at one of the two services, and goes on there."""

    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        await call(alice, bob)
        went = await cut(alice, step, lambda: alice.conference.move_ordering(SECOND))
        await alice.conference.update()
        await bob.conference.update()
        await together(alice.conference, bob)
        assert len(services((alice, bob))) == 1, f"step {step}"
        await alice.conference.move_ordering(SECOND)
        await together(alice.conference, bob)
        await alice.conference.send(b"still here")
        await until(lambda: stored(bob) == 1, f"the message after step {step}")
        assert await contents(bob) == [b"still here"], f"step {step}"
        await alice.close()
        await bob.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 7
