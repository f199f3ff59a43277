"""Proposals that break a rule of RFC 9420 section 12.1, and lists of them that break one of section 12.2."""

from __future__ import annotations

from typing import Any

from roomkey.mls.commit import Commit
from roomkey.mls.extensions import Extension, ExtensionType, RequiredCapabilities
from roomkey.mls.group import Policy, Psks
from roomkey.mls.key_schedule import external_key_pair
from roomkey.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    by_reference,
    by_value,
    proposal,
)
from roomkey.mls.psk import USAGE_BRANCH, USAGE_REINIT, external_psk, resumption_psk

from tests.support.mls_forge import CUSTOM, CUSTOM_PROPOSAL, OPTIONAL_PROPOSAL, REQUIRED, SUITE, Scene
from tests.unit.validation_rules.outsiders import UNKNOWN_POLICY
from tests.unit.validation_rules.registry import OPEN, Attempt, breaks, heard

DOOR = Psks({b"door": b"k" * 32})
REINIT = ReInit(b"the next group", 1, SUITE.number, ())
NONCE = b"n" * 32


async def committed(scene: Scene, *items: Any, policy: Policy = Policy(), psks: Psks = DOOR) -> Attempt:  # noqa: B008 a value
    """Bob commits these."""
    entries = [item if isinstance(item, Proposal) else proposal(item) for item in items]
    return heard(scene, await scene.commit_of("bob", *entries), policy=policy, psks=psks)


def context(scene: Scene, *more: Extension, required: RequiredCapabilities = REQUIRED) -> GroupContextExtensions:
    kept = [e for e in scene.group("bob").context.extensions if e.extension_type != ExtensionType.REQUIRED_CAPABILITIES]
    return GroupContextExtensions((Extension(ExtensionType.REQUIRED_CAPABILITIES, required.encode()), *kept, *more))


@breaks("proposal-unknown", "unsupported-proposal")
async def a_custom_proposal(scene: Scene) -> Attempt:
    return await committed(scene, Proposal(CUSTOM_PROPOSAL, b"do as I say"))


@breaks("proposal-type-supported", "invalid-commit")
async def a_custom_proposal_that_a_member_does_not_support(scene: Scene) -> Attempt:
    scene.world.capabilities = scene.world.capabilities.replace(proposals=(CUSTOM_PROPOSAL,))
    await scene.world.add("alice", "erin")
    return await committed(scene, Proposal(OPTIONAL_PROPOSAL, b""), policy=CUSTOM)


@breaks("update-encryption-key", "invalid-proposal")
async def an_update_with_the_old_key(scene: Scene) -> Attempt:
    item = await scene.update("carol", encryption_key=scene.group("carol").leaf.encryption_key)
    entries = (by_reference(await scene.proposed("carol", item)),)
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries), path=True))


@breaks("remove-leaf", "invalid-proposal")
async def a_remove_of_nobody(scene: Scene) -> Attempt:
    return await committed(scene, Remove(3))


@breaks("remove-leaf", "invalid-proposal")
async def a_remove_beyond_the_tree(scene: Scene) -> Attempt:
    return await committed(scene, Remove(2**32 - 1))


@breaks("psk-type", "invalid-proposal")
async def a_psk_for_reinit(scene: Scene) -> Attempt:
    return await committed(scene, PreSharedKey(resumption_psk(USAGE_REINIT, b"group", 1, NONCE)))


@breaks("psk-type", "invalid-proposal")
async def a_psk_for_a_branch(scene: Scene) -> Attempt:
    return await committed(scene, PreSharedKey(resumption_psk(USAGE_BRANCH, b"group", 1, NONCE)))


@breaks("psk-nonce", "invalid-proposal")
async def a_short_nonce(scene: Scene) -> Attempt:
    return await committed(scene, PreSharedKey(external_psk(b"door", NONCE[:-1])))


@breaks("psk-unknown", "psk-unknown")
async def a_psk_that_we_do_not_have(scene: Scene) -> Attempt:
    item = proposal(PreSharedKey(external_psk(b"door", NONCE)))
    return heard(scene, await scene.commit("bob", item, psks=DOOR))


@breaks("reinit-version", "invalid-proposal")
async def a_lower_version(scene: Scene) -> Attempt:
    return await committed(scene, REINIT.replace(version=0))


@breaks("reinit-extensions", "invalid-proposal")
async def reinit_with_an_extension_twice(scene: Scene) -> Attempt:
    name = Extension(ExtensionType.ROOMKEY_NAME, b"")
    return await committed(scene, REINIT.replace(extensions=(name, name)))


@breaks("context-extensions", "invalid-proposal")
async def a_requirement_that_members_do_not_meet(scene: Scene) -> Attempt:
    return await committed(scene, context(scene, required=REQUIRED.replace(proposal_types=(0xF009,))))


@breaks("context-extensions", "invalid-proposal")
async def an_extension_that_members_do_not_support(scene: Scene) -> Attempt:
    return await committed(scene, context(scene, Extension(0xF0F0, b"")))


@breaks("context-extensions", "invalid-proposal")
async def a_context_extension_twice(scene: Scene) -> Attempt:
    name = Extension(ExtensionType.ROOMKEY_NAME, b"")
    return await committed(scene, context(scene, name, name))


@breaks("context-policy", "unsupported-policy")
async def a_policy_that_nobody_knows(scene: Scene) -> Attempt:
    return await committed(scene, context(scene, UNKNOWN_POLICY))


@breaks("context-policy", "unsupported-policy")
async def a_policy_that_nobody_knows_for_the_next_group(scene: Scene) -> Attempt:
    return await committed(scene, REINIT.replace(extensions=(UNKNOWN_POLICY,)))


# -- lists --


@breaks("commit-update-committer", "invalid-commit")
async def the_committers_own_update(scene: Scene) -> Attempt:
    entries = (by_reference(await scene.proposed("bob", await scene.update("bob"))),)
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries), path=True))


@breaks("commit-removes-committer", "invalid-commit")
async def the_committers_own_removal(scene: Scene) -> Attempt:
    return await committed(scene, Remove(1))


@breaks("commit-one-per-leaf", "invalid-commit")
async def two_removes_of_a_leaf(scene: Scene) -> Attempt:
    return await committed(scene, Remove(2), Remove(2))


@breaks("commit-one-per-leaf", "invalid-commit")
async def an_update_and_a_remove_of_a_leaf(scene: Scene) -> Attempt:
    entries = (by_reference(await scene.proposed("carol", await scene.update("carol"))), by_value(proposal(Remove(2))))
    return heard(scene, await scene.commit("bob", change=lambda c: c.replace(proposals=entries), path=True))


@breaks("commit-add-twice", "invalid-commit")
async def a_client_twice(scene: Scene) -> Attempt:
    package = (await scene.world.client("dave")).key_package
    return await committed(scene, Add(package), Add(package))


@breaks("commit-add-member", "invalid-commit")
async def a_member_once_more(scene: Scene) -> Attempt:
    return await committed(scene, Add(scene.world.keys["alice"].key_package))


@breaks("commit-psk-twice", "invalid-commit")
async def a_psk_twice(scene: Scene) -> Attempt:
    item = PreSharedKey(external_psk(b"door", NONCE))
    return await committed(scene, item, item)


@breaks("commit-one-context", "invalid-commit")
async def two_contexts(scene: Scene) -> Attempt:
    return await committed(scene, context(scene), context(scene))


@breaks("commit-reinit-alone", "invalid-commit")
async def reinit_and_a_remove(scene: Scene) -> Attempt:
    return await committed(scene, REINIT, Remove(2))


@breaks("commit-external-init", "invalid-commit")
async def a_members_external_init(scene: Scene) -> Attempt:
    return await committed(scene, ExternalInit(b"k" * 32))


# -- external commits --


@breaks("external-off", "external-commit-refused")
async def an_external_commit_that_nobody_allowed(scene: Scene) -> Attempt:
    return heard(scene, await scene.external("dave"))


@breaks("external-path", "invalid-commit")
async def without_a_path(scene: Scene) -> Attempt:
    return heard(scene, await scene.external("dave", change=lambda c: c.replace(path=None)), policy=OPEN)


@breaks("external-one-init", "invalid-commit")
async def without_an_init(scene: Scene) -> Attempt:
    return heard(scene, await scene.external("dave", change=lambda c: c.replace(proposals=())), policy=OPEN)


@breaks("external-one-init", "invalid-commit")
async def with_two_inits(scene: Scene) -> Attempt:
    data = await scene.external("dave", change=lambda c: c.replace(proposals=c.proposals * 2))
    return heard(scene, data, policy=OPEN)


@breaks("external-one-remove", "invalid-commit")
async def with_two_removes(scene: Scene) -> Attempt:
    more = (by_value(proposal(Remove(1))), by_value(proposal(Remove(2))))
    data = await scene.external("dave", change=lambda c: c.replace(proposals=(*c.proposals, *more)))
    return heard(scene, data, policy=OPEN)


@breaks("external-types", "invalid-commit")
async def with_an_add(scene: Scene) -> Attempt:
    item = by_value(proposal(Add((await scene.world.client("erin")).key_package)))
    data = await scene.external("dave", change=lambda c: c.replace(proposals=(*c.proposals, item)))
    return heard(scene, data, policy=OPEN)


@breaks("external-types", "invalid-commit")
async def with_an_update(scene: Scene) -> Attempt:
    item = by_value(await scene.update("carol"))
    data = await scene.external("dave", change=lambda c: c.replace(proposals=(*c.proposals, item)))
    return heard(scene, data, policy=OPEN)


@breaks("external-types", "invalid-commit")
async def with_a_reference(scene: Scene) -> Attempt:
    entry = by_reference(await scene.proposed("carol", proposal(PreSharedKey(external_psk(b"door", NONCE)))))
    data = await scene.external("dave", change=lambda c: c.replace(proposals=(*c.proposals, entry)))
    return heard(scene, data, policy=OPEN, psks=DOOR)


@breaks("external-remove-self", "invalid-commit")
async def in_the_place_of_another(scene: Scene) -> Attempt:
    return heard(scene, await scene.external("dave", removed=2), policy=OPEN)


@breaks("update-encryption-key", "invalid-proposal")
async def back_with_the_old_key(scene: Scene) -> Attempt:
    carol = scene.group("carol").leaf
    back = await scene.external(
        "carol again", removed=2, credential=carol.credential, encryption_key=carol.encryption_key
    )
    return heard(scene, back, policy=OPEN)


@breaks("message-signature", "invalid-signature")
async def signed_by_another_key_than_the_leafs(scene: Scene) -> Attempt:
    """Erin sends dave's leaf as her own."""
    erin = await scene.world.client("erin")
    return heard(scene, await scene.external("dave", signer=erin.leaf.signature, by="erin"), policy=OPEN)


@breaks("commit-confirmation", "invalid-commit")
async def with_another_init_secret(scene: Scene) -> Attempt:
    """The KEM output is good, but not the one whose secret dave used."""
    other = await external_key_pair(scene.crypto("bob"), SUITE, b"x" * SUITE.nh)

    def altered(item: Commit) -> Commit:
        return item.replace(proposals=(by_value(proposal(ExternalInit(other.public))), *item.proposals[1:]))

    return heard(scene, await scene.external("dave", change=altered), policy=OPEN)


@breaks("leaf-required-proposals", "invalid-leaf-node")
async def an_add_that_lacks_what_the_same_commit_requires(scene: Scene) -> Attempt:
    """Extensions go before Adds, wherever they stand in the list (section 12.3)."""
    can = scene.world.capabilities.replace(proposals=(CUSTOM_PROPOSAL,))
    dave = await scene.package("dave", lambda package: package, capabilities=can)
    both = (CUSTOM_PROPOSAL, OPTIONAL_PROPOSAL)
    return await committed(scene, Add(dave), context(scene, required=REQUIRED.replace(proposal_types=both)))
