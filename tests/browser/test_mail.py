"""Mail-like use (the draft's section 3.1): a person in a page and one at a command line, never there together."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from playwright.sync_api import Browser

from tests.delivery.test_cli_mail import Desk
from tests.support.person_browser import until, world_of
from tests.support.services import TwoServices

ALICE, BOB = "alice@email1.example", "bob@email2.example"


def waiting(services: TwoServices, identity: str) -> int:
    """How many messages are in the inboxes at a person's service."""
    with contextlib.closing(sqlite3.connect(services.at(identity).database)) as database:
        (count,) = database.execute("SELECT sum(waiting) FROM clients").fetchone()
    return int(count)


def test_messages_wait_for_whoever_is_away(assets: Path, chromium: Browser, tmp_path: Path) -> None:
    first, answer, last = "the harbour at nine", "then the ferry at ten", "bring the green folder"
    services = tmp_path / "services"
    services.mkdir()
    with world_of(assets, chromium, services) as world:
        bob = Desk(world.services, BOB, tmp_path / "bob")
        bob.enrol()
        alice = world.person(ALICE).load().enrol(publish=2)
        alice.do("await me.createConference({ name: 'mail' })")
        alice.invite("mail", BOB)
        alice.say("mail", first)
        until("the invitation and the message to wait", lambda: waiting(world.services, BOB) == 2)
        alice.close_tab()
        assert bob.read("--accept", ALICE) == [first]
        bob.run("write", ALICE, "--conversation", "mail", "--text", answer)
        bob.run("write", "--conversation", "mail", "--text", last)
        stored = world.services.stored()
        assert ALICE.encode() in stored
        for said in (first, answer, last):
            assert said.encode() not in stored
        alice.reopen()
        alice.hears("mail", last)
        assert alice.texts("mail") == [first, answer, last]
        assert alice.look("mail")["digits"] in bob.run("digits").replace(" ", "")
