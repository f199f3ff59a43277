"""What the benchmark makes of its measurements: medians, ratios against the better peer, a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

OURS = "roomkey"
PEERS = ("ts-mls", "core-crypto")
ENGINES = (OURS, *PEERS)
POST_QUANTUM = (
    "post-quantum"  # ours in the experimental suite: no peer has it, so suite 1 is what it is measured against
)

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
        return _ratio(self.medians())

    def ratio_of_minima(self) -> float | None:
        """The same of the fastest rounds, which a busy machine disturbs less than medians."""
        return _ratio({engine: min(values) for engine, values in self.samples.items() if values})

    def as_json(self) -> dict[str, object]:
        samples = {engine: list(values) for engine, values in self.samples.items()}
        return {
            "name": self.name,
            "unit": self.unit,
            "medians": self.medians(),
            "ratio": self.ratio(),
            "ratio of minima": self.ratio_of_minima(),
            "samples": samples,
        }


def _ratio(found: Mapping[str, float]) -> float | None:
    peers = [found[peer] for peer in PEERS if peer in found]
    return found[OURS] / min(peers) if OURS in found and peers else None


def step_name(step: str, members: int) -> str:
    return f"{step}, {members} members"


def table(measures: Iterable[Measure]) -> str:
    """One line per measure: name, a median per engine, the ratio of medians and that of minima."""
    rows = [["", *ENGINES, "ratio", "of minima"]]
    for measure in measures:
        found = measure.medians()
        cells = [_number(found.get(engine), measure.unit) for engine in ENGINES]
        ratios = ["" if ratio is None else f"{ratio:.2f}" for ratio in (measure.ratio(), measure.ratio_of_minima())]
        rows.append([f"{measure.name} ({measure.unit})", *cells, *ratios])
    first, *widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], widths, strict=True))])
        for row in rows
    )


def post_quantum_table(measures: Iterable[Measure]) -> str:
    """One line per measure: the experimental suite, suite 1, and how many times slower the first is."""
    lines = [f"{'':<28}{POST_QUANTUM:>14}{'suite 1':>10}{'ratio':>7}"]
    for measure in measures:
        found = measure.medians()
        slow, fast = found[POST_QUANTUM], found[OURS]
        name = f"{measure.name} ({measure.unit})"
        lines.append(f"{name:<28}{_number(slow, measure.unit):>14}{_number(fast, measure.unit):>10}{slow / fast:>7.2f}")
    return "\n".join(lines)


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
