"""What a call of six costs: processor seconds of the whole browser for each second of it, all six people in one page.

Every one sends every other a drawn picture of 320 by 240, 15 a second, and a tone: 30 of each are encoded and decoded
at a time. The ways are those of `bench_delay`, in turns.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Page

from build_scripts import bench_delay
from build_scripts.bench_delay import WAYS

PEOPLE: Final = 6
FLAGS: Final = (*bench_delay.FLAGS, "--autoplay-policy=no-user-gesture-required")
SECONDS: Final = 10.0
ROUNDS: Final = 3


@dataclass(frozen=True)
class Row:
    """By round: processor seconds for each second, and pictures decoded and seconds of sound for each second."""

    way: str
    cost: list[float]
    pictures: list[float]
    sound: list[float]


def measure(page: Page, say: Callable[[str], None]) -> list[Row]:
    """A row for each way."""
    rows = [Row(way, [], [], []) for way in WAYS]
    for number in range(ROUNDS):
        for row in rows:
            say(f"media: a call of {PEOPLE}, {row.way}, round {number}")
            page.evaluate("([way, people]) => measure.begin(way, people)", [row.way, PEOPLE])
            before = [processor_seconds(), received(page, "video"), received(page, "audio")]
            begin = time.perf_counter()
            page.wait_for_timeout(1000 * SECONDS)
            taken = time.perf_counter() - begin
            after = [processor_seconds(), received(page, "video"), received(page, "audio")]
            page.evaluate("measure.end()")
            for values, last, first in zip((row.cost, row.pictures, row.sound), after, before, strict=True):
                values.append((last - first) / taken)
    return rows


def received(page: Page, kind: str) -> float:
    """So far by all receivers: pictures, or seconds of sound."""
    counts: list[float] = page.evaluate("(kind) => measure.received(kind)", kind)
    return sum(counts)


def processor_seconds() -> float:
    """Of all processes that this one started, and theirs: the browser's."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # pid (name) state ppid ...; the name may hold spaces and brackets
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = int(fields[11]) + int(fields[12])
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(ticks[pid] for pid in ours - {os.getpid()}) / os.sysconf("SC_CLK_TCK")


def table(rows: Sequence[Row]) -> str:
    """One line per way."""
    head = f"a call of {PEOPLE}, processors in use"
    lines = [f"{head:<36}{'median':>9}{'of clear':>10}{'pictures/s':>12}{'sound s/s':>11}"]
    clear = median(rows[0].cost)
    for row in rows:
        cost, pictures, sound = median(row.cost), median(row.pictures), median(row.sound)
        lines.append(f"{row.way:<36}{cost:>9.2f}{cost / clear:>10.2f}{pictures:>12.0f}{sound:>11.1f}")
    return "\n".join(lines)
