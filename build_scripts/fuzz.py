"""`python3 build_scripts fuzz [--runs N] [TARGET...]`: coverage-guided fuzzing of what the network can reach.

Each target of tests/fuzz runs in a process of its own, which libFuzzer takes over. What is found stays in
.roomkey/fuzz/TARGET and is built on next time; an input that fails is written beside it and named. `test` runs every
target with a fixed seed and from the checked-in seeds alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from build_scripts import environment, paths

RUNS = 50_000
AT_ONCE = 2
FOUND = paths.ROOMKEY / "fuzz"
SEEDS = paths.TESTS / "fuzz" / "seeds"
# The limits below are nets for hangs and leaks, far from what any input takes: how work and memory grow with an input
# is counted by tests/fuzz/test_growth.py.
HANG_SECONDS = 120
MEMORY_MEGABYTES = 512

MISSING = "fuzzing needs atheris, whose wheels are for Linux on x86-64"


class Campaign(NamedTuple):
    """How a target fared. `artefact`: the input that failed; `tail`: the end of what libFuzzer said."""

    target: str
    passed: bool
    runs: int
    seconds: float
    artefact: Path | None
    tail: str

    def sentence(self) -> str:
        if self.passed:
            return f"{self.target}: {self.runs} runs, {self.runs / self.seconds:,.0f} a second"
        shown = ""
        if self.artefact is not None and self.artefact.is_file():
            shown = f"; the input is {self.artefact}, in hex:\n{self.artefact.read_bytes().hex()}"
        return f"{self.target}: failed{shown}\n{self.tail}"


def available() -> bool:
    """Whether this machine can fuzz."""
    return importlib.util.find_spec("atheris") is not None


def targets() -> list[str]:
    """The names of all targets: each has a folder of seeds."""
    return sorted(path.name for path in SEEDS.iterdir() if path.is_dir())


def campaign(target: str, runs: int, found: Path, seed: int | None = None, *, niceness: int = 0) -> Campaign:
    """Runs one target `runs` times.

    Args:
        found: the folder for what is found, and of what was found before; it must exist.
        seed: of the mutations; None for another one each time.
        niceness: how far other work goes first (nice(1)).
    """
    options = [f"-runs={runs}", f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MEGABYTES}"]
    options += [f"-artifact_prefix={found}-", "-print_final_stats=1"]
    options += [] if seed is None else [f"-seed={seed}"]
    # A program inherits the peak memory of the process that starts it, which may be a whole test run's, and libFuzzer
    # would take it for the target's. The shell's child starts with the shell's.
    beside = ["sh", "-c", '"$@"; exit $?', "fuzz", "nice", "-n", str(niceness)]
    words = [*beside, sys.executable, "-m", "tests.fuzz.run", target, *options, str(found), str(SEEDS / target)]
    variables = environment.variables() | {"PYTHONPATH": f"{paths.PY_SRC}:{paths.ROOT}"}
    before = set(found.parent.glob(f"{found.name}-*"))
    started = time.monotonic()
    done = subprocess.run(words, cwd=paths.ROOT, env=variables, capture_output=True, text=True, errors="replace")
    seconds = time.monotonic() - started
    new = sorted(set(found.parent.glob(f"{found.name}-*")) - before)
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("INFO:", "WARNING:"))]
    counted = [int(line.split()[-1]) for line in lines if line.startswith("stat::number_of_executed_units:")]
    passed = done.returncode == 0 and not new and counted != [] and counted[0] >= runs
    return Campaign(
        target, passed, counted[0] if counted else 0, seconds, new[0] if new else None, "\n".join(lines[-40:])
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 build_scripts fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets())}; all by default")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each target; default {RUNS:,}")
    parser.add_argument("--seed", type=int, help="of the mutations; another one each time by default")
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - set(targets())
    if unknown or options.runs < 1:
        parser.error(f"no target {', '.join(sorted(unknown))}" if unknown else "expected at least one run")
    if not available():
        print(f"roomkey: {MISSING}", file=sys.stderr)
        return 1
    failed = 0

    def work(target: str) -> Campaign:
        folder = FOUND / target
        folder.mkdir(parents=True, exist_ok=True)
        return campaign(target, options.runs, folder, options.seed)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(work, options.targets or targets()):
            failed += not result.passed
            print(result.sentence(), flush=True)
    return 1 if failed else 0
