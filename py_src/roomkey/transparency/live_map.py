"""The identity map of a log or an auditor that runs: the tree of `identity_map`, changed in place.

Leaves lie in buckets by the first 18 bits of their index; above the buckets stands the top of the tree, a heap of
2^19 nodes that each keep their hash and how many leaves are below. A change costs its bucket (4 leaves at a million)
and the 18 nodes over it. A leaf takes about 150 bytes, the top 20 MB.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from roomkey.transparency.identity_map import INDEX_BITS, MISSING, MapLeaf, MapProof, bit
from roomkey.transparency.merkle import HASH_SIZE

_DEPTH: Final = 18  # of the buckets; at a million leaves the fastest
_FIRST: Final = 1 << _DEPTH  # the first bucket's place in the heap, whose root is 1

# The leaves below one node, sorted: as MapLeaf encodes them, index first.
_Leaves = list[bytes]
# How many leaves are below a node, and its hash.
_Node = tuple[int, bytes]


class LiveMap:
    """Roots and proofs as `identity_map.IdentityMap` has them. `leaves`: each index once."""

    def __init__(self, leaves: Iterable[MapLeaf] = ()) -> None:
        self._buckets: dict[int, _Leaves] = {}
        self._counts = array("L", bytes(array("L").itemsize * 2 * _FIRST))
        self._hashes = bytearray(HASH_SIZE * 2 * _FIRST)
        self.update(leaves)

    def __len__(self) -> int:
        return self._counts[1]

    def root(self) -> bytes:
        return self._hash(1)

    def get(self, index: bytes) -> MapLeaf | None:
        leaves = self._buckets.get(_bucket(index), [])
        place = bisect_left(leaves, index)
        found = leaves[place : place + 1]
        return MapLeaf.decode(found[0]) if found and found[0].startswith(index) else None

    def update(self, leaves: Iterable[MapLeaf]) -> None:
        """Sets these leaves, in place of those that the indexes had."""
        buckets, nodes = self._changes(leaves)
        self._buckets |= buckets
        for node, (count, value) in nodes.items():
            self._counts[node] = count
            self._hashes[node * HASH_SIZE : (node + 1) * HASH_SIZE] = value

    def root_with(self, leaves: Iterable[MapLeaf]) -> bytes:
        """The root that `update` with these leaves would give; nothing is changed."""
        _, nodes = self._changes(leaves)
        return nodes[1][1] if nodes else self.root()

    def proof(self, index: bytes) -> MapProof:
        """The proof of presence or absence of an index."""
        siblings: list[bytes | None] = []
        node, depth = 1, 0
        while depth < _DEPTH and self._counts[node] > 1:
            right = bit(index, depth)
            beside = self._hash(2 * node + 1 - right)
            siblings.append(None if beside == MISSING else beside)
            node, depth = 2 * node + right, depth + 1
        leaves = [] if self._counts[node] == 0 else self._below(node, depth)
        start, end = 0, len(leaves)
        while end - start > 1:
            middle = _middle(leaves, start, end, depth)
            right = bit(index, depth)
            beside = _subtree(leaves, *((start, middle) if right else (middle, end)), depth + 1)
            siblings.append(None if beside == MISSING else beside)
            start, end = (middle, end) if right else (start, middle)
            depth += 1
        found = MapLeaf.decode(leaves[start]) if end > start else None
        return MapProof(tuple(siblings), None if found is None or found.index == index else found)

    def leaves(self) -> Iterator[MapLeaf]:
        """All leaves, by index."""
        for bucket in sorted(self._buckets):
            yield from map(MapLeaf.decode, self._buckets[bucket])

    def _below(self, node: int, depth: int) -> _Leaves:
        """The leaves of a bucket, or the one leaf below a node above."""
        while depth < _DEPTH:
            node, depth = 2 * node + (self._counts[2 * node] == 0), depth + 1
        return self._buckets[node - _FIRST]

    def _changes(self, leaves: Iterable[MapLeaf]) -> tuple[dict[int, _Leaves], dict[int, _Node]]:
        """The buckets and the nodes of the heap that are others with these leaves."""
        buckets: dict[int, _Leaves] = {}
        for leaf in leaves:
            bucket = _bucket(leaf.index)
            held = buckets.get(bucket)
            if held is None:
                held = buckets[bucket] = list(self._buckets.get(bucket, ()))
            place = bisect_left(held, leaf.index)
            there = place < len(held) and held[place].startswith(leaf.index)
            held[place : place + there] = [leaf.encode()]
        level = {_FIRST + at: (len(held), _subtree(held, 0, len(held), _DEPTH)) for at, held in buckets.items()}
        nodes: dict[int, _Node] = {}
        while level:
            nodes |= level
            level = {node: self._combined(node, nodes) for node in {below >> 1 for below in level} if node}
        return buckets, nodes

    def _combined(self, node: int, changed: dict[int, _Node]) -> _Node:
        """A node whose children, where they are in `changed`, are so."""
        left_count, left = changed.get(2 * node) or self._node(2 * node)
        right_count, right = changed.get(2 * node + 1) or self._node(2 * node + 1)
        count = left_count + right_count
        if count < 2:  # a leaf alone stands as high as it can
            return count, left if left_count else right
        return count, sha256(b"\x03" + left + right).digest()

    def _node(self, node: int) -> _Node:
        return self._counts[node], self._hash(node)

    def _hash(self, node: int) -> bytes:
        return bytes(self._hashes[node * HASH_SIZE : (node + 1) * HASH_SIZE])


def _bucket(index: bytes) -> int:
    return int.from_bytes(index[:3], "big") >> (24 - _DEPTH)


def _subtree(leaves: Sequence[bytes], start: int, end: int, depth: int) -> bytes:
    """The root over leaves [start, end), which share `depth` bits."""
    if end - start < 2:
        return sha256(b"\x02" + leaves[start]).digest() if end > start else MISSING
    middle = _middle(leaves, start, end, depth)
    below = _subtree(leaves, start, middle, depth + 1) + _subtree(leaves, middle, end, depth + 1)
    return sha256(b"\x03" + below).digest()


def _middle(leaves: Sequence[bytes], start: int, end: int, depth: int) -> int:
    """The first leaf of [start, end) whose next bit is set."""
    prefix = int.from_bytes(leaves[start][:HASH_SIZE], "big") >> (INDEX_BITS - depth)
    border = (prefix << 1 | 1) << (INDEX_BITS - depth - 1)
    return bisect_left(leaves, border.to_bytes(HASH_SIZE, "big"), start, end)
