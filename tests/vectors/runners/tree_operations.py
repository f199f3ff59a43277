"""tree-operations.json: a tree before and after an Add, Update or Remove (RFC 9420 sections 12.1.1 to 12.1.3)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES
from roomkey.mls.proposals import Add, Proposal, Remove, Update
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.tree_hash import tree_hash


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is None:
            continue
        v = {name: bytes.fromhex(value) for name, value in case.items() if isinstance(value, str)}
        before = RatchetTree.decode(suite, v["tree_before"])
        assert before.encode() == v["tree_before"], "tree_before"
        assert tree_hash(before) == v["tree_hash_before"], "tree_hash_before"
        # After decoding, hashes are computed afresh; after an operation, those that stayed are taken over.
        after = applied(before, Proposal.decode(v["proposal"]), case["proposal_sender"])
        assert after.encode() == v["tree_after"], "tree_after"
        assert tree_hash(after) == v["tree_hash_after"], "tree_hash_after"
        assert before.encode() == v["tree_before"], "the tree before, unchanged"
        passed[suite.number] += 1
    return passed


def applied(tree: RatchetTree, proposal: Proposal, sender: int) -> RatchetTree:
    match proposal.body:
        case Add() as add:
            return tree.add([add.key_package.leaf_node])[0]
        case Update() as update:
            return tree.update(sender, update.leaf_node)
        case Remove() as remove:
            return tree.remove([remove.removed])
        case _:
            raise AssertionError("an Add, Update or Remove")
