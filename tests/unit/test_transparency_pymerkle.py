"""Our trees and proofs beside those of pymerkle, another implementation of RFC 9162's trees."""

from __future__ import annotations

import itertools

import pytest
from pymerkle import InmemoryTree, InvalidProof, verify_consistency, verify_inclusion  # type: ignore[import-untyped]
from pymerkle.proof import ConsistencyProof, InclusionProof  # type: ignore[import-untyped]
from roomkey.transparency import merkle
from roomkey_delivery.audit.frontier import Frontier

ENTRIES = [f"epoch {number}".encode() for number in range(1030)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
SMALL = range(1, 67)
LARGE = (127, 128, 129, 255, 256, 257, 511, 512, 513, 1000, 1023, 1024, 1025, 1030)
PLACES = (0, 1, 2, 63, 64, 126, 127, 128, 200, 255, 256, 511, 512, 1022, 1023, 1024, 1028, 1029)
PAIRS = [
    *((old, new) for new in SMALL for old in range(1, new + 1)),
    *((old, new) for old, new in itertools.combinations(LARGE, 2)),
    *((place + 1, new) for new in LARGE for place in PLACES if place < new),
]


@pytest.fixture(scope="module")
def tree() -> InmemoryTree:
    made = InmemoryTree(algorithm="sha256")
    for entry in ENTRIES:
        made.append_entry(entry)
    return made


def subtree(start: int, end: int) -> bytes:
    return merkle.root(LEAVES[start:end])


def test_roots(tree: InmemoryTree) -> None:
    edge = Frontier()
    for size in range(1, len(LEAVES) + 1):
        edge = edge.append(LEAVES[size - 1])
        assert edge.root() == tree.get_root(size)
        if size in SMALL or size in LARGE:
            assert subtree(0, size) == tree.get_root(size)
    assert Frontier.decode(edge.size, edge.encode()) == edge


def test_inclusion(tree: InmemoryTree) -> None:
    """Their proof is ours, ours satisfies them, theirs satisfies us; and ours of another leaf satisfies nobody."""
    for size in (*SMALL, *LARGE):
        root = tree.get_root(size)
        for index in range(size) if size in SMALL else [place for place in PLACES if place < size]:
            theirs, ours = tree.prove_inclusion(index + 1, size), merkle.inclusion_proof(subtree, index, size)
            assert theirs.path == [LEAVES[index], *ours]
            rebuilt = InclusionProof("sha256", True, size, index + 1, theirs.rule, [LEAVES[index], *ours])
            verify_inclusion(LEAVES[index], root, rebuilt, index=index + 1, size=size)
            merkle.verify_inclusion(LEAVES[index], index, size, theirs.path[1:], root)
            if size > 1:
                with pytest.raises(InvalidProof):
                    verify_inclusion(LEAVES[index - 1], root, rebuilt, index=index + 1, size=size)


def test_consistency(tree: InmemoryTree) -> None:
    """Their proof holds for our roots; written as RFC 6962 has it, it is ours."""
    for old, new in PAIRS:
        theirs = tree.prove_consistency(old, new)
        verify_consistency(subtree(0, old), subtree(0, new), theirs, prior_size=old, later_size=new)
        ours = merkle.consistency_proof(subtree, old, new)
        assert rewritten(theirs, old, new) == ours, (old, new)
        merkle.verify_consistency(old, new, ours, tree.get_root(old), tree.get_root(new))


def rewritten(proof: ConsistencyProof, old: int, new: int) -> list[bytes]:
    """A proof of pymerkle's in the form of RFC 6962.

    It always names the last perfect subtree of the old tree, which the RFC leaves out where that is the whole old tree;
    and where the old tree ends at a subtree's edge it names what is beside it in pieces down to a leaf.
    """
    if old == new:
        return []
    edge = proof.subset.index(1)  # of the hashes before it, none is in the old tree
    hashes, seed = proof.path[:edge], proof.path[edge]
    whole = [] if old & (old - 1) == 0 else [seed]
    if not hashes:
        return [*whole, *proof.path[1:]]
    beside = hashes[0]
    for bit, piece in zip(proof.rule, hashes[1:], strict=False):
        beside = merkle.node_hash(piece, beside) if bit else merkle.node_hash(beside, piece)
    return [*whole, beside, *proof.path[edge + 1 :]]
