"""Welcomes that break a rule of RFC 9420 section 12.4.3.1."""

from __future__ import annotations

from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.framing import MLSMessage, message
from roomkey.mls.group import NO_PSKS, Psks
from roomkey.mls.joining import join
from roomkey.mls.psk import USAGE_BRANCH, USAGE_REINIT, external_psk, resumption_psk
from roomkey.mls.treekem import new_path
from roomkey.mls.welcome import Welcome

from tests.support.mls_forge import SUITE, Scene
from tests.unit.validation_rules.registry import Attempt, breaks, invited

NONCE = b"n" * 32


@breaks("welcome-for-us", "welcome-not-for-us")
async def for_somebody_else(scene: Scene) -> Attempt:
    data = await scene.welcome(await scene.world.client("erin"))
    await scene.world.client("dave")
    return invited(scene, data)


@breaks("welcome-suite", "invalid-welcome")
async def of_another_suite_than_the_key_package(scene: Scene) -> Attempt:
    body = MLSMessage.decode(await scene.welcome(await scene.world.client("dave"))).body
    assert isinstance(body, Welcome)
    return invited(scene, message(body.replace(cipher_suite=3)).encode())


@breaks("welcome-suite", "invalid-welcome")
async def into_a_group_of_another_suite(scene: Scene) -> Attempt:
    return invited(scene, await scene.welcome(await scene.world.client("dave"), context={"cipher_suite": 3}))


@breaks("welcome-signature", "invalid-welcome")
async def signed_by_another_member(scene: Scene) -> Attempt:
    return invited(scene, await scene.welcome(await scene.world.client("dave"), sign_with="carol"))


@breaks("welcome-signature", "invalid-welcome")
async def signed_by_nobody(scene: Scene) -> Attempt:
    return invited(scene, await scene.welcome(await scene.world.client("dave"), signer=7))


@breaks("welcome-extensions", "invalid-welcome")
async def with_an_extension_twice(scene: Scene) -> Attempt:
    grease = Extension(0x0A0A, b"")
    return invited(scene, await scene.welcome(await scene.world.client("dave"), extensions=(grease, grease)))


@breaks("welcome-extensions", "invalid-welcome")
async def with_a_context_extension_twice(scene: Scene) -> Attempt:
    name = Extension(ExtensionType.ROOMKEY_NAME, b"")
    context = {"extensions": (*scene.group("bob").context.extensions, name, name)}
    return invited(scene, await scene.welcome(await scene.world.client("dave"), context=context))


@breaks("leaf-required-extensions", "invalid-leaf-node")
async def with_a_context_extension_that_we_do_not_support(scene: Scene) -> Attempt:
    context = {"extensions": (*scene.group("bob").context.extensions, Extension(0xF0F0, b""))}
    return invited(scene, await scene.welcome(await scene.world.client("dave"), context=context))


@breaks("leaf-signature", "invalid-signature")
async def with_a_leaf_that_nobody_signed(scene: Scene) -> Attempt:
    keys = await scene.world.client("dave")
    carol = scene.group("carol").leaf
    tree = scene.group("bob").tree.update(2, carol.replace(signature=bytes(64)))
    # no path went over carol's leaf, so no parent hash shows it
    return invited(scene, await scene.welcome(keys, tree=tree.add([keys.key_package.leaf_node])[0]))


@breaks("welcome-tree", "invalid-welcome")
async def without_a_tree(scene: Scene) -> Attempt:
    return invited(scene, await scene.welcome(await scene.world.client("dave"), tree_data=b""))


@breaks("welcome-own-leaf", "invalid-welcome")
async def without_us(scene: Scene) -> Attempt:
    keys = await scene.world.client("dave")
    return invited(scene, await scene.welcome(keys, tree=scene.group("bob").tree))


@breaks("welcome-path-secret", "invalid-welcome")
async def without_the_secret_of_its_path(scene: Scene) -> Attempt:
    keys, crypto, group = await scene.world.client("dave"), scene.crypto("bob"), scene.group("bob")
    tree, _ = group.tree.add([keys.key_package.leaf_node])
    (pair,) = await crypto.generate_keys(SUITE.group, 1)
    new = await new_path(crypto, tree, 1, group.leaf, pair, group.signature, group.group_id)
    valid = await scene.welcome(keys, tree=new.tree, path_secret=new.secret_for(3))
    await join(scene.crypto("dave"), valid, [keys])
    return invited(scene, await scene.welcome(keys, tree=new.tree))


@breaks("path-public-keys", "invalid-update-path")
async def with_the_secret_of_another_path(scene: Scene) -> Attempt:
    return invited(scene, await scene.welcome(await scene.world.client("dave"), path_secret=bytes(SUITE.nh)))


@breaks("welcome-confirmation", "invalid-welcome")
async def with_another_confirmation_tag(scene: Scene) -> Attempt:
    return invited(scene, await scene.welcome(await scene.world.client("dave"), tag=bytes(SUITE.nh)))


@breaks("psk-unknown", "psk-unknown")
async def with_a_psk_that_we_do_not_have(scene: Scene) -> Attempt:
    psks = [(external_psk(b"door", NONCE), b"k" * 32)]
    return invited(scene, await scene.welcome(await scene.world.client("dave"), psks=psks))


@breaks("psk-count", "invalid-proposal")
async def with_more_psks_than_can_be_counted(scene: Scene) -> Attempt:
    """In a commit so many are too large to be read."""
    named = [external_psk(b"door", number.to_bytes(SUITE.nh, "big")) for number in range(0x10000)]
    data = await scene.welcome(await scene.world.client("dave"), named=named)
    return invited(scene, data, psks=Psks({b"door": b"k" * 32}))


@breaks("welcome-psk-nonce", "invalid-welcome")
async def with_a_short_nonce(scene: Scene) -> Attempt:
    psks = [(external_psk(b"door", NONCE[:-1]), b"k" * 32)]
    data = await scene.welcome(await scene.world.client("dave"), psks=psks)
    return invited(scene, data, psks=Psks({b"door": b"k" * 32}))


@breaks("welcome-psk-usage", "invalid-welcome")
async def with_two_former_groups(scene: Scene) -> Attempt:
    former = Psks({}, {(b"old", 1): b"k" * 32, (b"older", 1): b"k" * 32})
    ids = [resumption_psk(usage, name, 1, NONCE) for usage, name in ((USAGE_REINIT, b"old"), (USAGE_BRANCH, b"older"))]
    data = await scene.welcome(
        await scene.world.client("dave"), psks=[(psk_id, b"k" * 32) for psk_id in ids], context={"epoch": 1}
    )
    return invited(scene, data, psks=former)


@breaks("welcome-epoch", "invalid-welcome")
async def into_a_branch_that_is_not_new(scene: Scene) -> Attempt:
    old = scene.group("bob")
    psk_id = resumption_psk(USAGE_BRANCH, old.group_id, old.epoch, NONCE)
    psks = [(psk_id, old.psk(psk_id, NO_PSKS))]
    data = await scene.welcome(await scene.world.client("dave"), psks=psks, context={"epoch": 2})
    return invited(scene, data, former=[old])


@breaks("psk-unknown", "psk-unknown")
async def into_a_branch_of_a_group_that_we_do_not_know(scene: Scene) -> Attempt:
    """Even if the key itself is offered: the groups could not be compared."""
    psk_id = resumption_psk(USAGE_BRANCH, b"old", 1, NONCE)
    data = await scene.welcome(await scene.world.client("dave"), psks=[(psk_id, b"k" * 32)], context={"epoch": 1})
    return invited(scene, data, psks=Psks({}, {(b"old", 1): b"k" * 32}))
