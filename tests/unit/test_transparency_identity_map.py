"""The identity map: its root against the definition, every index proved, forged proofs refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roomkey.errors import RoomkeyError
from roomkey.transparency.identity_map import (
    MISSING,
    IdentityMap,
    MapLeaf,
    MapProof,
    bit,
    node_hash,
    verify_absence,
    verify_presence,
)


def leaf(index: bytes, version: int = 1) -> MapLeaf:
    return MapLeaf(index, version, hashlib.sha256(index).digest())


# Indexes of few bits, so that many share long prefixes; the last one goes to the tree's bottom.
indexes = st.one_of(
    st.binary(min_size=2, max_size=2).map(lambda short: short + bytes(30)),
    st.integers(0, 7).map(lambda last: bytes(31) + bytes((last,))),
    st.binary(min_size=32, max_size=32),
)
maps = st.lists(indexes, unique=True, max_size=40)


def defined_root(leaves: list[MapLeaf], depth: int = 0) -> bytes:
    """The root as the module's first lines define it."""
    if not leaves:
        return MISSING
    if len(leaves) == 1:
        return leaves[0].hash()
    sides = [[item for item in leaves if bit(item.index, depth) == side] for side in (0, 1)]
    return node_hash(defined_root(sides[0], depth + 1), defined_root(sides[1], depth + 1))


def test_a_leaf_is_hashed_as_specified() -> None:
    item = MapLeaf(b"\x01" * 32, 7, b"\x02" * 32)
    assert item.hash() == hashlib.sha256(b"\x02" + b"\x01" * 32 + (7).to_bytes(8, "big") + b"\x02" * 32).digest()
    assert node_hash(b"\x03" * 32, MISSING) == hashlib.sha256(b"\x03" + b"\x03" * 32 + bytes(32)).digest()


@given(maps)
def test_the_root_is_that_of_the_definition(members: list[bytes]) -> None:
    leaves = [leaf(index) for index in members]
    assert IdentityMap(leaves).root() == defined_root(leaves)


@given(maps, indexes)
def test_every_index_is_proved(members: list[bytes], asked: bytes) -> None:
    tree = IdentityMap([leaf(index) for index in members])
    root = tree.root()
    for index in {*members, asked}:
        proof = MapProof.decode(tree.proof(index).encode())
        found = tree.get(index)
        if found is None:
            verify_absence(root, index, proof)
            refused(verify_presence, root, leaf(index), proof)
        else:
            verify_presence(root, found, proof)
            refused(verify_absence, root, index, proof)
            refused(verify_presence, root, found.replace(version=2), proof)
            refused(verify_presence, root, found.replace(commitment=bytes(32)), proof)


@given(st.lists(indexes, unique=True, min_size=2, max_size=12), st.integers(0, 11), st.integers(0, 255))
def test_one_bit_changed_proves_nothing(members: list[bytes], which: int, place: int) -> None:
    tree = IdentityMap([leaf(index) for index in members])
    index = members[which % len(members)]
    proof = tree.proof(index)
    number = place % len(proof.siblings)
    sibling = bytearray(proof.siblings[number] or MISSING)
    sibling[place % 32] ^= 1 << place % 8
    changed = (*proof.siblings[:number], bytes(sibling), *proof.siblings[number + 1 :])
    refused(verify_presence, tree.root(), leaf(index), proof.replace(siblings=changed))


def test_a_leaf_lower_than_it_must_be_is_refused() -> None:
    """Two places for one leaf would let a log show it to some and not to others."""
    item = leaf(bytes(32))
    root = node_hash(item.hash(), MISSING)
    refused(verify_presence, root, item, MapProof((None,), None))


def test_another_leaf_that_is_not_on_the_way_proves_no_absence() -> None:
    there, asked = leaf(b"\x00" * 32), b"\x80" + bytes(31)
    tree = IdentityMap([there, leaf(b"\x40" + bytes(31)), leaf(b"\xc0" + bytes(31))])
    borrowed = tree.proof(b"\x01" + bytes(31))
    assert borrowed.other == there
    refused(verify_absence, tree.root(), asked, borrowed)


def test_a_proof_below_the_last_bit_is_refused() -> None:
    refused(
        lambda: verify_presence(MISSING, leaf(bytes(32)), MapProof((bytes((1,)) * 32,) * 256 + (b"\x01" * 32,), None))
    )


def test_an_index_stands_once() -> None:
    with pytest.raises(RoomkeyError, match="once"):
        IdentityMap([leaf(bytes(32)), leaf(bytes(32), 2)])


def refused(check: Callable[..., None], *arguments: object) -> None:
    with pytest.raises(RoomkeyError) as error:
        check(*arguments)
    assert error.value.code == "log-proof-invalid"
