"""Finds a Firefox for the tests that try pages in it: an installed one, else as root on Debian its package."""

from __future__ import annotations

import shutil
from pathlib import Path

from build_scripts import browser

NAMES = ("firefox-esr", "firefox")
PACKAGE = "firefox-esr"


class FirefoxMissing(Exception):
    """There is no Firefox; the text is a sentence that says what to do."""


def find_firefox() -> Path:
    """The path of Firefox. Raises FirefoxMissing."""
    found = installed()
    if found is None and browser.apt_install(PACKAGE):
        found = installed()
    if found is None:
        raise FirefoxMissing(f"No Firefox is installed here. Install one (Debian: apt-get install {PACKAGE}).")
    return found


def installed() -> Path | None:
    """The first Firefox on the path."""
    return next((Path(path) for name in NAMES if (path := shutil.which(name)) is not None), None)
