"""What a log keeps, in the service's own database file: durable before anybody is told of it, as `store.sqlite` says.

Several processes may use one file. What the log will say is decided by transactions here alone: one makes an epoch,
and only on a head that is published. A checkpoint is signed after that, from what stands here, so whoever signs the
head of one size signs the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MapUpdates
from roomkey.transparency.identity_map import MapLeaf
from roomkey.transparency.manifest import SignedManifest

from roomkey_delivery.log import tiles
from roomkey_delivery.log.keys import LogKeys
from roomkey_delivery.store.files import connect_wal, storing, transaction


class Published(NamedTuple):
    """The newest head with a quorum's cosignatures: its size, its note, when it was stored (Unix seconds)."""

    size: int
    note: bytes
    at: float


class Head(NamedTuple):
    """Where the log stands: its newest size and root, decided but perhaps not published."""

    size: int
    root: bytes
    published: Published | None

    @property
    def is_published(self) -> bool:
        return self.published is not None and self.published.size == self.size


class Pending(NamedTuple):
    """A manifest that waits for an epoch."""

    identity: str
    leaf: MapLeaf


class Stored(NamedTuple):
    """A manifest as it was submitted."""

    signed: SignedManifest
    opening: bytes


class Name(NamedTuple):
    """Where an identity stands in the map, and the VRF's proof of it."""

    place: bytes
    proof: bytes


class LogStore:
    """The tables of `schema.sql` in the file `path`; one thread at a time. Every method may raise
    "service-unavailable".
    """

    def __init__(self, path: Path) -> None:
        self._db = connect_wal(path)
        schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        self._db.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")

    def begin(self, keys: LogKeys) -> None:
        """Makes this the log of these keys, if it has none yet. Errors: "bad-argument" if it has others."""
        ours = keys.log_key.encode(), keys.vrf_key
        with self.writing():
            first = "INSERT OR IGNORE INTO log_state (one, log, vrf, root) VALUES (1, ?, ?, ?)"
            self._db.execute(first, (*ours, merkle.EMPTY_ROOT))
            if self._db.execute("SELECT log, vrf FROM log_state").fetchone() != ours:
                raise RoomkeyError("bad-argument", "expected the file of keys that this database's log began with")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All that is read inside is of one moment."""
        with storing(), transaction(self._db, "DEFERRED"):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is written inside is durable at its end, or nothing of it; nobody else writes meanwhile."""
        with storing(), transaction(self._db):
            yield

    def head(self) -> Head:
        size, root, published, note, at = self._db.execute(
            "SELECT size, root, published_size, published_note, published_at FROM log_state"
        ).fetchone()
        return Head(size, root, None if note is None else Published(published, note, at))

    def close(self) -> None:
        self._db.close()

    # -- manifests --

    def name(self, identity: str) -> Name | None:
        row = self._db.execute("SELECT place, proof FROM log_names WHERE identity = ?", (identity,)).fetchone()
        return None if row is None else Name(*row)

    def add_name(self, identity: str, name: Name) -> None:
        self._db.execute("INSERT OR IGNORE INTO log_names VALUES (?, ?, ?)", (identity, *name))

    def add_manifest(self, identity: str, stored: Stored, commitment: bytes, now: float) -> None:
        """Appends a version, which is pending from now on."""
        row = (identity, stored.signed.manifest.version, stored.signed.encode(), stored.opening, commitment, now)
        columns = "identity, version, signed, opening, commitment, received"
        self._db.execute(f"INSERT INTO log_manifests ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)

    def manifest(self, identity: str, version: int) -> bytes | None:
        """A version's bytes as they were submitted."""
        query = "SELECT signed FROM log_manifests WHERE identity = ? AND version = ?"
        row = self._db.execute(query, (identity, version)).fetchone()
        return None if row is None else bytes(row[0])

    def newest(self, identity: str, size: int | None = None) -> Stored | None:
        """The newest manifest; with `size`, of those that the first `size` epochs brought into the map."""
        logged, arguments = ("", (identity,)) if size is None else (" AND epoch < ?", (identity, size))
        query = f"SELECT signed, opening FROM log_manifests WHERE identity = ?{logged} ORDER BY version DESC LIMIT 1"
        row = self._db.execute(query, arguments).fetchone()
        return None if row is None else Stored(SignedManifest.decode(row[0]), row[1])

    def chain(self, identity: str, after: int, through: int) -> Iterator[bytes]:
        """The versions above `after` up to `through`, the oldest first."""
        query = "SELECT signed FROM log_manifests WHERE identity = ? AND version > ? AND version <= ? ORDER BY version"
        return (row[0] for row in self._db.execute(query, (identity, after, through)))

    def received_since(self, identity: str, since: float) -> int:
        """How many versions of an identity came since then."""
        query = "SELECT COUNT(*) FROM log_manifests WHERE identity = ? AND received > ?"
        return int(self._db.execute(query, (identity, since)).fetchone()[0])

    # -- epochs --

    def has_pending(self) -> bool:
        return self._db.execute("SELECT 1 FROM log_manifests WHERE epoch IS NULL LIMIT 1").fetchone() is not None

    def pending(self, limit: int) -> list[Pending]:
        """The oldest manifest of each identity that waits, by place in the map."""
        rows = self._db.execute(
            "SELECT identity, place, MIN(version), commitment FROM log_manifests JOIN log_names USING (identity)"
            " WHERE epoch IS NULL GROUP BY identity LIMIT ?",
            (limit,),
        )
        return sorted((Pending(row[0], MapLeaf(*row[1:])) for row in rows), key=lambda item: item.leaf.index)

    def append(self, epoch: EpochLeaf, updates: MapUpdates, taken: list[Pending]) -> None:
        """Makes `epoch` the log's next entry, which brings `taken` into the map."""
        number = epoch.number
        self._db.execute("INSERT INTO log_epochs VALUES (?, ?, ?)", (number, epoch.encode(), updates.encode()))
        changed = tiles.appended(self.tile, number, epoch.leaf_hash())
        self._db.executemany("INSERT OR REPLACE INTO log_tiles VALUES (?, ?, ?)", changed)
        root = tiles.subtree(self.tile, 0, number + 1)
        self._db.execute("UPDATE log_state SET size = ?, root = ?", (number + 1, root))
        self._db.executemany(
            "UPDATE log_manifests SET epoch = ? WHERE identity = ? AND version = ?",
            ((number, item.identity, item.leaf.version) for item in taken),
        )

    def epoch(self, number: int) -> EpochLeaf:
        (entry,) = self._db.execute("SELECT entry FROM log_epochs WHERE number = ?", (number,)).fetchone()
        return EpochLeaf.decode(entry)

    def entries(self, start: int, end: int) -> list[bytes]:
        """The entries of [start, end), as many as there are."""
        query = "SELECT entry FROM log_epochs WHERE number >= ? AND number < ? ORDER BY number"
        return [row[0] for row in self._db.execute(query, (start, end))]

    def updates(self, start: int, end: int) -> Iterator[bytes]:
        """The MapUpdates of the epochs of [start, end), as many as there are."""
        query = "SELECT updates FROM log_epochs WHERE number >= ? AND number < ? ORDER BY number"
        return (row[0] for row in self._db.execute(query, (start, end)))

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile, as many as there are."""
        query = "SELECT hashes FROM log_tiles WHERE level = ? AND number = ?"
        row = self._db.execute(query, (level, number)).fetchone()
        return b"" if row is None else bytes(row[0])

    # -- cosignatures --

    def cosigned_sizes(self) -> dict[str, int]:
        """By the witnesses' keys (vkeys), the size that each cosigned last."""
        return dict(self._db.execute("SELECT witness, size FROM log_cosignatures"))

    def add_cosignatures(self, size: int, lines: Mapping[str, tuple[int, bytes]]) -> None:
        """Cosignatures (time, line) of the head of this size, by the witnesses' keys. That of a larger head stays."""
        self._db.executemany(
            "INSERT INTO log_cosignatures VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size,"
            " time = excluded.time, line = excluded.line WHERE excluded.size >= size",
            ((witness, size, time, line) for witness, (time, line) in lines.items()),
        )

    def cosignatures(self, size: int, since: float) -> dict[str, bytes]:
        """The cosignatures of the head of this size that are no older than `since`."""
        query = "SELECT witness, line FROM log_cosignatures WHERE size = ? AND time >= ?"
        return dict(self._db.execute(query, (size, since)))

    def publish(self, size: int, note: bytes, now: float) -> None:
        """Makes the note the log's newest published one, unless that is of a larger size."""
        change = "published_size = ?, published_note = ?, published_at = ?"
        self._db.execute(f"UPDATE log_state SET {change} WHERE published_size <= ?", (size, note, now, size))
