"""What a whole tree must satisfy (RFC 9420 sections 7.3, 7.9.2 and 12.4.3.1)."""

from __future__ import annotations

from itertools import pairwise

from roomkey.crypto import labels
from roomkey.crypto.admission import admit_dh_key
from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls import tree_math
from roomkey.mls.leaf_node import MAX_LIFETIME, NO_REQUIREMENTS, Requirements, check_leaf, leaf_signed
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.tree_hash import parent_hash_failure, tree_hash
from roomkey.mls.validation import violation


async def verify_tree(
    crypto: CryptoProvider,
    tree: RatchetTree,
    group_id: bytes,
    expected_hash: bytes,
    *,
    now: float | None,
    needs: Requirements = NO_REQUIREMENTS,
    max_lifetime: float = MAX_LIFETIME,
) -> None:
    """Proves a tree received by a joiner, cheap checks first:

    1. tree-hash: it is the tree that the GroupInfo names.
    2. each leaf's own rules (`check_leaf`).
    3. what the members must be to each other (`check_members`).
    4. the unmerged leaves (`check_unmerged_leaves`) and tree-parent-keys: parents' keys can be sealed to.
    5. tree-parent-hash: members made every parent node.
    6. leaf-signature: every leaf is signed by its key, in one batch.

    Still owed: the identities' truth, and the GroupInfo's signature.

    Args:
        expected_hash: GroupContext.tree_hash.
        now: Unix seconds, to check the lifetimes of leaves not updated since they were added; None accepts old ones.
        needs: of the group (`requirements`).
    Errors: "invalid-tree", "invalid-leaf-node", "invalid-signature", with `rule`.
    """
    if not labels.equal(tree_hash(tree), expected_hash):
        raise violation("tree-hash", "got another")
    for _, leaf in tree.members():
        check_leaf(tree.suite, leaf, now=now, needs=needs, max_lifetime=max_lifetime)
    check_members(tree)
    for _, parent in tree.parents():
        check_dh_key(tree.suite, parent.encryption_key, "tree-parent-keys")
    check_unmerged_leaves(tree)
    bad = parent_hash_failure(tree)
    if bad is not None:
        raise violation("tree-parent-hash", f"got another at {bad}")
    await verify_leaf_signatures(crypto, tree, group_id)


def check_members(tree: RatchetTree) -> None:
    """Checks the rules that hold between nodes (RFC 9420 sections 7.3 and 12.4.3.1), for a tree or a commit's new tree.

    1. tree-signature-keys: no two members have the same.
    2. tree-encryption-keys: no two nodes have the same.
    3. tree-credentials: every member supports the credential types of all.

    Errors: "invalid-tree" with `rule`.
    """
    leaves = [leaf for _, leaf in tree.members()]
    if len({leaf.signature_key for leaf in leaves}) != len(leaves):
        raise violation("tree-signature-keys", "got one twice")
    if len(tree.encryption_keys()) != len(leaves) + sum(1 for _ in tree.parents()):
        raise violation("tree-encryption-keys", "got one twice")
    used = {leaf.credential.credential_type for leaf in leaves}
    for supported in {leaf.capabilities.credentials for leaf in leaves}:
        if not used.issubset(supported):
            missing = min(used.difference(supported))
            raise violation("tree-credentials", f"got type {missing}")


def check_dh_key(suite: CipherSuite, key: bytes, rule: str) -> None:
    """Checks that a node's key has the suite's size and can be sealed to. Who does not know its private half cannot see
    by whom it was derived; a bad one would keep every other member from committing a path.
    """
    if len(key) != suite.npk:
        raise violation(rule, f"expected {suite.npk} bytes, got {len(key)}")
    try:
        admit_dh_key(suite.group, key)
    except RoomkeyError as error:
        raise violation(rule, error.text) from None


def check_unmerged_leaves(tree: RatchetTree) -> None:
    """Checks the lists of unmerged leaves (RFC 9420 sections 7.1 and 12.4.3.1).

    1. tree-unmerged-order: each list rises strictly.
    2. tree-unmerged-members: it names members below its node.
    3. tree-unmerged-between: each non-blank node between such a member and the node names it too.

    Errors: "invalid-tree" with `rule`.
    """
    nodes, width = tree.nodes, tree.width
    for position, parent in tree.parents():
        leaves = parent.unmerged_leaves
        if not leaves:
            continue
        if any(first >= second for first, second in pairwise(leaves)):
            raise violation("tree-unmerged-order", f"got others at {position}")
        begin, end = tree_math.span(position)
        if leaves[0] < begin or leaves[-1] >= end or any(nodes[2 * leaf] is None for leaf in leaves):
            raise violation("tree-unmerged-members", f"got others at {position}")
    # Once a node on the way down from the root names a leaf, each non-blank one below must.
    named = {position: frozenset(parent.unmerged_leaves) for position, parent in tree.parents()}
    for leaf in frozenset().union(*named.values()):
        above_names = False
        for position in reversed(tree_math.direct_path(2 * leaf, width)):
            if position in named:
                if above_names and leaf not in named[position]:
                    raise violation("tree-unmerged-between", f"got a gap at {position}")
                above_names = leaf in named[position]


async def verify_leaf_signatures(crypto: CryptoProvider, tree: RatchetTree, group_id: bytes) -> None:
    """Verifies all members' leaves in one batch. Errors: "invalid-signature" with rule leaf-signature."""
    items = [leaf_signed(leaf, group_id, index) for index, leaf in tree.members()]
    if not all(await labels.verify_with_label(crypto, tree.suite, items)):
        raise violation("leaf-signature", "got a leaf whose signature does not")
