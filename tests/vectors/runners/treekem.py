"""treekem.json: update paths are processed by every member, and our own by ourselves (RFC 9420 sections 7.4 to 7.6)."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from roomkey.crypto import hpke, labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.mls import tree_math
from roomkey.mls.group_context import GroupContext
from roomkey.mls.leaf_node import COMMIT, check_leaf, leaf_signed
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.treekem import PathKeys, UpdatePath, apply_path, current_keys, new_path, open_path, seal_path
from roomkey.mls.version import MLS10


class Member(NamedTuple):
    signature: KeyPair
    keys: PathKeys


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is None:
            continue
        tree = RatchetTree.decode(suite, bytes.fromhex(case["ratchet_tree"]))
        members = {given["index"]: await private_state(crypto, tree, given) for given in case["leaves_private"]}
        for given in case["update_paths"]:
            await process_given(crypto, tree, members, case, given)
            await process_ours(crypto, tree, members, case, given["sender"])
        passed[suite.number] += 1
    return passed


async def private_state(crypto: CryptoProvider, tree: RatchetTree, given: Any) -> Member:
    suite, index = tree.suite, given["index"]
    leaf = tree.leaf(index)
    assert leaf is not None, "a member"
    encryption = bytes.fromhex(given["encryption_priv"])
    assert await crypto.public_keys(suite.group, [encryption]) == [leaf.encryption_key], "encryption_priv"
    keys = {2 * index: KeyPair(leaf.encryption_key, encryption)}
    for entry in given["path_secrets"]:
        secret = labels.derive_secret(suite, bytes.fromhex(entry["path_secret"]), b"node")
        (keys[entry["node"]],) = await hpke.derive_key_pairs(crypto, suite, [secret])
        assert tree_math.covers(entry["node"], index), "a node above the member"
    assert current_keys(tree, keys) == keys, "keys that stand in the tree"
    return Member(KeyPair(leaf.signature_key, bytes.fromhex(given["signature_priv"])), keys)


def context(suite: CipherSuite, case: Any, tree: RatchetTree) -> bytes:
    return GroupContext(
        MLS10, suite.number, bytes.fromhex(case["group_id"]), int(case["epoch"]), tree_hash(tree),
        bytes.fromhex(case["confirmed_transcript_hash"]), (),
    ).encode()  # fmt: skip


async def process_given(
    crypto: CryptoProvider, tree: RatchetTree, members: dict[int, Member], case: Any, given: Any
) -> None:
    sender = given["sender"]
    path = UpdatePath.decode(bytes.fromhex(given["update_path"]))
    merged = apply_path(tree, sender, path, ())
    assert tree_hash(merged).hex() == given["tree_hash_after"], "tree_hash_after"
    for index, member in members.items():
        if index == sender:
            continue
        opened = await open_path(
            crypto, merged, sender, index, member.keys, path, (), context(tree.suite, case, merged)
        )
        assert opened.path_secret.hex() == given["path_secrets"][index], "path_secrets"
        assert opened.commit_secret.hex() == given["commit_secret"], "commit_secret"
        assert current_keys(merged, opened.keys) == opened.keys, "keys that stand in the tree"


async def process_ours(
    crypto: CryptoProvider, tree: RatchetTree, members: dict[int, Member], case: Any, sender: int
) -> None:
    suite, group_id = tree.suite, bytes.fromhex(case["group_id"])
    leaf = tree.leaf(sender)
    assert leaf is not None, "a member"
    (encryption,) = await crypto.generate_keys(suite.group, 1)
    new = await new_path(crypto, tree, sender, leaf, encryption, members[sender].signature, group_id)
    sealed_for = context(suite, case, new.tree)
    path = UpdatePath.decode((await seal_path(crypto, new, (), sealed_for)).encode())
    merged = apply_path(tree, sender, path, ())
    assert merged.encode() == new.tree.encode(), "the tree that its maker has"
    assert current_keys(merged, new.keys) == new.keys, "the maker's keys"
    check_leaf(suite, path.leaf_node, now=None, source=COMMIT)
    signed = leaf_signed(path.leaf_node, group_id, sender)
    assert await labels.verify_with_label(crypto, suite, [signed]) == [True], "the new leaf's signature"
    for index, member in members.items():
        if index != sender:
            opened = await open_path(crypto, merged, sender, index, member.keys, path, (), sealed_for)
            assert opened.commit_secret == new.commit_secret, "the commit secret that its maker has"
            assert opened.path_secret == new.secret_for(index), "the path secret for a new member"
