"""Each fault of ts-mls 1.6.4 (`faults`) by itself. Where one is gone, a test here fails: then the steering goes too."""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.extensions import Extension
from roomkey.mls.key_package import verify_key_packages
from roomkey.mls.proposals import GroupContextExtensions, Proposal, proposal

from tests.interop import faults
from tests.interop.members import Commit as Made
from tests.interop.members import Refused, lifetime, read_key_package
from tests.interop.peer import Peer, unpack
from tests.interop.room import EXTENSION_TYPE, Room
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.steps import Commit, Create

SUITE = SUITES[1]


async def _room(ts_mls: Peer, creator: str, *others: str) -> Room:
    room = Room(SUITE, ts_mls)
    await room.play(Create(creator, extension=b"old"))
    await room.play(Commit(creator, add=others))
    return room


async def _commit(room: Room, by: str, *items: Proposal) -> Made:
    return await room.person(by).commit(items, path=False, public=False, psks={}, tree_inside=True)


async def _refusal(room: Room, name: str, message: bytes) -> str:
    with pytest.raises(Refused) as refused:
        await room.person(name).process(message, {})
    assert refused.value.member == name
    return refused.value.text


def _extensions(*data: bytes) -> Proposal:
    return proposal(GroupContextExtensions(tuple(Extension(EXTENSION_TYPE, item) for item in data)))


async def test_unmerged_leaves_in_different_halves_are_refused(ts_mls: Peer) -> None:
    room = await _room(ts_mls, "a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4")
    await room.play(Commit("b1", remove=("a2", "b3")))
    made = await _commit(room, "b1", await room.add("a5", "b1"), await room.add("b5", "b1"))
    assert made.welcome is not None
    newcomer = room.person("a5")
    assert isinstance(newcomer, RoomkeyMember)
    await newcomer.join(made.welcome, None, {})
    with pytest.raises(Refused) as refused:
        await room.person("b5").join(made.welcome, None, {})
    assert faults.UNMERGED_LEAVES in refused.value.text
    assert newcomer.group is not None
    assert faults.refuses_tree(newcomer.group.tree)
    await room.person("b2").process(made.message, {})  # who was there before follows
    assert await room.person("b2").view() == await newcomer.view()


async def test_a_removal_is_not_seen_when_the_leaf_is_taken(ts_mls: Peer) -> None:
    room = await _room(ts_mls, "a1", "b1", "a2")
    leaf = room.person("b1").leaf
    made = await _commit(room, "a1", room.remove("b1"), await room.add("a3", "a1"))
    assert faults.LEAF_TAKEN_OVER in await _refusal(room, "b1", made.message)
    assert made.welcome is not None
    await room.person("a3").join(made.welcome, None, {})
    assert room.person("a3").leaf == leaf


async def test_nobody_follows_its_path_with_new_extensions(ts_mls: Peer) -> None:
    room = await _room(ts_mls, "b1", "b2", "a1", "a2")
    made = await _commit(room, "b1", room.remove("a2"), _extensions(b"new"))
    assert await _refusal(room, "a1", made.message) == faults.EXTENSIONS_NOT_IN_PATH
    await _refusal(room, "b2", made.message)  # its own kind neither


async def test_its_new_extensions_come_without_the_path_they_need(ts_mls: Peer) -> None:
    room = await _room(ts_mls, "b1", "b2", "a1")
    made = await _commit(room, "b1", _extensions(b"new"))
    assert await _refusal(room, "a1", made.message) == faults.EXTENSIONS_WITHOUT_PATH


async def test_it_keeps_extensions_that_a_commit_takes_away(ts_mls: Peer) -> None:
    room = await _room(ts_mls, "a1", "b1", "a2")
    made = await _commit(room, "a1", _extensions())
    assert (await room.person("a2").process(made.message, {})).kind == "commit"
    assert faults.EXTENSIONS_STAY in await _refusal(room, "b1", made.message)


@pytest.mark.parametrize("committer", ["a2", "b2"])
async def test_it_derives_another_commit_secret_below_a_blank_root(ts_mls: Peer, committer: str) -> None:
    room = await _room(ts_mls, "a1", "b1", "a2", "b2")
    made = await _commit(room, committer, room.remove("a1"), room.remove("b1"))
    assert faults.BLANK_ROOT[committer[0]] in await _refusal(room, {"a2": "b2", "b2": "a2"}[committer], made.message)


async def test_its_p256_signature_keys_are_compressed(ts_mls: Peer) -> None:
    window = lifetime()
    made = ts_mls.ask(
        "key_package", suite=2, identity=b"b1", not_before=window.not_before, not_after=window.not_after, generated=True
    )
    package = read_key_package(unpack(made["message"]))
    assert len(package.leaf_node.signature_key) == 33
    with pytest.raises(RoomkeyError) as refused:
        await verify_key_packages(NativeCrypto(), SUITES[2], [package], window.not_before + 3600.0)
    assert refused.value.details["rule"] == faults.COMPRESSED_KEY


async def test_its_default_lifetime_has_no_end(ts_mls: Peer) -> None:
    package = read_key_package(unpack(ts_mls.ask("key_package", suite=1, identity=b"b1")["message"]))
    with pytest.raises(RoomkeyError) as refused:
        await verify_key_packages(NativeCrypto(), SUITE, [package], float(lifetime().not_before))
    assert refused.value.details["rule"] == faults.ENDLESS_LIFETIME
