"""The benchmark's rows for the admission of public keys: in the browser and on CPython, beside @noble/curves."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from playwright.sync_api import Page
from roomkey.host.native_crypto import NativeCrypto

from build_scripts import bench_pages

ADMISSION = "admission"
KEYS = 100  # in each step, as in web/bench/scenario.ts, which has the same list of steps
STEPS = {
    "ed25519_together": "Ed25519, new, all at once",
    "ed25519_single": "Ed25519, new, one by one",
    "ed25519_known": "Ed25519, known",
    "x25519_keys": "X25519",
    "p256_keys": "P-256",
}
BROWSER, NOBLE, NATIVE = "browser", "@noble/curves", "CPython"
PAGE_NAMES = {BROWSER: "roomkey", NOBLE: "@noble/curves"}


class Row(NamedTuple):
    """One step: milliseconds of each round for KEYS keys, by who did it; @noble/curves has not all of them."""

    step: str
    samples: dict[str, list[float]]

    def microseconds(self) -> dict[str, float]:
        """Of one key, by the median round."""
        return {who: median(times) * 1000 / KEYS for who, times in self.samples.items() if times}

    def ratio(self) -> float | None:
        """Ours in the browser over @noble/curves in the same page; None where that has no such step."""
        found = self.microseconds()
        return found[BROWSER] / found[NOBLE] if NOBLE in found else None


def measure(page: Page, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """One uncounted round of each in the page, then `rounds` in turn."""
    samples: dict[str, dict[str, list[float]]] = {step: {BROWSER: [], NOBLE: [], NATIVE: []} for step in STEPS}
    for count in range(rounds + 1):
        for who, name in PAGE_NAMES.items():
            times = page.evaluate("(name) => measure(name)", name)
            for step, milliseconds in times.items() if count else ():
                samples[step][who].append(milliseconds)
        say(f"{ADMISSION}: round {count} of {rounds}")
    return [Row(step, samples[step]) for step in STEPS]


def add_native(rows: Sequence[Row], rounds: int) -> None:
    """The same steps on this Python, into the same rows."""
    asyncio.run(_native(rows, rounds))


async def _native(rows: Sequence[Row], rounds: int) -> None:
    admission = _module().Admission(NativeCrypto())
    for count in range(rounds + 1):
        await admission.prepare(KEYS)
        for row in rows:
            start = time.perf_counter()
            await getattr(admission, row.step)()
            if count:
                row.samples[NATIVE].append((time.perf_counter() - start) * 1000)


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("bench_admission_steps", bench_pages.SOURCE / "admission.py")
    if spec is None or spec.loader is None:
        raise ImportError("web/bench/admission.py cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(rows: Sequence[Row]) -> str:
    """One line per step, microseconds a key."""
    lines = [f"{'admission (us a key)':<28}{BROWSER:>10}{NOBLE:>15}{'ratio':>8}{NATIVE:>10}"]
    for row in rows:
        found, ratio = row.microseconds(), row.ratio()
        cells = {who: "-" if who not in found else f"{found[who]:.1f}" for who in row.samples}
        share = "-" if ratio is None else f"{ratio:.3f}"
        lines.append(f"{STEPS[row.step]:<28}{cells[BROWSER]:>10}{cells[NOBLE]:>15}{share:>8}{cells[NATIVE]:>10}")
    return "\n".join(lines)
