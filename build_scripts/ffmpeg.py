"""Finds an ffmpeg for the tests that have it play our SRTP: an installed one, else as root on Debian its package."""

from __future__ import annotations

import shutil
from pathlib import Path

from build_scripts import browser


class FfmpegMissing(Exception):
    """There is no ffmpeg; the text is a sentence that says what to do."""


def find_ffmpeg() -> Path:
    """The path of ffmpeg. Raises FfmpegMissing."""
    found = shutil.which("ffmpeg")
    if found is None and browser.apt_install("ffmpeg"):
        found = shutil.which("ffmpeg")
    if found is None:
        raise FfmpegMissing("No ffmpeg is installed here. Install one (Debian: apt-get install ffmpeg).")
    return Path(found)
