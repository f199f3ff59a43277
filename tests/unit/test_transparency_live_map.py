"""A map that is changed in place has the roots and proofs of one that is built whole."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from roomkey.transparency.identity_map import IdentityMap, MapLeaf, verify_absence, verify_presence
from roomkey.transparency.live_map import LiveMap


def _index(number: int, shared: int) -> bytes:
    """An index; those of a small `number` share up to `shared` bytes at their beginning, or at their end."""
    digest = hashlib.sha256(number.to_bytes(8, "big")).digest()
    return bytes(shared) + digest[shared:] if number % 2 else digest[:2] + bytes(shared) + digest[2 + shared :]


def _leaf(number: int, shared: int, version: int) -> MapLeaf:
    return MapLeaf(_index(number, shared), version, hashlib.sha256(b"c" + bytes((version,))).digest())


one = st.tuples(st.integers(0, 30), st.sampled_from([0, 1, 2, 3, 29]), st.integers(1, 9))
steps = st.lists(st.lists(one, max_size=6), max_size=4)


@settings(max_examples=50, deadline=None)
@given(steps)
def test_the_same_as_a_map_that_is_built_whole(changes: list[list[tuple[int, int, int]]]) -> None:
    live, known = LiveMap(), dict[bytes, MapLeaf]()
    for change in changes:
        leaves = {leaf.index: leaf for leaf in (_leaf(*item) for item in change)}
        before = live.root()
        known |= leaves
        whole = IdentityMap(known.values())
        assert live.root_with(leaves.values()) == whole.root()
        assert live.root() == before
        live.update(leaves.values())
        assert live.root() == whole.root()
        assert len(live) == len(known)
        assert list(live.leaves()) == sorted(known.values(), key=lambda leaf: leaf.index)
        for leaf in known.values():
            assert live.get(leaf.index) == leaf
            assert live.proof(leaf.index) == whole.proof(leaf.index)
            verify_presence(live.root(), leaf, live.proof(leaf.index))
        for number in range(5):
            absent = _index(number + 100, number)
            assert live.get(absent) is None
            assert live.proof(absent) == whole.proof(absent)
            verify_absence(live.root(), absent, live.proof(absent))


def test_an_empty_map() -> None:
    live = LiveMap()
    assert live.root() == IdentityMap([]).root()
    assert live.proof(bytes(32)) == IdentityMap([]).proof(bytes(32))
