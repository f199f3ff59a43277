"""`python3 build_scripts bench`: our MLS engine beside ts-mls and core-crypto, in one headless Chromium.

Ours is the Python engine in its worker as it is shipped. The three take turns, round by round, so that what else the
machine does meets all of them; medians are compared. One round of each is run first and not counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from playwright.sync_api import Page, Playwright, sync_playwright

from build_scripts import (
    bench_admission,
    bench_auditor,
    bench_delay,
    bench_hostile,
    bench_leaving,
    bench_media,
    bench_mesh,
    bench_pages,
    bench_proving,
    bench_report,
    bench_transparency,
    browser,
    build,
    paths,
    sizes,
)
from build_scripts.bench_report import ENGINES, KEY_PACKAGES, OURS, POST_QUANTUM, STEPS, Measure, step_name

T = TypeVar("T")

MEMBERS = (2, 10, 100)
ROUNDS = 7
START_ROUNDS = 5
ROUND_SECONDS = 600  # a thousand members' round on a slow machine
START_SECONDS = 60
POLL_MILLISECONDS = 50
# Pages that warm the browser itself, and then its caches of compiled code, before a start counts as warm.
VISITS_BEFORE_WARM = 2
START_PAGES = {OURS: "start_roomkey", "ts-mls": "start_ts_mls", "core-crypto": "start_core_crypto"}


PARTS = (
    "groups", "start", "bytes", "hostile", bench_admission.ADMISSION, POST_QUANTUM, bench_transparency.TRANSPARENCY,
    bench_media.MEDIA,
)  # fmt: skip


class BenchError(Exception):
    """A page does not start; the text says why."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 build_scripts bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes all samples, medians and ratios")
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS), help="sizes of groups; 1000 works")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"per size; default {ROUNDS}")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or min(options.members) < 2:
        parser.error("expected at least one round and two members")
    try:
        build.build()
        bench_pages.bundle()
        found = browser.find_browser()
    except (build.BuildError, browser.BrowserMissing) as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return 1
    if options.only == bench_transparency.TRANSPARENCY:
        return transparency(found, options.rounds, options.json)
    if options.only == bench_media.MEDIA:
        return media(found, options.rounds, options.json)
    measures: list[Measure] = []
    admissions: list[bench_admission.Row] = []
    try:
        with sync_playwright() as playwright, bench_pages.serving(bench_pages.site()) as origin:
            if options.only in (None, "groups"):
                measures += groups(playwright, found, origin, options.members, options.rounds)
            if options.only == POST_QUANTUM:
                engines = (OURS, POST_QUANTUM)
                measures += groups(playwright, found, origin, options.members, options.rounds, engines)
                print(bench_report.post_quantum_table(measures))
            if options.only in (None, "start"):
                measures += starts(playwright, found, origin)
            if options.only in (None, bench_admission.ADMISSION):
                admissions = admission(playwright, found, origin, options.rounds)
    except BenchError as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return 1
    if options.only in (None, "bytes"):
        measures += downloads()
    bench_admission.add_native(admissions, options.rounds)
    hostile = bench_hostile.measure(say) if options.only in (None, "hostile") else []
    if measures and options.only != POST_QUANTUM:
        print(bench_report.table(measures))
    if admissions:
        print(bench_admission.table(admissions))
    if hostile:
        print(bench_hostile.table(hostile))
    missed = bench_report.missed(measures)
    for sentence in missed:
        print(f"aim missed: {sentence}")
    if options.json is not None:
        content = {
            "machine": machine(found),
            "rounds": options.rounds,
            "measures": [measure.as_json() for measure in measures],
            bench_admission.ADMISSION: [row._asdict() for row in admissions],
            "hostile": [dataclasses.asdict(row) for row in hostile],
            "missed": missed,
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def transparency(found: browser.Browser, rounds: int, file: Path | None) -> int:
    """Logs of keys and their auditors, natively; and what a page does to prove an answer."""
    rows = bench_transparency.measure(say, answer=bench_pages.FOLDER / bench_transparency.ANSWER)
    with sync_playwright() as playwright, bench_pages.serving(bench_pages.site()) as origin:
        rows += proving(playwright, found, origin, rounds)
    audits = bench_auditor.measure(say)
    print(bench_transparency.table(rows))
    print(bench_auditor.table(audits))
    missed = [*bench_transparency.missed(rows), *bench_auditor.missed(audits)]
    for sentence in missed:
        print(f"aim missed: {sentence}")
    if file is not None:
        content = {
            "log": [dataclasses.asdict(row) for row in rows],
            "auditor": [dataclasses.asdict(audit) for audit in audits],
            "missed": missed,
        }
        file.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def media(found: browser.Browser, rounds: int, file: Path | None) -> int:
    """Packets and frames of a call."""
    with sync_playwright() as playwright, bench_pages.serving(bench_pages.site()) as origin:
        chromium = browser.launch(playwright, found)
        try:
            page = chromium.new_page()
            page.set_default_timeout(ROUND_SECONDS * 1000)
            visit(page, f"{origin}/media.html", "measure")
            rows = bench_media.measure(page, rounds, say)
        finally:
            chromium.close()
    print(bench_media.table(rows))
    delays = connected(found, "delay", bench_delay.FLAGS, bench_delay.measure)
    print(bench_delay.table(delays))
    calls = connected(found, "mesh", bench_mesh.FLAGS, bench_mesh.measure)
    print(bench_mesh.table(calls))
    leaving = bench_leaving.measure(rounds, say)
    print(bench_leaving.table(leaving))
    missed = [*bench_media.missed(rows), *bench_delay.missed(delays)]
    for sentence in missed:
        print(f"aim missed: {sentence}")
    if file is not None:
        content = {
            "machine": machine(found),
            "rows": [dataclasses.asdict(row) for row in rows],
            "delay": [dataclasses.asdict(row) for row in delays],
            "calls": [dataclasses.asdict(row) for row in calls],
            "leaving": [dataclasses.asdict(row) for row in leaving],
            "missed": missed,
        }
        file.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def connected(
    found: browser.Browser, name: str, flags: Sequence[str], measure: Callable[[Page, Callable[[str], None]], list[T]]
) -> list[T]:
    """The rows that `measure` finds on a page with connections, in a browser with these flags."""
    with sync_playwright() as playwright, bench_pages.serving(bench_pages.site()) as origin:
        chromium = browser.launch(playwright, found, args=list(flags))
        try:
            page = chromium.new_page()
            page.set_default_timeout(ROUND_SECONDS * 1000)
            visit(page, f"{origin}/{name}.html", "measure")
            return measure(page, say)
        finally:
            chromium.close()


def groups(
    playwright: Playwright,
    found: browser.Browser,
    origin: str,
    sizes_of_groups: list[int],
    rounds: int,
    engines: tuple[str, ...] = ENGINES,
) -> list[Measure]:
    """The steps of a group's life at each size, and key packages, all engines in one page."""
    chromium = browser.launch(playwright, found)
    try:
        page = chromium.new_page()
        page.set_default_timeout(ROUND_SECONDS * 1000)
        visit(page, f"{origin}/page.html", "measure")
        measures = take_turns(page, None, (KEY_PACKAGES,), rounds, engines)
        for members in sizes_of_groups:
            measures += take_turns(page, members, STEPS, rounds, engines)
        return measures
    finally:
        chromium.close()


def admission(playwright: Playwright, found: browser.Browser, origin: str, rounds: int) -> list[bench_admission.Row]:
    """Whether public keys may be used, ours and @noble/curves in one page."""
    chromium = browser.launch(playwright, found)
    try:
        page = chromium.new_page()
        page.set_default_timeout(ROUND_SECONDS * 1000)
        visit(page, f"{origin}/admission.html", "measure")
        return bench_admission.measure(page, rounds, say)
    finally:
        chromium.close()


def proving(playwright: Playwright, found: browser.Browser, origin: str, rounds: int) -> list[bench_transparency.Row]:
    """A log's answer, proved by a page."""
    chromium = browser.launch(playwright, found)
    try:
        page = chromium.new_page()
        page.set_default_timeout(ROUND_SECONDS * 1000)
        visit(page, f"{origin}/proving.html", "measure")
        return bench_proving.measure(page, rounds, say)
    finally:
        chromium.close()


def take_turns(
    page: Page, members: int | None, steps: tuple[str, ...], rounds: int, engines: tuple[str, ...]
) -> list[Measure]:
    """One uncounted round of each engine, then `rounds` of each in turn."""
    samples: dict[str, dict[str, list[float]]] = {step: {engine: [] for engine in engines} for step in steps}
    for count in range(rounds + 1):
        for engine in engines:
            times = page.evaluate("([engine, members]) => measure(engine, members)", [engine, members])
            if count == 0:
                continue
            for step in steps:
                samples[step][engine].append(times[step])
        say(f"{'key packages' if members is None else f'{members} members'}: round {count} of {rounds}")
    names = {step: step if members is None else step_name(step, members) for step in steps}
    return [Measure(names[step], "ms", samples[step]) for step in steps]


def starts(playwright: Playwright, found: browser.Browser, origin: str) -> list[Measure]:
    """From navigation to the first answered call: cold in a new profile, warm in one that has been there before."""
    cold: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    warm: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for count in range(START_ROUNDS):
        for engine in ENGINES:
            address = f"{origin}/{START_PAGES[engine]}.html"
            with tempfile.TemporaryDirectory(prefix="roomkey-bench-") as profile:
                options = browser.launch_options(found, {})
                context = playwright.chromium.launch_persistent_context(profile, **options)
                try:
                    page = context.new_page()
                    page.goto(f"{origin}/empty.html")  # the browser's own start is not ours
                    cold[engine].append(ready(page, address))
                    for _ in range(VISITS_BEFORE_WARM - 1):
                        ready(page, address)
                    warm[engine].append(ready(page, address))
                finally:
                    context.close()
        say(f"start: round {count + 1} of {START_ROUNDS}")
    return [Measure("start, cold", "ms", cold), Measure("start, warm", "ms", warm)]


def ready(page: Page, address: str) -> float:
    """Milliseconds from navigation to the page's first answered call."""
    visit(page, address, "ready")
    return float(page.evaluate("globalThis.ready"))


def visit(page: Page, address: str, sign: str) -> None:
    """Goes to a page and waits for its global of the name `sign`. Raises BenchError when its script fails."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.message))
    page.goto(address)
    deadline = time.monotonic() + START_SECONDS
    while not page.evaluate("(sign) => sign in globalThis", sign):
        if errors or time.monotonic() > deadline:
            raise BenchError(f"{address}: {'; '.join(errors) or f'not ready in {START_SECONDS} s'}")
        page.wait_for_timeout(POLL_MILLISECONDS)


def downloads() -> list[Measure]:
    """Bytes of what a page fetches to start, as they are and under brotli at its best."""
    say("compressing")
    found = {OURS: sizes.measure(paths.ASSETS)}
    found |= {peer: sizes.measure_files(files) for peer, files in bench_pages.peer_files().items()}
    raw = {engine: [float(sum(size.raw for size in files))] for engine, files in found.items()}
    brotli = {engine: [float(sum(size.brotli for size in files))] for engine, files in found.items()}
    return [Measure("download", "bytes", raw), Measure("download, brotli", "bytes", brotli)]


def machine(found: browser.Browser) -> dict[str, object]:
    return {"browser": found.version, "system": platform.platform(), "processors": os.cpu_count()}


def say(text: str) -> None:
    print(f"roomkey: {text}", file=sys.stderr, flush=True)
