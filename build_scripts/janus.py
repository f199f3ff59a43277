"""Finds Janus, a media server that knows nothing of us, for the tests that have it forward calls: an installed one,
else as root on Debian its package.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from build_scripts import browser

PLUGIN = "libjanus_videoroom.so"
TRANSPORT = "libjanus_http.so"
# Where Debian, and builds from source with Janus' own prefix, put modules.
MODULES = ("/usr/lib/*/janus", "/usr/lib/janus", "/usr/local/lib/janus", "/opt/janus/lib/janus")
MASK_SECONDS = 60.0


class JanusMissing(Exception):
    """There is no Janus; the text is a sentence that says what to do."""


@dataclass(frozen=True)
class Janus:
    """An installed Janus."""

    path: Path
    plugins: Path  # the folder
    transports: Path  # the folder


def find_janus() -> Janus:
    """An installed Janus with its video room and its HTTP interface. Raises JanusMissing."""
    found = installed()
    if found is None and install_on_debian():
        found = installed()
    if found is None:
        raise JanusMissing("No Janus is installed here. Install one (Debian: apt-get install janus).")
    return found


def installed() -> Janus | None:
    program = shutil.which("janus") or shutil.which("/opt/janus/bin/janus")
    if program is None:
        return None
    for folder in module_folders():
        if (folder / "plugins" / PLUGIN).exists() and (folder / "transports" / TRANSPORT).exists():
            return Janus(Path(program), folder / "plugins", folder / "transports")
    return None


def module_folders() -> Iterator[Path]:
    for pattern in MODULES:
        yield from sorted(Path("/").glob(pattern.removeprefix("/")))


def install_on_debian() -> bool:
    """Debian's package; its service, which would listen to all the world, is kept from starting."""
    if Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None:
        subprocess.run(["systemctl", "mask", "janus.service"], capture_output=True, timeout=MASK_SECONDS)
    return browser.apt_install("janus")
