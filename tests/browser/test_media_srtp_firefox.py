"""SRTP of conferences between Firefox and Chromium: each way to get frames in and out shows a picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.firefox import Firefox
from tests.support.person_browser import PATH, Person, agreed, until, world_on
from tests.support.protected_calls import BLUE, RED, media_chromium
from tests.support.protected_calls import SCRIPT as CALLS
from tests.support.services import two_services
from tests.support.srtp_calls import SCRIPT, begins, connects, hears, sends, shows, state

ALICE, BOB = "alice@email1.example", "bob@email2.example"
CALL = "mixed"
SERVICES = ["http://127.0.0.1:*"]


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def people(
    assets: Path, firefox: Firefox, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Person]]:
    """Alice in Firefox and Bob in Chromium, in one conference."""
    with ExitStack() as stack:
        services = stack.enter_context(two_services(tmp_path_factory.mktemp("services")))
        made = []
        for identity, browser in ((ALICE, cast(Any, firefox)), (BOB, chromium)):
            world = stack.enter_context(world_on(services, assets, browser, SERVICES))
            # Scripts that a test runs in Firefox cannot import: the page does.
            for path, script in (("/call_page.js", CALLS), ("/srtp_page.js", SCRIPT)):
                world.site.files[path] = script.read_bytes()
                world.site.files[PATH] += f'<script type="module" src="{path}"></script>'.encode()
            made.append(world.person(identity).load().enrol(publish=2))
        made[0].call(CALL, made[1])
        yield made


@pytest.mark.parametrize("take", ["frames", "canvas", "track"])
def test_firefox_and_chromium_see_each_other(people: list[Person], take: str) -> None:
    alice, bob = people
    for person in people:
        begins(person, CALL, conference=CALL, take=take)
    connects(alice, bob, CALL, again=take)
    sends(alice, CALL, RED)
    sends(bob, CALL, BLUE)
    shows(bob, CALL, alice, RED)
    shows(alice, CALL, bob, BLUE)
    alice.do("await calls[values].update()", CALL)
    agreed(CALL, *people)
    shows(bob, CALL, alice, RED)
    shows(alice, CALL, bob, BLUE)
    for person in people:
        assert state(person, CALL)["errors"] == []
        person.do("await srtp.stop(values)", CALL)


def test_firefox_and_chromium_hear_each_other(people: list[Person], hearing: None) -> None:
    alice, bob = people
    for person in people:
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, again="tones")
    for person, frequency in ((alice, 440), (bob, 880)):
        values = {"name": CALL, "frequency": frequency}
        person.do("srtp.sendTone(values.name, values.frequency)", values)
    hears(bob, alice, CALL, 440)  # a track of Firefox's, by its pieces
    hears(alice, bob, CALL, 880)
    # and as a track that Firefox plays
    alice.do("srtp.playTone(values)", CALL)

    def played() -> bool:
        found = alice.do("srtp.played(values)", CALL)
        return bool(found["loud"] is not None and found["loud"] > -60 and abs(found["frequency"] - 880) < 20)

    until("alice to play 880 Hz", played)
    for person in people:
        assert state(person, CALL)["errors"] == []
        person.do("await srtp.stop(values)", CALL)
