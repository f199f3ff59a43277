"""What SRTP sessions of pages carry: VP9 beside VP8, and sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World
from tests.support.protected_calls import GREEN, RED, media_chromium
from tests.support.srtp_calls import begins, connects, hears, ready, seen, sends, shows, srtp_world, state

ALICE, BOB = "alice@email1.example", "bob@email2.example"
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
    alice, bob = (ready(world.person(name).load().enrol(publish=4)) for name in (ALICE, BOB))
    alice.call(CALL, bob)
    return [alice, bob]


@pytest.fixture(autouse=True)
def _stopped(people: list[Person]) -> Iterator[None]:
    yield
    for person in people:
        person.do("for (const name of Object.keys(srtp.sessions)) await srtp.stop(name)")


def sends_tone(person: Person, frequency: float, **options: Any) -> dict[str, Any]:
    values = {"name": CALL, "frequency": frequency, "options": options}
    sent: dict[str, Any] = person.do("srtp.sendTone(values.name, values.frequency, values.options)", values)
    return sent


def test_vp9_and_vp8_side_by_side(people: list[Person]) -> None:
    alice, bob = people
    for person in people:
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, bound=True)
    assert sends(alice, CALL, RED, codec="vp9")["codec"] == "vp9"
    assert sends(bob, CALL, GREEN)["codec"] == "vp8"
    assert shows(bob, CALL, alice, RED)["codec"] == "vp9"
    assert shows(alice, CALL, bob, GREEN)["codec"] == "vp8"
    alice.do("await calls[values].update(); return null", CALL)
    shows(bob, CALL, alice, RED)
    assert [state(person, CALL)["errors"] for person in people] == [[], []]


def test_tones_are_heard(people: list[Person]) -> None:
    alice, bob = people
    for person in people:
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, bound=True)
    assert (sent := sends_tone(alice, 440.0))["codec"] == "opus"
    sends_tone(bob, 880.0, bitrate=64_000)
    hears(bob, alice, CALL, 440.0)
    hears(alice, bob, CALL, 880.0)
    (stream,) = seen(bob, CALL)
    assert (stream["kind"], stream["ssrc"]) == ("audio", sent["ssrc"])
    sends(alice, CALL, RED)  # sound and pictures side by side
    shows(bob, CALL, alice, RED)
    hears(bob, alice, CALL, 440.0)
    assert [state(person, CALL)["errors"] for person in people] == [[], []]


def test_a_codec_that_is_none_of_ours(people: list[Person]) -> None:
    alice, _ = people
    begins(alice, CALL, conference=CALL)
    body = """
        try { await srtp.send(values.name, values.colour, { codec: values.codec }); } catch (error) {
          return [error.code, error.details.field ?? null]; }
    """
    for codec in ("h264", "opus", "", "__proto__"):
        assert alice.do(body, {"name": CALL, "colour": "red", "codec": codec}) == ["bad-argument", "codec"], codec
