"""The benchmark's rows for a log's answer, proved in the browser: the answer that `bench_transparency` made."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from playwright.sync_api import Page

from build_scripts.bench_transparency import Row

# In the order of web/bench/scenario.ts: what each is called, and milliseconds at most.
STEPS = {
    "stranger": ("proving it in the browser, of somebody new", 150.0),
    "known": ("proving it in the browser, of somebody known", 50.0),
}


def measure(page: Page, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """One uncounted round, then `rounds`; the medians."""
    samples: dict[str, list[float]] = {step: [] for step in STEPS}
    for count in range(rounds + 1):
        times = page.evaluate("() => measure()")
        for step in STEPS if count else ():
            samples[step].append(times[step])
        say(f"proving: round {count} of {rounds}")
    return [Row(name, median(samples[step]), "ms", aim) for step, (name, aim) in STEPS.items()]
