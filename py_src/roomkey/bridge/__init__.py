"""What JavaScript calls. Not the API: that is web/src, which makes promises, classes and dates of these plain values.

start(host, emit, settings) -> { call, cancel, close }      in the browser (`browser`)
Bridge(host, emit, ...)                                     the same without a browser (`dispatch`)
"""

from __future__ import annotations

from typing import Any

from roomkey.bridge.dispatch import Bridge

__all__ = ["Bridge", "start"]


def start(host: Any, emit: Any, settings: Any) -> Any:
    """See `roomkey.bridge.browser.start`, which is imported when it is called: only a browser can."""
    from roomkey.bridge import browser

    return browser.start(host, emit, settings)
