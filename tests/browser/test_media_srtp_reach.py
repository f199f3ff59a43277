"""Reports of SRTP streams, and how much is sent by them: value machines in Node, without a clock."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from tests.browser.support import media
from tests.browser.support.media import RunCheck

# Fractions in 256ths, sums with a sign, numbers at both ends.
BLOCKS: list[dict[str, float]] = [
    {"ssrc": 1, "fractionLost": 0, "lost": 0, "highest": 0, "jitter": 0},
    {"ssrc": 0xFFFFFFFF, "fractionLost": 0.5, "lost": 2**23 - 1, "highest": 0xFFFFFFFF, "jitter": 0xFFFFFFFF},
    {"ssrc": 0xDEADBEEF, "fractionLost": 255 / 256, "lost": -1, "highest": 0x0001FFFF, "jitter": 270},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunCheck:
    return media.node_checks("reach_checks", tmp_path_factory.mktemp("media"))


def as_aiortc_writes(own: int, blocks: list[dict[str, float]]) -> str:
    reports = [
        RtcpReceiverInfo(
            ssrc=int(block["ssrc"]), fraction_lost=int(block["fractionLost"] * 256), packets_lost=int(block["lost"]),
            highest_sequence=int(block["highest"]), jitter=int(block["jitter"]), lsr=0, dlsr=0,
        )
        for block in blocks
    ]  # fmt: skip
    return bytes(RtcpRrPacket(ssrc=own, reports=reports)).hex()


def test_reports_as_others_write_them(run: RunCheck) -> None:
    given: list[list[dict[str, float]]] = [[], BLOCKS[:1], BLOCKS]
    packets = [
        {"own": 0xCAFEBABE, "blocks": blocks, "packet": as_aiortc_writes(0xCAFEBABE, blocks)} for blocks in given
    ]
    assert packets[0]["packet"] == struct.pack("!BBHI", 0x80, 201, 1, 0xCAFEBABE).hex()
    assert run("reports", {"packets": packets}) == 3


@pytest.mark.parametrize(
    ("check", "count"), [("reception", 1), ("thin", 9), ("wide", 1), ("several", 1), ("budget", 1), ("unheard", 1)]
)
def test_rules(run: RunCheck, check: str, count: int) -> None:
    assert run(check, {}) == count
