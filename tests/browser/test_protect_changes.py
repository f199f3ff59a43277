"""Protected media while a conference and its connections change: epochs, removals, late protection, later tracks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, agreed, until
from tests.support.protected_calls import (
    BLUE,
    GREEN,
    RED,
    connect,
    css,
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
    return [ready(world.person(name).load().enrol(publish=6)) for name in (ALICE, BOB, CAROL)]


def pair(caller: Person, callee: Person, name: str, call: str, **options: object) -> None:
    """Two members who see each other: red from the caller, green from the callee."""
    opens(caller, name, conference=call, colour=RED, **options)
    opens(callee, name, conference=call, colour=GREEN)
    connect(caller, callee, name)
    shows(caller, name, GREEN)
    shows(callee, name, RED)


def closed(name: str, *people: Person) -> None:
    for person in people:
        person.do("media.close(values)", name)


def test_epochs_change_and_the_picture_goes_on(people: list[Person]) -> None:
    alice, bob, _ = people
    alice.call("epochs", bob)
    pair(alice, bob, "epochs", "epochs")
    before = {person.name: seen(person, "epochs") for person in (alice, bob)}
    for maker in (alice, bob, alice):
        maker.do("await calls[values].update()", "epochs")
        agreed("epochs", alice, bob)
        shows(alice, "epochs", GREEN)
        shows(bob, "epochs", RED)
    for person in (alice, bob):
        # no stream was in trouble, and no decoder lacked a frame: none asked for a key frame
        assert {event["state"] for event in person.do("media.events(values)", "epochs")} == {"protected"}
        after = seen(person, "epochs")
        assert (after["plis"], after["dropped"]) == (before[person.name]["plis"], before[person.name]["dropped"])
    closed("epochs", alice, bob)


def test_c2_who_is_removed_sees_nothing_and_is_not_seen(people: list[Person]) -> None:
    alice, bob, carol = people
    alice.call("removal", bob, carol)
    pair(alice, bob, "to bob", "removal")
    pair(alice, carol, "to carol", "removal")
    alice.do("await calls[values[0]].remove(values[1])", ["removal", CAROL])
    agreed("removal", alice, bob)
    (ended,) = until("carol to hear of it", lambda: carol.heard("removal", "ended"))
    assert ended["reason"] == "removed"
    there, here = seen(carol, "to carol"), seen(alice, "to carol")
    for person, colour in ((alice, GREEN), (bob, RED)):
        shows(person, "to bob", colour)
    # what Alice still sends there comes, and nothing of it is decoded; what Carol sends does not even leave
    until("packets to come", lambda: seen(carol, "to carol")["packets"] > there["packets"] + 30)
    assert seen(carol, "to carol")["frames"] <= there["frames"] + 1
    assert seen(alice, "to carol")["frames"] <= here["frames"] + 1
    error = carol.refused("not-a-member", "await calls[values].protect(new RTCPeerConnection())", "removal")
    assert error["fault"] == "caller"
    closed("to bob", alice, bob)
    closed("to carol", alice, carol)


def test_what_was_there_before_is_not_protected_and_refused(people: list[Person]) -> None:
    """Browsers take a transform that comes late without a word, and send in the clear: such a connection is refused."""
    alice, bob, _ = people
    alice.call("before", bob)
    opens(alice, "before", colour=RED)
    alice.refused("bad-argument", "await media.protect(...values)", ["before", "before"])
    # one that appears behind our back shows nothing
    opens(alice, "behind", conference="before")
    alice.do(
        """const { pc } = media.peers.behind;
        RTCPeerConnection.prototype.addTrack.call(pc, media.drawing("red"));
        await new Promise((resolve) => setTimeout(resolve, 100));
        await pc.setLocalDescription();
        return null;"""
    )
    there = alice.do(
        """const { pc } = media.peers.behind;
        return [pc.getTransceivers().map(({ direction }) => direction), pc.localDescription.sdp.includes("m=video")];"""
    )
    assert there == [["stopped"], False]
    closed("before", alice)
    closed("behind", alice)


def test_tracks_that_come_later(people: list[Person]) -> None:
    alice, bob, _ = people
    alice.call("late", bob)
    pair(alice, bob, "late", "late")
    # another track in its place, and further ones
    alice.do("await media.peers.late.video.sender.replaceTrack(media.drawing(values))", css(BLUE))
    shows(bob, "late", BLUE)
    for person, colour in ((alice, BLUE), (bob, GREEN)):
        person.do("await media.add('late', values)", css(colour))
    connect(bob, alice, "late")
    for person, other in ((alice, BOB), (bob, ALICE)):
        until(
            "all streams to be protected",
            lambda person=person: (
                len(states(person, "late")) == 4  # type: ignore[misc]
                and all(stream["state"] == "protected" for stream in states(person, "late"))
            ),
        )
        assert {stream["member"] for stream in states(person, "late")} == {None, other}
    closed("late", alice, bob)


def test_after_stop_nothing_passes(people: list[Person]) -> None:
    alice, bob, _ = people
    alice.call("stop", bob)
    pair(alice, bob, "stop", "stop")
    alice.do("await media.peers.stop.protection.stop()")
    then = seen(bob, "stop")
    until("alice to show no more", lambda: stands_still(alice, "stop"))
    until("bob to show no more", lambda: stands_still(bob, "stop"))
    assert seen(bob, "stop")["colour"] is None or is_colour(seen(bob, "stop")["colour"], RED)
    assert seen(bob, "stop")["packets"] < then["packets"] + 100
    closed("stop", alice, bob)


def stands_still(person: Person, name: str) -> bool:
    before = seen(person, name)["frames"]
    person.page.wait_for_timeout(400)  # eight frames' time
    return bool(seen(person, name)["frames"] == before)


def test_of_one_member_only(people: list[Person]) -> None:
    """C4: media of another member than the one whose connection it is shows nothing, and is told."""
    alice, bob, carol = people
    alice.call("swapped", bob, carol)
    wanted = bob.do("calls[values].members.find((member) => member.own).clientId", "swapped")
    opens(alice, "swapped", **{"conference": "swapped", "colour": RED, "from": list(bytes.fromhex(wanted))})
    opens(carol, "swapped", conference="swapped", colour=BLUE)
    connect(alice, carol, "swapped")
    shows(carol, "swapped", RED)
    (stream,) = until(
        "the stream to be refused",
        lambda: [item for item in states(alice, "swapped") if item["state"] == "refused"],
    )
    assert (stream["direction"], stream["reason"], stream["member"]) == ("receive", "unknown-stream", None)
    assert seen(alice, "swapped")["frames"] == 0
    closed("swapped", alice, carol)


def test_what_cannot_be_protected_is_refused_by_name(people: list[Person]) -> None:
    alice, bob, _ = people
    alice.call("refusals", bob)
    alice.call("another", bob)
    codes = alice.do(
        """const attempt = (name, pc) => calls[name].protect(pc).then(() => "none", (error) => error.code);
        const [open, shut] = [new RTCPeerConnection(), new RTCPeerConnection()];
        shut.close();
        const codes = [await attempt("refusals", open), await attempt("refusals", open), await attempt("another", open),
          await attempt("refusals", shut), await attempt("refusals", {}), await attempt("refusals", undefined)];
        const kept = globalThis.RTCRtpScriptTransform;
        delete globalThis.RTCRtpScriptTransform;
        codes.push(await attempt("refusals", new RTCPeerConnection()));
        globalThis.RTCRtpScriptTransform = kept;
        await calls.refusals.close();
        codes.push(await attempt("refusals", new RTCPeerConnection()));
        return codes;"""
    )
    assert codes == [
        "none",
        "none",
        "bad-argument",
        "closed",
        "bad-argument",
        "bad-argument",
        "browser-too-old",
        "closed",
    ]


def test_streams_that_a_remote_description_makes(people: list[Person]) -> None:
    """No track event tells of them where the other side only receives."""
    alice, bob, carol = people
    alice.call("remote", bob)
    for name, receiver in (("with keys", bob), ("without keys", carol)):
        conference = "remote" if receiver is bob else None
        opens(receiver, name, conference=conference)
        receiver.do("media.peers[values].pc.addTransceiver('video', { direction: 'recvonly' }); return null", name)
        opens(alice, name, conference="remote")
        offer = receiver.do("media.offer(values)", name)
        alice.do(
            """const { pc } = media.peers[values.name];
            await pc.setRemoteDescription(values.offer);
            await new Promise((resolve) => setTimeout(resolve, 100));
            const [transceiver] = pc.getTransceivers();
            transceiver.direction = "sendonly";
            await transceiver.sender.replaceTrack(media.drawing("rgb(40,50,220)"));
            return null;""",
            {"name": name, "offer": offer},
        )
        answer = alice.do("media.accept(values)", name)
        receiver.do("await media.answered(values.name, values.answer)", {"name": name, "answer": answer})
    shows(bob, "with keys", BLUE)
    until("media to come to carol", lambda: seen(carol, "without keys")["packets"] > 50)
    assert (seen(carol, "without keys")["frames"], seen(carol, "without keys")["colour"]) == (0, None)
    for name, receiver in (("with keys", bob), ("without keys", carol)):
        closed(name, alice, receiver)


@pytest.mark.parametrize(("codec", "mode"), [("VP8", "L1T3"), ("VP9", "L2T3_KEY"), ("AV1", "L2T2")])
def test_layers_of_scalable_video_pass(people: list[Person], codec: str, mode: str) -> None:
    alice, bob, _ = people
    if codec == "VP8":
        alice.call("layers", bob)
    name = f"layers of {codec}"
    opens(
        alice, name, conference="layers", colour=RED, codec=codec, size=[640, 480], layers=[{"scalabilityMode": mode}]
    )
    opens(bob, name, conference="layers")
    connect(alice, bob, name)
    assert shows(bob, name, RED)["codec"] == f"video/{codec}"
    assert seen(alice, name)["mode"] == mode
    closed(name, alice, bob)
