"""Leaves that say something new (RFC 9420 sections 5.3.1 and 7.2): an Update, or a commit's path, of ours with other
capabilities, leaf extensions and a signature key, taken and committed by both engines.
"""

from __future__ import annotations

import time

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.mls.committing import commit, propose_update
from roomkey.mls.extensions import Extension
from roomkey.mls.own_leaf import LeafChange

from tests.interop.members import COMMIT, PROPOSAL
from tests.interop.peer import Peer
from tests.interop.room import EXTENSION_TYPE, Room
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.steps import Commit, Create

NEW_TYPE = 0xF0FE


async def _room(ts_mls: Peer) -> tuple[Room, RoomkeyMember]:
    room = Room(SUITES[1], ts_mls)
    await room.play(Create("a1"))
    await room.play(Commit("a1", add=("b1", "a2", "b2")))
    ours = room.person("a2")
    assert isinstance(ours, RoomkeyMember)
    return room, ours


async def _change(ours: RoomkeyMember, what: str) -> LeafChange:
    """The next leaf of a member, other in one thing."""
    assert ours.group is not None
    can = ours.group.leaf.capabilities
    if what == "signature":
        (pair,) = await ours.crypto.generate_keys(ours.suite.scheme, 1)
        return LeafChange(signature=pair)
    if what == "extensions":
        return LeafChange(extensions=(Extension(EXTENSION_TYPE, b"of the leaf"),))
    return LeafChange(capabilities=can.replace(extensions=(*can.extensions, NEW_TYPE), cipher_suites=(1, 3)))


async def _agree_on(room: Room, ours: RoomkeyMember, change: LeafChange) -> None:
    """All took the leaf as it is now, and what it signs from now on."""
    assert ours.group is not None
    leaf = ours.group.leaf
    assert change.applied_to(leaf) == leaf
    if change.signature is not None:
        assert leaf.signature_key == change.signature.public
    room.epoch += 1
    await room.agree()
    await room.play(Commit("b2"))
    await room.play(Commit("a2"))
    await room.talk()


@pytest.mark.parametrize("committer", ["a1", "b1"])
@pytest.mark.parametrize("what", ["signature", "extensions", "capabilities"])
async def test_an_update(ts_mls: Peer, what: str, committer: str) -> None:
    room, ours = await _room(ts_mls)
    change = await _change(ours, what)
    assert ours.group is not None
    ours.group, message = await propose_update(ours.crypto, ours.group, leaf=change)
    for name in room.others("a2"):
        assert (await room.person(name).process(message, {})).kind == PROPOSAL, name
    made = await room.person(committer).commit([], path=True, public=False, psks={}, tree_inside=True)
    for name in room.others(committer):
        assert (await room.person(name).process(made.message, {})).kind == COMMIT, name
    room.person(committer).adopt()
    await _agree_on(room, ours, change)


@pytest.mark.parametrize("what", ["signature", "extensions", "capabilities"])
async def test_a_path(ts_mls: Peer, what: str) -> None:
    room, ours = await _room(ts_mls)
    change = await _change(ours, what)
    assert ours.group is not None
    made = await commit(ours.crypto, ours.group, time.time(), leaf=change)
    for name in room.others("a2"):
        assert (await room.person(name).process(made.message, {})).kind == COMMIT, name
    ours.group = made.group
    await _agree_on(room, ours, change)
