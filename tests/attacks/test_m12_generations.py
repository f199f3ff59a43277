"""M12: a member jumps over generations. Too far a jump is refused before a key is derived for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from roomkey.crypto import labels
from roomkey.errors import RoomkeyError
from roomkey.mls import secret_tree
from roomkey.mls.framing import MLSMessage, PrivateMessage, message
from roomkey.mls.private_content import SenderData, sender_item
from roomkey.mls.processing import ApplicationMessage, process, protect
from roomkey.mls.secret_tree import MAX_FORWARD, MAX_SKIPPED
from roomkey.mls.state import encode_group

from tests.support.mls_forge import SUITE, Scene

LAST = 2**32 - 1


class Work:
    """Counts the derivations of the secret tree."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0  # of a ratchet
        self.expansions = 0  # all of them
        step, expand = labels.derive_tree_secret, labels.expand_with_label

        def counted_step(*arguments: object) -> bytes:
            self.steps += 1
            return step(*arguments)  # type: ignore[arg-type]

        def counted_expand(*arguments: object) -> bytes:
            self.expansions += 1
            return expand(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(secret_tree, "derive_tree_secret", counted_step)
        monkeypatch.setattr(secret_tree, "expand_with_label", counted_expand)


async def jumping(scene: Scene, generation: int) -> bytes:
    """Bob's message whose sender data, sealed again, claim this generation."""
    group = scene.group("bob")
    _, data = await protect(scene.crypto("bob"), group, b"far ahead")
    body = MLSMessage.decode(data).body
    assert isinstance(body, PrivateMessage)
    claim = SenderData(group.own_leaf, generation, b"gard")
    item = sender_item(SUITE, group.secrets.sender_data_secret, body, body.ciphertext, claim.encode())
    (sealed,) = await scene.crypto("bob").seal([item])
    return message(body.replace(encrypted_sender_data=sealed)).encode()


@pytest.mark.parametrize("generation", [MAX_FORWARD + 1, 2**16, 2**31, LAST - 1, LAST])
async def test_a_jump_too_far_costs_no_step(monkeypatch: pytest.MonkeyPatch, generation: int) -> None:
    scene = await Scene.create()
    data = await jumping(scene, generation)
    alice = scene.group("alice")
    before, work = encode_group(alice), Work(monkeypatch)
    with pytest.raises(RoomkeyError) as caught:
        await process(scene.crypto("alice"), alice, data)
    assert caught.value.code == "generation-too-far"
    # none for the jump: only the way down to bob's leaf, two for each of two levels and two for the leaf
    assert (work.steps, work.expansions) == (0, 6)
    assert encode_group(alice) == before
    await scene.world.say("bob", b"one by one")


async def test_the_longest_jump_is_bounded_in_work_and_in_what_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene.create()
    bob = scene.group("bob")
    ahead = bob.messages
    for _ in range(MAX_FORWARD):
        ahead, _, _ = ahead.next_key(bob.own_leaf, "application")
    _, data = await protect(scene.crypto("bob"), replace(bob, messages=ahead), b"far, but not too far")
    small, work = len(encode_group(scene.group("alice"))), Work(monkeypatch)
    done = await process(scene.crypto("alice"), scene.group("alice"), data)
    assert isinstance(done.event, ApplicationMessage)
    assert done.event.data == b"far, but not too far"
    assert work.steps <= MAX_FORWARD + 1 + 2 * (MAX_SKIPPED + 1)
    assert len(encode_group(done.group)) - small < 64 * MAX_SKIPPED


async def test_a_claimed_generation_without_its_key_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump within the limit, whose content is of another generation: the work is bounded, the state as it was."""
    scene = await Scene.create()
    data = await jumping(scene, MAX_FORWARD)
    before, work = encode_group(scene.group("alice")), Work(monkeypatch)
    with pytest.raises(RoomkeyError) as caught:
        await process(scene.crypto("alice"), scene.group("alice"), data)
    assert caught.value.code == "decryption-failed"
    assert work.steps <= MAX_FORWARD + 1 + 2 * (MAX_SKIPPED + 1)
    assert encode_group(scene.group("alice")) == before
    await scene.world.say("bob", b"still the first")
