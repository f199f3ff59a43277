"""Finds PulseAudio for the tests that listen to Firefox, whose sound runs only where there is a device to play on: an
installed one, else as root on Debian its package.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from build_scripts import browser

PACKAGE = "pulseaudio"


class PulseAudioMissing(Exception):
    """There is no PulseAudio; the text is a sentence that says what to do."""


def find_pulseaudio() -> Path:
    """The path of PulseAudio. Raises PulseAudioMissing."""
    found = installed()
    if found is None and browser.apt_install(PACKAGE):
        found = installed()
    if found is None:
        raise PulseAudioMissing(f"No PulseAudio is installed here. Install it (Debian: apt-get install {PACKAGE}).")
    return found


def installed() -> Path | None:
    path = shutil.which(PACKAGE)
    return None if path is None else Path(path)
