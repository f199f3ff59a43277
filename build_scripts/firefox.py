"""Finds a Firefox for the tests that try pages in it: an installed one, else as root on Debian its package."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from build_scripts import browser

NAMES = ("firefox-esr", "firefox")
PACKAGE = "firefox-esr"
OLDEST = 153  # before, an encoded frame does not say its codec
VERSION_SECONDS = 60  # a cold start from a slow disk


class FirefoxMissing(Exception):
    """There is no Firefox; the text is a sentence that says what to do."""


def find_firefox() -> Path:
    """The path of Firefox. Raises FirefoxMissing."""
    found = installed()
    if found is None and browser.apt_install(PACKAGE):
        found = installed()
    if found is None:
        raise FirefoxMissing(f"No Firefox is installed here. Install one (Debian: apt-get install {PACKAGE}).")
    version = version_of(found)
    if version < OLDEST:
        raise FirefoxMissing(f"{found} is Firefox {version}. Install {OLDEST} or a newer one.")
    return found


def installed() -> Path | None:
    """The first Firefox on the path."""
    return next((Path(path) for name in NAMES if (path := shutil.which(name)) is not None), None)


def version_of(path: Path) -> int:
    """The first number of what it says to be ("Mozilla Firefox 153.7.0esr"). Raises FirefoxMissing."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FirefoxMissing(f"{path} does not start: {error}") from error
    number = re.search(r"(\d+)\.", told)
    if number is None:
        raise FirefoxMissing(f"{path} does not say its version. Install another Firefox.")
    return int(number[1])
