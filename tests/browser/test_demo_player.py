"""The demo's picture in another program: ffmpeg plays what a page sends, with the keys that the page shows."""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Page

from build_scripts import browser as browsers
from build_scripts import demo, ffmpeg
from build_scripts.demo_pages import PEOPLE, STAGE_HOST, Person, person_origin
from build_scripts.demo_services import Services, free_ports
from tests.browser.support.srtp_player import free_port, is_free
from tests.browser.test_demo import Demo, enrolled, phase, shows, until
from tests.support.protected_calls import media_chromium

ALICE, BOB, _ = PEOPLE
KEY = re.compile(r"^a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:([A-Za-z0-9+/]{40})$", re.MULTILINE)
TEAL = (11, 125, 114)  # what Alice's drawing stands on
TOLERANCE = 25  # of 255: Chromium makes YUV of it by BT.709, and ffmpeg RGB of that by BT.601
WIDTH, HEIGHT = 320, 240
PLAYED = 20  # frames


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[PlaywrightBrowser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return ffmpeg.find_ffmpeg()
    except ffmpeg.FfmpegMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def player_port() -> int:
    return free_port()


@pytest.fixture
def running(assets: Path, tmp_path: Path, player_port: int) -> Iterator[Demo]:
    assert assets.is_dir()
    built = demo.snapshot(tmp_path / "dist")
    port, *service_ports = free_ports(4)
    origins = [person_origin(person, port) for person in PEOPLE]
    with (
        Services(tmp_path / "services", service_ports, origins) as services,
        demo.serving(port, services, built, player_port),
    ):
        yield Demo(services, port)


def called(alice: Page, bob: Page) -> None:
    """Alice calls Bob, and shows her drawing."""
    alice.fill("#people", BOB.identity)
    alice.click("#fetch-keys")
    until(alice, "Bob’s keys", lambda: alice.locator("#start-call").is_enabled())
    alice.click("#start-call")
    until(bob, "the invitation", shows(bob, "[data-accept]"))
    bob.click("[data-accept]")
    until(bob, "the call", phase(bob, "call"))
    alice.click("#join-drawing")
    until(alice, "the own picture", shows(alice, "#call-row"))


def description(page: Page) -> str:
    return page.locator("#player-sdp").text_content() or ""


def plays(program: Path, folder: Path, sdp: str, page: Page, count: int) -> list[bytes]:
    """The first so many frames that ffmpeg writes with this description."""
    (folder / "call.sdp").write_text(sdp)
    out = folder / "frames.rgb"
    command = [
        *(str(program), "-nostdin", "-y", "-loglevel", "error", "-protocol_whitelist", "file,udp,rtp,srtp,crypto"),
        *("-analyzeduration", "500000", "-i", str(folder / "call.sdp"), "-vf", f"scale={WIDTH}:{HEIGHT}"),
        *("-frames:v", str(count), "-f", "rawvideo", "-pix_fmt", "rgb24", str(out)),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(page, "ffmpeg to end", lambda: process.poll() is not None)
    finally:
        process.kill()
        process.wait()
    data = out.read_bytes()
    size = 3 * WIDTH * HEIGHT
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


def corner(frame: bytes) -> tuple[int, int, int]:
    """The colour near the upper left corner, where nothing moves."""
    at = 3 * (8 * WIDTH + 8)
    return frame[at], frame[at + 1], frame[at + 2]


def test_ffmpeg_plays_a_pages_picture_with_the_keys_it_shows(
    running: Demo, chromium: PlaywrightBrowser, program: Path, tmp_path: Path
) -> None:
    with chromium.new_context() as context:
        bob, alice = enrolled(context, running, BOB), enrolled(context, running, ALICE)
        assert not alice.locator("#player").is_visible()
        called(alice, bob)
        alice.locator("#player summary").click()
        alice.click("#player-run")
        until(alice, "the keys", lambda: KEY.search(description(alice)) is not None)
        first = description(alice)
        for sdp in (first, ""):
            if sdp == "":  # the keys change under a picture that goes on: what was shown is worth nothing any more
                alice.click("#update-keys")
                until(
                    alice,
                    "other keys",
                    lambda: KEY.search(description(alice)) is not None and description(alice) != first,
                )
                sdp = description(alice)
            frames = plays(program, tmp_path, sdp, alice, PLAYED)
            assert len(frames) == PLAYED
            assert all(
                abs(got - sent) < TOLERANCE for frame in frames for got, sent in zip(corner(frame), TEAL, strict=True)
            )
            assert len(set(frames)) > PLAYED // 2  # it moves
        alice.click("#player-run")
        until(alice, "the keys to go", lambda: description(alice) == "")


def post(running: Demo, person: Person | None, body: bytes, **fields: str) -> int:
    host = STAGE_HOST if person is None else f"{person.name}.{STAGE_HOST}"
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.port}/player",
        data=body,
        headers={"Host": f"{host}:{running.port}", "Content-Type": "application/octet-stream", **fields},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def test_a_persons_own_page_alone_sends_packets(running: Demo, player_port: int) -> None:
    alice, bob = person_origin(ALICE, running.port), person_origin(BOB, running.port)
    assert is_free(player_port)
    assert post(running, ALICE, b"\x00\x02hi", Origin=alice) == 204
    assert post(running, ALICE, b"\x00\x02hi", Origin=bob) == 403
    assert post(running, ALICE, b"\x00\x02hi", **{"Origin": alice, "Content-Type": "text/plain"}) == 403
    assert post(running, None, b"\x00\x02hi", Origin=running.stage) == 405
    assert post(running, ALICE, bytes(70_000), Origin=alice) == 413


def test_a_demo_without_a_player_has_no_such_address(assets: Path, tmp_path: Path) -> None:
    built = demo.snapshot(tmp_path / "dist")
    port, *service_ports = free_ports(4)
    origins = [person_origin(person, port) for person in PEOPLE]
    with Services(tmp_path / "services", service_ports, origins) as services, demo.serving(port, services, built):
        origin = person_origin(ALICE, port)
        assert post(Demo(services, port), ALICE, b"\x00\x02hi", Origin=origin) == 405
