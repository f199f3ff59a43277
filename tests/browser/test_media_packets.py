"""Frames in RTP packets (RFC 7741 VP8, RFC 9628 VP9, RFC 7587 Opus), in Node and in Chromium, beside others'."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor, vp8_depayload
from playwright.sync_api import Browser as PlaywrightBrowser

from tests.browser.support import media
from tests.browser.support.media import RunCheck

CODECS = ["VP8", "VP9", "OPUS"]


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


def test_our_vp9_descriptors(run: RunCheck) -> None:
    """One layer in non-flexible mode: I, B, E, P where it is predicted, and 15 bits of picture id."""
    whole = frames(3)
    given = [{"data": data.hex(), "keyFrame": number % 3 == 0} for number, data in enumerate(whole)]
    for number, (data, payloads) in enumerate(zip(whole, run("split", {"codec": "VP9", "frames": given}), strict=True)):
        parts = [bytes.fromhex(payload) for payload in payloads]
        for at, part in enumerate(parts):
            predicted = 0 if number % 3 == 0 else 0x40
            first, last = at == 0, at == len(parts) - 1
            assert part[:3] == bytes([0x80 | predicted | 0x08 * first | 0x04 * last, 0x80 | number >> 8, number & 0xFF])
        assert b"".join(part[3:] for part in parts) == data
        assert max(map(len, parts)) <= 1_090


def vp9_descriptors() -> Iterator[str]:
    """Descriptors of a whole key frame (P 0) or predicted one with all optional fields in all combinations."""
    for flags in range(64):
        long_id, layers, flexible, structure, predicted, no_id = (bool(flags & 1 << bit) for bit in range(6))
        head = 0x0C | 0x80 * (not no_id) | 0x40 * predicted | 0x20 * layers | 0x10 * flexible | 0x02 * structure
        fields = b"" if no_id else b"\x81\x02" if long_id else b"\x05"
        if layers:
            fields += b"\x60" + (b"" if flexible else b"\x09")
        if predicted and flexible:
            fields += b"\x03\x05\x06"  # two more follow
        if structure:  # two layers' sizes, and two pictures of two and no references
            fields += b"\x38" + b"\x01\x40\x00\xf0" * 2 + b"\x02" + b"\x08\x01\x02" + b"\x20"
        yield (bytes([head]) + fields).hex()


def test_every_vp9_descriptor(run: RunCheck) -> None:
    key = "82616263"
    descriptors = list(vp9_descriptors())
    given = [{"payload": text + key, "marker": True} for text in descriptors]
    for text, read in zip(descriptors, run("read", {"codec": "VP9", "payloads": given}), strict=True):
        predicted = int(text[:2], 16) & 0x40 != 0
        assert read == {"first": True, "last": True, "keyFrame": not predicted, "data": key}, text
    # Intra-only frames and frames that are shown again are predicted from none, and nobody can begin with them.
    others = {"86": False, "8a": False, "82": True, "92": True, "a2": True, "b1": True, "b5": False, "b9": False}
    given = [{"payload": f"8c05{head}00", "marker": True} for head in others]
    assert [item["keyFrame"] for item in run("read", {"codec": "VP9", "payloads": given})] == list(others.values())
    later = [{"payload": f"{flags}05{key}", "marker": False} for flags in ("80", "84", "88", "8c")]
    read = run("read", {"codec": "VP9", "payloads": later})
    assert [(item["first"], item["last"]) for item in read] == [
        (False, False),
        (False, False),
        (True, False),
        (True, False),
    ]


@pytest.mark.parametrize(
    ("codec", "payloads"),
    [
        ("VP8", ["", "10", "90", "9080", "908080", "90808001", "90c0000a", "90f08001020304"[:12]]),
        (
            "VP9",
            [
                "",
                "0c",
                "8c",
                "8c80",
                "8c8001",
                "8c05",
                "ac0500",
                "ac050000",
                "dc0502",
                "dc0503030302",
                "dc050303030383",
                "8e0500",
                "8e0510014000f0",
                "8e052801",
                "8e05080200",
                "8e0508020c0102"[:14],
                "ac050200824142"[:14],
            ],
        ),
        ("OPUS", [""]),
    ],
)
def test_cut_payloads_are_refused(run: RunCheck, codec: str, payloads: list[str]) -> None:
    assert run("malformed", {"codec": codec, "payloads": payloads}) == len(payloads)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("loss", "jitter"), [(0, 0), (0, 90), (2, 0), (10, 60), (10, 200), (50, 60)])
@pytest.mark.parametrize("codec", CODECS)
def test_loss_and_reordering(run: RunCheck, codec: str, loss: int, jitter: int, seed: int) -> None:
    came = run("network", {"codec": codec, "loss": loss, "jitter": jitter, "seed": seed})
    if loss <= 10 and jitter < 100:
        assert came >= (10 if codec != "OPUS" else 150)


def test_when_a_key_frame_is_needed(run: RunCheck) -> None:
    assert run("keyFrames", {}) == 1


def test_frames_that_come_slowly(run: RunCheck) -> None:
    assert run("slow", {}) == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_stream_may_hold(run: RunCheck, seed: int) -> None:
    assert run("bounds", {"seed": seed}) == 1
