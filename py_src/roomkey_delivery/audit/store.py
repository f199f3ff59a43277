"""What an auditor keeps, in tables of its own in the service's file. Right when several processes use it at once.

Each method is one transaction, durable when it returns (`synchronous=FULL`): a cosignature that a power failure makes
us forget could be followed by one for another history. They block; the caller runs them in a thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.identity_map import MapLeaf

from roomkey_delivery.audit.frontier import Frontier
from roomkey_delivery.store.files import connect_wal, storing, transaction

CACHE_KILOBYTES: Final = 64 << 10  # an epoch's leaves lie all over the table, which has 100 MB for a million
HEADS_KEPT: Final = 10_000  # of each log, 4 MB; an hour's heads at the highest rate, months at a usual one


T = TypeVar("T")


class Standing(NamedTuple):
    """What stands of a log: its head (None: never seen) with its note, and how far it is replayed.

    refused: why it is never cosigned again; None while it is well.
    """

    head: Checkpoint | None
    note: bytes
    tree: Frontier
    time: int
    refused: str | None

    @property
    def size(self) -> int:
        return 0 if self.head is None else self.head.size


class Refusal(NamedTuple):
    """A log that is not cosigned any more, why, and for a fork the file that proves it (`transparency.evidence`)."""

    origin: str
    reason: str
    evidence: str | None


class AuditStore:
    """The tables of `schema.sql` in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._db = connect_wal(path)
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
        schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        self._db.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")

    def read(self, origin: str) -> Standing:
        """What stands of a log."""
        row = self._db.execute(
            "SELECT size, root, note, epochs, peaks, time, refused FROM audited_logs WHERE origin = ?", (origin,)
        ).fetchone()
        if row is None:
            return Standing(None, b"", Frontier(), 0, None)
        size, root, note, epochs, peaks, time, refused = row
        head = None if root is None else Checkpoint(origin, size, root)
        return Standing(head, note or b"", Frontier.decode(epochs, peaks), time, refused)

    def advance(self, before: Standing, head: Checkpoint, note: bytes) -> bool:
        """Makes `head`, whose note this is, the log's head if that is still `before.head`; whether it was."""
        with storing(), transaction(self._db) as db:
            number = _number(db, head.origin)
            done = db.execute(
                "UPDATE audited_logs SET size = ?, root = ?, note = ?"
                " WHERE number = ? AND size = ? AND root IS ? AND refused IS NULL",
                (head.size, head.root, note, number, before.size, None if before.head is None else before.head.root),
            )
            if done.rowcount:
                row = (number, head.size, head.root, note)
                db.execute("INSERT OR REPLACE INTO audited_heads VALUES (?, ?, ?, ?)", row)
                db.execute(
                    "DELETE FROM audited_heads WHERE log = ? AND size <= (SELECT size FROM audited_heads"
                    " WHERE log = ? ORDER BY size DESC LIMIT 1 OFFSET ?)",
                    (number, number, HEADS_KEPT),
                )
        return done.rowcount == 1

    def replayed(
        self, origin: str, epochs: int, tree: Frontier, time: int, leaves: Iterable[tuple[MapLeaf, int]]
    ) -> bool:
        """Moves the replay from `epochs` to `tree`, with the leaves set since and their epochs; whether it stood
        there.
        """
        with storing(), transaction(self._db) as db:
            number = _number(db, origin)
            done = db.execute(
                "UPDATE audited_logs SET epochs = ?, peaks = ?, time = ?"
                " WHERE number = ? AND epochs = ? AND refused IS NULL",
                (tree.size, tree.encode(), time, number, epochs),
            )
            if done.rowcount:
                db.executemany(
                    "INSERT OR REPLACE INTO audited_leaves VALUES (?, ?, ?, ?, ?)",
                    ((number, leaf.index, leaf.version, leaf.commitment, epoch) for leaf, epoch in leaves),
                )
        return done.rowcount == 1

    def load(self, origin: str, since: int, take: Callable[[Standing, Iterator[MapLeaf]], T]) -> T:
        """Hands what stands of a log, and the leaves that epochs from `since` on set, in order of index, to `take`:
        both are of the same moment. Returns what it returns.
        """
        with storing(), transaction(self._db, "DEFERRED"):
            rows = self._db.execute(
                "SELECT place, version, commitment FROM audited_leaves"
                " WHERE log = (SELECT number FROM audited_logs WHERE origin = ?) AND epoch >= ? ORDER BY place",
                (origin, since),
            )
            return take(self.read(origin), (MapLeaf(*row) for row in rows))

    def head_at(self, origin: str, size: int) -> tuple[bytes, bytes] | None:
        """Root and note of the head that the log had at this size; None if it had none there that we keep."""
        row = self._db.execute(
            "SELECT root, note FROM audited_heads WHERE size = ?"
            " AND log = (SELECT number FROM audited_logs WHERE origin = ?)",
            (size, origin),
        ).fetchone()
        return None if row is None else (bytes(row[0]), bytes(row[1]))

    def refuse(self, origin: str, reason: str, evidence: str | None = None) -> bool:
        """Ends the cosigning of a log for good. Who refused it first is right; whether this was the first."""
        with storing(), transaction(self._db) as db:
            done = db.execute(
                "UPDATE audited_logs SET refused = ?, evidence = ? WHERE number = ? AND refused IS NULL",
                (reason, evidence, _number(db, origin)),
            )
        return done.rowcount == 1

    def refusals(self) -> list[Refusal]:
        """The logs that are never cosigned again."""
        rows = self._db.execute("SELECT origin, refused, evidence FROM audited_logs WHERE refused IS NOT NULL")
        return [Refusal(*row) for row in rows]

    def close(self) -> None:
        self._db.close()


def _number(db: sqlite3.Connection, origin: str) -> int:
    db.execute("INSERT OR IGNORE INTO audited_logs (origin) VALUES (?)", (origin,))
    (number,) = db.execute("SELECT number FROM audited_logs WHERE origin = ?", (origin,)).fetchone()
    return int(number)
