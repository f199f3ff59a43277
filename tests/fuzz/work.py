"""Work and memory without a clock: how many lines of the product run, and how much is allocated at most."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import roomkey

_PRODUCT = str(Path(roomkey.__file__).parent)


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of the product `work` runs; what the C library does at once counts as the line that asks it."""
    count = 0

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        return on_line if frame.f_code.co_filename.startswith(_PRODUCT) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def peak_bytes(work: Callable[[], object]) -> int:
    """The most memory that Python held for `work` at any time, beyond what it held before."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
