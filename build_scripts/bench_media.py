"""Media packets and frames a second: ours in Chromium beside WebCrypto alone, werift in Node, libsrtp by pylibsrtp."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from playwright.sync_api import Page

from build_scripts import environment, paths

MEDIA: Final = "media"
PACKETS: Final = 4000
PACKET_SIZE: Final = 1200
FRAMES: Final = ((1200, 4000), (4000, 2000), (10_000, 1000))  # bytes of a frame, frames
SFRAME_SUITE: Final = 4
PARTS: Final = 3  # of a round: a median of few is the luck of when garbage was collected
AIM: Final = 0.6  # of what WebCrypto alone does
# Profile number, what it is called here, and whether werift has it.
PROFILES: Final = ((1, "AES-CM, HMAC-SHA1", True), (7, "AES-128-GCM", True), (8, "AES-256-GCM", False))
PEER = paths.SCRIPTS / "bench_media.mjs"

Times = dict[str, float]  # "protect" and "unprotect", milliseconds


@dataclass(frozen=True)
class Row:
    """One direction of one kind: thousands a second, medians; `ratios` of ours over WebCrypto alone, round by round."""

    name: str
    ours: float
    alone: float
    ratios: Sequence[float]
    werift: float | None = None
    libsrtp: float | None = None

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def measure(page: Page, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """All rows. Ours and WebCrypto alone take turns within a round, others after them; the first is not counted."""
    rows: list[Row] = []
    for number, name, has_werift in PROFILES:
        say(f"media: SRTP, {name}")
        arguments = [number, PACKETS, PACKET_SIZE]
        found: dict[str, list[Times]] = {engine: [] for engine in ("ours", "alone", "werift", "libsrtp")}
        for _ in range(PARTS * rounds + 1):
            for engine, times in run(page, "srtp", arguments).items():
                found[engine].append(times)
            if has_werift:
                found["werift"].append(werift(number))
            found["libsrtp"].append(libsrtp(number))
        rows += both(f"SRTP {name}", PACKETS, found)
    for size, count in FRAMES:
        say(f"media: SFrame, {size} bytes")
        found = {"ours": [], "alone": []}
        for _ in range(PARTS * rounds + 1):
            for engine, times in run(page, "sframe", [SFRAME_SUITE, count, size]).items():
                found[engine].append(times)
        rows += both(f"SFrame, {size:,} bytes", count, found)
    return rows


def run(page: Page, task: str, arguments: Sequence[int]) -> dict[str, Times]:
    """Of "ours" and of "alone"."""
    times: dict[str, Times] = page.evaluate("([task, given]) => measure[task](...given)", [task, list(arguments)])
    return times


def both(name: str, count: int, found: dict[str, list[Times]]) -> list[Row]:
    """The rows of both directions, without the first round."""
    rows = []
    for direction in ("protect", "unprotect"):
        times = {engine: [item[direction] for item in items[1:]] for engine, items in found.items()}
        ratios = [alone / ours for ours, alone in zip(times["ours"], times["alone"], strict=True)]
        rates = {engine: count / median(items) for engine, items in times.items() if items}
        peers = (rates.get("werift"), rates.get("libsrtp"))
        rows.append(Row(f"{name}, {direction}", rates["ours"], rates["alone"], ratios, *peers))
    return rows


def werift(profile: int) -> Times:
    command = ["node", str(PEER), str(paths.NODE_MODULES), str(profile), str(PACKETS), str(PACKET_SIZE)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment.variables())
    times: Times = json.loads(result.stdout)
    return times


def libsrtp(profile: int) -> Times:
    from pylibsrtp import Policy, Session

    sizes = {1: 30, 7: 28, 8: 44}  # master key and salt

    def session(direction: int) -> Session:
        return Session(Policy(key=bytes(range(sizes[profile])), ssrc_type=direction, srtp_profile=profile))

    sender, receiver = session(Policy.SSRC_ANY_OUTBOUND), session(Policy.SSRC_ANY_INBOUND)
    payload = bytes(PACKET_SIZE - 12)
    packets = [b"\x80\x60" + at.to_bytes(2, "big") + bytes(4) + b"\x00\x00\x12\x34" + payload for at in range(PACKETS)]
    begin = time.perf_counter()
    sealed = [sender.protect(packet) for packet in packets]
    middle = time.perf_counter()
    for packet in sealed:
        receiver.unprotect(packet)
    return {"protect": 1000 * (middle - begin), "unprotect": 1000 * (time.perf_counter() - middle)}


def table(rows: Sequence[Row]) -> str:
    """One line per row: thousands a second, and ours over WebCrypto alone."""
    lines = [
        f"{'thousands a second':<36}{'roomkey':>9}{'WebCrypto':>11}{'werift':>8}{'libsrtp':>9}{'of WebCrypto':>14}"
    ]
    for row in rows:
        peers = "".join(
            f"{'-' if rate is None else f'{rate:.1f}':>{width}}"
            for rate, width in ((row.werift, 8), (row.libsrtp, 9))
        )  # fmt: skip
        lines.append(f"{row.name:<36}{row.ours:>9.1f}{row.alone:>11.1f}{peers}{row.ratio:>14.2f}")
    return "\n".join(lines)


def missed(rows: Sequence[Row]) -> list[str]:
    """Where the aim is missed, a sentence each."""
    return [f"{row.name}: {row.ratio:.2f} of WebCrypto alone, aim {AIM:g}" for row in rows if row.ratio < AIM]
