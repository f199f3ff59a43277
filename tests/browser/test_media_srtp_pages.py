"""SRTP of conferences in pages: people see each other's pictures under the conference's keys, over data channels.

Real parts throughout: services as processes, the built bundle, data channels on loopback, WebCodecs, the keys of MLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, agreed, until
from tests.support.protected_calls import GREEN, RED, is_colour, media_chromium
from tests.support.srtp_calls import (
    begins,
    client_of,
    connects,
    counts,
    negotiate,
    of,
    passed,
    ready,
    seen,
    sees,
    sends,
    shows,
    srtp_world,
    state,
    watched,
)

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


def test_who_comes_late_and_only_listens_gets_a_key_frame(people: list[Person]) -> None:
    alice, bob, carol = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL)
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED, 20)
    asked = counts(alice, CALL)["received"]
    begins(carol, CALL, conference=CALL)
    connects(alice, carol, CALL)
    sees(carol, CALL, alice, RED, 20)
    assert counts(alice, CALL)["received"] > asked  # Carol's request, which is all that she sends
    assert counts(carol, CALL)["received"] > 0


def test_an_epoch_changes_under_the_picture_without_a_hole(people: list[Person]) -> None:
    alice, bob, carol = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, middle="pass")
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED, 10)
    first = alice.look(CALL)["epoch"]
    asked, refused = counts(alice, CALL)["received"], counts(bob, CALL)["refused"]
    for maker in (alice, carol, bob):
        maker.do("await calls[values].update()", CALL)
        now = agreed(CALL, *people)["epoch"]
        until("packets under the new keys", lambda now=now: passed(alice, CALL)["epochs"][-1] == now)  # type: ignore[misc]
        sees(bob, CALL, alice, RED, 10)
    assert passed(alice, CALL)["epochs"] == [first, first + 1, first + 2, first + 3]
    # Bob's decoder lacked nothing, so he asked for nothing; and no packet was refused
    assert (counts(alice, CALL)["received"], counts(bob, CALL)["refused"]) == (asked, refused)
    assert all(is_colour(colour, RED) for colour in watched(bob, CALL, alice)["colours"])


def test_a_page_that_alters_and_repeats_packets_shows_no_forged_picture(people: list[Person]) -> None:
    alice, bob, _ = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, middle="tamper")
    sends(alice, CALL, RED)
    until("altered packets to be refused", lambda: counts(bob, CALL)["refused"].get("not-authentic", 0) > 20)
    assert of(bob, CALL, alice) is None
    assert counts(bob, CALL)["received"] == 0
    alice.do("srtp.mode(...values)", [CALL, "mixed"])  # each one altered, then as it is, then again
    sees(bob, CALL, alice, RED, 20)
    until("repeated packets to be refused", lambda: counts(bob, CALL)["refused"].get("replayed", 0) > 20)
    alice.do("srtp.mode(...values)", [CALL, "replay"])
    sees(bob, CALL, alice, RED, 20)
    alice.do("srtp.mode(...values)", [CALL, "swap"])  # each one's header before another's content
    before = counts(bob, CALL)["refused"]["not-authentic"]
    until("exchanged packets to be refused", lambda: counts(bob, CALL)["refused"]["not-authentic"] > before + 20)
    alice.do("srtp.mode(...values)", [CALL, "pass"])
    sees(bob, CALL, alice, RED, 20)  # and it recovers
    assert all(is_colour(colour, RED) for colour in watched(bob, CALL, alice)["colours"])


def test_the_page_hears_what_is_wrong_with_a_stream(people: list[Person]) -> None:
    alice, bob, _ = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, middle="pass")
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED)
    for mode, expected in (("drop", "silent"), ("tamper", "refused"), ("strange", "no-key"), ("pass", "protected")):
        alice.do("srtp.mode(...values)", [CALL, mode])
        until(f"bob to hear of {mode}", lambda expected=expected: seen(bob, CALL)[-1]["state"] == expected)  # type: ignore[misc]
    assert dict(seen(bob, CALL)[-1]["states"]) == {
        "silent": None, "refused": "not-authentic", "no-key": "unknown-key", "protected": None,
    }  # fmt: skip
    sees(bob, CALL, alice, RED)


def test_a_packet_is_shown_on_both_sides_of_its_protection(people: list[Person]) -> None:
    alice, bob, _ = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL, middle="pass")
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED)
    for packet, wire in (_sample(alice, "sampleSent"), _sample(bob, "sampleHeard")):
        assert len(wire) == len(packet) + 16 + 2  # AES-GCM's tag and the MKI
        assert wire[:12] == packet[:12]  # the header stays clear
        assert wire[-2:] == alice.look(CALL)["epoch"].to_bytes(2, "big")
        assert packet[12:] not in wire


def _sample(person: Person, name: str) -> tuple[bytes, bytes]:
    sample = person.do(f"srtp.{name}(values)", CALL)
    return bytes.fromhex(sample["packet"]), bytes.fromhex(sample["wire"])


def test_a_way_of_one_member_takes_no_packets_of_another(people: list[Person]) -> None:
    alice, bob, carol = people
    for person in people:
        begins(person, CALL, conference=CALL)
    # Bob takes this way for Carol's, and Alice is at its other end
    bob.do("srtp.channel(...values)", [CALL, "wrong", {"from": client_of(bob, CALL, carol)}])
    alice.do("srtp.channel(...values)", [CALL, "wrong"])
    negotiate(alice, bob, "wrong")
    sends(alice, CALL, RED)
    until("packets to come", lambda: counts(alice, CALL)["sent"] > 60)
    assert (counts(bob, CALL)["received"], seen(bob, CALL)) == (0, [])


def test_after_a_reload_no_stream_has_a_number_again(people: list[Person]) -> None:
    alice, bob, _ = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL)
    numbers = [sends(alice, CALL, RED)["ssrc"]]
    sees(bob, CALL, alice, RED)
    epoch = alice.look(CALL)["epoch"]
    for _ in range(2):
        alice.close_tab()
        ready(alice.reopen())
        begins(alice, CALL, conference=CALL)
        connects(alice, bob, CALL, again=str(len(numbers)))
        numbers.append(sends(alice, CALL, GREEN)["ssrc"])
        sees(bob, CALL, alice, GREEN)
        assert of(bob, CALL, alice)["ssrc"] == numbers[-1]  # type: ignore[index]
    assert alice.look(CALL)["epoch"] == epoch  # the same keys all the time
    first = numbers[0]
    # the counter that lasts: each start takes one to ask by and one to send with
    assert [(number - first) % 2**20 for number in numbers] == [0, 2, 4]
    assert [item["gone"] for item in seen(bob, CALL)] == [True, True, False]


def test_who_stops_is_gone(people: list[Person]) -> None:
    alice, bob, _ = people
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL)
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED)
    alice.refused("already-in-call", "await calls[values].srtp()", CALL)  # one at a time
    alice.do("await srtp.stop(values)", CALL)
    until("bob to hear of it", lambda: seen(bob, CALL)[-1]["gone"])
    assert state(alice, CALL)["ended"]
    alice.refused("closed", "await srtp.send(...values)", [CALL, "red"])
    begins(alice, CALL, conference=CALL)
    connects(alice, bob, CALL, again="1")
    sends(alice, CALL, GREEN)
    sees(bob, CALL, alice, GREEN)


def test_a_page_can_neither_read_nor_forge_what_is_said_of_streams(people: list[Person]) -> None:
    alice, bob, _ = people
    bob.do(
        """globalThis.signals = [];
        calls[values].addEventListener("signal", ({ detail }) => signals.push(detail.data));""",
        CALL,
    )
    for person in (alice, bob):
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL)
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED)  # so what is said of streams has come
    alice.do("await calls[values].signal(new Uint8Array([1]))", CALL)
    until("the signal of the application", lambda: bob.do("signals") == ["01"])


def test_what_cannot_be_done_is_refused_by_code(people: list[Person]) -> None:
    alice, bob, _ = people
    alice.refused("bad-argument", "await calls[values].srtp({ profile: 'NULL' })", CALL)
    for person in (alice, bob):
        begins(person, CALL, conference=CALL, take="nothing")  # also after a start that was refused
    session = "srtp.sessions[values].session"
    for wrong in (
        f"await {session}.send(media.drawing('red'), {{ codec: 'h265' }})",
        f"await {session}.send('red')",
        f"{session}.connect({{}})",
    ):
        alice.refused("bad-argument", wrong, CALL)
    connects(alice, bob, CALL, again="errors")
    sends(bob, CALL, RED)
    until("bob's stream to come", lambda: seen(alice, CALL) != [])
    used = f"const used = document.createElement('canvas'); used.getContext('2d'); {session}.streams[0].show(used);"
    alice.refused("bad-argument", used, CALL)
    alice.do("await srtp.stop(values)", CALL)
    for late in (f"await {session}.counts()", f"{session}.connect(new MessageChannel().port1)"):
        alice.refused("closed", late, CALL)


def test_who_is_removed_sees_nothing_more(people: list[Person]) -> None:
    """The last one: Carol is in it no more."""
    alice, bob, carol = people
    for person in people:
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL)
    connects(carol, alice, CALL, middle="pass")
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED)
    sees(carol, CALL, alice, RED)
    alice.do("await calls[values[0]].remove(values[1])", [CALL, CAROL])
    now = agreed(CALL, alice, bob)["epoch"]
    until("carol's session to end", lambda: state(carol, CALL)["ended"])
    frames = seen(carol, CALL)[-1]["frames"]
    # the packets that still come to her are under keys that she never had
    before = passed(carol, CALL, "came")["count"]
    until("packets to come to carol", lambda: passed(carol, CALL, "came")["count"] > before + 30)
    assert passed(carol, CALL, "came")["epochs"][-1] == now
    assert seen(carol, CALL)[-1]["frames"] == frames
    assert seen(carol, CALL)[-1]["gone"]
    sees(bob, CALL, alice, RED, 20)
    carol.refused("not-a-member", "await calls[values].srtp()", CALL)
