"""What the benchmark makes of its measurements: medians, ratios against the better peer, a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

OURS = "roomkey"
PEERS = ("ts-mls", "core-crypto")
ENGINES = (OURS, *PEERS)

STEPS = ("add", "join", "commit", "process", "exports", "remove")  # as web/bench/scenario.ts runs them
KEY_PACKAGES = "key packages"

LIMIT = 3.0  # the aim: no step slower than so many times the better peer at AIM_MEMBERS
AIM_MEMBERS = 100
AIM_COLD_MILLISECONDS = 2500.0


@dataclass(frozen=True)
class Measure:
    """One measured quantity: its samples by engine, in the unit its name says."""

    name: str
    unit: str  # "ms" or "bytes"
    samples: Mapping[str, Sequence[float]]

    def medians(self) -> dict[str, float]:
        return {engine: median(values) for engine, values in self.samples.items() if values}

    def ratio(self) -> float | None:
        """Ours over the better peer's; None where one of them is missing."""
        found = self.medians()
        peers = [found[peer] for peer in PEERS if peer in found]
        return found[OURS] / min(peers) if OURS in found and peers else None

    def as_json(self) -> dict[str, object]:
        samples = {engine: list(values) for engine, values in self.samples.items()}
        return {
            "name": self.name,
            "unit": self.unit,
            "medians": self.medians(),
            "ratio": self.ratio(),
            "samples": samples,
        }


def step_name(step: str, members: int) -> str:
    return f"{step}, {members} members"


def table(measures: Iterable[Measure]) -> str:
    """One line per measure: name, a median per engine, the ratio."""
    rows = [["", *ENGINES, "ratio"]]
    for measure in measures:
        found = measure.medians()
        cells = [_number(found.get(engine), measure.unit) for engine in ENGINES]
        ratio = measure.ratio()
        rows.append([f"{measure.name} ({measure.unit})", *cells, "" if ratio is None else f"{ratio:.2f}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in _zipped(row, widths)
        )
        for row in rows
    )


def _zipped(row: Sequence[str], widths: Sequence[int]) -> Iterable[tuple[int, tuple[str, int]]]:
    return enumerate(zip(row, widths, strict=True))


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if unit == "bytes" or value >= 100 else f"{value:.1f}"


def missed(measures: Iterable[Measure]) -> list[str]:
    """Where the aim is missed, a sentence each."""
    found: list[str] = []
    held = {step_name(step, AIM_MEMBERS) for step in STEPS} | {KEY_PACKAGES}
    for measure in measures:
        ratio = measure.ratio()
        if measure.name in held and ratio is not None and ratio > LIMIT:
            found.append(f"{measure.name}: {ratio:.2f} times the better peer, aim {LIMIT:g}")
        cold = measure.medians().get(OURS) if measure.name == "start, cold" else None
        if cold is not None and cold > AIM_COLD_MILLISECONDS:
            found.append(f"start, cold: {cold:.0f} ms, aim {AIM_COLD_MILLISECONDS:.0f}")
    return found
