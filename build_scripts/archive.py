"""Zip files that come out the same, byte for byte, from the same content: stored, sorted, one fixed time."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold


def write_stored_zip(path: Path, entries: Mapping[str, bytes]) -> None:
    """Writes `entries` (name in the archive -> content) uncompressed: the transport compresses better."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, date_time=EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3  # Unix, on whatever machine
            archive.writestr(info, entries[name])
