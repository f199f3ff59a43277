"""Frames in RTP packets (RFC 7741 VP8, RFC 7587 Opus), in Node and in Chromium, beside aiortc's."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor, vp8_depayload
from playwright.sync_api import Browser as PlaywrightBrowser

from tests.browser.support import media
from tests.browser.support.media import RunCheck

CODECS = ["VP8", "OPUS"]


@pytest.fixture(scope="module", params=["node", "chromium"])
def run(
    request: pytest.FixtureRequest, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunCheck]:
    with media.checks("packet_checks", request.param, chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


def frames(seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(size) for size in (1, 2, 1_085, 1_086, 1_087, 2_172, 2_173, 5_000, 40_000)]


def test_rtp_headers(run: RunCheck) -> None:
    assert run("headers", {}) == 200


def test_aiortc_reads_our_vp8(run: RunCheck) -> None:
    whole = frames(1)
    given = [{"data": data.hex(), "keyFrame": data[0] & 1 == 0} for data in whole]
    for number, (data, payloads) in enumerate(zip(whole, run("split", {"codec": "VP8", "frames": given}), strict=True)):
        parsed = [VpxPayloadDescriptor.parse(bytes.fromhex(payload))[0] for payload in payloads]
        assert [(item.partition_start, item.partition_id, item.picture_id) for item in parsed] == [
            (int(at == 0), 0, number) for at in range(len(payloads))
        ]
        assert b"".join(vp8_depayload(bytes.fromhex(payload)) for payload in payloads) == data


def test_we_read_aiortcs_vp8(run: RunCheck) -> None:
    for picture_id in (127, 128, 32_767):
        for data in frames(2)[::3]:
            payloads = Vp8Encoder._packetize(data, picture_id)
            given = [
                {"payload": payload.hex(), "marker": at == len(payloads) - 1} for at, payload in enumerate(payloads)
            ]
            read = run("read", {"codec": "VP8", "payloads": given})
            assert "".join(item["data"] for item in read) == data.hex()
            assert [item["first"] for item in read] == [at == 0 for at in range(len(read))]
            assert [item["last"] for item in read] == [at == len(read) - 1 for at in range(len(read))]
            assert read[0]["keyFrame"] == (data[0] & 1 == 0)


def test_every_vp8_descriptor(run: RunCheck) -> None:
    """All optional fields in all combinations (RFC 7741 section 4.2), as aiortc writes them."""
    given = []
    for fields in range(16):
        descriptor = VpxPayloadDescriptor(
            partition_start=1,
            partition_id=0,
            picture_id=(None, 5, 500, 32_767)[fields % 4],
            tl0picidx=9 if fields & 4 else None,
            tid=(1, 0) if fields & 8 else None,
            keyidx=3 if fields & 8 else None,
        )
        given.append({"payload": (bytes(descriptor) + b"\x10abc").hex(), "marker": True})
    expected = {"first": True, "last": True, "keyFrame": True, "data": b"\x10abc".hex()}
    assert run("read", {"codec": "VP8", "payloads": given}) == [expected] * 16
    later = {"payload": "0110616263", "marker": False}  # the frame's second partition begins: not the frame
    (read,) = run("read", {"codec": "VP8", "payloads": [{**later, "payload": "1110616263"}]})
    assert (read["first"], read["keyFrame"]) == (False, False)


@pytest.mark.parametrize(
    ("codec", "payloads"),
    [("VP8", ["", "10", "90", "9080", "908080", "90808001", "90c0000a", "90f08001020304"[:12]]), ("OPUS", [""])],
)
def test_cut_payloads_are_refused(run: RunCheck, codec: str, payloads: list[str]) -> None:
    assert run("malformed", {"codec": codec, "payloads": payloads}) == len(payloads)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("loss", "jitter"), [(0, 0), (0, 90), (2, 0), (10, 60), (10, 200), (50, 60)])
@pytest.mark.parametrize("codec", CODECS)
def test_loss_and_reordering(run: RunCheck, codec: str, loss: int, jitter: int, seed: int) -> None:
    came = run("network", {"codec": codec, "loss": loss, "jitter": jitter, "seed": seed})
    if loss <= 10 and jitter < 100:
        assert came >= (10 if codec == "VP8" else 150)


def test_when_a_key_frame_is_needed(run: RunCheck) -> None:
    assert run("keyFrames", {}) == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_stream_may_hold(run: RunCheck, seed: int) -> None:
    assert run("bounds", {"seed": seed}) == 1
