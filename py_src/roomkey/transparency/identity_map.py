"""The identity map: a binary prefix tree that says for every index one version and one commitment (wire.md section 6).

    leaf  = SHA-256(0x02 || index[32] || uint64 version || commitment[32])
    node  = SHA-256(0x03 || left[32] || right[32])        a missing child is 32 zero bytes

A leaf stands at the shortest prefix of its index that no other leaf shares; a map of one leaf is that leaf, an empty
one 32 zero bytes. So the set of leaves fixes the root, and the way to an index ends in its leaf, in another leaf, or in
a missing child: each proves what the map says of it.
"""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from roomkey.errors import RoomkeyError
from roomkey.tls import U64, Struct, fixed, optional, uint16, vector
from roomkey.transparency.merkle import HASH_SIZE

INDEX_BITS: Final = 8 * HASH_SIZE
MISSING: Final = bytes(HASH_SIZE)

Hash = fixed(HASH_SIZE)


class MapLeaf(Struct):
    """What the map says of one index.

    struct { opaque index[32]; uint64 version; opaque commitment[32]; } MapLeaf;
    """

    index: Annotated[bytes, Hash]
    version: U64
    commitment: Annotated[bytes, Hash]

    def hash(self) -> bytes:
        return hashlib.sha256(b"\x02" + self.encode()).digest()


class MapProof(Struct):
    """The way from the root to an index: the hashes beside it, the root's child first, and another's leaf at its end.

    struct { optional<Hash> siblings<0..2^16-1>; optional<MapLeaf> other; } MapProof;
    """

    siblings: Annotated[tuple[bytes | None, ...], vector(optional(Hash), uint16, 0, 33 * INDEX_BITS)]
    other: Annotated[MapLeaf | None, optional(MapLeaf)]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x03 || left || right)."""
    return hashlib.sha256(b"\x03" + left + right).digest()


def bit(index: bytes, depth: int) -> int:
    """Which child the way to an index takes at a depth, 0 for left."""
    return index[depth >> 3] >> (7 - (depth & 7)) & 1


def verify_presence(root: bytes, leaf: MapLeaf, proof: MapProof) -> None:
    """That the map of this root says `leaf`.

    1. the proof ends in no other leaf, and not below the last bit.
    2. the leaf stands as high as it can: somebody is beside it, unless it is alone.
    3. leaf and siblings give the root.

    Errors: "log-proof-invalid".
    """
    if proof.other is not None:
        raise _invalid("expected a way that ends in the leaf, got another leaf")
    _check_shape(proof)
    _expect_root(_climb(leaf.index, leaf.hash(), proof.siblings), root)


def verify_absence(root: bytes, index: bytes, proof: MapProof) -> None:
    """That the map of this root says nothing of `index`.

    1. the way ends in a missing child, or in the leaf of an index that is not this one and shares the way.
    2. another's leaf stands as high as it can, as in `verify_presence`.
    3. what it ends in and the siblings give the root.

    Errors: "log-proof-invalid".
    """
    end = MISSING
    if proof.other is not None:
        depth = len(proof.siblings)
        shared = all(bit(index, level) == bit(proof.other.index, level) for level in range(min(depth, INDEX_BITS)))
        if proof.other.index == index or not shared:
            raise _invalid("expected the leaf of another index on the same way")
        end = proof.other.hash()
    _check_shape(proof)
    _expect_root(_climb(index, end, proof.siblings), root)


class IdentityMap:
    """A map in memory, for logs, auditors and tests. `leaves` are sorted by index, each index once."""

    def __init__(self, leaves: Iterable[MapLeaf]) -> None:
        self._leaves = sorted(leaves, key=lambda leaf: leaf.index)
        self._indexes = [leaf.index for leaf in self._leaves]
        for before, after in zip(self._indexes, self._indexes[1:], strict=False):
            if before == after:
                raise RoomkeyError("bad-argument", "expected each index once")

    def __len__(self) -> int:
        return len(self._leaves)

    def root(self) -> bytes:
        return self._subtree(0, len(self._leaves), 0)

    def get(self, index: bytes) -> MapLeaf | None:
        place = bisect_left(self._indexes, index)
        return self._leaves[place] if self._indexes[place : place + 1] == [index] else None

    def proof(self, index: bytes) -> MapProof:
        """The proof of presence or absence of an index."""
        start, end, depth = 0, len(self._leaves), 0
        siblings: list[bytes | None] = []
        while end - start > 1:
            middle = self._middle(start, end, depth)
            right = bit(index, depth)
            beside = self._subtree(start, middle, depth + 1) if right else self._subtree(middle, end, depth + 1)
            siblings.append(None if beside == MISSING else beside)
            start, end = (middle, end) if right else (start, middle)
            depth += 1
        found = self._leaves[start] if end > start else None
        return MapProof(tuple(siblings), None if found is None or found.index == index else found)

    def _subtree(self, start: int, end: int, depth: int) -> bytes:
        if end - start < 2:
            return self._leaves[start].hash() if end > start else MISSING
        middle = self._middle(start, end, depth)
        return node_hash(self._subtree(start, middle, depth + 1), self._subtree(middle, end, depth + 1))

    def _middle(self, start: int, end: int, depth: int) -> int:
        """The first leaf of [start, end), which share `depth` bits, whose next bit is set."""
        prefix = int.from_bytes(self._indexes[start], "big") >> (INDEX_BITS - depth)
        border = (prefix << 1 | 1) << (INDEX_BITS - depth - 1)
        return bisect_left(self._indexes, border.to_bytes(HASH_SIZE, "big"), start, end)


def _check_shape(proof: MapProof) -> None:
    if len(proof.siblings) > INDEX_BITS:
        raise _invalid(f"expected at most {INDEX_BITS} levels, got {len(proof.siblings)}")
    if proof.siblings and proof.siblings[-1] is None:
        raise _invalid("expected a leaf that stands as high as it can")
    if any(sibling == MISSING for sibling in proof.siblings):
        raise _invalid("expected a missing child to be left out")


def _climb(index: bytes, end: bytes, siblings: Sequence[bytes | None]) -> bytes:
    top = end
    for depth in range(len(siblings) - 1, -1, -1):
        beside = siblings[depth] or MISSING
        top = node_hash(beside, top) if bit(index, depth) else node_hash(top, beside)
    return top


def _expect_root(got: bytes, expected: bytes) -> None:
    if not hmac.compare_digest(got, expected):
        raise _invalid("expected the map's root, the proof gives another")


def _invalid(text: str) -> RoomkeyError:
    return RoomkeyError("log-proof-invalid", text)
