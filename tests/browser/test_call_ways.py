"""Calls whose way is cut: they look for other ways, go on under the same protection, and say so when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.browser import test_call_srtp
from tests.browser.test_call import ALICE, BOB, MESH, join, leave, sees, tiles
from tests.support.person_browser import Person, until, world_of
from tests.support.protected_calls import SCRIPT, media_chromium
from tests.support.udp_ways import Ways, udp_ways

CALL = "cut off"
JUMP_SECONDS = 25  # longer than any wait between two tries
ANSWER_MS = 1500  # what a description and its answer have before the next try
BLACK = [0, 0, 0]  # what a browser shows of a track that has ended, as those of a connection do that is tried anew
# Every address of another end becomes one of a way between; others are not to be found.
BETWEEN = """
    const between = async (line) => {
      const parts = line.split(" ");
      if (parts[2].toLowerCase() !== "udp" || !/^[0-9.]+$/.test(parts[4])) return null;
      parts[5] = String(await globalThis.way(parts[4], Number(parts[5])));
      return parts.join(" ");
    };
    const { addIceCandidate, setRemoteDescription } = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.addIceCandidate = async function (candidate) {
      if (!candidate?.candidate) return addIceCandidate.call(this, candidate);
      const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
      const line = await between(candidate.candidate);
      if (line === null) return undefined;
      return addIceCandidate.call(this, { candidate: line, sdpMid, sdpMLineIndex, usernameFragment });
    };
    RTCPeerConnection.prototype.setRemoteDescription = async function ({ type, sdp }) {
      const lines = sdp.split("\\r\\n").filter((line) => !line.startsWith("a=candidate:"));
      return setRemoteDescription.call(this, { type, sdp: lines.join("\\r\\n") });
    };
    return null;"""


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture
def ways() -> Iterator[Ways]:
    with udp_ways() as made:
        yield made


@pytest.fixture
def pair(assets: Path, chromium: Browser, ways: Ways, tmp_path: Path) -> Iterator[tuple[Person, Person]]:
    """Two in one conference, each of whose addresses the other knows by a way between alone."""
    with world_of(assets, chromium, tmp_path) as world:
        world.site.files["/call_page.js"] = SCRIPT.read_bytes()
        world.site.files["/mesh_page.js"] = MESH.read_bytes()
        people = []
        for name in (ALICE, BOB):
            person = world.person(name)
            person.page.clock.install()
            person.page.expose_function("way", lambda host, port: ways.port((host, port)))
            person.load().enrol(publish=2)
            person.do("await import('/call_page.js'); await import('/mesh_page.js'); return null")
            person.do(BETWEEN)
            people.append(person)
        alice, bob = people
        alice.call(CALL, bob)
        for person in people:
            join(CALL, person)
        sees(CALL, alice, [bob])
        sees(CALL, bob, [alice])
        assert ways.passed > 0
        yield alice, bob


def lock(person: Person) -> tuple[str, str | None]:
    """How the other's tile is."""
    (tile,) = tiles(CALL, person).values()
    return tile["state"], tile["reason"]


def jumped(person: Person) -> tuple[str, str | None]:
    """How it is some time later."""
    person.page.clock.fast_forward(1000 * JUMP_SECONDS)
    return lock(person)


def test_another_way_is_found_when_one_is_lost(pair: tuple[Person, Person], ways: Ways) -> None:
    alice, bob = pair
    connections = [person.do("mesh.connections.length") for person in pair]
    ways.lose()
    until("the tiles to say so", lambda: [lock(person) for person in pair] == [("connecting", None)] * 2)
    sees(CALL, alice, [bob])
    sees(CALL, bob, [alice])
    # by the same connections, under the protection that they had
    assert connections == [person.do("mesh.connections.length") for person in pair]
    assert all(person.do("mesh.calls[values].errors", CALL) == [] for person in pair)
    leave(CALL, alice, bob)


def test_a_description_that_is_lost_makes_another_connection(pair: tuple[Person, Person]) -> None:
    """Bob is back in the call, and the first description that each gets of the other is lost."""
    alice, bob = pair
    leave(CALL, bob)
    until("bob's tile to go", lambda: tiles(CALL, alice) == {})
    for person in pair:
        person.do(
            """const { setRemoteDescription } = RTCPeerConnection.prototype;
            globalThis.lost = 0;
            RTCPeerConnection.prototype.setRemoteDescription = async function (description) {
              if (globalThis.lost++ > 0) return setRemoteDescription.call(this, description);
              throw new Error("lost");
            };
            return null;"""
        )
    join(CALL, bob)
    until("a description to be lost", lambda: sum(person.do("lost") for person in pair) > 0)

    def together() -> bool:
        for person in pair:
            person.page.clock.fast_forward(1000 * JUMP_SECONDS)
        alice.page.wait_for_timeout(ANSWER_MS)
        return all(lock(person) == ("protected", None) for person in pair)

    until("both to be there for each other", together)
    sees(CALL, alice, [bob])
    sees(CALL, bob, [alice])
    leave(CALL, alice, bob)


def test_where_there_is_no_way_the_tile_says_so(pair: tuple[Person, Person], ways: Ways) -> None:
    alice, bob = pair
    ways.cut = True
    until("the tile to say that it is lost", lambda: lock(alice) == ("connecting", None))

    until("the tile to say that there is none", lambda: jumped(alice) == ("failed", "no-way"))
    until("bob's to say so, too", lambda: jumped(bob) == ("failed", "no-way"))
    # and when the network is there again, they find each other
    ways.cut = False
    alice.page.evaluate("dispatchEvent(new Event('online'))")
    sees(CALL, alice, [bob])
    sees(CALL, bob, [alice])
    leave(CALL, alice, bob)


def test_what_nobody_gets_is_said_in_the_own_tile(pair: tuple[Person, Person], ways: Ways) -> None:
    alice, bob = pair
    leave(CALL, alice, bob)
    for person in pair:
        test_call_srtp.join(CALL, person)
    sees(CALL, alice, [bob])
    sees(CALL, bob, [alice])
    assert own_lock(alice) == ("protected", None)
    ways.cut = True
    until("alice's own tile to say so", lambda: own_lock(alice) == ("unheard", "no-reports"))
    ways.cut = False
    for person in pair:
        person.page.evaluate("dispatchEvent(new Event('online'))")
    sees(CALL, alice, [bob])
    until("alice's own tile to be well", lambda: own_lock(alice) == ("protected", None))
    leave(CALL, alice, bob)


def own_lock(person: Person) -> tuple[str, str | None]:
    (tile,) = [tile for tile in person.do("mesh.tiles(values)", CALL) if tile["own"]]
    return tile["state"], tile["reason"]


def test_somebody_in_the_middle_of_the_way_is_told(pair: tuple[Person, Person]) -> None:
    """Who answers has another certificate than the one that Bob's client named."""
    alice, bob = pair
    leave(CALL, bob)
    until("bob's tile to go", lambda: tiles(CALL, alice) == {})
    alice.do(
        r"""const { setRemoteDescription } = RTCPeerConnection.prototype;
        const other = (_, before, byte) => before + (byte === "00" ? "01" : "00");
        const altered = (sdp) => sdp.replace(/(a=fingerprint:\S+ )(..)/g, other);
        RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
          return setRemoteDescription.call(this, { type, sdp: altered(sdp) });
        };
        return null;"""
    )
    join(CALL, bob)
    until("bob to be there", lambda: tiles(CALL, alice).keys() == {BOB})
    shown = []

    def is_told() -> bool:
        shown.append(tiles(CALL, alice)[BOB]["colour"])
        return jumped(alice) == ("failed", "impostor")

    until("alice's tile to say so", is_told)
    assert all(colour in (None, BLACK) for colour in shown), shown
    leave(CALL, alice, bob)
