"""ffmpeg, which knows nothing of us, plays a page's SRTP with a conference's keys, and sees what was sent."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from roomkey.media.srtp import SrtpKeys

from build_scripts import ffmpeg
from tests.browser.support import media
from tests.browser.support.media import RunCheck
from tests.browser.support.srtp_player import Player, free_port, quarters
from tests.support import native_people
from tests.support.people import call, enrol
from tests.support.simulator import Simulation

PROFILE = "SRTP_AES128_CM_HMAC_SHA1_80"
SSRC = 0xC0FFEE
COLOURS = [[200, 30, 30], [30, 160, 60], [40, 60, 200]]
RATE, COUNT = 20, 60
# Of 255, by which a colour may be off: Chromium makes YUV of it by BT.709, and ffmpeg RGB of that by BT.601.
TOLERANCE = 40
PAYLOAD_TYPES = {"VP8": 96, "VP9": 98}


@pytest.fixture(scope="module")
def run(chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCheck]:
    with media.checks("picture_stream", "chromium", chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


@pytest.fixture(scope="module")
def player() -> Path:
    try:
        return ffmpeg.find_ffmpeg()
    except ffmpeg.FfmpegMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def both_have(tmp_path_factory: pytest.TempPathFactory) -> tuple[SrtpKeys, SrtpKeys]:
    """Alice's keys in a conference: as she has them, and as Bob has."""

    async def conference() -> tuple[SrtpKeys, SrtpKeys]:
        async with Simulation(tmp_path_factory.mktemp("conference")) as simulation:
            alice = await enrol(simulation, "alice@email1.example")
            bob = await enrol(simulation, "bob@email2.example")
            await call(alice, bob)
            ((_, hers), _) = alice.conference.keys.srtp(PROFILE)
            ((_, his), _) = bob.conference.keys.srtp(PROFILE)
            await alice.close()
            await bob.close()
            return hers, his

    return native_people.run(conference())


def stream(run: RunCheck, codec: str, keys: SrtpKeys, **changes: Any) -> list[list[bytes]]:
    """The page's packets, frame by frame."""
    argument: dict[str, Any] = {
        "codec": codec, "ssrc": SSRC, "count": COUNT, "keyEvery": 15, "colours": COLOURS,
        "profile": keys.profile.number, "key": keys.master_key.hex(), "salt": keys.master_salt.hex(),
        "mki": keys.mki.hex(), "mode": "no-mki", "rollover": 0, "random": 65_000,
    }  # fmt: skip
    frames = run("pictures", argument | changes)
    assert len(frames) == COUNT
    return [[bytes.fromhex(packet) for packet in packets] for packets in frames]


def shows_the_picture(frames: list[bytes]) -> bool:
    """The three colours stand still; the last quarter grows lighter."""
    seen = [quarters(frame) for frame in frames]
    near = all(
        abs(got - sent) <= TOLERANCE
        for colours in seen
        for colour, expected in zip(colours[:3], COLOURS, strict=True)
        for got, sent in zip(colour, expected, strict=True)
    )
    light = [sum(colours[3]) for colours in seen]
    return near and light[-1] > light[0] + 150 and all(later > former - 20 for former, later in pairwise(light))


@pytest.mark.parametrize("codec", list(PAYLOAD_TYPES))
def test_ffmpeg_plays_a_pages_srtp(
    run: RunCheck, player: Path, both_have: tuple[SrtpKeys, SrtpKeys], tmp_path: Path, codec: str
) -> None:
    hers, his = both_have
    frames = stream(run, codec, hers)
    with Player(player, tmp_path, codec, PAYLOAD_TYPES[codec], his) as running:
        running.send(frames, RATE)
        assert shows_the_picture(running.wait(COUNT // 2))


def test_ffmpeg_sees_nothing_with_other_keys(
    run: RunCheck, player: Path, both_have: tuple[SrtpKeys, SrtpKeys], tmp_path: Path
) -> None:
    """What it is sent otherwise shows a picture, so that nothing else can be why it sees none."""
    hers, his = both_have
    frames = stream(run, "VP8", hers)
    other = replace_key(his)
    with Player(player, tmp_path, "VP8", PAYLOAD_TYPES["VP8"], other) as running:
        running.send(frames, RATE)
        assert running.written() == 0


def replace_key(keys: SrtpKeys) -> SrtpKeys:
    """One bit of the key turned."""
    return keys._replace(master_key=bytes([keys.master_key[0] ^ 1]) + keys.master_key[1:])


def test_we_put_ffmpegs_vp9_together(run: RunCheck, player: Path, tmp_path: Path) -> None:
    """Packets of another's make, by RFC 9628: the frames are those that ffmpeg packed."""
    port, ivf = free_port(), tmp_path / "picture.ivf"
    source = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=15", "-frames:v", "30", "-c:v", "libvpx-vp9", "-g", "10"]
    made = [
        *(str(player), "-nostdin", "-loglevel", "error"),
        *source,
        "-deadline",
        "realtime",
        "-b:v",
        "300k",
        str(ivf),
    ]
    subprocess.run(made, check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        heard.bind(("127.0.0.1", port))
        heard.settimeout(2.0)
        to = f"rtp://127.0.0.1:{port}?pkt_size=1100"
        copy = [str(player), "-nostdin", "-loglevel", "error", "-re", "-i", str(ivf), "-c", "copy"]
        sending = subprocess.Popen([*copy, "-strict", "experimental", "-f", "rtp", to], stdout=subprocess.DEVNULL)
        packets = list(iter(lambda: received(heard), b""))
        assert sending.wait(30) == 0
    frames = run("together", {"codec": "VP9", "packets": [packet.hex() for packet in packets]})
    assert [frame["data"] for frame in frames] == [data.hex() for data in ivf_frames(ivf)]
    assert [frame["keyFrame"] for frame in frames] == [number % 10 == 0 for number in range(30)]
    assert len(packets) > len(frames)


def received(heard: socket.socket) -> bytes:
    """The next datagram; empty where none comes."""
    try:
        return heard.recv(2_000)
    except TimeoutError:
        return b""


def ivf_frames(path: Path) -> Iterator[bytes]:
    """The frames of an IVF file: 32 bytes, then each with 12 bytes before it that begin with its size."""
    data, at = path.read_bytes(), 32
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        yield data[at + 12 : at + 12 + size]
        at += 12 + size
