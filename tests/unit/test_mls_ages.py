"""Keys of skipped messages and of ended epochs are bounded in time, whatever the clock does, and gone from what is
stored.
"""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import commit
from roomkey.mls.group import MAX_PAST_AGE, Group
from roomkey.mls.processing import ApplicationMessage, process, protect
from roomkey.mls.secret_tree import MAX_SKIPPED_AGE, SecretTree
from roomkey.mls.state import decode_group, encode_group

from tests.support.mls_world import NOW, World

SUITE = SUITES[1]
YEAR = 365 * 86400


async def overtaken() -> tuple[World, bytes, bytes, bytes]:
    """Bob has alice's second message; the first is late, and `key` and `nonce` wait for it."""
    world = await World.create(SUITE, "alice", "bob")
    world.groups["alice"], late = await protect(world.cryptos["alice"], world.groups["alice"], b"first")
    _, key = world.groups["bob"].messages.take_key(0, "application", 0)
    await world.say("alice", b"second")
    assert key.key in encode_group(world.groups["bob"])
    return world, late, key.key, key.nonce


async def ended() -> tuple[World, bytes, bytes]:
    """Bob is one epoch on; a message of alice's is late, and `secret` reads its sender."""
    world = await World.create(SUITE, "alice", "bob")
    world.groups["alice"], late = await protect(world.cryptos["alice"], world.groups["alice"], b"late")
    secret = world.groups["bob"].secrets.sender_data_secret
    await world.commit("bob", path=True)
    return world, late, secret


async def read(world: World, group: Group, message: bytes) -> bytes:
    done = await process(world.cryptos["bob"], group, message)
    assert isinstance(done.event, ApplicationMessage)
    return done.event.data


async def refused(world: World, group: Group, message: bytes) -> str:
    stored = encode_group(group)
    with pytest.raises(RoomkeyError) as caught:
        await process(world.cryptos["bob"], group, message)
    assert encode_group(group) == stored
    return caught.value.code


async def test_a_late_message_is_read_for_a_day() -> None:
    world, late, key, nonce = await overtaken()
    bob = world.groups["bob"].aged(NOW)
    assert bob is not world.groups["bob"]  # its time has begun
    assert bob.aged(NOW + MAX_SKIPPED_AGE) is bob
    assert await read(world, bob.aged(NOW + MAX_SKIPPED_AGE), late) == b"first"
    after = bob.aged(NOW + MAX_SKIPPED_AGE + 1)
    assert await refused(world, after, late) == "key-consumed"
    assert key not in encode_group(after)
    assert nonce not in encode_group(after)
    assert decode_group(encode_group(after)).messages._skipped == 0


async def test_an_ended_epoch_is_read_for_a_day() -> None:
    world, late, secret = await ended()
    bob = decode_group(encode_group(world.groups["bob"].aged(NOW)))
    assert await read(world, bob.aged(NOW + MAX_PAST_AGE), late) == b"late"
    after = bob.aged(NOW + MAX_PAST_AGE + 1)
    assert await refused(world, after, late) == "wrong-epoch"
    assert after.past == ()
    assert secret in encode_group(bob)
    assert secret not in encode_group(after)


async def test_a_skipped_key_of_an_ended_epoch_has_its_own_time() -> None:
    world, late, key, _ = await overtaken()
    world.groups["bob"] = world.groups["bob"].aged(NOW)
    await world.commit("bob", path=True)
    ended = world.groups["bob"].aged(NOW + 10)
    after = ended.aged(NOW + MAX_SKIPPED_AGE + 5)
    assert len(after.past) == 1
    assert key in encode_group(ended)
    assert key not in encode_group(after)
    assert await refused(world, after, late) == "key-consumed"


async def test_each_key_and_epoch_has_its_own_time() -> None:
    world = await World.create(SUITE, "alice", "bob")
    for turn in range(3):
        await world.commit("alice", path=True)
        world.groups["bob"] = world.groups["bob"].aged(NOW + 1000 * turn)
    bob = world.groups["bob"]
    assert [past.ended for past in bob.past] == [NOW, NOW + 1000, NOW + 2000]
    assert [past.context.epoch for past in bob.aged(NOW + MAX_PAST_AGE + 1500).past] == [3]


async def test_a_clock_that_goes_back_neither_keeps_for_ever_nor_deletes_at_once() -> None:
    """B9: the clock was a year ahead when the key was set aside, and is set right afterwards."""
    world, late, key, _ = await overtaken()
    bob = world.groups["bob"].aged(NOW + YEAR).aged(NOW)
    assert await read(world, bob.aged(NOW + MAX_SKIPPED_AGE), late) == b"first"
    assert key not in encode_group(bob.aged(NOW + MAX_SKIPPED_AGE + 1))
    await world.commit("bob", path=True)
    bob = world.groups["bob"].aged(NOW + YEAR).aged(NOW)
    assert await read(world, bob, late) == b"first"
    assert await read(world, bob.aged(NOW + MAX_PAST_AGE), late) == b"first"
    after = bob.aged(NOW + MAX_PAST_AGE + 1)
    assert key not in encode_group(after)
    assert after.past == ()


@pytest.mark.parametrize("clock", [-5.0, 0.0, 0.5])
async def test_a_clock_before_its_time_is_taken(clock: float) -> None:
    world, late, _, _ = await overtaken()
    bob = decode_group(encode_group(world.groups["bob"].aged(clock)))
    assert await read(world, bob.aged(clock), late) == b"first"
    assert await refused(world, bob.aged(NOW), late) == "key-consumed"


async def test_what_is_not_too_old_is_shared_with_the_value_before() -> None:
    world, _, _, _ = await overtaken()
    bob = world.groups["bob"].aged(NOW)
    assert bob.aged(NOW + 1) is bob
    fresh = (await World.create(SUITE, "alice", "bob")).groups["bob"]
    assert fresh.aged(NOW) is fresh


def test_the_count_of_skipped_keys_follows() -> None:
    tree, _ = SecretTree.create(SUITE, 4, bytes(32)).take_key(0, "application", 3)
    tree, _ = tree.aged(100).take_key(2, "handshake", 2)
    tree = tree.aged(200)
    assert tree._skipped == 5
    left = tree.aged(101 + MAX_SKIPPED_AGE)
    assert left._skipped == SecretTree.decode(left.encode())._skipped == 2
    with pytest.raises(RoomkeyError, match="key-consumed"):
        left.take_key(0, "application", 1)
    left.take_key(2, "handshake", 1)


async def test_the_time_of_a_pending_commit_does_not_prolong_an_epochs() -> None:
    """A candidate takes the ended epochs of the group that it follows on, not those of when it was made."""
    world, late, secret = await ended()
    bob = world.groups["bob"].aged(NOW)
    made = await commit(world.cryptos["bob"], bob, NOW, path=True)
    current = made.current.aged(NOW + MAX_PAST_AGE + 1)
    adopted = made.group.following(current)
    assert secret not in encode_group(adopted)
    assert await refused(world, adopted, late) == "wrong-epoch"
