"""Groups that follow on others: reinitialised ones and branches (RFC 9420 sections 11.2 and 11.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import PendingCommit, commit
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.group import Group, JoinKeys, Psks
from roomkey.mls.joining import join
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.processing import process, protect
from roomkey.mls.proposals import PreSharedKey, ReInit, proposal
from roomkey.mls.psk import USAGE_APPLICATION, resumption_psk
from roomkey.mls.state import decode_group, encode_group
from roomkey.mls.successor import branch_group, reinit_group
from roomkey.mls.version import MLS10

from tests.support.mls_world import NOW, World, join_keys

SUITE = SUITES[1]
NAME = Extension(ExtensionType.ROOMKEY_NAME, b"\x04next")
PEOPLE = ("alice", "bob", "carol")


async def _keys(world: World, names: Sequence[str], suite: CipherSuite = SUITE) -> dict[str, JoinKeys]:
    return {name: await join_keys(world.cryptos[name], suite, name.encode()) for name in names}


def _packages(keys: dict[str, JoinKeys], founder: str) -> list[KeyPackage]:
    return [item.key_package for name, item in keys.items() if name != founder]


async def _gather(world: World, made: PendingCommit, keys: dict[str, JoinKeys], founder: str, **how: Any) -> World:
    """The new group with all who were invited in it."""
    new = World(made.group.suite, {founder: made.group}, world.cryptos, keys)
    assert made.welcome is not None
    for name, item in keys.items():
        if name != founder:
            former = [world.groups[name]]
            new.groups[name] = (await join(new.cryptos[name], made.welcome, [item], former=former, **how)).group
    new.agree()
    assert made.group.epoch == 1
    return new


async def _ended(suite: CipherSuite = SUITE) -> World:
    world = await World.create(SUITE, *PEOPLE)
    await world.commit("carol", path=True)
    await world.commit("bob", proposal(ReInit(b"next", MLS10, suite.number, (NAME,))))
    return world


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("path", [False, True])
async def test_a_group_is_reinitialised(suite: CipherSuite, path: bool) -> None:
    world = await _ended(suite)
    for name in PEOPLE:
        with pytest.raises(RoomkeyError) as over:
            await protect(world.cryptos[name], world.groups[name], b"too late")
        assert over.value.code == "group-ended"
        world.groups[name] = decode_group(encode_group(world.groups[name]))
    keys = await _keys(world, PEOPLE, suite)
    made = await reinit_group(
        world.cryptos["carol"], world.groups["carol"], keys["carol"], _packages(keys, "carol"), NOW, path=path
    )
    new = await _gather(world, made, keys, "carol")
    context = made.group.context
    assert (context.group_id, context.cipher_suite, context.extensions) == (b"next", suite.number, (NAME,))
    await new.say("alice", b"here we are")
    await new.commit("bob", path=True)
    new.agree()


async def test_a_group_is_branched_and_goes_on() -> None:
    world = await World.create(SUITE, *PEOPLE)
    keys = await _keys(world, ("alice", "carol"))
    made = await branch_group(
        world.cryptos["alice"], world.groups["alice"], keys["alice"], _packages(keys, "alice"), b"side", NOW,
        extensions=[NAME], with_tree=False,
    )  # fmt: skip
    new = await _gather(world, made, keys, "alice", tree=made.group.tree.encode())
    await new.commit("carol", path=True)
    await new.say("alice", b"between us")
    await world.say("bob", b"still all of us")
    await world.commit("bob", path=True)
    world.agree()


async def test_a_branch_may_be_joined_from_a_later_epoch() -> None:
    world = await World.create(SUITE, *PEOPLE)
    keys = await _keys(world, PEOPLE)
    made = await branch_group(
        world.cryptos["alice"], world.groups["alice"], keys["alice"], _packages(keys, "alice"), b"side", NOW
    )
    await world.commit("carol", path=True)
    await _gather(world, made, keys, "alice")


async def test_resumption_psks_for_the_application() -> None:
    world = await World.create(SUITE, *PEOPLE)
    old = world.groups["alice"].epoch
    await world.commit("bob", path=True)
    own = resumption_psk(USAGE_APPLICATION, b"group", old, b"n" * 32)
    with_psk = await world.commit("carol", proposal(PreSharedKey(own)))
    world.agree()
    without = await commit(world.cryptos["carol"], with_psk.current, NOW, path=True)
    assert without.group.epoch_authenticator != with_psk.group.epoch_authenticator

    other = resumption_psk(USAGE_APPLICATION, b"another group", 7, b"n" * 32)
    psks = Psks({}, {(b"another group", 7): b"s" * 32})
    made = await commit(
        world.cryptos["bob"], world.groups["bob"], NOW, proposals=[proposal(PreSharedKey(other))], psks=psks
    )
    done = await process(world.cryptos["alice"], world.groups["alice"], made.message, psks=psks)
    assert done.group.epoch_authenticator == made.group.epoch_authenticator
    with pytest.raises(RoomkeyError) as unknown:
        await process(world.cryptos["carol"], world.groups["carol"], made.message)
    assert unknown.value.code == "psk-unknown"


# -- what makers are refused --

Make = Callable[[World, dict[str, JoinKeys]], Awaitable[PendingCommit]]


async def _reinit(world: World, keys: dict[str, JoinKeys]) -> PendingCommit:
    return await reinit_group(world.cryptos["bob"], world.groups["bob"], keys["bob"], _packages(keys, "bob"), NOW)


async def _branch(world: World, keys: dict[str, JoinKeys]) -> PendingCommit:
    return await branch_group(
        world.cryptos["bob"], world.groups["bob"], keys["bob"], _packages(keys, "bob"), b"side", NOW
    )


async def test_only_an_ended_group_is_reinitialised() -> None:
    world = await World.create(SUITE, *PEOPLE)
    with pytest.raises(RoomkeyError) as refused:
        await _reinit(world, await _keys(world, PEOPLE))
    assert refused.value.code == "bad-argument"


async def test_a_reinitialised_group_is_of_the_suite_agreed_on() -> None:
    world = await _ended(SUITES[2])
    with pytest.raises(RoomkeyError) as refused:
        await _reinit(world, await _keys(world, PEOPLE))
    assert refused.value.code == "bad-argument"


@pytest.mark.parametrize("who", [("alice", "bob"), ("alice", "bob", "carol", "dave")])
async def test_a_reinitialised_group_has_the_old_members(who: Sequence[str]) -> None:
    world = await _ended()
    await world.client("dave")
    with pytest.raises(RoomkeyError) as refused:
        await _reinit(world, await _keys(world, who))
    assert refused.value.details["rule"] == "successor-members"


@pytest.mark.parametrize(
    ("who", "suite", "rule"),
    [(("alice", "bob", "dave"), 1, "branch-members"), (("alice", "bob"), 2, "branch-parameters")],
)
async def test_a_branch_is_of_the_same_suite_and_people(who: Sequence[str], suite: int, rule: str) -> None:
    world = await World.create(SUITE, *PEOPLE)
    await world.client("dave")
    with pytest.raises(RoomkeyError) as refused:
        await _branch(world, await _keys(world, who, SUITES[suite]))
    assert refused.value.details["rule"] == rule


async def test_the_application_says_who_is_the_same() -> None:
    def person(leaf: LeafNode) -> bytes:
        return (leaf.credential.identity or b"").partition(b"/")[0]

    world = await World.create(SUITE, "alice/phone", "bob")
    for name in ("alice/tablet", "mallory"):
        await world.client(name)
    keys = await _keys(world, ("alice/tablet", "bob"))
    made = await branch_group(
        world.cryptos["bob"], world.groups["bob"], keys["bob"], _packages(keys, "bob"), b"side", NOW, who=person
    )
    assert made.welcome is not None
    old: Group = world.groups["alice/phone"]
    joined = await join(world.cryptos["alice/tablet"], made.welcome, [keys["alice/tablet"]], former=[old], who=person)
    assert joined.group.epoch_authenticator == made.group.epoch_authenticator


async def test_a_former_member_cannot_branch_with_an_old_key() -> None:
    """Who was removed still has the PSK of earlier epochs, but is in no branch that a member joins."""
    world = await World.create(SUITE, *PEOPLE)
    before = world.groups["carol"]
    keys = await _keys(world, PEOPLE)
    made = await branch_group(world.cryptos["carol"], before, keys["carol"], _packages(keys, "carol"), b"side", NOW)
    await world.remove("alice", "carol")
    assert made.welcome is not None
    with pytest.raises(RoomkeyError) as refused:
        await join(world.cryptos["bob"], made.welcome, [keys["bob"]], former=[world.groups["bob"]])
    assert refused.value.details["rule"] == "branch-members"
