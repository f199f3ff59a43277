"""What a page asks of calls, protections and conferences that cannot be done: a code and the field at fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from build_scripts import browser as browsers
from tests.support.person_browser import Person, until, world_of
from tests.support.protected_calls import media_chromium

NAME = "refusals"
CALL = f"calls.{NAME}"


@pytest.fixture(scope="module")
def alice(found_browser: browsers.Browser, assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody in a conference with bob, and in its call, alone."""
    folder = tmp_path_factory.mktemp("services")
    with media_chromium(found_browser) as chromium, world_of(assets, chromium, folder) as world:
        people = [world.person(name).load().enrol(publish=2) for name in ("alice@email1.example", "bob@email2.example")]
        people[0].call(NAME, people[1])
        people[0].do(f"globalThis.stay = await {CALL}.call({{ audio: true, video: true }}); return null")
        yield people[0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("await stay.turn('camera', true)", "kind"),
        ("await stay.turn('video')", "on"),
        ("await stay.shareScreen('the screen')", "screen"),
        ("await stay.shareScreen(new MediaStream())", "screen"),
        (f"await {CALL}.protect(new RTCPeerConnection(), {{ from: 'bob@email2.example' }})", "from"),
        (f"await {CALL}.protect(new RTCPeerConnection(), {{ from: new Uint8Array(31) }})", "from"),
        (f"await (await {CALL}.protect(new RTCPeerConnection())).sample('up', 'video')", "direction"),
        ("await me.createConference({ name: 'x', meantFor: ['bob@email2.example'] })", "meantFor"),
        ("await import('/roomkey/index.js').then(({ load }) => load({}))", "assets"),
    ],
)
def test_what_cannot_be_used_is_named(alice: Person, body: str, field: str) -> None:
    assert alice.refused("bad-argument", body)["details"]["field"] == field
    tile = alice.do("const { audio, video, lock } = stay.tiles[0]; return [audio, video, lock.state]")
    assert tile == [True, "camera", "protected"]  # and nothing was changed


def test_one_call_at_a_time(alice: Person) -> None:
    alice.refused("already-in-call", f"await {CALL}.call({{ audio: true }})")
    alice.do(f"globalThis.session = await {CALL}.srtp(); return null")
    alice.refused("already-in-call", f"await {CALL}.srtp()")
    alice.do("await session.stop(); return null")


def test_a_setup_that_cannot_be_used_leaves_no_call_behind(alice: Person) -> None:
    alice.do("await stay.leave(); return null")
    for setup, field in (
        ("{ transport: 'udp' }", "transport"),
        ("{ stream: 'camera' }", "stream"),
        ("{ stream: null }", "stream"),
    ):
        assert alice.refused("bad-argument", f"await {CALL}.call({setup})")["details"]["field"] == field
    alice.do(f"globalThis.stay = await {CALL}.call({{ video: true }}); return null")


def test_who_is_there_when_a_call_begins_is_in_its_tiles(alice: Person) -> None:
    """Our own tile never comes by an event: a page draws the tiles first."""
    alice.do(
        f"""await stay.leave();
        stay = await {CALL}.call({{ audio: true, video: true }});
        globalThis.added = [];
        stay.addEventListener("tile", ({{ detail }}) => added.push([detail.change, detail.tile.member.own]));
        return null"""
    )
    assert alice.do("stay.tiles.map(({ member, video }) => [member.own, video])") == [[True, "camera"]]
    alice.do("await stay.turn('video', false); return null")
    until("the own tile to change", lambda: ["changed", True] in alice.do("added"))
    assert ["added", True] not in alice.do("added")
