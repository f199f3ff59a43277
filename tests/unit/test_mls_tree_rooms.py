"""The tree over a group's life: whatever is committed, all views agree and nobody holds a key that is not theirs."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls import tree_math
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.tree_validation import verify_tree
from roomkey.mls.treekem import (
    UpdatePath,
    UpdatePathNode,
    apply_path,
    current_keys,
    joiner_keys,
    new_path,
    open_path,
    seal_path,
)

from tests.unit.tree_members import CONTEXT, GROUP_ID, Room, make_member

SUITE = SUITES[1]


@dataclasses.dataclass(frozen=True)
class Step:
    """One commit; numbers choose among the members there are."""

    sender: int
    remove: tuple[int, ...]
    add: int
    path: bool


steps = st.builds(
    Step, st.integers(0, 99), st.lists(st.integers(0, 99), max_size=3).map(tuple), st.integers(0, 4), st.booleans()
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SUITES)), st.integers(0, 9), st.lists(steps, max_size=5))
def test_all_views_agree(number: int, others: int, life: list[Step]) -> None:
    asyncio.run(live(number, others, life))


async def live(number: int, others: int, life: list[Step]) -> None:
    room = await Room.create(NativeCrypto(), SUITES[number], others)
    for step in life:
        present = sorted(room.members)
        sender = present[step.sender % len(present)]
        remove = tuple({present[n % len(present)] for n in step.remove} - {sender})
        before = room.tree.encode()
        old = room.tree
        removed = await room.commit(sender, remove, step.add, step.path or bool(remove))
        assert old.encode() == before
        for gone in removed:
            assert current_keys(room.tree, gone.keys) == {}
    await check_room(room)


async def check_room(room: Room) -> None:
    """The tree is as its encoding says and valid for a joiner; each member holds exactly the keys above it."""
    tree = room.tree
    fresh = RatchetTree.decode(room.suite, tree.encode())
    assert tree_hash(fresh) == tree_hash(tree)
    assert fresh.nodes == tree.nodes
    assert tree.width == tree_math.width_for(max(room.members) + 1)
    await verify_tree(room.crypto, fresh, GROUP_ID, tree_hash(tree), now=100.0)
    assert [index for index, _ in tree.members()] == sorted(room.members)
    parents = dict(tree.parents())
    for index, member in room.members.items():
        above = {node for node in tree_math.direct_path(2 * index, tree.width) if node in parents}
        known = {node for node in above if index not in parents[node].unmerged_leaves}
        assert set(member.keys) == known | {2 * index}
        assert current_keys(tree, member.keys) == member.keys


async def test_adds_without_path_in_both_halves() -> None:
    # ts-mls 1.6.4 refuses this valid tree
    room = await Room.create(NativeCrypto(), SUITE, 7)
    await room.commit(0)
    await room.commit(0, remove=(2, 6))
    await room.commit(0)
    await room.commit(1, add=2, path=False)
    await room.commit(4)
    await check_room(room)
    assert dict(room.tree.parents())[3].unmerged_leaves == (2,)


async def test_a_member_unmerged_at_a_node_and_its_child() -> None:
    # The figure of RFC 9420 section 7.9: W names F as unmerged, and so does Y beside the node that was set with W.
    room = await Room.create(NativeCrypto(), SUITE, 7)
    await room.commit(0, remove=(5,))
    await room.commit(6)
    await room.commit(0)
    await room.commit(0, add=1, path=False)
    parents = dict(room.tree.parents())
    assert [parents[node].unmerged_leaves for node in (7, 11)] == [(5,), (5,)]
    await check_room(room)


async def test_a_committer_alone() -> None:
    room = await Room.create(NativeCrypto(), SUITE, 1)
    await room.commit(0, remove=(1,))
    await check_room(room)
    leaf = room.tree.leaf(0)
    assert leaf is not None
    assert leaf.parent_hash == b""
    assert list(room.members[0].keys) == [0]


async def test_an_external_committer_takes_the_leftmost_blank_leaf() -> None:
    crypto = NativeCrypto()
    room = await Room.create(crypto, SUITE, 3)
    joiner = await make_member(crypto, SUITE)
    tree, index = room.tree.make_room()
    assert (index, tree.width) == (4, 8)
    made = await new_path(crypto, tree, index, joiner.leaf, joiner.encryption, joiner.signature, GROUP_ID)
    path = await seal_path(crypto, made, (), CONTEXT)
    merged = apply_path(tree, index, path, ())
    await verify_tree(crypto, merged, GROUP_ID, tree_hash(made.tree), now=None)
    for number, member in room.members.items():
        opened = await open_path(crypto, merged, index, number, member.keys, path, (), CONTEXT)
        assert opened.commit_secret == made.commit_secret


async def refused(room: Room, path: UpdatePath, sender: int = 0) -> RoomkeyError:
    before = room.tree.encode()
    with pytest.raises(RoomkeyError) as caught:
        apply_path(room.tree, sender, path, ())
    assert room.tree.encode() == before
    return caught.value


async def test_altered_paths_are_refused_by_rule() -> None:
    crypto = NativeCrypto()
    room = await Room.create(crypto, SUITE, 3)
    (encryption,) = await crypto.generate_keys(SUITE.group, 1)
    alice = room.members[0]
    made = await new_path(crypto, room.tree, 0, alice.leaf, encryption, alice.signature, GROUP_ID)
    path = await seal_path(crypto, made, (), CONTEXT)
    first, second = path.nodes
    other = room.members[3].encryption.public

    def with_first(**changes: object) -> UpdatePath:
        return path.replace(nodes=(first.replace(**changes), second))

    more = (*first.encrypted_path_secret, first.encrypted_path_secret[0])
    cases = {
        "path-length": [path.replace(nodes=(first,)), path.replace(nodes=(first, second, second))],
        "path-ciphertexts": [with_first(encrypted_path_secret=more), with_first(encrypted_path_secret=())],
        "path-keys": [with_first(encryption_key=b"k" * 31)],
        "path-keys-fresh": [
            with_first(encryption_key=other),
            with_first(encryption_key=second.encryption_key),
            path.replace(leaf_node=path.leaf_node.replace(encryption_key=first.encryption_key)),
            path.replace(leaf_node=path.leaf_node.replace(encryption_key=alice.encryption.public)),
        ],
        "path-parent-hash": [
            with_first(encryption_key=b"k" * 32),
            path.replace(leaf_node=path.leaf_node.replace(parent_hash=b"")),
            path.replace(leaf_node=alice.leaf.replace(encryption_key=encryption.public)),
        ],
    }
    for rule, paths in cases.items():
        for altered in paths:
            error = await refused(room, altered)
            assert (error.code, error.details["rule"]) == ("invalid-update-path", rule)


async def test_secrets_that_do_not_fit_are_refused() -> None:
    crypto = NativeCrypto()
    room = await Room.create(crypto, SUITE, 3)
    alice, bob = room.members[0], room.members[1]
    (encryption,) = await crypto.generate_keys(SUITE.group, 1)
    made = await new_path(crypto, room.tree, 0, alice.leaf, encryption, alice.signature, GROUP_ID)
    path = await seal_path(crypto, made, (), CONTEXT)

    with pytest.raises(RoomkeyError, match="decryption-failed"):
        await open_path(crypto, made.tree, 0, 1, bob.keys, path, (), b"another context")

    lie = dataclasses.replace(made, secrets=(bytes(32), *made.secrets[1:]))
    lied = await seal_path(crypto, lie, (), CONTEXT)
    with pytest.raises(RoomkeyError, match="path-public-keys"):
        await open_path(crypto, made.tree, 0, 1, bob.keys, lied, (), CONTEXT)
    with pytest.raises(RoomkeyError, match="path-public-keys"):
        await joiner_keys(crypto, made.tree, 0, 1, bob.encryption, bytes(32))

    with pytest.raises(RoomkeyError, match="path-recipient"):
        await open_path(crypto, made.tree, 0, 1, {}, path, (), CONTEXT)
    with pytest.raises(RoomkeyError, match="path-recipient"):
        await open_path(crypto, made.tree, 0, 0, alice.keys, path, (), CONTEXT)


async def test_new_members_get_no_ciphertext() -> None:
    crypto = NativeCrypto()
    room = await Room.create(crypto, SUITE, 1)
    newcomer = await make_member(crypto, SUITE)
    tree, added = room.tree.add([newcomer.leaf])
    (encryption,) = await crypto.generate_keys(SUITE.group, 1)
    made = await new_path(crypto, tree, 0, room.members[0].leaf, encryption, room.members[0].signature, GROUP_ID)
    path = await seal_path(crypto, made, added, CONTEXT)
    assert [len(node.encrypted_path_secret) for node in path.nodes] == [1, 0]
    assert isinstance(path.nodes[1], UpdatePathNode)
    with pytest.raises(RoomkeyError, match="path-recipient"):
        await open_path(crypto, made.tree, 0, added[0], {2 * added[0]: newcomer.encryption}, path, added, CONTEXT)
    joined = await joiner_keys(crypto, made.tree, 0, added[0], newcomer.encryption, made.secret_for(added[0]))
    assert joined[3] == made.keys[3]


def test_texts_show_no_secret() -> None:
    async def made() -> str:
        crypto = NativeCrypto()
        room = await Room.create(crypto, SUITE, 1)
        alice = room.members[0]
        new = await new_path(crypto, room.tree, 0, alice.leaf, alice.encryption, alice.signature, GROUP_ID)
        return repr(new)

    assert repr(asyncio.run(made())).count("b'") == 0
