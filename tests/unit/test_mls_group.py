"""A group's life: create, add, join, commit, update, remove, speak; what must agree agrees, what must differ
differs.
"""

from __future__ import annotations

import random

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.committing import commit, propose, propose_update
from roomkey.mls.framing import PUBLIC_MESSAGE
from roomkey.mls.group import PAST_EPOCHS, Psks
from roomkey.mls.joining import join
from roomkey.mls.processing import ApplicationMessage, process, protect
from roomkey.mls.proposals import Add, PreSharedKey, Remove, proposal
from roomkey.mls.psk import external_psk
from roomkey.mls.state import decode_group, encode_group

from tests.support.mls_world import NOW, World

SUITE = SUITES[1]


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
async def test_three_people(suite: object) -> None:
    world = await World.create(suite, "alice", "bob")  # type: ignore[arg-type]
    world.agree()
    await world.add("bob", "carol")
    world.agree()
    first = world.groups["alice"].export(b"test", b"", 32)
    for speaker in ("alice", "bob", "carol"):
        for name, done in (await world.say(speaker, f"from {speaker}".encode())).items():
            assert isinstance(done.event, ApplicationMessage)
            assert done.event.data == f"from {speaker}".encode()
            assert done.event.leaf.credential.identity == speaker.encode(), name
    await world.commit("carol", path=True)
    world.agree()
    assert world.groups["alice"].export(b"test", b"", 32) != first


async def test_a_removed_member_holds_no_new_key() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol")
    carol = world.groups["carol"]
    pending = await commit(
        world.cryptos["alice"], world.groups["alice"], NOW, proposals=[proposal(Remove(carol.own_leaf))]
    )
    done = await world.everybody("alice", pending.message)
    event = done["carol"].event
    assert isinstance(event, CommitProcessed)
    assert event.self_removed
    assert done["carol"].group.epoch == 1
    world.groups["alice"] = pending.group
    del world.groups["carol"]
    world.agree()
    _, secret = await protect(world.cryptos["alice"], world.groups["alice"], b"not for carol")
    with pytest.raises(RoomkeyError) as refused:
        await process(world.cryptos["carol"], done["carol"].group, secret)
    assert refused.value.code == "wrong-epoch"


async def test_a_proposed_update_becomes_ours_when_committed() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol")
    before = world.groups["bob"].leaf
    world.groups["bob"], message = await propose_update(world.cryptos["bob"], world.groups["bob"])
    await world.everybody("bob", message)
    await world.commit("carol")
    world.agree()
    assert world.groups["bob"].leaf.encryption_key != before.encryption_key
    await world.commit("alice", path=True)  # bob must hold the private half of his new leaf to follow
    world.agree()


async def test_public_handshake_messages() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol")
    leaf = world.groups["carol"].own_leaf
    world.groups["bob"], message = await propose(
        world.cryptos["bob"], world.groups["bob"], proposal(Remove(leaf)), wire_format=PUBLIC_MESSAGE
    )
    await world.everybody("bob", message)
    pending = await commit(world.cryptos["alice"], world.groups["alice"], NOW, wire_format=PUBLIC_MESSAGE)
    done = await world.everybody("alice", pending.message)
    world.groups["alice"] = pending.group
    del world.groups["carol"]
    world.agree()
    assert isinstance(done["bob"].event, CommitProcessed)
    assert [index for index, _ in done["bob"].event.removed] == [leaf]


async def test_external_psk_is_needed() -> None:
    world = await World.create(SUITE, "alice", "bob")
    psks = Psks({b"door": b"s" * 32})
    item = proposal(PreSharedKey(external_psk(b"door", bytes(32))))
    pending = await commit(world.cryptos["alice"], world.groups["alice"], NOW, proposals=[item], psks=psks)
    with pytest.raises(RoomkeyError) as refused:
        await process(world.cryptos["bob"], world.groups["bob"], pending.message)
    assert refused.value.code == "psk-unknown"
    with pytest.raises(RoomkeyError) as wrong:
        await process(world.cryptos["bob"], world.groups["bob"], pending.message, psks=Psks({b"door": b"x" * 32}))
    assert wrong.value.details["rule"] == "commit-confirmation"
    done = await process(world.cryptos["bob"], world.groups["bob"], pending.message, psks=psks)
    assert done.group.epoch_authenticator == pending.group.epoch_authenticator


async def test_messages_of_ended_epochs() -> None:
    world = await World.create(SUITE, "alice", "bob")
    late: list[bytes] = []
    for turn in range(PAST_EPOCHS + 1):
        world.groups["alice"], message = await protect(world.cryptos["alice"], world.groups["alice"], b"%d" % turn)
        late.append(message)
        await world.commit("bob", path=True)
    bob = world.groups["bob"]
    with pytest.raises(RoomkeyError) as refused:
        await process(world.cryptos["bob"], bob, late[0])
    assert refused.value.code == "wrong-epoch"
    for turn, message in enumerate(late[1:], 1):
        done = await process(world.cryptos["bob"], bob, message)
        assert isinstance(done.event, ApplicationMessage)
        assert done.event.data == b"%d" % turn
        bob = done.group
        with pytest.raises(RoomkeyError) as again:
            await process(world.cryptos["bob"], bob, message)
        assert again.value.code == "key-consumed"


async def test_a_lost_commit_leaves_the_group_as_it_was() -> None:
    world = await World.create(SUITE, "alice", "bob")
    alice = world.groups["alice"]
    lost = await commit(world.cryptos["alice"], alice, NOW, path=True)
    won = await commit(world.cryptos["bob"], world.groups["bob"], NOW, path=True)
    world.groups["bob"] = won.group
    done = await process(world.cryptos["alice"], lost.current, won.message)
    assert done.group.epoch_authenticator == won.group.epoch_authenticator
    with pytest.raises(RoomkeyError) as refused:
        await process(world.cryptos["bob"], won.group, lost.message)
    assert refused.value.code == "wrong-epoch"


async def test_a_commit_uses_a_message_key_once() -> None:
    world = await World.create(SUITE, "alice", "bob")
    first = await commit(world.cryptos["alice"], world.groups["alice"], NOW, path=True)
    second = await commit(world.cryptos["alice"], first.current, NOW, path=True)
    done = await process(world.cryptos["bob"], world.groups["bob"], second.message)
    assert done.group.epoch_authenticator == second.group.epoch_authenticator


async def test_own_and_foreign_messages_are_refused() -> None:
    world = await World.create(SUITE, "alice", "bob")
    other = await World.create(SUITE, "dave", "erin")
    after, message = await protect(world.cryptos["alice"], world.groups["alice"], b"x")
    with pytest.raises(RoomkeyError) as own:
        await process(world.cryptos["alice"], after, message)
    assert own.value.code == "own-message"
    with pytest.raises(RoomkeyError):
        await process(other.cryptos["erin"], other.groups["erin"], message)


async def test_a_welcome_is_for_its_key_package_alone() -> None:
    world = await World.create(SUITE)
    pending = await world.add("alice", "bob")
    assert pending.welcome is not None
    await world.client("carol")
    with pytest.raises(RoomkeyError) as refused:
        await join(world.cryptos["carol"], pending.welcome, [world.keys["carol"]])
    assert refused.value.code == "welcome-not-for-us"


async def test_stored_groups_go_on() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol")
    for name in list(world.groups):
        stored = encode_group(world.groups[name])
        world.groups[name] = decode_group(stored)
        assert encode_group(world.groups[name]) == stored
    await world.say("alice", b"after a reload")
    await world.commit("bob", path=True)
    world.agree()
    with pytest.raises(RoomkeyError) as refused:
        decode_group(stored[:-1])
    assert refused.value.code == "malformed"


async def test_text_forms_show_no_secret() -> None:
    world = await World.create(SUITE, "alice", "bob")
    pending = await commit(world.cryptos["alice"], world.groups["alice"], NOW, path=True)
    for value in (world.groups["alice"], pending, world.keys["bob"], world.groups["alice"].secrets):
        assert "\\x" not in repr(value)


@pytest.mark.parametrize("seed", range(3))
async def test_a_random_life(seed: int) -> None:
    """Adds, removes, updates and messages in any order, by any member; everybody agrees after each."""
    choice = random.Random(seed)
    world = await World.create(SUITE, "m0", "m1", "m2")
    for turn in range(40):
        names = sorted(world.groups)
        actor = choice.choice(names)
        what = choice.random()
        if what < 0.3 and len(names) < 12:
            await world.add(actor, f"n{turn}", path=choice.random() < 0.5)
        elif what < 0.5 and len(names) > 2:
            await world.remove(actor, choice.choice([n for n in names if n != actor]))
        elif what < 0.7:
            world.groups[actor], message = await propose_update(world.cryptos[actor], world.groups[actor])
            await world.everybody(actor, message)
            await world.commit(choice.choice([n for n in names if n != actor]))
        elif what < 0.85:
            await world.commit(actor, path=True)
        else:
            await world.say(actor, b"hello")
        world.agree()


async def test_adding_a_member_again_needs_its_removal() -> None:
    world = await World.create(SUITE, "alice", "bob")
    again = proposal(Add(world.keys["bob"].key_package))
    with pytest.raises(RoomkeyError) as refused:
        await commit(world.cryptos["alice"], world.groups["alice"], NOW, proposals=[again])
    assert refused.value.details["rule"] == "commit-add-member"
