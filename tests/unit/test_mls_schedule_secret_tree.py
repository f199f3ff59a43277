"""The secret tree: each key once, order does not matter within limits, what is consumed is gone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roomkey.crypto.labels import derive_tree_secret, expand_with_label
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls import secret_tree
from roomkey.mls.secret_tree import (
    MAX_FORWARD,
    MAX_SKIPPED,
    MAX_SKIPPED_TOTAL,
    Kind,
    MessageKey,
    SecretTree,
    StoredLeaf,
    StoredSecret,
    StoredTree,
)

SUITE = SUITES[1]
SECRET = bytes(range(32))


def new_tree(leaves: int = 8) -> SecretTree:
    return SecretTree.create(SUITE, leaves, SECRET)


def refused(code: str, tree: SecretTree, leaf: int, generation: int, kind: Kind = "application") -> None:
    with pytest.raises(RoomkeyError) as caught:
        tree.take_key(leaf, kind, generation)
    assert caught.value.code == code


@pytest.mark.parametrize("leaves", [1, 2, 3, 8, 9, 1000])
def test_sender_and_receiver_agree(leaves: int) -> None:
    sender = receiver = new_tree(leaves)
    kinds: tuple[Kind, ...] = ("handshake", "application")
    seen: set[MessageKey] = set()
    for leaf in {0, leaves // 2, leaves - 1}:
        for kind in kinds:
            for number in range(3):
                sender, generation, sent = sender.next_key(leaf, kind)
                receiver, received = receiver.take_key(leaf, kind, generation)
                assert generation == number
                assert received == sent
                assert sent not in seen
                seen.add(sent)


@settings(deadline=None, max_examples=50)
@given(order=st.permutations(list(range(12))), leaf=st.integers(0, 7))
def test_any_order_gives_the_same_keys_each_once(order: list[int], leaf: int) -> None:
    sender = new_tree()
    sent: list[MessageKey] = []
    for _ in order:
        sender, _, key = sender.next_key(leaf, "application")
        sent.append(key)
    receiver = new_tree()
    for generation in order:
        receiver, key = receiver.take_key(leaf, "application", generation)
        assert key == sent[generation]
        refused("key-consumed", receiver, leaf, generation)
        receiver = SecretTree.decode(receiver.encode())
    assert receiver.encode() == sender.encode()


def test_a_tree_is_a_value() -> None:
    before = new_tree()
    stored = before.encode()
    after, key = before.take_key(5, "application", 3)
    assert before.encode() == stored
    assert before.take_key(5, "application", 3)[1] == key
    assert after.encode() != stored
    # Another sender's subtree is the very same object.
    again, _ = after.take_key(5, "application", 4)
    assert isinstance(after._root, tuple)
    assert isinstance(again._root, tuple)
    assert again._root[0] is after._root[0]


def test_a_jump_too_far_is_refused_and_costs_no_ratchet_step(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, _ = new_tree().take_key(1, "application", 0)
    steps: list[int] = []
    monkeypatch.setattr(secret_tree, "derive_tree_secret", lambda *arguments: steps.append(1))
    refused("generation-too-far", tree, 1, MAX_FORWARD + 2)
    refused("generation-too-far", tree, 1, 0xFFFFFFFF)
    refused("generation-too-far", tree, 2, MAX_FORWARD + 1)
    assert steps == []
    monkeypatch.undo()
    tree, _ = tree.take_key(1, "application", MAX_FORWARD + 1)
    refused("key-consumed", tree, 1, MAX_FORWARD + 1)


def test_skipped_keys_are_bounded_for_a_ratchet_and_the_oldest_go_first() -> None:
    jump = MAX_SKIPPED + 10
    tree, _ = new_tree().take_key(0, "application", jump)
    refused("key-consumed", tree, 0, 9)
    for generation in (10, jump - 1):
        tree.take_key(0, "application", generation)
    tree, _ = tree.take_key(0, "application", jump + 3)
    refused("key-consumed", tree, 0, 11)
    tree.take_key(0, "application", 13)


def test_skipped_keys_are_bounded_in_the_whole_tree() -> None:
    full = MAX_SKIPPED_TOTAL // MAX_SKIPPED
    tree = new_tree(16)
    for leaf in range(full):
        tree, _ = tree.take_key(leaf, "application", MAX_SKIPPED)
    tree, _ = tree.take_key(full, "application", 5)
    assert kept(tree) == MAX_SKIPPED_TOTAL
    refused("key-consumed", tree, full, 4)
    # A used key makes room for another sender's, also after the tree was stored.
    tree, _ = tree.take_key(0, "application", 7)
    tree = SecretTree.decode(tree.encode())
    tree, _ = tree.take_key(full, "application", 8)
    assert kept(tree) == MAX_SKIPPED_TOTAL
    tree.take_key(full, "application", 7)
    refused("key-consumed", tree, full, 6)


def kept(tree: SecretTree) -> int:
    leaves = [entry.leaf for entry in StoredTree.decode(tree.encode()).leaves]
    return sum(len(leaf.handshake.skipped) + len(leaf.application.skipped) for leaf in leaves)


def test_consumed_secrets_are_gone() -> None:
    def child(secret: bytes, side: bytes) -> bytes:
        return expand_with_label(SUITE, secret, b"tree", side, SUITE.nh)

    upper = child(SECRET, b"right")
    leaf = child(upper, b"left")
    first = expand_with_label(SUITE, leaf, b"application", b"", SUITE.nh)
    second = derive_tree_secret(SUITE, first, b"secret", 0, SUITE.nh)
    third = derive_tree_secret(SUITE, second, b"secret", 1, SUITE.nh)
    tree, used = new_tree(4).take_key(2, "application", 1)
    stored = tree.encode()
    for gone in (SECRET, upper, leaf, first, second, used.key, used.nonce):
        assert gone not in stored
    skipped = derive_tree_secret(SUITE, first, b"key", 0, SUITE.nk)
    handshake = expand_with_label(SUITE, leaf, b"handshake", b"", SUITE.nh)
    for stays in (child(SECRET, b"left"), child(upper, b"right"), third, skipped, handshake):
        assert stays in stored
    tree, _ = tree.take_key(2, "application", 0)
    assert skipped not in tree.encode()


def test_a_leaf_outside_the_tree_is_refused() -> None:
    for leaf in (8, 1 << 31):
        refused("invalid-message", new_tree(8), leaf, 0)
    for leaves in (0, 1 << 25):
        with pytest.raises(RoomkeyError) as caught:
            new_tree(leaves)
        assert caught.value.code == "bad-argument"


def test_a_stored_tree_must_be_whole() -> None:
    tree, _ = new_tree(4).take_key(2, "application", 1)
    good = StoredTree.decode(tree.encode())
    secret = StoredSecret(4, SECRET)
    wrong = [
        good.replace(secrets=good.secrets[1:]),
        good.replace(leaves=()),
        good.replace(secrets=(*good.secrets, secret)),
        good.replace(secrets=(*good.secrets, good.secrets[0])),
        good.replace(leaves=(*good.leaves, StoredLeaf(9, good.leaves[0].leaf))),
        good.replace(depth=25),
        good.replace(depth=1),
    ]
    for stored in wrong:
        with pytest.raises(RoomkeyError) as caught:
            SecretTree.decode(stored.encode())
        assert caught.value.code == "malformed"
    with pytest.raises(RoomkeyError) as caught:
        SecretTree.decode(good.replace(cipher_suite=77).encode())
    assert caught.value.code == "unsupported-suite"


def test_text_forms_show_nothing() -> None:
    tree, key = new_tree().take_key(0, "application", 0)
    for value in (tree, key):
        assert key.key.hex() not in repr(value)
        assert str(key.key) not in repr(value)
