"""Tickets as JavaScript sees them."""

from __future__ import annotations

from tests.support.simulator import Simulation
from tests.unit.test_bridge import person


async def test_a_ticket_in_plain_values(simulation: Simulation) -> None:
    alice, alice_id = await person(simulation, "alice@email1.example")
    bob, bob_id = await person(simulation, "bob@email2.example")
    closed = await alice.ok("identity.createConference", handle=alice_id, name="closed")
    assert closed["policy"] == "members-only"
    assert await alice.code("conference.ticket", handle=closed["handle"]) == "ticket-not-allowed"
    assert await alice.code("identity.createConference", handle=alice_id, name="", policy="all") == "bad-argument"
    opened = await alice.ok("identity.createConference", handle=alice_id, name="open", policy="external-joins")
    assert opened["policy"] == "external-joins"

    ticket = await alice.ok("conference.ticket", handle=opened["handle"])
    assert type(ticket) is bytes
    joined = await bob.ok("identity.joinConference", handle=bob_id, ticket=ticket)
    assert (joined["id"], joined["policy"], joined["status"]) == (opened["id"], "external-joins", "active")
    assert (await bob.wait("conference"))["detail"]["handle"] == joined["handle"]
    seen = (await alice.wait("members"))["detail"]
    assert [item["identity"] for item in seen["entered"]] == ["bob@email2.example"]
    assert seen["added"] == seen["entered"]
    assert seen["conference"]["verification"] == joined["verification"]
    assert await bob.code("identity.joinConference", handle=bob_id, ticket=ticket) == "already-member"
    assert await bob.code("identity.joinConference", handle=bob_id, ticket="a text") == "bad-argument"


async def test_back_by_a_ticket_is_a_new_handle(simulation: Simulation) -> None:
    alice, alice_id = await person(simulation, "alice@email1.example")
    bob, bob_id = await person(simulation, "bob@email2.example")
    conference = await alice.ok("identity.createConference", handle=alice_id, name="open", policy="external-joins")
    handles = []
    for turn in range(2):
        ticket = await alice.ok("conference.ticket", handle=conference["handle"])
        handles.append((await bob.ok("identity.joinConference", handle=bob_id, ticket=ticket))["handle"])
        if turn == 0:
            await alice.wait("members")
            await alice.ok("conference.remove", handle=conference["handle"], identity="bob@email2.example")
            await bob.wait("ended")
    (listed,) = await bob.ok("identity.conferences", handle=bob_id)
    assert (listed["handle"], listed["status"]) == (handles[1], "active")
    assert await bob.code("conference.snapshot", handle=handles[0]) == "closed"
