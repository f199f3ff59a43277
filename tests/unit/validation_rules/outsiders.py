"""What strangers send where it is not wanted, and groups that strangers must not join."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roomkey.mls.committing import group_info
from roomkey.mls.extensions import Extension, ExtensionType, ExternalPub
from roomkey.mls.external import external_commit, propose_own_add
from roomkey.mls.framing import message
from roomkey.mls.group import Group
from roomkey.mls.policy import MEMBERS_ONLY, RoomkeyPolicy, policy_extension
from roomkey.mls.tree_hash import tree_hash

from tests.support.mls_forge import Scene
from tests.support.mls_world import NOW
from tests.unit.validation_rules.registry import Attempt, breaks, heard, invited

UNKNOWN_POLICY = Extension(ExtensionType.ROOMKEY_POLICY, RoomkeyPolicy(b"everything-goes").encode())


async def entering(
    scene: Scene, *more: Extension, change: Callable[[Group], Group] = lambda group: group, beside: bytes | None = None
) -> Attempt:
    """Dave wants to join by a GroupInfo that bob signed, of a group that bob altered."""
    await scene.world.client("dave")
    group = change(scene.group("bob"))
    info = message(await group_info(scene.crypto("bob"), group, with_tree=beside is None, extensions=more)).encode()
    keys = scene.world.keys["dave"]
    return Attempt(scene, lambda: external_commit(scene.crypto("dave"), info, keys, NOW, tree=beside))


def with_extensions(*more: Extension) -> Callable[[Group], Group]:
    def change(group: Group) -> Group:
        return replace(group, context=group.context.replace(extensions=(*group.context.extensions, *more)))

    return change


@breaks("proposal-new-member-off", "external-commit-refused")
async def a_stranger_asks_to_be_added(scene: Scene) -> Attempt:
    keys = await scene.world.client("dave")
    return heard(scene, await propose_own_add(scene.crypto("dave"), scene.group("alice").context, keys, NOW))


@breaks("welcome-external-pub", "invalid-welcome")
async def without_a_key_for_strangers(scene: Scene) -> Attempt:
    return await entering(scene)


@breaks("welcome-external-pub", "invalid-welcome")
async def with_a_key_of_the_wrong_size(scene: Scene) -> Attempt:
    return await entering(scene, Extension(ExtensionType.EXTERNAL_PUB, ExternalPub(b"k" * 31).encode()))


@breaks("commit-last-epoch", "invalid-commit")
async def into_an_epoch_that_none_can_follow(scene: Scene) -> Attempt:
    key = Extension(ExtensionType.EXTERNAL_PUB, ExternalPub(scene.group("bob").leaf.encryption_key).encode())
    return await entering(
        scene, key, change=lambda group: replace(group, context=group.context.replace(epoch=2**64 - 1))
    )


@breaks("external-off", "external-commit-refused")
async def into_a_group_for_members_only(scene: Scene) -> Attempt:
    return await entering(scene, change=with_extensions(policy_extension(MEMBERS_ONLY)))


@breaks("context-policy", "unsupported-policy")
async def into_a_group_of_an_unknown_policy(scene: Scene) -> Attempt:
    return await entering(scene, change=with_extensions(UNKNOWN_POLICY))


@breaks("context-policy", "unsupported-policy")
async def invited_into_a_group_of_an_unknown_policy(scene: Scene) -> Attempt:
    context = {"extensions": (*scene.group("bob").context.extensions, UNKNOWN_POLICY)}
    return invited(scene, await scene.welcome(await scene.world.client("dave"), context=context))


@breaks("welcome-extensions", "invalid-welcome")
async def with_an_extension_twice(scene: Scene) -> Attempt:
    grease = Extension(0x0A0A, b"")
    return await entering(scene, grease, grease)


@breaks("welcome-tree", "invalid-welcome")
async def without_a_tree(scene: Scene) -> Attempt:
    keys, group = await scene.world.client("dave"), scene.group("bob")
    info = message(await group_info(scene.crypto("bob"), group, with_tree=False)).encode()
    return Attempt(scene, lambda: external_commit(scene.crypto("dave"), info, keys, NOW))


@breaks("tree-hash", "invalid-tree")
async def with_another_tree_beside(scene: Scene) -> Attempt:
    return await entering(scene, beside=scene.group("bob").tree.remove([2]).encode())


@breaks("welcome-signature", "invalid-welcome")
async def signed_by_another(scene: Scene) -> Attempt:
    return await entering(scene, change=lambda group: replace(group, own_leaf=0))


@breaks("welcome-signature", "invalid-welcome")
async def signed_by_nobody(scene: Scene) -> Attempt:
    return await entering(scene, change=lambda group: replace(group, own_leaf=7))


@breaks("leaf-signature", "invalid-signature")
async def with_a_leaf_that_nobody_signed(scene: Scene) -> Attempt:
    def change(group: Group) -> Group:
        tree = group.tree.update(2, scene.group("carol").leaf.replace(signature=bytes(64)))
        return replace(group, tree=tree, context=group.context.replace(tree_hash=tree_hash(tree)))

    return await entering(scene, change=change)


@breaks("welcome-suite", "invalid-welcome")
async def by_a_key_package_of_another_suite(scene: Scene) -> Attempt:
    attempt = await entering(scene)
    keys = scene.world.keys["dave"]
    other = keys._replace(key_package=keys.key_package.replace(cipher_suite=3))
    group, crypto = scene.group("bob"), scene.crypto("bob")
    info = message(await group_info(crypto, group, external=True)).encode()
    return attempt._replace(run=lambda: external_commit(scene.crypto("dave"), info, other, NOW))
