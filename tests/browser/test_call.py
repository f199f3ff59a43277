"""Calls of several people: all see all, who is removed sees nobody, and a service that lies breaks the call at most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from roomkey.federation.delivery_messages import InboxItem

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, agreed, until, world_of
from tests.support.protected_calls import BLUE, GREEN, RED, SCRIPT, css, is_colour, media_chromium
from tests.support.tampering_proxy import Proxy, tampering_proxy

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"
COLOURS = {ALICE: RED, BOB: GREEN, CAROL: BLUE}
MESH = SCRIPT.parent / "mesh_page.js"
ATTEMPT_MS = 4000  # what a service has for its lies: an honest call is there within a second


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


class Scene:
    """People who reach their services by a proxy that lies when a test says so."""

    def __init__(self, world: World, proxies: list[Proxy]) -> None:
        self.world, self.proxies = world, proxies
        self.alice, self.bob, self.carol = (self.person(name) for name in (ALICE, BOB, CAROL))

    def person(self, identity: str) -> Person:
        person = self.world.person(identity).load().enrol(publish=6)
        person.do("await import('/call_page.js'); await import('/mesh_page.js'); return null")
        return person

    def conference(self, name: str) -> list[Person]:
        self.alice.call(name, self.bob, self.carol)
        return [self.alice, self.bob, self.carol]


@pytest.fixture(scope="module")
def scene(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("services")
    with world_of(assets, chromium, folder, ["http://127.0.0.1:*"]) as world:
        world.site.files["/call_page.js"] = SCRIPT.read_bytes()
        world.site.files["/mesh_page.js"] = MESH.read_bytes()
        ports = world.services.proxies
        one, two = (world.services.at(domain) for domain in ("email1.example", "email2.example"))
        with (
            tampering_proxy(ports[one.domain], one.port) as first,
            tampering_proxy(ports[two.domain], two.port) as second,
        ):
            world.addresses |= {one.domain: first.url, two.domain: second.url}
            yield Scene(world, [first, second])


def join(name: str, person: Person, *, frequency: int | None = None) -> None:
    options = {"colour": css(COLOURS[person.identity]), "frequency": frequency}
    person.do("await mesh.join(values.name, values.options)", {"name": name, "options": options})


def tiles(name: str, person: Person) -> dict[str, dict[str, Any]]:
    """What a person's tiles show now, by identity; the own one is left out."""
    found = person.do("mesh.tiles(values)", name)
    return {tile["identity"]: tile for tile in found if not tile["own"]}


def sees(name: str, person: Person, others: list[Person]) -> None:
    """Waits until each of the others is shown in their colour, in motion and protected, and nobody else."""
    wanted = {other.identity for other in others}
    first = {identity: tile["frames"] for identity, tile in tiles(name, person).items()}

    def all_there() -> bool:
        found = tiles(name, person)
        return found.keys() == wanted and all(
            tile["state"] == "protected"
            and tile["frames"] > first.get(identity, 0) + 5
            and is_colour(tile["colour"], COLOURS[identity])
            for identity, tile in found.items()
        )

    try:
        until(f"{person.name} to see {sorted(wanted)}", all_there)
    except AssertionError as error:
        errors = person.do("mesh.calls[values].errors", name)
        raise AssertionError(f"{error}: {tiles(name, person)} {errors}") from None


def leave(name: str, *people: Person) -> None:
    for person in people:
        person.do("await mesh.calls[values].call.leave()", name)


def test_three_people_see_each_other_and_who_is_removed_sees_nobody(scene: Scene) -> None:
    alice, bob, carol = people = scene.conference("three")
    for person in people:  # one after the other: who comes late finds the others
        join("three", person, frequency=440 if person is alice else None)
    for person in people:
        sees("three", person, [other for other in people if other is not person])
    until("alice's tone to be heard", lambda: tiles("three", bob)[ALICE]["speaking"])
    assert not tiles("three", bob)[CAROL]["speaking"]
    assert all(person.do("mesh.calls[values].errors", "three") == [] for person in people)
    # the two ends of each connection know each other's fingerprints
    ends: list[tuple[str, str]] = []
    for person in people:
        ends += [(own, other) for own, other in person.do("mesh.fingerprints()")]
    assert len(ends) == 6
    assert {(other, own) for own, other in ends} == set(ends)

    alice.do("await calls.three.remove(values)", CAROL)
    until("carol's call to end", lambda: ["left", "ended"] in carol.do("mesh.calls.three.events"))
    assert carol.do("mesh.tiles('three')") == []
    agreed("three", alice, bob)
    until("carol's tile to go", lambda: CAROL not in tiles("three", alice) and CAROL not in tiles("three", bob))
    after = carol.do("await mesh.received()")
    sees("three", alice, [bob])
    sees("three", bob, [alice])
    assert carol.do("await mesh.received()") == after
    assert carol.do("mesh.connections.every(({ connectionState }) => connectionState === 'closed')")
    # nor does she get in again: what she says is no member's
    carol.refused("not-a-member", "await calls.three.call()")
    leave("three", alice, bob)


def test_people_come_go_and_come_again(scene: Scene) -> None:
    alice, bob, carol = scene.conference("again")
    join("again", alice)
    join("again", bob)
    sees("again", alice, [bob])
    leave("again", bob)
    until("bob's tile to go", lambda: tiles("again", alice) == {})
    join("again", carol)
    join("again", bob)
    for person, others in ((alice, [bob, carol]), (bob, [alice, carol]), (carol, [alice, bob])):
        sees("again", person, others)
    # a screen instead of the camera, a picture turned off
    alice.do("await mesh.share('again', values)", css(GREEN))
    until("the screen", lambda: is_colour(tiles("again", bob)[ALICE]["colour"], GREEN))
    until("carol to be told", lambda: tiles("again", carol)[ALICE]["video"] == "screen")  # by a way of its own
    alice.do("await mesh.share('again', null)")
    until("the camera", lambda: is_colour(tiles("again", bob)[ALICE]["colour"], RED))
    alice.do("await mesh.calls.again.call.turn('video', false)")
    until("no picture", lambda: is_colour(tiles("again", bob)[ALICE]["colour"], (0, 0, 0)))
    until("to be told", lambda: tiles("again", bob)[ALICE]["video"] == "none")
    # keys change under a call that goes on
    bob.do("await calls.again.update()")
    alice.do("await mesh.calls.again.call.turn('video', true)")
    sees("again", carol, [alice, bob])
    leave("again", alice, bob, carol)


def test_a_page_that_is_loaded_again_joins_again(scene: Scene) -> None:
    alice, bob, _ = scene.conference("loaded")
    join("loaded", alice)
    join("loaded", bob)
    sees("loaded", alice, [bob])
    bob.reopen()
    bob.do("await import('/call_page.js'); await import('/mesh_page.js'); return null")
    join("loaded", bob)
    sees("loaded", alice, [bob])
    sees("loaded", bob, [alice])
    leave("loaded", alice, bob)


def test_a_frame_is_shown_on_both_sides_of_its_seal(scene: Scene) -> None:
    alice, bob, _ = scene.conference("shown")
    join("shown", alice)
    join("shown", bob)
    sees("shown", bob, [alice])
    alice.begin("frame", "return mesh.sample('shown', values, 'send')", BOB)
    caught = []

    def both_have_it() -> bool:
        caught.append(bob.do("mesh.sample('shown', values, 'receive')", ALICE))
        ended = alice.page.evaluate("() => Promise.race([globalThis.frame, null])")
        return ended is not None and ended["value"]["counter"] in [one["counter"] for one in caught]

    until("the same frame at both ends", both_have_it)
    sent = alice.ended("frame")["value"]
    came = next(one for one in caught if one["counter"] == sent["counter"])
    assert came == sent
    frame, wire, clear = bytes(sent["frame"]), bytes(sent["wire"]), sent["clear"]
    assert (sent["codec"], clear, wire[:10]) == ("VP8", 10, frame[:10])
    # what follows is SFrame's: its header, the frame whole, a tag of 16 bytes
    assert len(wire) == clear + sent["header"] + len(frame) + 16
    assert frame[clear : clear + 32] not in wire
    alice.refused("no-such-member", "await mesh.calls.shown.call.sample(new Uint8Array(32), 'send')")
    leave("shown", alice, bob)


def test_nothing_is_sent_that_cannot_be_protected(scene: Scene) -> None:
    alice, bob, _ = scene.conference("unprotected")
    bob.do("globalThis.kept = RTCRtpScriptTransform; globalThis.RTCRtpScriptTransform = undefined; return null")
    before = bob.do("mesh.connections.length")
    join("unprotected", alice)
    join("unprotected", bob)
    until("bob to meet alice", lambda: ALICE in tiles("unprotected", bob))
    found = until(
        "the reason", lambda: tiles("unprotected", bob)[ALICE] if tiles("unprotected", bob)[ALICE]["reason"] else None
    )
    assert (found["state"], found["reason"]) == ("failed", "browser-too-old")
    assert bob.do("mesh.connections.slice(values).map((pc) => [pc.connectionState, pc.localDescription])", before) == [
        ["closed", None]
    ]
    until("alice to meet bob", lambda: BOB in tiles("unprotected", alice))
    assert tiles("unprotected", alice)[BOB]["frames"] == 0
    bob.do("globalThis.RTCRtpScriptTransform = kept; return null")
    leave("unprotected", alice, bob)


def flipped(item: InboxItem) -> InboxItem:
    """One bit of what is encrypted is another."""
    return item.replace(message=item.message[:-40] + bytes([item.message[-40] ^ 1]) + item.message[-39:])


def test_a_service_that_repeats_signals_changes_nothing(scene: Scene) -> None:
    alice, bob, _ = scene.conference("repeated")
    kept: list[InboxItem] = []

    def repeat(item: InboxItem) -> list[InboxItem]:
        kept.append(item)
        return [item, *(old.replace(sequence=item.sequence) for old in kept[-8:])]

    for proxy in scene.proxies:
        proxy.items = repeat
    # inboxes are read anew, by way of the proxies as they are now
    for person in (alice, bob):
        person.reopen()
        person.do("await import('/call_page.js'); await import('/mesh_page.js'); return null")
    try:
        join("repeated", alice)
        join("repeated", bob)
        sees("repeated", alice, [bob])
        sees("repeated", bob, [alice])
        assert len(kept) > 4
    finally:
        for proxy in scene.proxies:
            proxy.behave()
    leave("repeated", alice, bob)


def test_a_camera_that_is_unplugged_is_off(scene: Scene) -> None:
    alice, bob, _ = scene.conference("unplugged")
    alice.do(
        """const camera = new MediaStreamTrackGenerator({ kind: "video" });
        const shape = { format: "RGBA", codedWidth: 64, codedHeight: 64, timestamp: 0 };
        globalThis.unplug = camera.writable.getWriter();
        await unplug.write(new VideoFrame(new Uint8Array(64 * 64 * 4), shape));
        globalThis.plugged = await calls.unplugged.call({ stream: new MediaStream([camera]) });
        return null;"""
    )
    join("unplugged", bob)
    until("bob to see her camera", lambda: tiles("unplugged", bob).get(ALICE, {}).get("video") == "camera")
    own = "plugged.tiles.find(({ member }) => member.own)"
    assert alice.do(f"({{ video: {own}.video, tracks: {own}.stream.getTracks().length }})") == {
        "video": "camera",
        "tracks": 1,
    }
    alice.do("await unplug.close()")
    until("bob to hear of it", lambda: tiles("unplugged", bob)[ALICE]["video"] == "none")
    assert alice.do(f"({{ video: {own}.video, tracks: {own}.stream.getTracks().length }})") == {
        "video": "none",
        "tracks": 0,
    }
    alice.do("await plugged.leave()")
    leave("unplugged", bob)


def test_who_was_not_heard_says_it_again(scene: Scene) -> None:
    """Whatever is said while both join is lost."""
    alice, bob, _ = scene.conference("unheard")
    lost: list[InboxItem] = []

    def lose(item: InboxItem) -> list[InboxItem]:
        lost.append(item)
        return []

    for proxy in scene.proxies:
        proxy.items = lose
    for person in (alice, bob):
        person.reopen()
        person.do("await import('/call_page.js'); await import('/mesh_page.js'); return null")
    try:
        join("unheard", alice)
        join("unheard", bob)
        until("what both said to be lost", lambda: len(lost) > 1)
        assert [tiles("unheard", person) for person in (alice, bob)] == [{}, {}]
    finally:
        for proxy in scene.proxies:
            proxy.behave()
    sees("unheard", alice, [bob])
    sees("unheard", bob, [alice])
    leave("unheard", alice, bob)


def test_a_service_that_alters_signals_breaks_the_call(scene: Scene) -> None:
    """No connection comes of it: neither with somebody else, nor without protection."""
    alice, bob, _ = scene.conference("altered")
    before = [len(person.do("mesh.fingerprints()")) for person in (alice, bob)]
    for proxy in scene.proxies:
        proxy.items = lambda item: [flipped(item)]
    try:
        join("altered", alice)
        join("altered", bob)
        alice.page.wait_for_timeout(ATTEMPT_MS)
        assert [len(person.do("mesh.fingerprints()")) for person in (alice, bob)] == before
        for person in (alice, bob):
            assert all(tile["frames"] == 0 for tile in tiles("altered", person).values())
    finally:
        for proxy in scene.proxies:
            proxy.behave()
    leave("altered", alice, bob)
