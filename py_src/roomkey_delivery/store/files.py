"""The service's database file, which several connections open, each of which may be the first."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from roomkey.errors import RoomkeyError

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


def connect_wal(path: Path, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> sqlite3.Connection:
    """`connect`, written ahead. What is committed with FULL outlasts a power failure (`store.sqlite`)."""
    db = connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    return db


@contextmanager
def transaction(
    db: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
) -> Iterator[sqlite3.Connection]:
    """All or nothing of what happens in the block. Who writes takes IMMEDIATE: a reader that turns writer could be
    refused in the middle (SQLITE_BUSY_SNAPSHOT).
    """
    db.execute(f"BEGIN {kind}")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it already
            db.execute("ROLLBACK")
        raise


@contextmanager
def storing() -> Iterator[None]:
    """Errors: "service-unavailable" for what SQLite cannot do in the block (disk full, file read-only, busy)."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise RoomkeyError("service-unavailable", f"expected to store, got {error.sqlite_errorname}") from error
