"""SRTP of pages on a thin way: the picture keeps moving and stays near the present; what nobody gets is not sent on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, until
from tests.support.protected_calls import RED, media_chromium
from tests.support.srtp_calls import begins, connects, passed, ready, seen, sees, sends, srtp_world, state

ALICE, BOB = "alice@email1.example", "bob@email2.example"
CALL = "stand-up"
FRAMERATE = 20
WISHED = 1_000_000
# Bits a second, and bytes that wait: more than three seconds, if nobody sent less.
THIN = {"bitrate": 200_000, "room": 96 * 1024}
# Pictures by which what is shown may be behind what is drawn, of the 80 that the way has room for: 2 s.
BEHIND = 40
# Pictures after which that holds: twice as long as what waits at first takes to pass.
THIN_FOR = 160
# Rounds of a second's pictures in which what is shown stays near.
NEAR_FOR = 8
NUMBERS = 2**12


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


def outgoing(person: Person) -> dict[str, Any]:
    found: dict[str, Any] = person.do("srtp.outgoingState(values)", CALL)
    return found


def last(person: Person, sender: Person) -> dict[str, Any]:
    found: dict[str, Any] = person.do("srtp.lastNumber(...values)", [CALL, sender.identity])
    return found


def behind(receiver: Person, sender: Person) -> int:
    """By how many pictures what is shown is older than what is drawn."""
    shown = last(receiver, sender)["number"]
    return int((outgoing(sender)["number"] - shown) % NUMBERS)


def test_a_picture_keeps_moving_on_a_thin_way(people: list[Person]) -> None:
    alice, bob = people
    for person in people:
        begins(person, CALL, conference=CALL, take="numbers")
    connects(alice, bob, CALL, middle="pass")
    values = {"name": CALL, "options": {"framerate": FRAMERATE, "bitrate": WISHED}}
    alice.do("await srtp.sendNumbered(values.name, values.options)", values)
    until("bob to see pictures", lambda: last(bob, alice)["frames"] > 3 * FRAMERATE)
    until("alice to send as much as is wished for", lambda: outgoing(alice)["bitrate"] == WISHED)
    alice.do("srtp.mode(...values)", [CALL, THIN])
    until("alice to send less", lambda: outgoing(alice)["bitrate"] < 1.5 * THIN["bitrate"])
    drawn = outgoing(alice)["number"]
    until("what waited by then to pass", lambda: outgoing(alice)["number"] > drawn + THIN_FOR)
    # On a busy machine single pictures come late; without a lower bitrate the way stays as full as it can be for good.
    rounds: list[int] = []

    def stays_near() -> bool:
        before = last(bob, alice)["frames"]
        until("more pictures", lambda: last(bob, alice)["frames"] >= before + FRAMERATE)
        rounds.append(behind(bob, alice))
        return len(rounds) >= NEAR_FOR and max(rounds[-NEAR_FOR:]) < BEHIND

    until("what is shown to stay near what is drawn", stays_near)
    assert outgoing(alice)["state"] == "sending"
    alice.do("srtp.mode(...values)", [CALL, "pass"])
    low = outgoing(alice)["bitrate"]
    until("alice to send more again", lambda: outgoing(alice)["bitrate"] > low + 200_000)
    assert [state(person, CALL)["errors"] for person in people] == [[], []]


def test_what_nobody_gets_is_not_sent_on(people: list[Person]) -> None:
    alice, bob = people
    for person in people:
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, middle="pass")
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED)
    assert (outgoing(alice)["state"], outgoing(alice)["reason"]) == ("sending", None)
    alice.do("srtp.mode(...values)", [CALL, "drop"])
    until("the stream to stop", lambda: outgoing(alice)["state"] == "unheard")
    assert outgoing(alice)["reason"] == "no-packets"  # bob says so, for his reports come
    frames = seen(bob, CALL)[-1]["frames"]
    sent = passed(alice, CALL)["count"]
    alice.do("srtp.mode(...values)", [CALL, "pass"])
    reported = reports(alice)
    until("bob to report on", lambda: reports(alice) > reported + 4)
    assert passed(alice, CALL)["count"] <= sent + 2  # what the encoder still had in hand
    assert seen(bob, CALL)[-1]["frames"] == frames
    # a new way is a reason to try again
    connects(alice, bob, CALL, again="1")
    sees(bob, CALL, alice, RED, 20)
    assert outgoing(alice)["state"] == "sending"
    assert [state(person, CALL)["errors"] for person in people] == [[], []]


def reports(person: Person) -> int:
    """RTCP packets that came to a person's middle."""
    found: int = person.do("srtp.rtcpCame(values)", CALL)
    return found
