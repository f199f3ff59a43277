"""A log in memory as auditors see it: tiles, entries, updates and checkpoints, honest or not; no service of ours."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from roomkey.crypto.provider import KeyPair
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import merkle
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MapUpdates
from roomkey.transparency.identity_map import MISSING, IdentityMap, MapLeaf
from roomkey.transparency.notes import ED25519, Note, VerifierKey, sign_note

Scope = MutableMapping[str, Any]
CRYPTO = NativeCrypto()


async def make_key(name: str, kind: int = ED25519) -> tuple[VerifierKey, KeyPair]:
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    return VerifierKey(name, kind, pair.public), pair


def leaf(number: int, version: int = 1) -> MapLeaf:
    """The map's leaf of a made-up person."""
    index = hashlib.sha256(f"index {number}".encode()).digest()
    return MapLeaf(index, version, hashlib.sha256(f"commitment {number} {version}".encode()).digest())


class AuditedLog:
    """A log that appends what it is told. What is served can be altered in `altered` (path below the prefix: body)."""

    def __init__(self, key: VerifierKey, pair: KeyPair, time: int) -> None:
        self.key, self.pair, self.time = key, pair, time
        self.map: dict[bytes, MapLeaf] = {}
        self.map_root = MISSING
        self.entries: list[bytes] = []  # EpochLeaf structs, unless a test puts others there
        self.updates: list[bytes] = []
        self.altered: dict[str, bytes] = {}
        self.asked: list[str] = []

    @classmethod
    async def make(cls, origin: str = "email2.example/roomkey", time: int = 1_795_000_000) -> AuditedLog:
        return cls(*await make_key(origin), time)

    def fork(self) -> AuditedLog:
        """The same log, which can go on differently from here."""
        other = AuditedLog(self.key, self.pair, self.time)
        other.map, other.map_root = dict(self.map), self.map_root
        other.entries, other.updates = list(self.entries), list(self.updates)
        return other

    def append(self, *leaves: MapLeaf, **different: Any) -> None:
        """One epoch that sets these leaves; fields of the EpochLeaf may be told otherwise."""
        updates = MapUpdates(tuple(sorted(leaves, key=lambda item: item.index)))
        self.map |= {item.index: item for item in leaves}
        self.time += 1
        honest: dict[str, Any] = {
            "number": len(self.entries),
            "time": self.time,
            "map_root": IdentityMap(self.map.values()).root(),
            "previous_root": self.map_root,
            "updates_hash": updates.hash(),
        }
        epoch = EpochLeaf(**(honest | different))
        self.map_root = epoch.map_root
        self.entries.append(epoch.encode())
        self.updates.append(updates.encode())

    def alter(self, number: int, **fields: Any) -> None:
        """Rewrites an epoch."""
        self.entries[number] = EpochLeaf.decode(self.entries[number]).replace(**fields).encode()

    def hashes(self) -> list[bytes]:
        return [merkle.leaf_hash(entry) for entry in self.entries]

    def consistency(self, old: int, new: int) -> list[bytes]:
        hashes = self.hashes()
        return merkle.consistency_proof(lambda start, end: merkle.root(hashes[start:end]), old, new)

    def head(self, size: int | None = None) -> Checkpoint:
        count = len(self.entries) if size is None else size
        return Checkpoint(self.key.name, count, merkle.root(self.hashes()[:count]))

    async def checkpoint(self, size: int | None = None) -> Note:
        return await sign_note(CRYPTO, self.head(size).text(), self.key, self.pair)

    # -- what it serves --

    def serve(self, path: str) -> bytes | None:
        """The body at a path below the prefix (c2sp.org/tlog-tiles); None: not there."""
        self.asked.append(path)
        if path in self.altered:
            return self.altered[path]
        kind, _, rest = path.partition("/")
        if kind == "updates":
            return self.updates[int(rest)] if int(rest) < len(self.updates) else None
        if kind != "tile":
            return None
        level, _, place = rest.partition("/")
        place, _, width = place.partition(".p/")
        number = int("".join(part.removeprefix("x") for part in place.split("/")))
        count = int(width or 256)
        if level == "entries":
            entries = self.entries[number * 256 : number * 256 + count]
            found = [len(entry).to_bytes(2, "big") + entry for entry in entries]
        else:
            found = list(self._tile(int(level), number)[:count])
        return b"".join(found) if len(found) == count else None

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        span, hashes = 256**level, self.hashes()
        whole = [merkle.root(hashes[start : start + span]) for start in range(0, len(hashes) - span + 1, span)]
        return list(itertools.islice(whole, number * 256, number * 256 + 256))

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        body = self.serve(scope["path"].removeprefix("/v1/log/"))
        status = 404 if body is None else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body or b""})
