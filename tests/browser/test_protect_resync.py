"""A receiver whose inbox keeps a commit back: its page hears whose keys it lacks since when; the picture comes back,
because the media worker asks for what it lacks: who sees nobody, and has the same inbox, is left behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, until, world_of
from tests.support.protected_calls import GREEN, RED, SCRIPT, connect, media_chromium, opens, ready, shows
from tests.support.tampering_proxy import Proxy, tampering_proxy

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email2.example"
CALL = "kept back"
READ = "/v1/commits/read"


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture
def scene(assets: Path, chromium: Browser, tmp_path: Path) -> Iterator[tuple[Person, Person, Person, Proxy]]:
    """Two who see each other, and Carol, who sees nobody; Bob's and Carol's inboxes come through a proxy."""
    with world_of(assets, chromium, tmp_path, ["http://127.0.0.1:*"]) as world:
        world.site.files["/call_page.js"] = SCRIPT.read_bytes()
        service = world.services.at("email2.example")
        with tampering_proxy(world.services.proxies[service.domain], service.port) as proxy:
            alice = ready(world.person(ALICE).load().enrol(publish=2))
            world.addresses["email2.example"] = proxy.url
            bob, carol = (ready(world.person(name).load().enrol(publish=2)) for name in (BOB, CAROL))
            alice.call(CALL, bob, carol)
            yield alice, bob, carol, proxy


def reads(person: Person) -> int:
    """How often its page has read the conference's register."""
    person.page.evaluate("0")  # requests are told while the page is asked something
    return sum(url.endswith(READ) for url in person.requests)


def test_who_lacks_a_key_is_told_and_gets_it(scene: tuple[Person, Person, Person, Proxy]) -> None:
    alice, bob, carol, proxy = scene
    opens(alice, CALL, conference=CALL, colour=RED)
    opens(bob, CALL, conference=CALL, colour=GREEN)
    connect(alice, bob, CALL)
    shows(bob, CALL, RED)
    # who accepts reads the register then, and once more when its inbox has had its time; nothing else is under way
    until("both to have settled", lambda: min(reads(bob), reads(carol)) >= 2)
    read = reads(bob), reads(carol)
    before = len(bob.do("media.events(values)", CALL))
    proxy.items = lambda item: []
    alice.do("await calls[values].update()", CALL)
    epoch = alice.look(CALL)["epoch"]

    def told() -> list[dict[str, Any]] | None:
        events = [event for event in bob.do("media.events(values)", CALL)[before:] if event["direction"] == "receive"]
        return events if events and events[-1]["state"] == "protected" else None

    lacking, again = until("bob to be without keys, and to have them again", told)
    # whose picture it was stays known, and the time is that of the first frame without keys
    assert (lacking["state"], lacking["reason"], lacking["member"]) == ("no-key", "unknown-key", ALICE)
    assert lacking["since"] < again["since"]
    assert again["member"] == ALICE
    shows(bob, CALL, RED)
    assert bob.look(CALL)["epoch"] == epoch
    assert reads(bob) > read[0]
    assert reads(carol) == read[1]
    assert carol.look(CALL)["epoch"] == epoch - 1
    shows(alice, CALL, GREEN)
