"""Leaves and key packages that break a rule of RFC 9420 sections 7.3 and 10.1, in Adds, Updates and paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roomkey.mls.commit import Commit
from roomkey.mls.committing import commit
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import KEY_PACKAGE, MAX_LIFETIME, UPDATE, Lifetime
from roomkey.mls.proposals import Add, by_reference, by_value, proposal

from tests.support.mls_forge import Scene
from tests.support.mls_world import CAPABILITIES, NOW
from tests.unit.validation_rules.registry import Attempt, breaks, heard

UNLISTED = Extension(0xF0F0, b"")
LAST_RESORT = Extension(ExtensionType.LAST_RESORT_KEY_PACKAGE, b"")
ID = Extension(ExtensionType.APPLICATION_ID, b"")
PackageChange = Callable[[KeyPackage], KeyPackage]


async def added(scene: Scene, change: PackageChange = lambda package: package, **leaf: Any) -> Attempt:
    """Bob commits an Add of dave, whose key package was altered."""
    package = await scene.package("dave", change, **leaf)
    return heard(scene, await scene.commit_of("bob", proposal(Add(package))))


async def can(scene: Scene, **capabilities: Any) -> Attempt:
    """Bob adds dave, whose capabilities were altered."""
    return await added(scene, capabilities=scene.world.capabilities.replace(**capabilities))


async def updated(scene: Scene, **leaf: Any) -> Attempt:
    """Bob commits carol's Update, whose leaf was altered."""
    reference = await scene.proposed("carol", await scene.update("carol", **leaf))
    entries = (by_reference(reference),)
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries), path=True))


@breaks("leaf-source", "invalid-leaf-node")
async def a_key_package_with_the_leaf_of_an_update(scene: Scene) -> Attempt:
    return await added(scene, leaf_node_source=UPDATE, lifetime=None)


@breaks("leaf-source", "invalid-leaf-node")
async def an_update_with_the_leaf_of_a_key_package(scene: Scene) -> Attempt:
    return await updated(scene, leaf_node_source=KEY_PACKAGE, lifetime=Lifetime(0, 2**40))


@breaks("leaf-source", "invalid-leaf-node")
async def a_path_with_the_leaf_of_an_update(scene: Scene) -> Attempt:
    return heard(scene, await scene.path_with_leaf("bob", leaf_node_source=UPDATE, parent_hash=None))


@breaks("leaf-keys", "invalid-leaf-node")
async def a_short_encryption_key(scene: Scene) -> Attempt:
    return await added(scene, encryption_key=b"e" * 31)


@breaks("leaf-keys", "invalid-leaf-node")
async def a_long_signature_key(scene: Scene) -> Attempt:
    return await added(scene, signature_key=b"s" * 33)


@breaks("leaf-extensions-unique", "invalid-leaf-node")
async def an_extension_twice(scene: Scene) -> Attempt:
    return await added(scene, extensions=(ID, ID))


@breaks("leaf-capabilities-extensions", "invalid-leaf-node")
async def an_extension_that_it_does_not_list(scene: Scene) -> Attempt:
    return await added(scene, extensions=(UNLISTED,))


@breaks("leaf-capabilities-extensions", "invalid-leaf-node")
async def an_extension_that_an_update_does_not_list(scene: Scene) -> Attempt:
    return await updated(scene, extensions=(UNLISTED,))


@breaks("leaf-capabilities-version", "invalid-leaf-node")
async def another_version(scene: Scene) -> Attempt:
    return await can(scene, versions=(2,))


@breaks("leaf-capabilities-suite", "invalid-leaf-node")
async def another_suite(scene: Scene) -> Attempt:
    return await can(scene, cipher_suites=(2, 3))


@breaks("leaf-capabilities-credential", "invalid-leaf-node")
async def another_credential_type(scene: Scene) -> Attempt:
    return await can(scene, credentials=(0xF003,))


@breaks("leaf-required-extensions", "invalid-leaf-node")
async def without_the_required_extension(scene: Scene) -> Attempt:
    return await can(scene, extensions=())


@breaks("leaf-required-proposals", "invalid-leaf-node")
async def without_the_required_proposal(scene: Scene) -> Attempt:
    return await can(scene, proposals=())


@breaks("leaf-required-proposals", "invalid-leaf-node")
async def a_committer_who_drops_a_required_proposal(scene: Scene) -> Attempt:
    less = scene.world.capabilities.replace(proposals=())
    return heard(scene, await scene.path_with_leaf("bob", capabilities=less))


@breaks("leaf-required-credentials", "invalid-leaf-node")
async def without_the_required_credential(scene: Scene) -> Attempt:
    return await can(scene, credentials=CAPABILITIES.credentials)


async def adding(scene: Scene, lifetime: Lifetime) -> Attempt:
    """Alice adds dave herself: lifetimes are judged by who adds."""
    package = await scene.package("dave", lambda package: package, lifetime=lifetime)
    item = proposal(Add(package))
    return Attempt(scene, lambda: commit(scene.crypto("alice"), scene.group("alice"), NOW, proposals=[item]))


@breaks("leaf-lifetime", "invalid-leaf-node")
async def expired(scene: Scene) -> Attempt:
    return await adding(scene, Lifetime(int(NOW) - 100, int(NOW) - 1))


@breaks("leaf-lifetime", "invalid-leaf-node")
async def not_yet_valid(scene: Scene) -> Attempt:
    return await adding(scene, Lifetime(int(NOW) + 1, int(NOW) + 100))


@breaks("leaf-lifetime-length", "invalid-leaf-node")
async def valid_for_too_long(scene: Scene) -> Attempt:
    return await adding(scene, Lifetime(int(NOW), int(NOW) + MAX_LIFETIME + 1))


@breaks("leaf-lifetime-length", "invalid-leaf-node")
async def added_by_another_for_too_long(scene: Scene) -> Attempt:
    return await added(scene, lifetime=Lifetime(int(NOW), int(NOW) + MAX_LIFETIME + 1))


@breaks("leaf-lifetime-length", "invalid-leaf-node")
async def ended_before_it_began(scene: Scene) -> Attempt:
    return await added(scene, lifetime=Lifetime(int(NOW), int(NOW) - 1))


@breaks("leaf-signature", "invalid-signature")
async def a_key_package_whose_leaf_another_signed(scene: Scene) -> Attempt:
    wrong = (await scene.world.client("erin")).key_package.leaf_node.signature
    return await added(scene, lambda package: package.replace(leaf_node=package.leaf_node.replace(signature=wrong)))


@breaks("leaf-signature", "invalid-signature")
async def an_update_signed_for_another_place(scene: Scene) -> Attempt:
    reference = await scene.proposed("carol", await scene.update("carol", place="bob"))
    entries = (by_reference(reference),)
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries), path=True))


@breaks("leaf-signature", "invalid-signature")
async def a_path_whose_leaf_is_not_signed(scene: Scene) -> Attempt:
    def unsigned(item: Commit) -> Commit:
        assert item.path is not None
        leaf = item.path.leaf_node.replace(signature=bytes(64))
        return item.replace(path=item.path.replace(leaf_node=leaf))

    return heard(scene, await scene.commit("bob", change=unsigned, path=True))


@breaks("key-package-version", "invalid-key-package")
async def a_key_package_of_another_version(scene: Scene) -> Attempt:
    return await added(scene, lambda package: package.replace(version=2))


@breaks("key-package-suite", "invalid-key-package")
async def a_key_package_of_another_suite(scene: Scene) -> Attempt:
    return await added(scene, lambda package: package.replace(cipher_suite=3))


@breaks("key-package-init-key", "invalid-key-package")
async def a_long_init_key(scene: Scene) -> Attempt:
    return await added(scene, lambda package: package.replace(init_key=b"i" * 33))


@breaks("key-package-keys-differ", "invalid-key-package")
async def one_key_for_both(scene: Scene) -> Attempt:
    return await added(scene, lambda package: package.replace(init_key=package.leaf_node.encryption_key))


@breaks("key-package-extensions-unique", "invalid-key-package")
async def a_package_extension_twice(scene: Scene) -> Attempt:
    return await added(scene, lambda package: package.replace(extensions=(ID, ID)))


@breaks("key-package-extensions", "invalid-key-package")
async def a_package_extension_that_it_does_not_list(scene: Scene) -> Attempt:
    can = CAPABILITIES.replace(extensions=(0xF0F0,))
    return await added(scene, lambda package: package.replace(extensions=(LAST_RESORT,)), capabilities=can)


@breaks("key-package-signature", "invalid-signature")
async def a_key_package_altered_on_its_way(scene: Scene) -> Attempt:
    package = await scene.package("dave", lambda package: package)
    item = proposal(Add(package.replace(init_key=bytes(32))))
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=(by_value(item),)), path=True))
