"""Properties of tree shapes: positions, and where members go."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from roomkey.crypto.suites import SUITES
from roomkey.mls import tree_math
from roomkey.mls.credential import Credential
from roomkey.mls.leaf_node import UPDATE, LeafNode, own_capabilities
from roomkey.mls.ratchet_tree import ParentNode, RatchetTree
from roomkey.mls.tree_hash import tree_hash

SUITE = SUITES[1]
CAN = own_capabilities([1])
CREDENTIAL = Credential.basic(b"someone@email1.example")

places = st.integers(0, 10).flatmap(lambda depth: st.tuples(st.just(1 << depth), st.integers(0, 2 * (1 << depth) - 2)))


@given(places)
def test_positions_fit_together(place: tuple[int, int]) -> None:
    width, node = place
    path, copath = tree_math.direct_path(node, width), tree_math.copath(node, width)
    assert len(path) == len(copath)
    assert [node, *path][-1] == tree_math.root(width)
    at = node
    for above, other in zip(path, copath, strict=True):
        assert {tree_math.left(above), tree_math.right(above)} == {at, other}
        assert tree_math.level(above) == tree_math.level(at) + 1
        at = above
    # the spans of a node and its copath share out the leaves
    spans = [tree_math.span(part) for part in (node, *copath)]
    leaves = sorted(leaf for first, end in spans for leaf in range(first, end))
    assert leaves == list(range(width))


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_common_ancestors(first: int, second: int) -> None:
    width = tree_math.width_for(max(first, second) + 1)
    paths = [[2 * leaf, *tree_math.direct_path(2 * leaf, width)] for leaf in (first, second)]
    ancestor = next(node for node in paths[0] if node in paths[1])
    assert tree_math.common_ancestor(first, second) == ancestor
    assert tree_math.covers(ancestor, first)
    assert tree_math.covers(ancestor, second)


def leaf(number: int) -> LeafNode:
    key = number.to_bytes(32, "big")
    return LeafNode(key, key, CREDENTIAL, CAN, UPDATE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(0, 40), max_size=6), st.integers(0, 40)), max_size=8))
def test_members_go_to_the_leftmost_blank_leaves(life: list[tuple[int, list[int], int]]) -> None:
    model: dict[int, int] = {0: 0}  # leaf index -> the number of its member
    tree = RatchetTree.of(SUITE, leaf(0))
    count = 1
    for add, remove, fill in life:
        gone = sorted({index for index in remove if index in model})[: len(model) - 1]
        for index in gone:
            del model[index]
        tree = tree.remove(gone)
        if fill in model:  # a path: every node above becomes somebody's
            above = tree_math.direct_path(2 * fill, tree.width)
            tree = tree.with_path(fill, leaf(model[fill]), {node: ParentNode(b"p" * 32, b"") for node in above})
        new = list(range(count, count + add))
        count += add
        tree_hash(tree)  # so that what is taken over gets tested
        before = tree.encode()
        added_tree, indexes = tree.add([leaf(number) for number in new])
        one_by_one = tree
        for number, index in zip(new, indexes, strict=True):
            assert index == next(free for free in range(len(model) + 1) if free not in model)
            model[index] = number
            one_by_one, _ = one_by_one.add([leaf(number)])
        assert tree.encode() == before
        tree = added_tree
        assert one_by_one.encode() == tree.encode()
        assert {index: int.from_bytes(member.encryption_key, "big") for index, member in tree.members()} == model
        assert tree.width == tree_math.width_for(max(model) + 1)
        fresh = RatchetTree.decode(SUITE, tree.encode())
        assert tree_hash(fresh) == tree_hash(tree)
        assert (fresh.width, fresh.encode()) == (tree.width, tree.encode())
