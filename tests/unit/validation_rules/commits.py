"""Commits whose path, tree or tag breaks a rule of RFC 9420 sections 7.5, 7.9.2 and 12.4.2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roomkey.crypto import labels
from roomkey.mls.commit import Commit
from roomkey.mls.framing import MLSMessage, PublicMessage
from roomkey.mls.processing import process
from roomkey.mls.proposals import Remove, by_reference, proposal
from roomkey.mls.treekem import UpdatePath, UpdatePathNode

from tests.support.mls_forge import SUITE, Scene
from tests.unit.validation_rules.registry import Attempt, breaks, heard

Nodes = tuple[UpdatePathNode, ...]


def path_of(item: Commit) -> UpdatePath:
    assert item.path is not None
    return item.path


async def with_nodes(scene: Scene, change: Callable[[Nodes], Nodes]) -> Attempt:
    """Bob commits a path whose nodes were altered: first the one he shares with alice, then the root."""

    def altered(item: Commit) -> Commit:
        path = path_of(item)
        return item.replace(path=path.replace(nodes=change(path.nodes)))

    return heard(scene, await scene.commit("bob", change=altered, path=True))


@breaks("commit-unknown-reference", "unknown-proposal")
async def a_proposal_that_nobody_sent(scene: Scene) -> Attempt:
    entries = (by_reference(bytes(32)),)
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries), path=True))


@breaks("commit-path-required", "invalid-commit")
async def a_removal_without_a_path(scene: Scene) -> Attempt:
    return heard(scene, await scene.commit("bob", proposal(Remove(2)), change=lambda c: c.replace(path=None)))


@breaks("commit-path-required", "invalid-commit")
async def nothing_at_all(scene: Scene) -> Attempt:
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(path=None)))


@breaks("commit-confirmation", "invalid-commit")
async def another_confirmation_tag(scene: Scene) -> Attempt:
    body = MLSMessage.decode((await scene.honest("bob", path=True)).message).body
    assert isinstance(body, PublicMessage)
    assert isinstance(body.content.content, Commit)
    assert body.confirmation_tag is not None
    return heard(scene, await scene.public("bob", body.content.content, confirmation=body.confirmation_tag[:-1]))


@breaks("path-length", "invalid-update-path")
async def a_node_too_few(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: nodes[:-1])


@breaks("path-length", "invalid-update-path")
async def a_node_too_many(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: (*nodes, nodes[-1].replace(encryption_key=b"k" * 32)))


@breaks("path-ciphertexts", "invalid-update-path")
async def a_ciphertext_too_few(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: (nodes[0].replace(encrypted_path_secret=()), *nodes[1:]))


@breaks("path-ciphertexts", "invalid-update-path")
async def a_ciphertext_too_many(scene: Scene) -> Attempt:
    def twice(nodes: Nodes) -> Nodes:
        return (nodes[0].replace(encrypted_path_secret=nodes[0].encrypted_path_secret * 2), *nodes[1:])

    return await with_nodes(scene, twice)


@breaks("path-keys", "invalid-update-path")
async def a_short_key(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: (nodes[0].replace(encryption_key=b"k" * 31), *nodes[1:]))


@breaks("path-keys", "invalid-update-path")
async def a_key_of_low_order(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: (nodes[0].replace(encryption_key=bytes(32)), *nodes[1:]))


@breaks("path-keys-fresh", "invalid-update-path")
async def a_key_of_a_member(scene: Scene) -> Attempt:
    key = scene.group("carol").leaf.encryption_key
    return await with_nodes(scene, lambda nodes: (nodes[0].replace(encryption_key=key), *nodes[1:]))


@breaks("path-keys-fresh", "invalid-update-path")
async def a_key_twice(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: (nodes[0], nodes[1].replace(encryption_key=nodes[0].encryption_key)))


@breaks("path-keys-fresh", "invalid-update-path")
async def the_committers_old_key(scene: Scene) -> Attempt:
    return heard(scene, await scene.path_with_leaf("bob", encryption_key=scene.group("bob").leaf.encryption_key))


@breaks("path-parent-hash", "invalid-update-path")
async def another_parent_hash(scene: Scene) -> Attempt:
    return heard(scene, await scene.path_with_leaf("bob", parent_hash=bytes(32)))


@breaks("path-parent-hash", "invalid-update-path")
async def a_key_that_the_leaf_did_not_sign(scene: Scene) -> Attempt:
    return await with_nodes(scene, lambda nodes: (nodes[0], nodes[1].replace(encryption_key=b"k" * 32)))


@breaks("path-public-keys", "invalid-update-path")
async def a_secret_of_another_path(scene: Scene) -> Attempt:
    """Alice gets a secret that is encrypted as it should be and derives other keys than the path shows."""
    honest, before = await scene.honest("bob", path=True), scene.group("bob").context
    provisional = honest.group.context.replace(confirmed_transcript_hash=before.confirmed_transcript_hash)
    sealing = labels.Sealing(
        scene.group("alice").leaf.encryption_key, b"UpdatePathNode", provisional.encode(), bytes(SUITE.nh)
    )
    sealed = tuple(await labels.encrypt_with_label(scene.crypto("bob"), SUITE, [sealing]))
    body = MLSMessage.decode(honest.message).body
    assert isinstance(body, PublicMessage)
    assert isinstance(body.content.content, Commit)
    path = path_of(body.content.content)
    nodes = (path.nodes[0].replace(encrypted_path_secret=sealed), *path.nodes[1:])
    altered = body.content.content.replace(path=path.replace(nodes=nodes))
    return heard(scene, await scene.public("bob", altered, confirmation=body.confirmation_tag))


@breaks("path-recipient", "invalid-update-path")
async def a_key_that_we_have_lost(scene: Scene) -> Attempt:
    """No message brings a member there who joined by a Welcome that `welcome-path-secret` took."""
    data = (await scene.honest("bob", path=True)).message
    lost = replace(scene.group("alice"), path_keys={})
    return Attempt(scene, lambda: process(scene.crypto("alice"), lost, data))


@breaks("path-parent-hash", "invalid-update-path")
async def a_removal_of_us_whose_path_others_refuse(scene: Scene) -> Attempt:
    """Else carol would go, while the group stays with her."""

    def altered(item: Commit) -> Commit:
        path = path_of(item)
        return item.replace(path=path.replace(nodes=(path.nodes[0].replace(encryption_key=b"k" * 32),)))

    return heard(scene, await scene.commit("bob", proposal(Remove(2)), change=altered), by="carol")
