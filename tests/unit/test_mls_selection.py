"""What a commit carries of the proposals that came: all that is valid and goes together, whatever else was sent."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import PendingCommit, commit, propose_update
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.group import NO_PSKS, Psks, ReceivedProposal
from roomkey.mls.processing import process, protect
from roomkey.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    proposal,
)
from roomkey.mls.psk import USAGE_APPLICATION, USAGE_REINIT, external_psk, resumption_psk

from tests.support.mls_forge import CUSTOM, CUSTOM_PROPOSAL, OPTIONAL_PROPOSAL, SUITE, Scene
from tests.support.mls_world import NOW

DOOR = Psks({b"door": b"k" * 32})
REINIT = proposal(ReInit(b"next", 1, SUITE.number, ()))
NAME = Extension(ExtensionType.ROOMKEY_NAME, b"\x01x")


def context(scene: Scene, *more: Extension) -> Proposal:
    return proposal(GroupContextExtensions((*scene.group("bob").context.extensions, *more)))


def psk(number: int) -> Proposal:
    return proposal(PreSharedKey(external_psk(b"door", bytes((number,)) * SUITE.nh)))


async def received(scene: Scene, name: str, item: Proposal) -> bytes:
    """A member proposes, and all remember it, whatever it is. The reference."""
    reference = await scene.proposed(name, item)
    known = scene.group("bob" if name != "bob" else "alice").proposal(reference)
    scene.world.groups[name] = scene.group(name).with_proposal(known)
    return reference


async def updated(scene: Scene, name: str) -> bytes:
    """A member proposes fresh keys. The reference."""
    scene.world.groups[name], data = await propose_update(scene.crypto(name), scene.group(name))
    await scene.world.everybody(name, data)
    return scene.group(name).proposals[-1].reference


async def carried(
    scene: Scene, *given: Proposal, by: str = "bob", psks: Psks = NO_PSKS
) -> tuple[list[bytes], PendingCommit]:
    """What `by`'s commit refers to; all others take it and agree."""
    made = await commit(scene.crypto(by), scene.group(by), NOW, proposals=given, policy=CUSTOM, psks=psks)
    for name, group in scene.world.groups.items():
        if name != by:
            done = await process(scene.crypto(name), group, made.message, policy=CUSTOM, psks=psks)
            if done.group.epoch != group.epoch:
                assert done.group.epoch_authenticator == made.group.epoch_authenticator
    return list(made.referenced), made


async def test_invalid_proposals_are_left_out() -> None:
    scene = await Scene.create()
    fresh = await scene.package("dave", lambda package: package)
    old = await scene.package("erin", lambda package: package.replace(init_key=package.leaf_node.encryption_key))
    forged = (await scene.package("frank", lambda package: package)).replace(signature=bytes(64))
    bad = [
        proposal(Remove(3)),
        proposal(Add(old)),
        proposal(Add(forged)),
        proposal(PreSharedKey(external_psk(b"door", b"short"))),
        proposal(PreSharedKey(external_psk(b"unknown", bytes(SUITE.nh)))),
        proposal(PreSharedKey(resumption_psk(USAGE_REINIT, b"group", 1, bytes(SUITE.nh)))),
        proposal(ExternalInit(b"")),
        proposal(GroupContextExtensions((NAME, NAME))),
        context(scene, Extension(0xF0F0, b"")),
        proposal(GroupContextExtensions((Extension(ExtensionType.REQUIRED_CAPABILITIES, b"?"),))),
        Proposal(0xF00F, b"unknown"),
        await scene.update("carol", encryption_key=scene.group("carol").leaf.encryption_key),
        await scene.update("carol", signer="alice"),
        proposal(ReInit(b"next", 0, SUITE.number, ())),
    ]
    good = [proposal(Add(fresh)), psk(1), Proposal(CUSTOM_PROPOSAL, b"mine"), Proposal(OPTIONAL_PROPOSAL, b"ours")]
    for item in bad[:7]:
        await received(scene, "carol", item)
    wanted = [await received(scene, "carol", item) for item in good]
    for item in bad[7:]:
        await received(scene, "carol", item)
    references, made = await carried(scene, psks=DOOR)
    assert references == wanted
    assert made.custom == tuple(
        ReceivedProposal(reference, item.sender, item.proposal)
        for item in scene.group("bob").proposals
        if (reference := item.reference) in wanted[2:]
    )


async def test_for_a_leaf_the_removal_goes_before_updates_and_the_newest_update_before_older_ones() -> None:
    scene = await Scene.create()
    await updated(scene, "carol")
    newest = await updated(scene, "carol")
    assert (await carried(scene))[0] == [newest]
    removal = await received(scene, "alice", proposal(Remove(2)))
    await updated(scene, "carol")
    assert (await carried(scene))[0] == [removal]
    assert (await carried(scene, proposal(Remove(2))))[0] == []


async def test_nobody_commits_their_own_update_or_removal() -> None:
    scene = await Scene.create()
    await received(scene, "carol", proposal(Remove(1)))
    await updated(scene, "bob")
    assert (await carried(scene))[0] == []


async def test_a_client_is_added_once_and_not_if_it_is_a_member() -> None:
    scene = await Scene.create()
    dave = proposal(Add(await scene.package("dave", lambda package: package)))
    member = proposal(Add((scene.world.keys["carol"]).key_package))
    await received(scene, "carol", member)
    first = await received(scene, "carol", dave)
    await received(scene, "alice", dave)
    assert (await carried(scene))[0] == [first]
    assert (await carried(scene, dave))[0] == []


async def test_of_contexts_the_newest_that_all_can_meet() -> None:
    scene = await Scene.create()
    await received(scene, "carol", context(scene))
    newest = await received(scene, "carol", context(scene, NAME))
    await received(scene, "carol", context(scene, Extension(0xF0F0, b"")))
    assert (await carried(scene))[0] == [newest]
    assert (await carried(scene, context(scene)))[0] == []


async def test_who_does_not_meet_the_new_context_is_not_added() -> None:
    scene = await Scene.create()
    scene.world.capabilities = scene.world.capabilities.replace(
        extensions=tuple(t for t in scene.world.capabilities.extensions if t != ExtensionType.ROOMKEY_POLICY)
    )
    await received(scene, "alice", proposal(Add(await scene.package("dave", lambda package: package))))
    assert len((await carried(scene))[0]) == 1
    policy = Extension(ExtensionType.ROOMKEY_POLICY, b"\x0cmembers-only")
    changed = await received(scene, "carol", context(scene, policy))
    assert (await carried(scene))[0] == [changed]


async def test_a_key_is_brought_in_once() -> None:
    scene = await Scene.create()
    first = await received(scene, "carol", psk(1))
    await received(scene, "alice", psk(1))
    other = await received(scene, "alice", psk(2))
    assert (await carried(scene, psks=DOOR))[0] == [first, other]
    assert (await carried(scene, psk(1), psks=DOOR))[0] == [other]


async def test_custom_proposals_wait_for_who_does_not_know_them() -> None:
    scene = await Scene.create()
    scene.world.capabilities = scene.world.capabilities.replace(proposals=(CUSTOM_PROPOSAL,))
    await scene.world.add("alice", "erin")
    await received(scene, "carol", Proposal(OPTIONAL_PROPOSAL, b""))
    assert (await carried(scene))[0] == []
    assert len((await carried(scene, proposal(Remove(scene.group("erin").own_leaf))))[0]) == 1


async def test_a_reinit_waits_for_everything_else() -> None:
    scene = await Scene.create()
    await received(scene, "alice", REINIT)
    newest = await received(scene, "carol", proposal(ReInit(b"other", 1, SUITE.number, ())))
    assert (await carried(scene))[0] == [newest]
    assert (await carried(scene, psk(1), psks=DOOR))[0] == []
    update = await updated(scene, "carol")
    assert (await carried(scene))[0] == [update]


async def test_a_caller_chooses_references_and_their_order() -> None:
    scene = await Scene.create()
    first, second = await received(scene, "alice", psk(1)), await received(scene, "carol", psk(2))
    made = await commit(scene.crypto("bob"), scene.group("bob"), NOW, referenced=[second, first], psks=DOOR)
    assert made.referenced == (second, first)
    done = await process(scene.crypto("alice"), scene.group("alice"), made.message, psks=DOOR)
    assert done.group.epoch_authenticator == made.group.epoch_authenticator
    with pytest.raises(RoomkeyError) as unknown:
        await commit(scene.crypto("bob"), scene.group("bob"), NOW, referenced=[b"?"])
    assert unknown.value.code == "unknown-proposal"
    bad = await received(scene, "carol", proposal(Remove(3)))
    with pytest.raises(RoomkeyError) as refused:
        await commit(scene.crypto("bob"), scene.group("bob"), NOW, referenced=[bad])
    assert refused.value.details["rule"] == "remove-leaf"


@pytest.mark.parametrize("seed", range(12))
async def test_any_heap_of_proposals_leaves_a_commit_that_all_take(seed: int) -> None:
    choice = random.Random(seed)
    scene = await Scene.create()
    await scene.world.add("bob", "erin")
    names = ("alice", "carol", "erin")
    packages = [await scene.package(f"new{n}", lambda package: package) for n in range(3)]
    clash = await scene.package("clash", lambda p: p, encryption_key=scene.group("carol").leaf.encryption_key)

    for _ in range(14):
        kinds: Sequence[Proposal] = (
            proposal(Remove(choice.randrange(6))), proposal(Add(choice.choice([*packages, clash]))),
            psk(choice.randrange(3)), context(scene), context(scene, NAME), context(scene, Extension(0xF0F0, b"")),
            Proposal(choice.choice((CUSTOM_PROPOSAL, OPTIONAL_PROPOSAL, 0xF00F)), b""), REINIT,
            proposal(ExternalInit(b"")),
        )  # fmt: skip
        if choice.random() < 0.7:
            await received(scene, choice.choice(names), choice.choice(kinds))
        else:
            await updated(scene, choice.choice(names))
    await carried(scene, psks=DOOR)
    given = [Proposal(CUSTOM_PROPOSAL, b"given")] if choice.random() < 0.5 else [proposal(Remove(2))]
    await carried(scene, *given, psks=DOOR)


async def test_data_wait_for_proposals() -> None:
    scene = await Scene.create()
    await received(scene, "carol", proposal(Remove(3)))  # invalid: nothing to wait for
    after, _ = await protect(scene.crypto("bob"), scene.group("bob"), b"x")
    scene.world.groups["bob"] = after
    await received(scene, "carol", proposal(Remove(0)))
    with pytest.raises(RoomkeyError) as refused:
        await protect(scene.crypto("bob"), scene.group("bob"), b"x")
    assert refused.value.code == "commit-first"
    _, sent = await protect(scene.crypto("bob"), scene.group("bob"), b"x", waiting="unsafe-send")
    assert (await process(scene.crypto("carol"), scene.group("carol"), sent)).event is not None
    made = await commit(scene.crypto("bob"), scene.group("bob"), NOW)
    await protect(scene.crypto("bob"), made.group, b"x")


async def test_data_wait_for_our_own_proposals_too() -> None:
    scene = await Scene.create()
    group, _ = await propose_update(scene.crypto("bob"), scene.group("bob"))
    with pytest.raises(RoomkeyError) as refused:
        await protect(scene.crypto("bob"), group, b"x")
    assert refused.value.code == "commit-first"


async def test_a_resumption_psk_is_taken_only_from_who_says_that_all_have_it() -> None:
    scene = await Scene.create()
    group = scene.group("bob")
    psk_id = resumption_psk(USAGE_APPLICATION, group.group_id, group.epoch, bytes(SUITE.nh))
    reference = await received(scene, "carol", proposal(PreSharedKey(psk_id)))
    assert (await carried(scene))[0] == []  # whoever came after its epoch could not follow
    shared = Psks({}, {(group.group_id, group.epoch): group.secrets.resumption_psk})
    assert (await carried(scene, psks=shared))[0] == [reference]
