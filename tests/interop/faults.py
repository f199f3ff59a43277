"""Where ts-mls 1.6.4 departs from RFC 9420, so that the other tests can steer around it. `test_ts_mls_faults` shows
each fault by itself, and fails when a new version no longer has it. Constants hold what the refusal says.
"""

from __future__ import annotations

from collections.abc import Iterable

from roomkey.mls import tree_math
from roomkey.mls.ratchet_tree import ParentNode, RatchetTree

# A joiner checks (RFC 9420 section 12.4.3.1) that "every non-blank intermediate node between the leaf node and the
# parent node contains the entry for the leaf node in its unmerged_leaves". ts-mls asks for equal lists, and of all
# nodes above the leaf: it refuses valid trees once leaves were added without a path in different halves.
UNMERGED_LEAVES = "non-blank intermediate node must list leaf node in its unmerged_leaves"

# Who is removed and sees an Add of the same commit take the blank leaf (sections 12.3 and 12.4.2: Removes first, then
# Adds, each to the leftmost blank leaf) does not notice the removal and looks for keys it cannot have.
LEAF_TAKEN_OVER = "No overlap between provided private keys and update path"

# Path secrets of a commit are encrypted under the provisional GroupContext, whose extensions are the new ones (section
# 12.4.1). ts-mls encrypts under the old ones and decrypts under the new ones, so nobody can follow its commits that
# carry both GroupContextExtensions and a path; and it makes none where GroupContextExtensions alone ask for one
# (section 12.4: only add, psk and reinit do without).
EXTENSIONS_NOT_IN_PATH = "decryption-failed"
EXTENSIONS_WITHOUT_PATH = "commit-path-required"

# GroupContextExtensions replace all extensions (section 12.1.7), also by an empty list; ts-mls then keeps the old ones.
EXTENSIONS_STAY = "The operation failed for an operation-specific reason"  # no decryption under another GroupContext

# The commit secret follows the last path secret derived for the UpdatePath, whose nodes are those of the filtered
# direct path (sections 12.4.1 and 7.4). Where the root is not among them, the other half being blank, ts-mls derives
# once more for the root. Texts by the committer's engine.
BLANK_ROOT = {"a": "Could not verify confirmation tag", "b": "commit-confirmation"}

# external_pub holds `struct { HPKEPublicKey external_pub; } ExternalPub` (section 12.4.3.2), a vector with its length;
# ts-mls reads, and writes, the bare key.
BARE_EXTERNAL_PUB = "DeserializeError"
ITS_EXTERNAL_PUB = "malformed|welcome-external-pub"  # a key's first byte taken for a length

# external_senders holds `ExternalSender external_senders<V>` (section 12.1.8.1); ts-mls reads a single one.
ONE_EXTERNAL_SENDER = "Could not decode external_senders"

# SignaturePublicKey on P-256 is an uncompressed point (section 5.1.1).
COMPRESSED_KEY = "leaf-keys"

# Not a fault but a default that we refuse: applications define a maximum lifetime (section 7.2).
ENDLESS_LIFETIME = "leaf-lifetime-length"


def blank_root(leaves: Iterable[int]) -> bool:
    """Whether a tree with members at these leaves has nobody in its left half, see BLANK_ROOT."""
    indexes = list(leaves)
    return min(indexes) >= tree_math.width_for(max(indexes) + 1) // 2 > 0


def refuses_tree(tree: RatchetTree) -> bool:
    """Whether ts-mls refuses this valid tree at a join, see UNMERGED_LEAVES."""

    def unmerged(position: int) -> tuple[int, ...] | None:
        node = tree.nodes[position]
        return node.unmerged_leaves if isinstance(node, ParentNode) else None

    for position in range(1, len(tree.nodes), 2):
        for leaf in unmerged(position) or ():
            above = tree_math.direct_path(2 * leaf, tree.width)
            if any(unmerged(node) not in (None, unmerged(position)) for node in above):
                return True
    return False
