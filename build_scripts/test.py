"""`python3 build_scripts test [pytest arguments]`: the checks, the build, then all tests: one verdict."""

from __future__ import annotations

import subprocess
import sys
import time

from build_scripts import browser, build, check, environment, paths


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    failed_checks = check.run_checks()
    try:
        build.build()
    except build.BuildError as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return verdict(False, "the build failed", started)
    variables = environment.variables()
    try:
        variables[browser.VARIABLE] = str(browser.find_browser().path)
    except browser.BrowserMissing as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return verdict(False, "no browser to test in", started)
    tests = subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], cwd=paths.ROOT, env=variables)
    if failed_checks:
        return verdict(False, f"{failed_checks} of {len(check.checks())} checks failed", started)
    return verdict(tests.returncode == 0, "all well" if tests.returncode == 0 else "tests failed", started)


def verdict(passed: bool, why: str, started: float) -> int:
    """The last line, and the exit code."""
    print(f"test: {'PASSED' if passed else 'FAILED'}, {why} ({time.monotonic() - started:.0f} s)", flush=True)
    return 0 if passed else 1
