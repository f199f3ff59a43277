"""SRTP of conferences in pages: people see each other's pictures under the conference's keys, over data channels.

Real parts throughout: services as processes, the built bundle, data channels on loopback, WebCodecs, the keys of MLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World
from tests.support.protected_calls import GREEN, RED, media_chromium
from tests.support.srtp_calls import begins, connects, ready, sends, shows, srtp_world, state

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"
CALL = "stand-up"


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with srtp_world(assets, chromium, tmp_path_factory.mktemp("services")) as made:
        yield made


@pytest.fixture(scope="module")
def people(world: World) -> list[Person]:
    """Three people in one conference, of two domains."""
    alice, bob, carol = (ready(world.person(name).load().enrol(publish=4)) for name in (ALICE, BOB, CAROL))
    alice.call(CALL, bob, carol)
    return [alice, bob, carol]


@pytest.fixture(autouse=True)
def _stopped(people: list[Person]) -> Iterator[None]:
    yield
    for person in people:
        person.do("for (const name of Object.keys(srtp.sessions)) await srtp.stop(name)")


@pytest.mark.parametrize("take", ["frames", "canvas", "track"])
def test_two_see_each_other(people: list[Person], take: str) -> None:
    alice, bob, _ = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL, take=take)
    connects(alice, bob, CALL, bound=True)
    mine, theirs = sends(alice, CALL, RED), sends(bob, CALL, GREEN)
    assert mine["ssrc"] != theirs["ssrc"]
    assert (mine["codec"], mine["kind"]) == ("vp8", "video")
    for person, other, colour, sent in ((bob, alice, RED, mine), (alice, bob, GREEN, theirs)):
        assert shows(person, CALL, other, colour)["ssrc"] == sent["ssrc"]
        assert state(person, CALL)["errors"] == []
