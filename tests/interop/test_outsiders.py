"""Joining from outside: external commits and proposals to be added, made and taken by both engines."""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.mls.extensions import Extension, ExtensionType, ExternalSender, ExternalSenders
from roomkey.mls.policy import EXTERNAL_JOINS, POLICIES
from roomkey.mls.proposals import GroupContextExtensions, proposal

from tests.interop import faults
from tests.interop.members import COMMIT, COMMON_SUITES, PROPOSAL, Refused
from tests.interop.peer import Peer
from tests.interop.room import Room
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.steps import Commit, Create, Enter
from tests.interop.ts_mls_member import TsMlsMember


async def _room(ts_mls: Peer, suite: CipherSuite, creator: str = "a1") -> Room:
    room = Room(suite, ts_mls, policy=POLICIES[EXTERNAL_JOINS])
    await room.play(Create(creator))
    await room.play(Commit(creator, add=("b9", "a9")))
    return room


def _ours(room: Room, name: str) -> RoomkeyMember:
    member = room.person(name)
    assert isinstance(member, RoomkeyMember)
    return member


def _theirs(room: Room, name: str) -> TsMlsMember:
    member = room.person(name)
    assert isinstance(member, TsMlsMember)
    return member


@pytest.mark.parametrize("suite", COMMON_SUITES, ids=lambda suite: f"suite{suite.number}")
async def test_it_joins_our_group_by_external_commits(ts_mls: Peer, suite: CipherSuite) -> None:
    room = await _room(ts_mls, suite)
    for name in ("b1", "b2"):
        await room.play(Enter(name, "a1"))
    await room.play(Commit("b2"))
    await room.play(Commit("a9", remove=("b1",)))
    await room.talk()


@pytest.mark.parametrize("creator", ["a1", "b1"])
@pytest.mark.parametrize("suite", COMMON_SUITES, ids=lambda suite: f"suite{suite.number}")
async def test_ours_joins_by_external_commits(ts_mls: Peer, suite: CipherSuite, creator: str) -> None:
    room = await _room(ts_mls, suite, creator)
    await room.play(Enter("a2", creator))
    await room.play(Enter("a3", "b9"))
    await room.play(Commit("b9", remove=("a9",)))
    await room.play(Enter("a4", "a3"))  # into the leaf that is free
    await room.play(Commit("a2"))
    await room.talk()


async def test_ours_joins_a_group_of_theirs_alone(ts_mls: Peer) -> None:
    room = Room(SUITES[1], ts_mls, policy=POLICIES[EXTERNAL_JOINS])
    await room.play(Create("b1"))
    await room.play(Commit("b1", add=("b2", "b3")))
    await room.play(Enter("a1", "b2"))
    await room.play(Commit("b3"))
    await room.play(Commit("a1"))
    await room.talk()


async def test_it_joins_its_own_group_and_ours_follow(ts_mls: Peer) -> None:
    room = await _room(ts_mls, SUITES[1], "b1")
    await room.play(Enter("b2", "b1"))
    await room.play(Commit("a9"))
    await room.talk()


@pytest.mark.parametrize("who", ["a9", "b9"])
async def test_who_was_lost_comes_back_in_their_own_place(ts_mls: Peer, who: str) -> None:
    room = await _room(ts_mls, SUITES[1])
    await room.play(Commit("a1", add=("b1",)))
    lost = room.person(who)
    leaf = lost.leaf
    if isinstance(lost, RoomkeyMember):
        message = await lost.join_from_outside(await _theirs(room, "b1").group_info(bare=False), resync=True)
    else:
        assert isinstance(lost, TsMlsMember)
        info = await _ours(room, "a1").group_info(await _ours(room, "a1").bare_external_key())
        message = await lost.join_from_outside(info, resync=True)
    for name in room.others(who):
        assert (await room.person(name).process(message, {})).kind == COMMIT, name
    assert lost.leaf == leaf
    room.epoch += 1
    await room.agree()
    await room.play(Commit("b9"))
    await room.play(Commit("a9"))
    await room.talk()


async def test_ours_does_not_take_its_bare_external_key(ts_mls: Peer) -> None:
    room = await _room(ts_mls, SUITES[1])
    with pytest.raises(Refused, match=faults.ITS_EXTERNAL_PUB):
        await _ours(room, "a2").join_from_outside(await _theirs(room, "b9").group_info())


async def test_it_cannot_read_the_external_key_of_a_group_info(ts_mls: Peer) -> None:
    room = await _room(ts_mls, SUITES[1])
    with pytest.raises(Refused) as refused:
        await _theirs(room, "b1").join_from_outside(await _ours(room, "a1").group_info())
    assert faults.BARE_EXTERNAL_PUB in refused.value.text


@pytest.mark.parametrize("committer", ["a9", "b9"])
@pytest.mark.parametrize("who", ["a2", "b2"])
async def test_who_is_outside_asks_to_be_added(ts_mls: Peer, who: str, committer: str) -> None:
    room = await _room(ts_mls, SUITES[1])
    newcomer = room.person(who)
    assert isinstance(newcomer, RoomkeyMember | TsMlsMember)
    message = await newcomer.propose_own_add(await _ours(room, "a1").group_info())
    for member in room.inside:
        assert (await room.person(member).process(message, {})).kind == PROPOSAL, member
    room.joining.append(who)
    await room.play(Commit(committer))
    await room.talk()


async def test_it_cannot_read_external_senders(ts_mls: Peer) -> None:
    room = await _room(ts_mls, SUITES[1])
    member = _ours(room, "a1")
    assert member.group is not None
    leaf = member.group.leaf
    senders = ExternalSenders((ExternalSender(leaf.signature_key, leaf.credential),))
    item = proposal(GroupContextExtensions((Extension(ExtensionType.EXTERNAL_SENDERS, senders.encode()),)))
    made = await member.commit([item], path=True, public=False, psks={}, tree_inside=True)
    assert (await room.person("a9").process(made.message, {})).kind == COMMIT
    with pytest.raises(Refused) as refused:
        await room.person("b9").process(made.message, {})
    assert faults.ONE_EXTERNAL_SENDER in refused.value.text
