"""Runs the official vector files: one runner per file, cases counted by cipher suite.

A runner is `async def run(crypto, cases) -> dict[int, int]`: it raises at the first case that fails and answers how
many cases of each suite passed; 0 stands for files without suites. Runners import `roomkey` and the standard library
only, because the browser runs them too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from roomkey.crypto.provider import CryptoProvider
from roomkey.host.native_crypto import NativeCrypto

from tests.conftest import Vectors

Runner = Callable[[CryptoProvider, Any], Awaitable[dict[int, int]]]

# What passed, for the summary at the end of the run: file name -> suite -> cases.
PASSED: dict[str, dict[int, int]] = {}
PASSED_IN_BROWSER: dict[str, dict[int, int]] = {}


async def check_file(vectors: Vectors, name: str, runner: Runner, kind: str = "mls") -> None:
    """Runs every case of `KIND/NAME` on this Python. A file none of whose cases ran is a failure."""
    await check_cases(name, json.loads(vectors.path(kind, name).read_text()), runner)


async def check_cases(name: str, cases: Any, runner: Runner) -> None:
    """The same for cases at hand."""
    passed = await runner(NativeCrypto(), cases)
    assert sum(passed.values()) > 0, f"{name}: no case for our suites"
    PASSED[name] = passed


def report(reporter: pytest.TerminalReporter, title: str, results: dict[str, dict[int, int]]) -> None:
    """A section of the summary: for each file the cases that passed."""
    if results:
        reporter.section(title)
    for name, suites in sorted(results.items()):
        counts = ", ".join(
            f"suite {suite}: {count}" if suite else str(count) for suite, count in sorted(suites.items())
        )
        reporter.write_line(f"{name}: {counts}")
