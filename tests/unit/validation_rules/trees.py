"""Trees that break a rule of RFC 9420 sections 7.1, 7.3, 7.9.2 and 12.4.3.3: in Welcomes, and made by commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roomkey.mls.credential import X509, Credential
from roomkey.mls.leaf_node import LeafNode, Lifetime
from roomkey.mls.proposals import Add, Remove, by_value, proposal
from roomkey.mls.ratchet_tree import Node, ParentNode, RatchetTree
from roomkey.tls import opaque

from tests.support.mls_forge import SUITE, Scene
from tests.unit.validation_rules.registry import OPEN, Attempt, breaks, heard, invited

TreeChange = Callable[[list[Node | None]], None]


async def with_tree(scene: Scene, change: TreeChange) -> Attempt:
    """Dave is invited into bob's tree with dave as leaf 3, unmerged at the root, altered."""
    keys = await scene.world.client("dave")
    tree, _ = scene.group("bob").tree.add([keys.key_package.leaf_node])
    nodes = tree.nodes.copy()
    change(nodes)
    return invited(scene, await scene.welcome(keys, tree=RatchetTree(SUITE, nodes)))


def parent(position: int, **fields: Any) -> TreeChange:
    """Alters a parent: 1 above alice and bob, 3 the root."""

    def change(nodes: list[Node | None]) -> None:
        node = nodes[position]
        assert isinstance(node, ParentNode)
        nodes[position] = node.replace(**fields)

    return change


async def with_nodes(scene: Scene, change: Callable[[bytes], bytes]) -> Attempt:
    """Dave is invited with a ratchet_tree extension whose encoded nodes were altered."""
    keys = await scene.world.client("dave")
    tree, _ = scene.group("bob").tree.add([keys.key_package.leaf_node])
    data = opaque().encode(change(opaque().decode(tree.encode())))
    return invited(scene, await scene.welcome(keys, tree=tree, tree_data=data))


@breaks("tree-node-kinds", "invalid-tree")
async def a_parent_where_a_leaf_should_be(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: b"\1\2" + ParentNode(b"p" * 32, b"").encode() + nodes)


@breaks("tree-trailing-blank", "invalid-tree")
async def a_blank_at_the_end(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: nodes + b"\0\0")


@breaks("tree-hash", "invalid-tree")
async def another_tree_than_hashed(scene: Scene) -> Attempt:
    keys = await scene.world.client("dave")
    return invited(scene, await scene.welcome(keys, context={"tree_hash": bytes(32)}))


@breaks("tree-parent-keys", "invalid-tree")
async def a_short_parent_key(scene: Scene) -> Attempt:
    return await with_tree(scene, parent(1, encryption_key=b"p" * 31))


@breaks("tree-parent-keys", "invalid-tree")
async def a_parent_key_of_low_order(scene: Scene) -> Attempt:
    return await with_tree(scene, parent(1, encryption_key=bytes(32)))


@breaks("tree-parent-hash", "invalid-tree")
async def a_parent_that_nobody_set(scene: Scene) -> Attempt:
    return await with_tree(scene, parent(3, encryption_key=b"p" * 32))


@breaks("tree-parent-hash", "invalid-tree")
async def a_parent_above_who_never_committed(scene: Scene) -> Attempt:
    def change(nodes: list[Node | None]) -> None:
        nodes[5] = ParentNode(b"p" * 32, b"", (3,))

    return await with_tree(scene, change)


@breaks("tree-signature-keys", "invalid-tree")
async def a_path_with_another_members_key(scene: Scene) -> Attempt:
    """Bob and carol are one: his new leaf names her signature key, and she signs it."""
    key = scene.group("carol").leaf.signature_key
    return heard(scene, await scene.path_with_leaf("bob", signer="carol", signature_key=key))


@breaks("tree-signature-keys", "invalid-tree")
async def a_signature_key_twice(scene: Scene) -> Attempt:
    def change(nodes: list[Node | None]) -> None:
        carol, bob = nodes[4], nodes[2]
        assert isinstance(carol, LeafNode)
        assert isinstance(bob, LeafNode)
        nodes[4] = carol.replace(signature_key=bob.signature_key)

    return await with_tree(scene, change)


@breaks("tree-encryption-keys", "invalid-tree")
async def a_newcomer_with_a_members_key(scene: Scene) -> Attempt:
    package = await scene.package(
        "dave", lambda package: package, encryption_key=scene.group("alice").leaf.encryption_key
    )
    entries = (by_value(proposal(Add(package))),)
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries, path=None)))


@breaks("tree-encryption-keys", "invalid-tree")
async def a_parent_with_a_members_key(scene: Scene) -> Attempt:
    return await with_tree(scene, parent(3, encryption_key=scene.group("alice").leaf.encryption_key))


@breaks("tree-credentials", "invalid-tree")
async def a_credential_that_others_do_not_support(scene: Scene) -> Attempt:
    package = await scene.package(
        "dave",
        lambda package: package,
        credential=Credential(X509, None, ()),
        capabilities=scene.world.capabilities.replace(credentials=(1, X509, 0xF003)),
    )
    entries = (by_value(proposal(Add(package))),)
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries, path=None)))


@breaks("tree-unmerged-order", "invalid-tree")
async def an_unmerged_leaf_twice(scene: Scene) -> Attempt:
    return await with_tree(scene, parent(3, unmerged_leaves=(3, 3)))


@breaks("tree-unmerged-members", "invalid-tree")
async def an_unmerged_leaf_elsewhere(scene: Scene) -> Attempt:
    return await with_tree(scene, parent(1, unmerged_leaves=(2,)))


@breaks("tree-unmerged-between", "invalid-tree")
async def an_unmerged_leaf_that_the_node_between_leaves_out(scene: Scene) -> Attempt:
    return await with_tree(scene, parent(3, unmerged_leaves=(0, 3)))


@breaks("tree-member", "invalid-tree")
async def an_update_of_nobody(scene: Scene) -> Attempt:
    """The tree's own guard: `remove-leaf` and the sender's checks keep messages from getting there."""

    async def run() -> None:
        scene.group("alice").tree.update(3, scene.group("alice").leaf)

    return Attempt(scene, run)


@breaks("tree-empty", "invalid-tree")
async def the_last_member_removed(scene: Scene) -> Attempt:
    for name in ("bob", "carol"):
        await scene.world.remove("alice", name)
    credential = scene.group("alice").leaf.credential

    def emptying(item: Any) -> Any:
        return item.replace(proposals=(*item.proposals, by_value(proposal(Remove(0)))))

    return heard(scene, await scene.external("alice again", change=emptying, credential=credential), policy=OPEN)


@breaks("leaf-lifetime-length", "invalid-leaf-node")
async def a_member_who_lives_for_too_long(scene: Scene) -> Attempt:
    """Carol signs it herself."""
    endless = await scene.leaf("carol", scene.group("carol").leaf, lifetime=Lifetime(0, 2**64 - 1))

    def change(nodes: list[Node | None]) -> None:
        nodes[4] = endless

    return await with_tree(scene, change)
