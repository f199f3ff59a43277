"""The service's database file, which several connections open, each of which may be the first."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

BUSY_TIMEOUT = 5.0  # seconds to wait for another process's transaction; ours take milliseconds


def connect(path: Path) -> sqlite3.Connection:
    """A connection for one thread at a time. A file that is made is its owner's alone, whatever the umask is, and so
    are those that SQLite puts beside it.

    One that is there is not opened but by SQLite: to close it again would drop the locks that this process has on it,
    and another process that closes it would take itself for the last and delete the write-ahead log.
    """
    with suppress(OSError):  # SQLite says what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
