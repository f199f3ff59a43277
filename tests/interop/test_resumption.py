"""Branches and reinitialised groups (RFC 9420 sections 11.2 and 11.3) founded and joined by both engines."""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.proposals import ReInit, proposal
from roomkey.mls.version import MLS10

from tests.interop.members import COMMIT, COMMON_SUITES, Refused
from tests.interop.peer import Peer
from tests.interop.room import Room
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.steps import Commit, Create
from tests.interop.ts_mls_member import TsMlsMember

PEOPLE = ("a1", "b1", "a2", "b2")
FOUNDERS = ("a1", "b1")


async def _old(ts_mls: Peer) -> Room:
    room = Room(SUITES[1], ts_mls)
    await room.play(Create("a1"))
    await room.play(Commit("a1", add=PEOPLE[1:]))
    await room.play(Commit("b2"))
    return room


async def _resume(old: Room, usage: str, suite: CipherSuite, founder: str, *, with_tree: bool = False) -> Room:
    """The group that resumes `old` with the same people, in its first epoch; ts-mls puts no tree into its Welcome."""
    new = Room(suite, old.peer, group_id=b"resumed")
    packages: list[bytes] = []
    for name in PEOPLE:
        person, before = new.person(name), old.person(name)
        if isinstance(person, RoomkeyMember):
            assert isinstance(before, RoomkeyMember)
            person.resuming = before.group
        else:
            assert isinstance(person, TsMlsMember)
            assert isinstance(before, TsMlsMember)
            person.resuming = before.state
        if name != founder:
            packages.append(await person.key_package())
    maker, before = new.person(founder), old.person(founder)
    if isinstance(maker, RoomkeyMember):
        assert isinstance(before, RoomkeyMember)
        assert before.group is not None
        made = await maker.resume(before.group, packages, new.group_id, usage, with_tree=with_tree)
    else:
        assert isinstance(maker, TsMlsMember)
        assert isinstance(before, TsMlsMember)
        made = await maker.resume(before, packages, new.group_id, usage, suite)
    assert made.welcome is not None
    for name in PEOPLE:
        if name != founder:
            await new.person(name).join(made.welcome, made.tree, {})
    new.inside, new.epoch = list(PEOPLE), 1
    assert (await new.agree()).epoch == 1
    return new


@pytest.mark.parametrize("with_tree", [True, False], ids=["tree_inside", "tree_beside"])
@pytest.mark.parametrize("founder", FOUNDERS)
async def test_a_branch(ts_mls: Peer, founder: str, with_tree: bool) -> None:
    new = await _resume(await _old(ts_mls), "branch", SUITES[1], founder, with_tree=with_tree)
    await new.talk()
    await new.play(Commit("a2", remove=("b2",)))
    await new.play(Commit("b1"))


async def test_a_branch_needs_the_old_group(ts_mls: Peer) -> None:
    old = await _old(ts_mls)
    stranger = Room(SUITES[1], ts_mls).person("a9")
    package = await stranger.key_package()
    founder = Room(SUITES[1], ts_mls).person("b9")
    assert isinstance(founder, TsMlsMember)
    before = old.person("b1")
    assert isinstance(before, TsMlsMember)
    made = await founder.resume(before, [package], b"resumed", "branch", SUITES[1])
    assert made.welcome is not None
    with pytest.raises(Refused, match="psk-unknown"):
        await stranger.join(made.welcome, made.tree, {})


@pytest.mark.parametrize("suite", COMMON_SUITES, ids=lambda suite: f"to_suite{suite.number}")
@pytest.mark.parametrize("committer", ["a2", "b2"])
@pytest.mark.parametrize("founder", FOUNDERS)
async def test_a_reinitialised_group(ts_mls: Peer, founder: str, committer: str, suite: CipherSuite) -> None:
    old = await _old(ts_mls)
    person = old.person(committer)
    if isinstance(person, TsMlsMember):
        message = await person.reinit(b"resumed", suite)
    else:
        item = proposal(ReInit(b"resumed", MLS10, suite.number, ()))
        message = (await person.commit([item], path=False, public=False, psks={}, tree_inside=True)).message
        person.adopt()
    for name in old.others(committer):
        assert (await old.person(name).process(message, {})).kind == COMMIT, name
    await old.agree()
    for name in PEOPLE:  # the old group is over, for both engines
        with pytest.raises((Refused, RoomkeyError)) as refused:
            await old.person(name).protect(b"too late")
        assert "suspended pending reinit" in str(refused.value) or getattr(refused.value, "code", "") == "group-ended"
    new = await _resume(old, "reinit", suite, founder)
    await new.talk()
    await new.play(Commit("a1"))
    await new.play(Commit("b2"))
