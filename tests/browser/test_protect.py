"""Media of real connections under a conference's keys: who is in it sees and hears, who is not does not.

Real parts throughout: services as processes, the built bundle, RTCPeerConnection on loopback, the browser's own codecs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, until
from tests.support.protected_calls import (
    BLUE,
    GREEN,
    RED,
    connect,
    hears_tone,
    is_colour,
    media_chromium,
    media_world,
    opens,
    ready,
    seen,
    shows,
    states,
)

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"
CALL = "stand-up"


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with media_world(assets, chromium, tmp_path_factory.mktemp("services")) as made:
        yield made


@pytest.fixture(scope="module")
def people(world: World) -> list[Person]:
    """Three people, of whom the first two are in the conference."""
    alice, bob, carol = (ready(world.person(name).load().enrol(publish=4)) for name in (ALICE, BOB, CAROL))
    alice.call(CALL, bob)
    return [alice, bob, carol]


def test_two_members_see_and_hear_each_other(people: list[Person]) -> None:
    alice, bob, _ = people
    opens(alice, "pair", conference=CALL, colour=RED, frequency=440)
    opens(bob, "pair", conference=CALL, colour=GREEN, frequency=880)
    connect(alice, bob, "pair")
    shows(alice, "pair", GREEN)
    shows(bob, "pair", RED)
    hears_tone(alice, "pair")
    hears_tone(bob, "pair")
    for person, other in ((alice, BOB), (bob, ALICE)):
        for stream in states(person, "pair"):
            assert stream["state"] == "protected", stream
            assert stream["member"] == (other if stream["direction"] == "receive" else None)


def test_who_has_no_keys_sees_nothing(people: list[Person]) -> None:
    alice, _, carol = people
    opens(alice, "listened", conference=CALL, colour=BLUE, frequency=440)
    opens(carol, "listened", colour=GREEN)
    connect(alice, carol, "listened")
    until("media to come to carol", lambda: seen(carol, "listened")["packets"] > 100)
    there = seen(carol, "listened")
    assert not is_colour(there["colour"], BLUE), there
    assert there["frames"] == 0, there
    # and what Carol sends in the clear shows nothing to Alice
    until("media to come to alice", lambda: seen(alice, "listened")["packets"] > 50)
    here = seen(alice, "listened")
    assert (here["frames"], here["colour"]) == (0, None), here


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
def test_every_codec_shows_a_picture(people: list[Person], codec: str) -> None:
    alice, bob, carol = people
    opens(alice, codec, conference=CALL, colour=RED, codec=codec)
    opens(bob, codec, conference=CALL, colour=GREEN)
    connect(alice, bob, codec)
    assert shows(bob, codec, RED)["codec"] == f"video/{codec}"
    shows(alice, codec, GREEN)
    for person in (alice, bob):
        person.do("media.close(values)", codec)
    # who has no keys: frames come, and none is a picture
    name = f"{codec} without keys"
    opens(alice, name, conference=CALL, colour=BLUE, codec=codec)
    opens(carol, name, colour=GREEN)
    connect(alice, carol, name)
    until("media to come", lambda: seen(carol, name)["packets"] > 60)
    assert seen(carol, name)["colour"] is None, seen(carol, name)
    for person in (alice, carol):
        person.do("media.close(values)", name)
