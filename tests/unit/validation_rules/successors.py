"""Groups that follow on another and break a rule of RFC 9420 sections 11.2, 11.3: bob makes them, alice is invited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roomkey.crypto.suites import SUITES
from roomkey.mls.committing import PendingCommit
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.group import Group, JoinKeys
from roomkey.mls.joining import join
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.proposals import ReInit
from roomkey.mls.successor import branch_group, reinit_group

from tests.support.mls_forge import SUITE, Scene
from tests.support.mls_world import NOW, join_keys
from tests.unit.validation_rules.registry import Attempt, breaks

ALL = ("alice", "bob", "carol")
REINIT = ReInit(b"next", 1, SUITE.number, ())
Keys = dict[str, JoinKeys]


def anybody(leaf: LeafNode) -> None:
    """To a maker who lies, all are alike."""


async def keys_of(scene: Scene, names: Sequence[str], suite: int = SUITE.number) -> Keys:
    return {name: await join_keys(scene.crypto(name), SUITES[suite], name.encode()) for name in names}


async def reinitialised(scene: Scene, told: Group, known: Group, names: Sequence[str] = ALL) -> Attempt:
    """Bob makes the group that `told` asks for; alice knows the old one as `known`."""
    for name in set(names) - set(ALL):
        await scene.world.client(name)
    keys = await keys_of(scene, names)
    others = [item.key_package for name, item in keys.items() if name != "bob"]
    return invited(
        scene, await reinit_group(scene.crypto("bob"), told, keys["bob"], others, NOW, who=anybody), keys, known
    )


def invited(scene: Scene, made: PendingCommit, keys: Keys, known: Group) -> Attempt:
    welcome = made.welcome
    assert welcome is not None
    return Attempt(scene, lambda: join(scene.crypto("alice"), welcome, [keys["alice"]], former=[known]))


@breaks("successor-committed", "invalid-welcome")
async def a_group_that_nobody_reinitialised(scene: Scene) -> Attempt:
    return await reinitialised(scene, replace(scene.group("bob"), reinit=REINIT), scene.group("alice"))


@breaks("successor-committed", "invalid-welcome")
async def by_the_key_of_an_earlier_epoch(scene: Scene) -> Attempt:
    told = replace(scene.group("bob"), reinit=REINIT)
    after = scene.group("alice").context.replace(epoch=told.epoch + 1)
    return await reinitialised(scene, told, replace(scene.group("alice"), reinit=REINIT, context=after))


@breaks("successor-parameters", "invalid-welcome")
async def of_another_id(scene: Scene) -> Attempt:
    told = replace(scene.group("bob"), reinit=REINIT.replace(group_id=b"other"))
    return await reinitialised(scene, told, replace(scene.group("alice"), reinit=REINIT))


@breaks("successor-parameters", "invalid-welcome")
async def of_another_suite(scene: Scene) -> Attempt:
    told = replace(scene.group("bob"), reinit=REINIT)
    return await reinitialised(scene, told, replace(scene.group("alice"), reinit=REINIT.replace(cipher_suite=2)))


@breaks("successor-parameters", "invalid-welcome")
async def of_another_version(scene: Scene) -> Attempt:
    told = replace(scene.group("bob"), reinit=REINIT)
    return await reinitialised(scene, told, replace(scene.group("alice"), reinit=REINIT.replace(version=2)))


@breaks("successor-parameters", "invalid-welcome")
async def with_other_extensions(scene: Scene) -> Attempt:
    told = replace(scene.group("bob"), reinit=REINIT.replace(extensions=(Extension(ExtensionType.ROOMKEY_NAME, b""),)))
    return await reinitialised(scene, told, replace(scene.group("alice"), reinit=REINIT))


@breaks("successor-members", "invalid-welcome")
async def with_another_instead_of_a_member(scene: Scene) -> Attempt:
    told, known = (replace(scene.group(name), reinit=REINIT) for name in ("bob", "alice"))
    return await reinitialised(scene, told, known, ("alice", "bob", "mallory"))


@breaks("successor-members", "invalid-welcome")
async def with_a_member_less(scene: Scene) -> Attempt:
    told = replace(scene.group("bob"), reinit=REINIT, tree=scene.group("bob").tree.remove([2]))
    return await reinitialised(scene, told, replace(scene.group("alice"), reinit=REINIT), ("alice", "bob"))


@breaks("successor-members", "invalid-welcome")
async def with_one_more(scene: Scene) -> Attempt:
    mallory = await scene.world.client("mallory")
    tree, _ = scene.group("bob").tree.add([mallory.key_package.leaf_node])
    told = replace(scene.group("bob"), reinit=REINIT, tree=tree)
    return await reinitialised(scene, told, replace(scene.group("alice"), reinit=REINIT), (*ALL, "mallory"))


@breaks("branch-parameters", "invalid-welcome")
async def a_branch_of_another_suite(scene: Scene) -> Attempt:
    old = scene.group("bob")
    keys = await keys_of(scene, ("alice", "bob"), 3)
    told = replace(old, context=old.context.replace(cipher_suite=3))
    made = await branch_group(scene.crypto("bob"), told, keys["bob"], [keys["alice"].key_package], b"side", NOW)
    return invited(scene, made, keys, scene.group("alice"))


@breaks("branch-members", "invalid-welcome")
async def a_branch_with_a_stranger(scene: Scene) -> Attempt:
    await scene.world.client("mallory")
    keys = await keys_of(scene, ("alice", "bob", "mallory"))
    others = [keys["alice"].key_package, keys["mallory"].key_package]
    made = await branch_group(scene.crypto("bob"), scene.group("bob"), keys["bob"], others, b"side", NOW, who=anybody)
    return invited(scene, made, keys, scene.group("alice"))
