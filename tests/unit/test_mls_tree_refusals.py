"""Trees that break one rule each: on the wire, for a joiner, in their parent hashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.credential import X509, Credential
from roomkey.mls.leaf_node import (
    COMMIT,
    KEY_PACKAGE,
    LeafNode,
    Lifetime,
    own_capabilities,
)
from roomkey.mls.ratchet_tree import MAX_WIDTH, Node, ParentNode, RatchetTree
from roomkey.mls.tree_hash import OriginalHashes, parent_hash, parent_hash_failure, tree_hash
from roomkey.mls.tree_validation import check_members, check_unmerged_leaves, verify_tree

from tests.unit.tree_members import GROUP_ID, Room, make_member

SUITE = SUITES[1]
NOW = 1000.0
CAN = own_capabilities([1, 2, 3])
GOOD = LeafNode(
    b"e" * 32, b"s" * 32, Credential.basic(b"alice@email1.example"), CAN, KEY_PACKAGE,
    lifetime=Lifetime(0, 86400), signature=b"-" * 64,
)  # fmt: skip


# -- trees on the wire --


def tree_of(nodes: list[Node | None]) -> RatchetTree:
    return RatchetTree(SUITE, nodes)


LEAF, PARENT = GOOD.encode(), ParentNode(b"p" * 32, b"").encode()


def vector(*nodes: bytes) -> bytes:
    body = b"".join(nodes)
    return (
        (len(body) | 0x80000000).to_bytes(4, "big") + body
        if len(body) >= 0x4000
        else ((len(body) | 0x4000).to_bytes(2, "big") if len(body) >= 64 else bytes((len(body),))) + body
    )


A_LEAF, A_PARENT, BLANK = b"\1\1" + LEAF, b"\1\2" + PARENT, b"\0"


@pytest.mark.parametrize(
    ("code", "rule", "data"),
    [
        ("invalid-tree", "tree-trailing-blank", vector()),
        ("invalid-tree", "tree-trailing-blank", vector(BLANK)),
        ("invalid-tree", "tree-trailing-blank", vector(A_LEAF, BLANK, BLANK)),
        ("invalid-tree", "tree-node-kinds", vector(A_PARENT)),
        ("invalid-tree", "tree-node-kinds", vector(A_LEAF, A_LEAF)),
        ("malformed", None, vector(A_LEAF) + b"\0"),
        ("malformed", None, vector(A_LEAF)[:-1]),
        ("malformed", None, vector(b"\2" + A_LEAF[1:])),
        ("malformed", None, vector(b"\1\3" + LEAF)),
        ("malformed", None, b""),
        ("too-large", None, vector(BLANK * (2 * MAX_WIDTH - 1), A_LEAF)),
    ],
)
def test_trees_that_do_not_decode(code: str, rule: str | None, data: bytes) -> None:
    with pytest.raises(RoomkeyError) as caught:
        RatchetTree.decode(SUITE, data)
    assert (caught.value.code, caught.value.details.get("rule")) == (code, rule)


def test_trees_are_extended_to_full_width() -> None:
    for nodes, width in (([A_LEAF], 1), ([A_LEAF, A_PARENT], 2), ([BLANK, BLANK, BLANK, BLANK, A_LEAF], 4)):
        data = vector(*nodes)
        tree = RatchetTree.decode(SUITE, data)
        assert tree.width == width
        assert tree.encode() == data


def test_changes_of_nobody_are_refused() -> None:
    tree = tree_of([GOOD, None, None])
    operations: list[Callable[[], Any]] = [
        lambda: tree.update(1, GOOD), lambda: tree.remove([1]), lambda: tree.remove([2]), lambda: tree.remove([-1]),
    ]  # fmt: skip
    for operation in operations:
        with pytest.raises(RoomkeyError, match="tree-member"):
            operation()
    with pytest.raises(RoomkeyError, match="tree-empty"):
        tree.remove([0])


# -- trees that a joiner must refuse --


async def test_joiners_refuse_a_tree_that_breaks_a_rule() -> None:
    crypto = NativeCrypto()
    room = await Room.create(crypto, SUITE, 3)
    for sender in range(4):
        await room.commit(sender)
    await room.commit(0, add=1, path=False)
    await room.commit(4)
    good = room.tree
    await verify_tree(crypto, good, GROUP_ID, tree_hash(good), now=NOW)
    parents = dict(good.parents())
    leaf = good.leaf(1)
    assert leaf is not None
    stranger = await make_member(crypto, SUITE)

    def changed(position: int, node: Node | None) -> RatchetTree:
        nodes = good.nodes.copy()
        nodes[position] = node
        return tree_of(nodes)

    cases = {
        "leaf-keys": changed(2, leaf.replace(encryption_key=b"short")),
        "tree-signature-keys": changed(2, leaf.replace(encryption_key=b"k" * 32).replace(signature_key=_key(good, 0))),
        "tree-encryption-keys": changed(2, leaf.replace(encryption_key=parents[1].encryption_key)),
        "tree-parent-keys": changed(1, parents[1].replace(encryption_key=b"short")),
        "tree-unmerged-members": changed(1, parents[1].replace(unmerged_leaves=(2,))),
        "tree-parent-hash": changed(2, stranger.leaf),
        # only the last committer's leaf stands in no parent hash
        "leaf-signature": changed(8, _leaf(good, 4).replace(signature=bytes(64))),
    }
    for rule, tree in cases.items():
        with pytest.raises(RoomkeyError) as caught:
            await verify_tree(crypto, tree, GROUP_ID, tree_hash(tree), now=NOW)
        assert caught.value.details["rule"] == rule
    with pytest.raises(RoomkeyError, match="tree-hash"):
        await verify_tree(crypto, changed(2, stranger.leaf), GROUP_ID, tree_hash(good), now=NOW)


def _leaf(tree: RatchetTree, index: int) -> LeafNode:
    leaf = tree.leaf(index)
    assert leaf is not None
    return leaf


def _key(tree: RatchetTree, index: int) -> bytes:
    return _leaf(tree, index).signature_key


def numbered(*unmerged: tuple[int, ...] | None) -> RatchetTree:
    """A tree of four members whose parents 1, 3, 5 have these unmerged leaves, None for blank."""
    nodes: list[Node | None] = []
    for position in range(7):
        name = bytes((position,)) * 32
        if position % 2:
            leaves = unmerged[position // 2]
            nodes.append(None if leaves is None else ParentNode(name, b"", leaves))
        else:
            nodes.append(GOOD.replace(encryption_key=name, signature_key=name))
    return tree_of(nodes)


def without_leaf_1() -> RatchetTree:
    tree = numbered(None, (1,), None)
    tree.nodes[2] = None
    return tree


@pytest.mark.parametrize(
    ("rule", "tree"),
    [
        ("tree-unmerged-order", numbered(None, (1, 0), None)),
        ("tree-unmerged-order", numbered(None, (1, 1), None)),
        ("tree-unmerged-members", numbered((2,), (2,), None)),
        ("tree-unmerged-members", numbered(None, (7,), None)),
        ("tree-unmerged-members", numbered(None, (2**32 - 1,), None)),
        ("tree-unmerged-members", without_leaf_1()),
        ("tree-unmerged-between", numbered((), (1,), None)),
        ("tree-unmerged-between", numbered((0,), (0, 1), None)),
    ],
)
def test_unmerged_leaves_that_break_a_rule(rule: str, tree: RatchetTree) -> None:
    with pytest.raises(RoomkeyError) as caught:
        check_unmerged_leaves(tree)
    assert (caught.value.code, caught.value.details["rule"]) == ("invalid-tree", rule)


def test_unmerged_leaves_that_keep_the_rules() -> None:
    check_unmerged_leaves(numbered((1,), (1, 3), (3,)))
    check_unmerged_leaves(numbered(None, (1, 3), None))
    check_unmerged_leaves(numbered((1,), (), (3,)))


# -- parents that state the right hashes in the wrong places: what an insider could sign --


def linked(tree: RatchetTree, descendant: int, parent: int, sibling: int) -> RatchetTree:
    """The tree with the descendant's parent_hash as if it and the parent had been set together."""
    above = tree.nodes[parent]
    node = tree.nodes[descendant]
    assert isinstance(above, ParentNode)
    assert node is not None
    without = OriginalHashes(tree).get(sibling, above.unmerged_leaves)
    changes: dict[str, Any] = {"parent_hash": parent_hash(tree, above, without)}
    if isinstance(node, LeafNode):
        changes |= {"leaf_node_source": COMMIT, "lifetime": None}
    nodes = tree.nodes.copy()
    nodes[descendant] = node.replace(**changes)
    return tree_of(nodes)


@pytest.mark.parametrize(
    ("failure", "tree"),
    [
        (None, linked(numbered(None, (1,), None), 0, 3, 5)),
        (None, linked(linked(numbered((), (), None), 1, 3, 5), 0, 1, 2)),
        # leaf 1 would have to know the root's key, and was neither in the path nor added later
        (3, linked(numbered(None, (), None), 0, 3, 5)),
        # leaf 1 was added after the root was set, but before its child was: they were not set together
        (3, linked(linked(numbered((), (1,), None), 1, 3, 5), 0, 1, 2)),
        # a parent that nobody set, above one that somebody did
        (3, linked(numbered((), (), None), 0, 1, 2)),
        # a leaf under the child that is not next below the root
        (1, linked(numbered((), (), None), 0, 3, 5)),
    ],
)
def test_parents_must_have_been_set_with_a_descendant(failure: int | None, tree: RatchetTree) -> None:
    assert parent_hash_failure(tree) == failure


def test_members_must_support_each_other() -> None:
    tree = numbered(None, None, None)
    check_members(tree)
    x509 = _leaf(tree, 0).replace(credential=Credential(X509, None, ()), capabilities=CAN.replace(credentials=(1, 2)))
    with pytest.raises(RoomkeyError, match="tree-credentials"):
        check_members(tree.update(0, x509))
