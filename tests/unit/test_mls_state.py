"""What is stored is versioned: the version before is read, and goes on; any other is refused by its own code."""

from __future__ import annotations

from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls import secret_tree, state, state_v1
from roomkey.mls.committing import propose_update
from roomkey.mls.processing import ApplicationMessage, process, protect
from roomkey.mls.state import decode_group, encode_group

from tests.support.mls_world import NOW, World

SUITE = SUITES[1]


def first_tree(data: bytes) -> bytes:
    """A secret tree as version 1 has it."""

    def ratchet(new: secret_tree.Ratchet) -> state_v1.Ratchet:
        skipped = tuple(state_v1.SkippedKey(item.generation, item.key, item.nonce) for item in new.skipped)
        return state_v1.Ratchet(new.secret, new.generation, skipped)

    new = secret_tree.StoredTree.decode(data)
    leaves = tuple(
        state_v1.StoredLeaf(
            item.leaf_index, state_v1.Leaf(ratchet(item.leaf.handshake), ratchet(item.leaf.application))
        )
        for item in new.leaves
    )
    return state_v1.StoredTree(new.cipher_suite, new.depth, new.secrets, leaves).encode()


def as_first(data: bytes) -> bytes:
    """A stored group as version 1 has it."""
    new = state.StoredGroup.decode(data)
    past = tuple(
        state.FirstPast(item.context, item.sender_data_secret, first_tree(item.messages), item.members)
        for item in new.past
    )
    updates = tuple(state.FirstUpdate(item.reference, item.encryption) for item in new.own_updates)
    return new.replace(version=1, messages=first_tree(new.messages), past=past, own_updates=updates).encode()


async def test_version_1_is_read_and_goes_on() -> None:
    world = await World.create(SUITE, "alice", "bob")
    late: list[bytes] = []
    for text in (b"of an ended epoch", b"overtaken"):
        world.groups["alice"], message = await protect(world.cryptos["alice"], world.groups["alice"], text)
        late.append(message)
        await world.say("alice", b"first")
        if len(late) == 1:
            await world.commit("alice", path=True)
    bob, update = await propose_update(world.cryptos["bob"], world.groups["bob"])
    loaded = decode_group(as_first(encode_group(bob)))
    assert encode_group(loaded) == encode_group(bob)
    assert [past.ended for past in loaded.past] == [0, 0][: len(loaded.past)]
    for message, text in zip(late, (b"of an ended epoch", b"overtaken"), strict=True):
        done = await process(world.cryptos["bob"], loaded.aged(NOW), message)
        assert isinstance(done.event, ApplicationMessage)
        assert done.event.data == text
    world.groups["bob"] = loaded
    world.groups["alice"] = (await process(world.cryptos["alice"], world.groups["alice"], update)).group
    await world.commit("alice")
    world.agree()
    await world.say("bob", b"here")


async def test_another_version_is_refused() -> None:
    world = await World.create(SUITE, "alice")
    stored = encode_group(world.groups["alice"])
    codes: dict[bytes, str] = {}
    for version in (b"\x00\x00", b"\x00\x03", b"\xff\xff"):
        try:
            decode_group(version + stored[2:])
        except RoomkeyError as error:
            codes[version] = error.code
    assert list(codes.values()) == ["unsupported-state"] * 3
