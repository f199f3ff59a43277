"""How much later a picture comes for being sealed: one page, two connections' ends, three ways in turn.

"clear" has no worker; "worker" hands each frame to one that changes nothing, which is what browsers charge for any
encryption of frames; "sealed" is SFrame (suite 4) with the readable bytes, at both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from playwright.sync_api import Page

WAYS: Final = ("clear", "worker", "sealed")
PICTURES: Final = 150  # a round: 5 seconds
ROUNDS: Final = 3
AIM: Final = 2.0  # milliseconds, that sealing adds to the median
FLAGS: Final = ("--disable-features=WebRtcHideLocalIpsWithMdns",)


@dataclass(frozen=True)
class Row:
    """Milliseconds from drawing to having, by round and picture."""

    way: str
    rounds: Sequence[Sequence[float]]

    @property
    def median(self) -> float:
        return median(median(times) for times in self.rounds)


def measure(page: Page, say: Callable[[str], None]) -> list[Row]:
    """A row for each way; they take turns, and one round before is not counted."""
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for number in range(ROUNDS + 1):
        for way in WAYS:
            say(f"media: delay, {way}, round {number}")
            found[way].append(page.evaluate("([way, count]) => measure.delays(way, count)", [way, PICTURES]))
    return [Row(way, rounds[1:]) for way, rounds in found.items()]


def table(rows: Sequence[Row]) -> str:
    """One line per way."""
    clear = rows[0].median
    lines = [f"{'a picture, drawn to received, ms':<36}{'median':>9}{'added':>9}"]
    lines += [f"{row.way:<36}{row.median:>9.1f}{row.median - clear:>9.1f}" for row in rows]
    return "\n".join(lines)


def missed(rows: Sequence[Row]) -> list[str]:
    """Where the aim is missed, a sentence each."""
    added = rows[-1].median - rows[0].median
    return [f"a sealed picture comes {added:.1f} ms later, aim {AIM:g}"] if added > AIM else []
