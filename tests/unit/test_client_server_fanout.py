"""A whole conference with server fanout: alice talks to her own service alone."""

from __future__ import annotations

import pytest
from roomkey.errors import RoomkeyError

from tests.support.conferences import said
from tests.support.people import Person, call
from tests.support.simulator import Simulation, origin_of, until


async def test_a_conference_through_the_home_service(simulation: Simulation, alice: Person, bob: Person) -> None:
    await alice.client.set_service(origin_of("email1.example"), ["email1.example"], fanout="server")
    alice.host.unreachable.add(origin_of("email2.example"))
    conference = await call(alice, bob)
    await conference.send(b"through my own service")
    await until(lambda: said(bob) == [b"through my own service"], "a message for bob")
    await bob.conference.send(b"and straight back")
    await until(lambda: said(alice) == [b"and straight back"], "a message for alice")
    assert alice.errors == bob.errors == []


async def test_the_kind_of_fanout_is_remembered(simulation: Simulation, alice: Person, bob: Person) -> None:
    await alice.client.set_service(origin_of("email1.example"), ["email1.example"], fanout="server")
    await alice.power_cut()
    alice.host.unreachable.add(origin_of("email2.example"))
    conference = await call(bob, alice)  # bob's service orders, and alice asks it through hers
    await alice.conference.send(b"in reach")
    await until(lambda: said(bob) == [b"in reach"], "a message for bob")
    await alice.client.set_service(origin_of("email1.example"), ["email1.example"])
    with pytest.raises(RoomkeyError) as caught:
        await alice.client.fetch(["carol@email2.example"])
    assert caught.value.code == "no-route"
    assert conference.epoch == alice.conference.epoch
