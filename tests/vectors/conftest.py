"""Says at the end of a run which vectors passed."""

from __future__ import annotations

import pytest

from tests.vectors.support import PASSED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PASSED:
        terminalreporter.section("vectors: cases passed by cipher suite")
    for name, suites in sorted(PASSED.items()):
        counts = ", ".join(
            f"suite {suite}: {count}" if suite else str(count) for suite, count in sorted(suites.items())
        )
        terminalreporter.write_line(f"{name}: {counts}")
