"""`python3 build_scripts check [--update]`: format, lint, types, layers, links, locks, error codes, API report,
validation table, wire examples.

`--update` first writes what can be written: the format, the error codes, the API report, the table of validation
rules and the values of wire-examples.json.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable

from build_scripts import (
    api_report,
    environment,
    error_codes,
    layers,
    links,
    locks,
    paths,
    validation_table,
    wire_examples,
)

PYTHON_FOLDERS = ("py_src", "build_scripts", "tests")


def command(*words: str) -> Callable[[], Iterable[str]]:
    """A check that a tool makes: its output lines when it fails."""

    def check() -> Iterable[str]:
        result = subprocess.run(words, cwd=paths.ROOT, env=environment.variables(), capture_output=True, text=True)
        return (result.stdout + result.stderr).splitlines() or ["failed"] if result.returncode else []

    return check


def tool(name: str, *arguments: str) -> Callable[[], Iterable[str]]:
    return command(sys.executable, "-m", name, *arguments)


def typescript(config: str, folder: str) -> Callable[[], Iterable[str]]:
    """tsc on one configuration; nothing to do while its folder is not there."""
    if not any((paths.WEB / folder).glob("**/*.ts")):
        return list
    return command(str(paths.NODE_MODULES / ".bin" / "tsc"), "-p", f"web/{config}")


def checks() -> dict[str, Callable[[], Iterable[str]]]:
    """The checks by name, quick ones first."""
    return {
        "locks": locks.problems,
        "layers": layers.problems,
        "links": links.problems,
        "format": tool("ruff", "format", "--check", "--output-format=concise", *PYTHON_FOLDERS),
        "lint": tool("ruff", "check", "--quiet", "--output-format=concise", *PYTHON_FOLDERS),
        "types": tool("mypy", *PYTHON_FOLDERS),
        "typescript": typescript("tsconfig.json", "src"),
        "typescript workers": typescript("tsconfig.worker.json", "src/worker"),
        "error codes": error_codes.problems,
        "api report": api_report.problems,
        "validation table": validation_table.problems,
        "wire examples": wire_examples.problems,
    }


def run_checks() -> int:
    """Runs every check; prints what each found, and returns how many failed."""
    failed = 0
    for name, check in checks().items():
        started = time.monotonic()
        lines = list(check())
        failed += bool(lines)
        print(f"{'FAILED' if lines else 'ok':<6} {name} ({time.monotonic() - started:.1f} s)", flush=True)
        for line in lines:
            print(f"       {line}")
    return failed


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--update"]):
        print("usage: python3 build_scripts check [--update]", file=sys.stderr)
        return 2
    if arguments:
        for fix in (("check", "--fix"), ("format",)):
            subprocess.run(
                [sys.executable, "-m", "ruff", *fix, "--quiet", *PYTHON_FOLDERS], cwd=paths.ROOT, check=False
            )
        error_codes.update()
        api_report.update()
        validation_table.update()
        wire_examples.update()
    failed = run_checks()
    print(f"check: {f'{failed} of {len(checks())} failed' if failed else 'all well'}")
    return 1 if failed else 0
