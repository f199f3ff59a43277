"""A conference moves between services as they are deployed, which are killed (kill -9) in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from roomkey.errors import RoomkeyError
from roomkey.host.native import NativeHost

from tests.delivery.test_post_quantum import SECONDS, Native, read, two
from tests.support.services import TwoServices
from tests.support.simulator import until

__all__ = ["two"]

FIRST, SECOND = "email1.example", "email2.example"


@pytest.fixture
async def people(two: TwoServices, host: NativeHost) -> AsyncIterator[list[Native]]:
    made = [Native(two, host, name) for name in ("alice@email1.example", "bob@email2.example")]
    for person in made:
        await person.enrol("standard")
    yield made
    for person in made:
        await person.client.close()


async def together(people: list[Native]) -> None:
    def agreed() -> bool:
        shown = {(person.conference.epoch, person.conference.verification_digits) for person in people}
        return len(shown) == 1

    await until(agreed, "the same digits for all", SECONDS)
    assert len({person.conference.ordering for person in people}) == 1


@pytest.mark.parametrize("victim", [FIRST, SECOND])
async def test_killed_at_any_time(people: list[Native], two: TwoServices, victim: str) -> None:
    """Whichever of the two stops, and when, the conference is at one of them for all, and goes on there."""
    alice, bob = people
    fetched = await alice.client.fetch([bob.identity])
    conference = await alice.client.create_conference("moving", fetched.keys)
    await alice.client.invite(conference, fetched.keys)
    await bob.accept()
    failures: list[RoomkeyError] = []
    for turn, delay in enumerate((0.0, 0.002, 0.005, 0.008, 0.012, 0.02, 0.04)):
        target = SECOND if conference.ordering == FIRST else FIRST
        service = two.running[victim]
        killer = asyncio.get_running_loop().call_later(delay, service.kill)
        try:
            await conference.move_ordering(target)
        except RoomkeyError as error:
            failures.append(error)
        killer.cancel()
        service.kill()
        await asyncio.to_thread(service.restart)
        for person in people:
            person.conference.settle()
        await until(lambda: conference._session.pending is None, "the move to be decided", SECONDS)
        await bob.conference.update()
        await together(people)
        await bob.conference.send(b"turn %d" % turn)
        await read(alice, b"turn %d" % turn)
    assert failures
    assert all(error.retryable for error in failures)
    await conference.move_ordering(SECOND if conference.ordering == FIRST else FIRST)
    await together(people)
