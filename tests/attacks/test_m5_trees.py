"""M5: bad trees in Welcomes of ts-mls, hashed, signed and sealed again by who invites."""

from __future__ import annotations

from typing import Any

import pytest
from roomkey.mls.leaf_node import LeafNode, Lifetime
from roomkey.mls.ratchet_tree import Node, ParentNode

from tests.attacks.foreigners import Table, TreeChange, not_joined
from tests.interop.conftest import ts_mls
from tests.interop.peer import Peer

__all__ = ["ts_mls"]


def parent(position: int, **fields: Any) -> TreeChange:
    def change(nodes: list[Node | None]) -> None:
        node = nodes[position]
        assert isinstance(node, ParentNode)
        nodes[position] = node.replace(**fields)

    return change


def leaf(position: int, **fields: Any) -> TreeChange:
    def change(nodes: list[Node | None]) -> None:
        node = nodes[position]
        assert isinstance(node, LeafNode)
        nodes[position] = node.replace(**fields)

    return change


def copied(source: int, target: int, name: str) -> TreeChange:
    def change(nodes: list[Node | None]) -> None:
        node, other = nodes[target], nodes[source]
        assert isinstance(node, LeafNode | ParentNode)
        nodes[target] = node.replace(**{name: getattr(other, name)})

    return change


def kept(nodes: list[Node | None]) -> None:
    """As ts-mls made it."""


def blanked(nodes: list[Node | None]) -> None:
    nodes[4] = None  # carol, from whom nobody hid the group


# leaves: 0 alice, 1 bob, 2 carol, 3 erin; the parents 1 and 3 are bob's path
BAD = {
    "a parent of somebody's making": (parent(3, encryption_key=b"p" * 32), "tree-parent-hash"),
    "a parent hash": (parent(1, parent_hash=b"h" * 32), "tree-parent-hash"),
    "a parent's short key": (parent(1, encryption_key=b"p" * 31), "tree-parent-keys"),
    "an unmerged leaf twice": (parent(3, unmerged_leaves=(2, 2)), "tree-unmerged-order"),
    "unmerged leaves that fall": (parent(3, unmerged_leaves=(3, 2)), "tree-unmerged-order"),
    "an unmerged leaf elsewhere": (parent(1, unmerged_leaves=(2,)), "tree-unmerged-members"),
    "an unmerged leaf between": (parent(3, unmerged_leaves=(0,)), "tree-unmerged-between"),
    "a hidden member": (blanked, "tree-parent-hash"),
    "a leaf's signature": (leaf(4, signature=bytes(64)), "tree-parent-hash"),
    "a leaf's key": (leaf(4, encryption_key=b"e" * 32), "tree-parent-hash"),
    "an endless leaf": (leaf(4, lifetime=Lifetime(0, 2**64 - 1)), "leaf-lifetime-length"),
    "a signature key twice": (copied(2, 4, "signature_key"), "tree-signature-keys"),
    "an encryption key twice": (copied(0, 4, "encryption_key"), "tree-encryption-keys"),
    "a parent with a leaf's key": (copied(0, 3, "encryption_key"), "tree-encryption-keys"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_tree_with(ts_mls: Peer, name: str) -> None:
    table = await Table.create(ts_mls)
    change, *rules = BAD[name]
    await not_joined(*await table.welcome(tree=change), *rules)
    await table.goes_on()


async def test_another_hash_than_the_trees(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    await not_joined(*await table.welcome(context=lambda context: context.replace(tree_hash=bytes(32))), "tree-hash")


async def test_the_tree_as_it_was_is_taken(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    erin, data = await table.welcome(tree=kept)
    await erin.join(data, None, {})
