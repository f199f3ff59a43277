"""Messages for other domains' services that are not delivered yet, in tables of their own in the service's file.

What is taken is durable (`synchronous=FULL`) before the sender hears so, and deleted once the other service has it. A
kill between the two makes us send it again, which the other service knows by the message's hash. What one sender sends
to one domain keeps its order.

Any number of processes may take messages; one delivers them, as long as it lives: the one that holds SQLite's exclusive
lock of the file beside, which the system lets go of when a process dies.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Sequence
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from roomkey.errors import RoomkeyError

from roomkey_delivery.store.files import connect_wal, transaction
from roomkey_delivery.store.threads import Threaded, in_thread

LIFETIME: Final = 30 * 86400  # seconds that a message waits: as long as inboxes know its hash
_TOTAL: Final = "SELECT messages, bytes FROM relayed_total"
SUFFIX: Final = ".relaying"  # of the file that is locked by who delivers


class Amount(NamedTuple):
    messages: int
    bytes: int


class QueueLimits(NamedTuple):
    """How much may wait: of one sender for one domain, of one sender for all, of all for one domain, and together.

    domains: how many domains one sender may have something waiting for, so that made-up ones cost little.
    """

    pair: Amount = Amount(1_000, 64 << 20)
    sender: Amount = Amount(5_000, 256 << 20)
    domain: Amount = Amount(100_000, 1 << 30)
    domains: int = 100
    total: Amount = Amount(1_000_000, 8 << 30)


class Queued(NamedTuple):
    """One waiting message: `body` is a MessageDelivery, `identity` that of the client `sender`."""

    number: int
    sender: bytes
    identity: str
    body: bytes


class RelayQueue(Threaded):
    """The tables of `schema.sql` in the file `path`. Every method may raise "service-unavailable"."""

    def __init__(self, path: Path, limits: QueueLimits = QueueLimits()) -> None:  # noqa: B008 - a value
        self._limits = limits
        super().__init__("roomkey-relay")
        self._lock_path = path.with_name(path.name + SUFFIX)
        self._lock: sqlite3.Connection | None = None
        self._db = connect_wal(path)
        self._db.execute("PRAGMA secure_delete = ON")
        schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        self._db.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")

    @in_thread
    def put(self, domain: str, sender: bytes, identity: str, body: bytes, now: float) -> None:
        """Takes a message; one that waits already is not taken twice. Errors: "queue-full"."""
        digest = hashlib.sha256(body).digest()
        with transaction(self._db) as db:
            waits = "SELECT 1 FROM relayed WHERE domain = ? AND sender = ? AND hash = ?"
            if db.execute(waits, (domain, sender, digest)).fetchone() is not None:
                return
            self._expect_room(db, domain, sender, len(body))
            db.execute(
                "INSERT INTO relayed (domain, sender, identity, hash, queued, body) VALUES (?, ?, ?, ?, ?, ?)",
                (domain, sender, identity, digest, now, body),
            )
            db.execute(
                "INSERT INTO relayed_amounts VALUES (?, ?, 1, ?)"
                " ON CONFLICT DO UPDATE SET messages = messages + 1, bytes = bytes + excluded.bytes",
                (domain, sender, len(body)),
            )

    @in_thread
    def domains(self) -> list[str]:
        """The domains that something waits for."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT domain FROM relayed_amounts")]

    @in_thread
    def heads(
        self, domain: str, resting: Collection[bytes], senders: int, messages: int, size: int
    ) -> list[list[Queued]]:
        """The oldest messages for a domain, by sender and in order.

        Args:
            resting: senders whose messages are to wait. senders: of how many, those who wait longest first.
            messages, size: how many of one sender, and their bytes together; at least one.
        """
        waiting = "SELECT sender FROM relayed WHERE domain = ? GROUP BY sender ORDER BY MIN(number)"
        first = [row[0] for row in self._db.execute(waiting, (domain,)) if row[0] not in resting][:senders]
        return [self._of(domain, sender, messages, size) for sender in first]

    @in_thread
    def delivered(self, numbers: Sequence[int]) -> None:
        """Forgets messages that the other service has, or will never take."""
        with transaction(self._db) as db:
            for number in numbers:
                _delete(db, "number = ?", number)

    @in_thread
    def expire(self, now: float) -> int:
        """Forgets what waited for 30 days, and says how much that was."""
        with transaction(self._db) as db:
            return _delete(db, "queued <= ?", now - LIFETIME)

    @in_thread
    def amount(self) -> Amount:
        """All that waits."""
        return Amount(*self._db.execute(_TOTAL).fetchone())

    @in_thread
    def take_turn(self) -> bool:
        """Whether it is we who deliver, from now on until `close`."""
        if self._lock is None:
            lock = sqlite3.connect(self._lock_path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                lock.execute("PRAGMA locking_mode = EXCLUSIVE")
                lock.execute("BEGIN EXCLUSIVE")
                lock.execute("COMMIT")  # the lock stays until the connection is closed
            except sqlite3.OperationalError:
                lock.close()
                return False
            self._lock = lock
        return True

    def _close(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self._db.close()

    def _of(self, domain: str, sender: bytes, messages: int, size: int) -> list[Queued]:
        rows = self._db.execute(
            "SELECT number, sender, identity, body FROM relayed WHERE domain = ? AND sender = ?"
            " ORDER BY number LIMIT ?",
            (domain, sender, messages),
        )
        taken: list[Queued] = []
        for row in rows:
            size -= len(row[3])
            if size < 0 and taken:
                break
            taken.append(Queued(*row))
        return taken

    def _expect_room(self, db: sqlite3.Connection, domain: str, sender: bytes, size: int) -> None:
        amounts = "SELECT COUNT(*), COALESCE(SUM(messages), 0), COALESCE(SUM(bytes), 0) FROM relayed_amounts WHERE "
        mine, *pair = db.execute(amounts + "domain = ? AND sender = ?", (domain, sender)).fetchone()
        domains, *of_sender = db.execute(amounts + "sender = ?", (sender,)).fetchone()
        _, *of_domain = db.execute(amounts + "domain = ?", (domain,)).fetchone()
        total, limits = db.execute(_TOTAL).fetchone(), self._limits
        for found, limit in (
            (pair, limits.pair), (of_sender, limits.sender), (of_domain, limits.domain), (total, limits.total),
        ):  # fmt: skip
            if found[0] + 1 > limit.messages or found[1] + size > limit.bytes:
                raise RoomkeyError("queue-full", f"expected room among {limit.messages} messages", retry_after=60)
        if domains + (not mine) > limits.domains:
            raise RoomkeyError("queue-full", f"expected at most {limits.domains} domains to wait for", retry_after=60)


def _delete(db: sqlite3.Connection, which: str, value: float) -> int:
    gone = db.execute(f"DELETE FROM relayed WHERE {which} RETURNING domain, sender, LENGTH(body)", (value,)).fetchall()
    for domain, sender, size in gone:
        change = "messages = messages - 1, bytes = bytes - ?"
        db.execute(f"UPDATE relayed_amounts SET {change} WHERE domain = ? AND sender = ?", (size, domain, sender))
        db.execute("DELETE FROM relayed_amounts WHERE domain = ? AND sender = ? AND messages = 0", (domain, sender))
    return len(gone)
