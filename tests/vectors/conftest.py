"""Says at the end of a run which vectors passed."""

from __future__ import annotations

import pytest

from tests.vectors.support import PASSED, report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report(terminalreporter, "vectors: cases passed by cipher suite", PASSED)
