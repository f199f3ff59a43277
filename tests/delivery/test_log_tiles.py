"""Trees in tiles have the roots and proofs of trees whose leaves are all at hand."""

from __future__ import annotations

import hashlib
import random

from roomkey.transparency import merkle
from roomkey_delivery.log.tiles import appended, subtree

SIZE = 66_000  # past a tile of level 1
SEED = 20261123


def test_roots_and_proofs() -> None:
    stored: dict[tuple[int, int], bytes] = {}
    leaves = [hashlib.sha256(b"%d" % number).digest() for number in range(SIZE)]
    choose = random.Random(SEED)
    looked_at = {*range(520), *choose.sample(range(SIZE), 20), 65_535, 65_536, 65_537, SIZE}

    def read(level: int, number: int) -> bytes:
        return stored.get((level, number), b"")

    def tree(start: int, end: int) -> bytes:
        return subtree(read, start, end)

    for size in range(SIZE + 1):
        if size in looked_at:
            root = merkle.root(leaves[:size])
            assert tree(0, size) == root
            for _ in range(3 if size else 0):
                index, old = choose.randrange(size), choose.randint(1, size)
                proof = merkle.inclusion_proof(tree, index, size)
                merkle.verify_inclusion(leaves[index], index, size, proof, root)
                consistency = merkle.consistency_proof(tree, old, size)
                merkle.verify_consistency(old, size, consistency, merkle.root(leaves[:old]), root)
        if size < SIZE:
            stored |= {(level, number): hashes for level, number, hashes in appended(read, size, leaves[size])}
    assert {(level, len(hashes) // 32) for (level, _), hashes in stored.items()} == {
        (0, 256), (0, SIZE % 256), (1, 256), (1, SIZE // 256 % 256), (2, 1)
    }  # fmt: skip
