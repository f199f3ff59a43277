"""The embedded store: one SQLite file, written ahead (WAL), for one machine and any number of processes on it.

`synchronous=FULL`: in WAL mode NORMAL keeps the file whole through a power failure but may lose the last
transactions, and an acknowledgement, a claim or an accepted commit that is lost makes liars of us (attack S2). Nonces
go through a second connection with NORMAL: they are dear to write at every request, and after a power failure the 300
s that a request may be old are soon over.

All work happens in one thread per store (`threads`), and every writing transaction begins IMMEDIATE (`files`).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from roomkey.errors import RoomkeyError

from roomkey_delivery.store import migrations, queries
from roomkey_delivery.store.files import connect_wal, transaction
from roomkey_delivery.store.interface import Client, InboxLimits, Message, NewSet, OrderedCommit, StockCount
from roomkey_delivery.store.threads import Threaded, in_thread

SCHEMA_VERSION = 3
# seconds that a message is recognised after its acknowledgement: as long as outboxes try (30 days)
HASHES_KEPT = 30 * 86400
COMMITS_KEPT = 30 * 86400  # seconds (wire.md section 5)


class SqliteStore(Threaded):
    """A `Store` in the file `path`, which is made if it does not exist, and of `domain` alone from its first use on:
    what one domain's service knows is no other's.
    """

    def __init__(self, path: Path, domain: str | None = None) -> None:
        super().__init__("roomkey-store")
        self._db = _connect(path, "FULL")
        self._nonces = _connect(path, "NORMAL")
        try:
            self._prepare(domain)
        except BaseException:
            self._close()
            raise

    def _prepare(self, domain: str | None) -> None:
        """Makes the tables, if they are not there, or brings those of an older version up to date.

        Errors: "bad-argument" for a database of a later version, or of another domain.
        """
        schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        with transaction(self._db) as db:  # one process brings it up to date, others that start with it wait
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise RoomkeyError("bad-argument", f"expected a database of version {SCHEMA_VERSION}, got {version}")
            for statement in migrations.statements(migrations.script(version, SCHEMA_VERSION) + schema):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            if domain is not None:
                db.execute("INSERT OR IGNORE INTO service VALUES (0, ?)", (domain,))
                (found,) = db.execute("SELECT domain FROM service").fetchone()
                if found != domain:
                    raise RoomkeyError("bad-argument", f"expected a database of {domain}, got that of {found}")

    @in_thread
    def use_nonce(self, client: bytes, nonce: str, now: float, lifetime: float) -> bool:
        with transaction(self._nonces) as db:
            db.execute("DELETE FROM nonces WHERE client = ? AND nonce = ? AND expires <= ?", (client, nonce, now))
            done = db.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (client, nonce, now + lifetime))
        return done.rowcount == 1

    # -- enrolment --

    @in_thread
    def new_code(self, identity: str, code_hash: bytes, expires: float) -> None:
        with transaction(self._db) as db:
            if queries.taken(db, identity):
                raise RoomkeyError("already-enrolled", "expected a name without a client, or --reset")
            db.execute("INSERT OR REPLACE INTO codes VALUES (?, ?, ?, 0)", (identity, code_hash, expires))

    @in_thread
    def new_reset_code(self, identity: str, code_hash: bytes, expires: float) -> None:
        with transaction(self._db) as db:
            db.execute("INSERT OR REPLACE INTO reset_codes VALUES (?, ?, ?, NULL)", (identity, code_hash, expires))

    @in_thread
    def check_code(self, client: Client, code_hash: bytes, now: float) -> bool:
        return queries.check_code(self._db, client, code_hash, now)

    @in_thread
    def bind_code(self, client: Client, code_hash: bytes) -> None:
        with transaction(self._db) as db:
            queries.bind_code(db, client, code_hash)

    @in_thread
    def admit(self, identity: str, client: bytes, expires: float) -> None:
        with transaction(self._db) as db:
            db.execute("INSERT OR REPLACE INTO admissions VALUES (?, ?, ?)", (client, identity, expires))

    @in_thread
    def enrol(
        self, client: Client, code_hash: bytes | None, now: float, *, unsafe_open: bool = False, listed: bool = False
    ) -> None:
        with transaction(self._db) as db:
            known = db.execute("SELECT identity FROM clients WHERE id = ?", (client.id,)).fetchone()
            if known is not None:
                if known[0] != client.identity:
                    raise RoomkeyError("already-enrolled", "expected a key that has no other name")
                return
            if listed:
                if code_hash is not None:
                    queries.spend_code(db, client, code_hash)
            elif code_hash is not None:
                queries.use_code(db, client, code_hash, now)
            elif not queries.use_admission(db, client, now):
                if not unsafe_open:
                    raise RoomkeyError("enrolment-refused", "expected a code or an admission")
                if queries.taken(db, client.identity):
                    raise RoomkeyError("already-enrolled", "expected a name without a client")
            columns = "id, identity, algorithm, public_key, enrolled"
            db.execute(f"INSERT INTO clients ({columns}) VALUES (?, ?, ?, ?, ?)", (*client, now))

    @in_thread
    def client(self, client: bytes) -> Client | None:
        query = "SELECT id, identity, algorithm, public_key FROM clients WHERE id = ?"
        row = self._db.execute(query, (client,)).fetchone()
        return None if row is None else Client(*row)

    # -- init-key sets --

    @in_thread
    def publish(self, client: bytes, sets: Sequence[NewSet], now: float, limit: int) -> None:
        with transaction(self._db) as db:
            for item in sets:
                digest = hashlib.sha256(item.body).digest()
                known = db.execute("SELECT digest FROM sets WHERE client = ? AND id = ?", (client, item.id)).fetchone()
                if known is not None:
                    if known[0] != digest:
                        raise RoomkeyError("set-conflict", "expected the set that is stored under this id")
                    continue
                if item.last_resort:
                    former = "client = ? AND last_resort AND body IS NOT NULL"
                    db.execute(f"UPDATE sets SET body = NULL WHERE {former}", (client,))
                db.execute(
                    "INSERT INTO sets (client, id, digest, suites, last_resort, expires, body)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (client, item.id, digest, queries.pack(item.suites), item.last_resort, item.expires, item.body),
                )
            if queries.stock(db, client, now).sets > limit:
                raise RoomkeyError("stock-full", f"expected at most {limit} sets")

    @in_thread
    def stock(self, client: bytes, now: float) -> StockCount:
        return queries.stock(self._db, client, now)

    @in_thread
    def claim(
        self, identity: str, suites: Sequence[int], now: float, only: Collection[bytes] | None = None
    ) -> list[bytes]:
        with transaction(self._db) as db:
            query = "SELECT id FROM clients WHERE identity = ? ORDER BY enrolled, id"
            owners = db.execute(query, (identity,)).fetchall()
            asked = [owner for (owner,) in owners if only is None or owner in only]
            found = (queries.claim_one(db, owner, frozenset(suites), now) for owner in asked)
            return [body for body in found if body is not None]

    # -- inboxes --

    @in_thread
    def deliver(self, body: bytes, clients: Sequence[bytes], now: float, limits: InboxLimits) -> list[bytes]:
        unknown, full = [], False
        digest = hashlib.sha256(body).digest()
        with transaction(self._db) as db:
            for client in clients:
                inbox = "SELECT last_sequence, waiting, waiting_bytes FROM clients WHERE id = ?"
                row = db.execute(inbox, (client,)).fetchone()
                if row is None:
                    unknown.append(client)
                    continue
                sequence = row[0] + 1
                if row[1] + 1 > limits.messages or row[2] + len(body) > limits.bytes:
                    had = "SELECT 1 FROM messages WHERE client = ? AND hash = ?"
                    full = full or db.execute(had, (client, digest)).fetchone() is None
                    continue
                done = db.execute(
                    "INSERT OR IGNORE INTO messages (client, sequence, hash, received, body) VALUES (?, ?, ?, ?, ?)",
                    (client, sequence, digest, now, body),
                )
                if done.rowcount == 0:
                    continue
                db.execute(
                    "UPDATE clients SET last_sequence = ?, waiting = waiting + 1, waiting_bytes = waiting_bytes + ?"
                    " WHERE id = ?",
                    (sequence, len(body), client),
                )
        if full:
            raise RoomkeyError("inbox-full", f"expected room among {limits.messages} messages")
        return unknown

    @in_thread
    def messages(self, client: bytes, after: int, limit: int) -> list[Message]:
        rows = self._db.execute(
            "SELECT sequence, body FROM messages WHERE client = ? AND sequence > ? AND body IS NOT NULL"
            " ORDER BY sequence LIMIT ?",
            (client, after, limit),
        )
        return queries.up_to(queries.MESSAGES_PER_READ, (Message(*row) for row in rows))

    @in_thread
    def acknowledge(self, client: bytes, through: int) -> None:
        with transaction(self._db) as db:
            waiting = "client = ? AND sequence <= ? AND body IS NOT NULL"
            count, size = db.execute(
                f"SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM messages WHERE {waiting}", (client, through)
            ).fetchone()
            db.execute(f"UPDATE messages SET body = NULL WHERE {waiting}", (client, through))
            change = "waiting = waiting - ?, waiting_bytes = waiting_bytes - ?"
            db.execute(f"UPDATE clients SET {change} WHERE id = ?", (count, size, client))

    @in_thread
    def recipients_since(self, mark: int) -> tuple[int, set[bytes]]:
        rows = self._db.execute("SELECT number, client FROM messages WHERE number > ?", (mark,)).fetchall()
        if rows:
            return max(row[0] for row in rows), {row[1] for row in rows}
        return min(mark, self._db.execute("SELECT COALESCE(MAX(number), 0) FROM messages").fetchone()[0]), set()

    # -- the ordering register --

    @in_thread
    def register_group(self, group_id: bytes, epoch: int, token_hash: bytes, now: float) -> None:
        with transaction(self._db) as db:
            row = (group_id, epoch, token_hash)
            known = "SELECT 1 FROM epochs WHERE group_id = ? AND epoch = ? AND token_hash = ?"
            if db.execute(known, row).fetchone() is not None:
                return
            begun = "SELECT 1 FROM epochs WHERE group_id = ? AND begun = 0"
            if epoch == 0 and db.execute(begun, (group_id,)).fetchone() is not None:
                raise RoomkeyError("group-exists", "expected a group that is not registered with another token")
            queries.open_epoch(db, *row, begun=epoch)

    @in_thread
    def submit(
        self, group_id: bytes, epoch: int, token_hash: bytes, next_token_hash: bytes, commit: bytes, now: float
    ) -> list[OrderedCommit] | None:
        with transaction(self._db) as db:
            row = queries.find_epoch(db, group_id, epoch, token_hash)
            if row.ended_by == commit:
                return None
            if row.ended_by is not None:
                return queries.commits(db, group_id, epoch, token_hash)
            ended = (commit, now, next_token_hash, group_id, epoch, token_hash)
            change = "ended_by = ?, ended = ?, next_hash = ?"
            db.execute(f"UPDATE epochs SET {change} WHERE group_id = ? AND epoch = ? AND token_hash = ?", ended)
            queries.open_epoch(db, group_id, epoch + 1, next_token_hash, begun=row.begun)
            return None

    @in_thread
    def commits(self, group_id: bytes, epoch: int, token_hash: bytes) -> list[OrderedCommit]:
        queries.find_epoch(self._db, group_id, epoch, token_hash)
        return queries.commits(self._db, group_id, epoch, token_hash)

    @in_thread
    def prune(self, now: float) -> None:
        with transaction(self._db) as db:
            for table in ("nonces", "codes", "reset_codes", "admissions", "sets"):
                used = " AND NOT used" if table == "codes" else ""  # a used code goes on telling that it is used
                db.execute(f"DELETE FROM {table} WHERE expires <= ?{used}", (now,))
            db.execute("DELETE FROM messages WHERE body IS NULL AND received <= ?", (now - HASHES_KEPT,))
            db.execute("DELETE FROM epochs WHERE ended IS NOT NULL AND ended <= ?", (now - COMMITS_KEPT,))

    def _close(self) -> None:
        self._nonces.close()
        self._db.close()


def _connect(path: Path, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    db = connect_wal(path, synchronous)
    db.execute("PRAGMA secure_delete = ON")  # what was claimed or acknowledged does not linger in the file
    return db
