"""Short runs of a client: it knows when it has read what waited, and what of its own has gone out."""

from __future__ import annotations

import asyncio

import pytest
from roomkey.client.opening import open_client
from roomkey.errors import RoomkeyError
from roomkey.federation.trust import FirstUse

from tests.support.conferences import alice, bob, simulation
from tests.support.people import Person, call
from tests.support.simulator import Simulation

__all__ = ["alice", "bob", "simulation"]


async def reopened(person: Person) -> None:
    person.client = await open_client(person.host, person.identity, {}, FirstUse(), person.events.append)


async def test_what_waited_has_been_read(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    await bob.client.close()
    for number in range(3):
        await conference.send(b"%d" % number)
    await conference.update()
    await conference.send(b"after")
    assert await alice.client.sent() == frozenset()
    await reopened(bob)
    async with asyncio.timeout(120):
        await bob.client.caught_up()
    assert [message.data for message in await bob.conference.history.messages()] == [b"0", b"1", b"2", b"after"]
    assert bob.conference.epoch == conference.epoch


async def test_a_service_that_is_down_is_told(simulation: Simulation, alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    assert await alice.client.sent() == frozenset()
    simulation.network.unreachable.add(simulation.routes["email2.example"])
    await bob.client.close()
    await reopened(bob)
    with pytest.raises(RoomkeyError) as caught:
        await bob.client.caught_up()
    assert caught.value.code == "service-unreachable"
    await conference.send(b"queued")
    assert await alice.client.sent() == {"email2.example"}
    simulation.network.unreachable.clear()
    await alice.client.close()
    await reopened(alice)
    assert await alice.client.sent() == frozenset()
