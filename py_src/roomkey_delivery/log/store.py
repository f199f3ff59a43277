"""What a log keeps: manifests, epochs, the hashes of its tree, and the head that its auditors cosigned.

The tables stand in the service's own database file (`schema.sql`). Each method is one transaction, durable when it
returns (`synchronous=FULL`: a checkpoint that was signed and then forgotten would be a fork), and right when several
processes call it at the same time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MAX_UPDATES, MapUpdates
from roomkey.transparency.identity_map import MapLeaf

BUSY_TIMEOUT: Final = 5.0  # seconds to wait for another process's transaction

# Gives the next epoch from (its number, the last epoch, what changes in the map).
MakeEpoch = Callable[[int, EpochLeaf | None, MapUpdates], EpochLeaf]


class LoggedManifest(NamedTuple):
    """A manifest as it was submitted (a SignedManifest), and what hides and finds it in the map."""

    identity: bytes
    version: int
    place: bytes
    opening: bytes
    commitment: bytes
    body: bytes

    def leaf(self) -> MapLeaf:
        return MapLeaf(self.place, self.version, self.commitment)


class Head(NamedTuple):
    """The newest head that a quorum cosigned: its size, the note with the cosignatures, and when it got them."""

    size: int
    note: bytes
    time: int


class LogStore:
    """The tables of `schema.sql` in the file `path`. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        self._db.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")

    # -- manifests --

    def newest(self, identity: bytes, before: int | None = None) -> LoggedManifest | None:
        """The newest manifest; with `before`, the newest that epochs below that number put into the map."""
        limit = "" if before is None else " AND epoch < ?"
        row = self._db.execute(
            f"SELECT {_MANIFEST} FROM log_manifests WHERE identity = ?{limit} ORDER BY version DESC LIMIT 1",
            (identity,) if before is None else (identity, before),
        ).fetchone()
        return None if row is None else LoggedManifest(*row)

    def since(self, identity: bytes, version: int, before: int) -> list[bytes]:
        """The manifests after `version` that epochs below `before` put into the map, oldest first."""
        rows = self._db.execute(
            "SELECT body FROM log_manifests WHERE identity = ? AND version > ? AND epoch < ? ORDER BY version",
            (identity, version, before),
        )
        return [row[0] for row in rows]

    def submit(self, check: Callable[[LoggedManifest | None], LoggedManifest | None], identity: bytes) -> None:
        """Adds what `check` makes of the newest manifest of the identity; nothing if that is None."""
        with self._transaction() as db:
            added = check(self.newest(identity))
            if added is not None:
                db.execute("INSERT INTO log_manifests VALUES (?, ?, ?, ?, ?, ?, NULL)", added)

    def leaves(self, before: int) -> Iterator[MapLeaf]:
        """The map as epochs below `before` made it."""
        rows = self._db.execute(
            "SELECT place, MAX(version), commitment FROM log_manifests WHERE epoch < ? GROUP BY identity", (before,)
        )
        return (MapLeaf(*row) for row in rows)

    # -- epochs --

    def size(self) -> int:
        """How many epochs there are."""
        (number,) = self._db.execute("SELECT COALESCE(MAX(number) + 1, 0) FROM log_epochs").fetchone()
        return int(number)

    def waits(self) -> bool:
        """Whether a manifest waits for its epoch."""
        return self._db.execute("SELECT 1 FROM log_manifests WHERE epoch IS NULL LIMIT 1").fetchone() is not None

    def epoch(self, number: int) -> EpochLeaf:
        """An epoch that there is."""
        (leaf,) = self._db.execute("SELECT leaf FROM log_epochs WHERE number = ?", (number,)).fetchone()
        return EpochLeaf.decode(leaf)

    def entries(self, first: int, count: int) -> list[bytes]:
        """The EpochLeaf structs of a range, as far as it is there."""
        rows = self._db.execute(
            "SELECT leaf FROM log_epochs WHERE number >= ? AND number < ? ORDER BY number", (first, first + count)
        )
        return [row[0] for row in rows]

    def updates(self, number: int) -> bytes | None:
        """The MapUpdates of an epoch."""
        row = self._db.execute("SELECT updates FROM log_epochs WHERE number = ?", (number,)).fetchone()
        return None if row is None else row[0]

    def make_epoch(self, make: MakeEpoch) -> bool:
        """Puts the manifests that wait into an epoch, each identity's oldest; whether there was one."""
        with self._transaction() as db:
            rows = db.execute(
                f"SELECT {_MANIFEST}, MIN(version) FROM log_manifests WHERE epoch IS NULL GROUP BY identity LIMIT ?",
                (MAX_UPDATES,),
            )
            waiting = [LoggedManifest(*row[:-1]) for row in rows.fetchall()]
            if not waiting:
                return False
            number = self.size()
            last = None if number == 0 else self.epoch(number - 1)
            changes = MapUpdates(tuple(sorted((item.leaf() for item in waiting), key=lambda leaf: leaf.index)))
            leaf = make(number, last, changes)
            db.execute("INSERT INTO log_epochs VALUES (?, ?, ?)", (number, leaf.encode(), changes.encode()))
            db.executemany(
                "UPDATE log_manifests SET epoch = ? WHERE identity = ? AND version = ?",
                ((number, item.identity, item.version) for item in waiting),
            )
            self._append(db, number, leaf.leaf_hash())
        return True

    def _append(self, db: sqlite3.Connection, place: int, value: bytes) -> None:
        level = 0
        db.execute("INSERT INTO log_hashes VALUES (0, ?, ?)", (place, value))
        while place & 1:
            value, place, level = merkle.node_hash(self._hash(level, place - 1), value), place >> 1, level + 1
            db.execute("INSERT INTO log_hashes VALUES (?, ?, ?)", (level, place, value))

    # -- the tree --

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """The roots of perfect subtrees of 2^level leaves, as far as they are there."""
        rows = self._db.execute(
            "SELECT hash FROM log_hashes WHERE level = ? AND place >= ? AND place < ? ORDER BY place",
            (level, first, first + count),
        )
        return [row[0] for row in rows]

    def subtree(self, start: int, end: int) -> bytes:
        """The root over the leaves [start, end), as proofs ask for it (`merkle.Subtree`)."""
        if start == end:
            return merkle.EMPTY_ROOT
        width = end - start
        if width & (width - 1) == 0 and start % width == 0:
            level = width.bit_length() - 1
            return self._hash(level, start >> level)
        left = 1 << (width - 1).bit_length() - 1
        return merkle.node_hash(self.subtree(start, start + left), self.subtree(start + left, end))

    def _hash(self, level: int, place: int) -> bytes:
        (value,) = self.hashes(level, place, 1)
        return value

    # -- the cosigned head --

    def head(self) -> Head | None:
        row = self._db.execute("SELECT size, note, time FROM log_head").fetchone()
        return None if row is None else Head(*row)

    def put_head(self, head: Head) -> None:
        """Keeps the head, unless one that is newer is there."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO log_head VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size,"
                " note = excluded.note, time = excluded.time WHERE (excluded.size, excluded.time) > (size, time)",
                head,
            )

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Errors: "service-unavailable" for what SQLite cannot do (disk full, file read-only, busy)."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise RoomkeyError("service-unavailable", f"expected to store, got {error.sqlite_errorname}") from error
            raise


_MANIFEST: Final = "identity, version, place, opening, commitment, body"
