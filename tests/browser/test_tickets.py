"""Tickets in two pages: one makes it, the other comes in by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.person_browser import World, agreed, world_of

OPEN = 'const call = await me.createConference({ name: "open", policy: "external-joins" }); return call.policy;'
JOIN = "const bytes = Uint8Array.from(values); const call = await me.joinConference(bytes); return call.policy;"


@pytest.fixture
def world(assets: Path, chromium: Browser, tmp_path: Path) -> Iterator[World]:
    with world_of(assets, chromium, tmp_path) as made:
        yield made


def test_a_person_comes_in_by_a_ticket(world: World) -> None:
    alice = world.person("alice@email1.example").load().enrol()
    bob = world.person("bob@email2.example").load().enrol()
    assert alice.do(OPEN) == "external-joins"
    ticket = list(bytes.fromhex(alice.do("await calls.open.ticket()")))

    altered = [*ticket[:-1], ticket[-1] ^ 1]
    bob.refused("invalid-ticket", JOIN, altered)
    assert bob.do(JOIN, ticket) == "external-joins"
    agreed("open", alice, bob)
    (change,) = alice.heard("open", "members")
    assert [member["identity"] for member in change["entered"]] == [bob.identity]
    assert bob.keys("open") == alice.keys("open")
    bob.refused("already-member", JOIN, ticket)

    alice.say("open", "welcome")
    bob.hears("open", "welcome")
    bob.close_tab()
    bob.reopen()
    bob.say("open", "back again")
    alice.hears("open", "back again")

    carol = world.person("carol@email1.example").load().enrol()
    carol.refused("ticket-expired", JOIN, ticket)
    assert carol.do("(await me.conferences()).length") == 0
    agreed("open", alice, bob)


def test_a_common_conference_has_no_tickets(world: World) -> None:
    alice = world.person("alice@email1.example").load().enrol()
    assert alice.do('(await me.createConference({ name: "closed" })).policy') == "members-only"
    alice.refused("ticket-not-allowed", "calls.closed.ticket()")
    alice.refused("bad-argument", 'me.createConference({ name: "", policy: "everybody" })')
