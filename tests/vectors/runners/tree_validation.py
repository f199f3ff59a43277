"""tree-validation.json: resolutions, tree hashes, parent hashes, signatures (RFC 9420 sections 4.1, 7.3, 7.8, 7.9)."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.tree_hash import node_hash, parent_hash_failure, tree_hash
from roomkey.mls.tree_validation import verify_leaf_signatures, verify_tree


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is None:
            continue
        data, group_id = bytes.fromhex(case["tree"]), bytes.fromhex(case["group_id"])
        tree = RatchetTree.decode(suite, data)
        nodes = range(len(tree.nodes))
        assert tree.encode() == data, "tree"
        assert [tree.resolution(node) for node in nodes] == case["resolutions"], "resolutions"
        assert [node_hash(tree, node).hex() for node in nodes] == case["tree_hashes"], "tree_hashes"
        await verify_tree(crypto, tree, group_id, tree_hash(tree), now=None, max_lifetime=math.inf)

        # The checks see a difference: another group, and a parent key that nobody set.
        assert await refusal(crypto, tree, group_id + b"x") == "invalid-signature", "leaves bound to their group"
        for position, parent in tree.parents():
            other = RatchetTree(suite, tree.nodes.copy())
            other.nodes[position] = parent.replace(encryption_key=bytes(suite.npk))
            assert parent_hash_failure(other) is not None, "a parent node bound to its members"
        passed[suite.number] += 1
    return passed


async def refusal(crypto: CryptoProvider, tree: RatchetTree, group_id: bytes) -> str | None:
    try:
        await verify_leaf_signatures(crypto, tree, group_id)
    except RoomkeyError as error:
        return error.code
    return None
