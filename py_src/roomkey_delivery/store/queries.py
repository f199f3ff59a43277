"""The statements of the SQLite store that need more than a line. All run inside a transaction of the caller's."""

from __future__ import annotations

import hmac
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from roomkey.errors import RoomkeyError

from roomkey_delivery.store.interface import Client, Message, OrderedCommit, StockCount

COMMITS_PER_ANSWER = 1 << 20  # bytes; the first commit is given whatever its size
MESSAGES_PER_READ = 1 << 20  # bytes; likewise

Sized = TypeVar("Sized", Message, OrderedCommit)


def taken(db: sqlite3.Connection, identity: str) -> bool:
    return db.execute("SELECT 1 FROM clients WHERE identity = ?", (identity,)).fetchone() is not None


def use_code(db: sqlite3.Connection, client: Client, code_hash: bytes, now: float) -> None:
    """Uses up the code of a name's first client; one for a reset takes a log. Errors: as `check_code`."""
    if check_code(db, client, code_hash, now):
        raise RoomkeyError("enrolment-refused", "expected the code of this name")
    spend_code(db, client, code_hash)


def spend_code(db: sqlite3.Connection, client: Client, code_hash: bytes) -> None:
    """Uses up a code that was checked."""
    db.execute("UPDATE codes SET used = 1 WHERE identity = ? AND hash = ?", (client.identity, code_hash))
    spent = "UPDATE reset_codes SET used = ? WHERE identity = ? AND hash = ?"
    db.execute(spent, (client.id, client.identity, code_hash))


def bind_code(db: sqlite3.Connection, client: Client, code_hash: bytes) -> None:
    """Makes a code for a reset this client's alone. Errors: "already-enrolled"."""
    bound = "UPDATE reset_codes SET used = ? WHERE identity = ? AND hash = ? AND COALESCE(used, ?) = ?"
    if db.execute(bound, (client.id, client.identity, code_hash, client.id, client.id)).rowcount == 0:
        raise RoomkeyError("already-enrolled", "expected a code that was not used")


def check_code(db: sqlite3.Connection, client: Client, code_hash: bytes, now: float) -> bool:
    """Whether a code of the client's name is one for a reset. Errors: "enrolment-refused", "already-enrolled"."""
    for table in ("reset_codes", "codes"):
        row = db.execute(f"SELECT hash, expires, used FROM {table} WHERE identity = ?", (client.identity,)).fetchone()
        if row is None or not hmac.compare_digest(row[0], code_hash):
            continue
        if row[2] and row[2] != client.id and not _is_enrolled(db, client):
            raise RoomkeyError("already-enrolled", "expected a code that was not used")
        if row[1] <= now:
            raise RoomkeyError("enrolment-refused", "expected a code that is not expired")
        return table == "reset_codes"
    raise RoomkeyError("enrolment-refused", "expected the code of this name")


def _is_enrolled(db: sqlite3.Connection, client: Client) -> bool:
    known = "SELECT 1 FROM clients WHERE id = ? AND identity = ?"
    return db.execute(known, (client.id, client.identity)).fetchone() is not None


def use_admission(db: sqlite3.Connection, client: Client, now: float) -> bool:
    done = db.execute(
        "DELETE FROM admissions WHERE client = ? AND identity = ? AND expires > ?", (client.id, client.identity, now)
    )
    return done.rowcount == 1


def stock(db: sqlite3.Connection, client: bytes, now: float) -> StockCount:
    live = "FROM sets WHERE client = ? AND body IS NOT NULL AND expires > ?"
    sets, last, expires = db.execute(
        f"SELECT COALESCE(SUM(NOT last_resort), 0), COALESCE(SUM(last_resort), 0), MIN(expires) {live}", (client, now)
    ).fetchone()
    return StockCount(sets, last > 0, expires)


def claim_one(db: sqlite3.Connection, client: bytes, suites: frozenset[int], now: float) -> bytes | None:
    rows = db.execute(
        "SELECT number, suites, last_resort, body FROM sets WHERE client = ? AND body IS NOT NULL AND expires > ?"
        " ORDER BY last_resort, number",
        (client, now),
    )
    for number, offered, last_resort, body in rows:
        if suites and suites.isdisjoint(unpack(offered)):
            continue
        rows.close()
        if not last_resort:
            db.execute("UPDATE sets SET body = NULL WHERE number = ?", (number,))
        return bytes(body)
    return None


class Epoch(NamedTuple):
    """An epoch of one chain: where the chain began, and the commit that ended the epoch."""

    begun: int
    ended_by: bytes | None


def find_epoch(db: sqlite3.Connection, group_id: bytes, epoch: int, token_hash: bytes) -> Epoch:
    """The epoch whose token somebody holds. Unknown groups and epochs answer like wrong tokens. The index finds the
    hash of a secret: how long that takes tells nothing of the secret itself.
    """
    row = db.execute(
        "SELECT begun, ended_by FROM epochs WHERE group_id = ? AND epoch = ? AND token_hash = ?",
        (group_id, epoch, token_hash),
    ).fetchone()
    if row is None:
        raise RoomkeyError("wrong-token", "expected the token of a stored epoch of a group")
    return Epoch(*row)


def open_epoch(db: sqlite3.Connection, group_id: bytes, epoch: int, token_hash: bytes, *, begun: int) -> None:
    """Adds an epoch without a commit. Who has its token may have registered it before a chain came to it."""
    db.execute(
        "INSERT INTO epochs (group_id, epoch, token_hash, begun) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET begun = MIN(begun, excluded.begun)",
        (group_id, epoch, token_hash, begun),
    )


def commits(db: sqlite3.Connection, group_id: bytes, epoch: int, token_hash: bytes) -> list[OrderedCommit]:
    """The commits of the chain from this epoch on, as many as an answer takes."""

    def along() -> Iterator[OrderedCommit]:
        at, wanted = epoch, token_hash
        query = "SELECT ended_by, next_hash FROM epochs WHERE group_id = ? AND epoch = ? AND token_hash = ?"
        while (row := db.execute(query, (group_id, at, wanted)).fetchone()) is not None and row[0] is not None:
            yield OrderedCommit(at, row[0], row[1])
            at, wanted = at + 1, row[1]

    return up_to(COMMITS_PER_ANSWER, along())


def up_to(size: int, items: Iterator[Sized]) -> list[Sized]:
    """Items until their bytes (second field) pass `size`; at least one."""
    taken: list[Sized] = []
    for item in items:
        size -= len(item[1])
        if size < 0 and taken:
            break
        taken.append(item)
    return taken


def pack(numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def unpack(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // 2}H", data)
