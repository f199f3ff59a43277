"""Merkle trees: every tree up to 40 leaves against the definition of RFC 6962, and forged proofs."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle

LEAVES = [merkle.leaf_hash(bytes((number,))) for number in range(40)]


@functools.cache
def tree_head(start: int, end: int) -> bytes:
    """MTH(D[start:end]), written as RFC 6962 section 2.1 defines it."""
    if start == end:
        return merkle.EMPTY_ROOT
    if end - start == 1:
        return LEAVES[start]
    split = 1
    while split * 2 < end - start:
        split *= 2
    return merkle.node_hash(tree_head(start, start + split), tree_head(start + split, end))


@pytest.mark.parametrize("size", range(41))
def test_roots_are_those_of_the_definition(size: int) -> None:
    assert merkle.root(LEAVES[:size]) == tree_head(0, size)


@pytest.mark.parametrize("size", range(1, 41))
def test_every_leaf_is_proved_and_no_other(size: int) -> None:
    top = tree_head(0, size)
    for index in range(size):
        proof = merkle.inclusion_proof(tree_head, index, size)
        merkle.verify_inclusion(LEAVES[index], index, size, proof, top)
        for other in {(index + 1) % size, size - 1, 0} - {index}:
            with pytest.raises(RoomkeyError, match="expected"):
                merkle.verify_inclusion(LEAVES[index], other, size, proof, top)
            with pytest.raises(RoomkeyError, match="root"):
                merkle.verify_inclusion(LEAVES[other], index, size, proof, top)


@pytest.mark.parametrize("new", range(1, 41))
def test_every_prefix_is_proved(new: int) -> None:
    for old in range(1, new + 1):
        proof = merkle.consistency_proof(tree_head, old, new)
        merkle.verify_consistency(old, new, proof, tree_head(0, old), tree_head(0, new))
        if 1 < old < new:
            with pytest.raises(RoomkeyError) as refused:
                merkle.verify_consistency(old, new, proof, tree_head(0, old - 1), tree_head(0, new))
            assert refused.value.code == "log-proof-invalid"


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 63), st.integers(0, 255))
def test_a_proof_with_one_bit_changed_proves_nothing(size: int, index: int, place: int, bit: int) -> None:
    index %= size
    proof = merkle.inclusion_proof(tree_head, index, size)
    if proof:
        changed = bytearray(proof[place % len(proof)])
        changed[bit // 8] ^= 1 << bit % 8
        proof[place % len(proof)] = bytes(changed)
        with pytest.raises(RoomkeyError, match="root"):
            merkle.verify_inclusion(LEAVES[index], index, size, proof, tree_head(0, size))


def test_a_proof_of_hashes_without_end_is_not_read() -> None:
    with pytest.raises(RoomkeyError, match="at most"):
        merkle.verify_inclusion(LEAVES[0], 0, 2, [bytes(32)] * 1000, bytes(32))


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(RoomkeyError, match="32 bytes"):
        merkle.verify_inclusion(LEAVES[0], 0, 2, [bytes(31)], bytes(32))
    with pytest.raises(RoomkeyError, match="below the tree"):
        merkle.verify_inclusion(LEAVES[0], 2**64, 2**64 + 1, [], bytes(32))
    with pytest.raises(RoomkeyError, match="at least"):
        merkle.verify_consistency(5, 4, [], bytes(32), bytes(32))
    with pytest.raises(RoomkeyError, match="index below"):
        merkle.inclusion_proof(tree_head, 4, 4)
    with pytest.raises(RoomkeyError, match="old size"):
        merkle.consistency_proof(tree_head, 5, 4)
