"""Tree hashes and parent hashes (RFC 9420 sections 7.8 and 7.9).

    struct { uint32 leaf_index; optional<LeafNode> leaf_node; } LeafNodeHashInput;
    struct { optional<ParentNode> parent_node; opaque left_hash<V>; opaque right_hash<V>; } ParentNodeHashInput;
    struct {
        NodeType node_type;
        select (TreeHashInput.node_type) {
            case leaf: LeafNodeHashInput leaf_node; case parent: ParentNodeHashInput parent_node;
        };
    } TreeHashInput;
    struct {
        HPKEPublicKey encryption_key;
        opaque parent_hash<V>;
        opaque original_sibling_tree_hash<V>;
    } ParentHashInput;

These are written out byte by byte, not declared: a tree of 1000 members hashes 2000 of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from roomkey.crypto.labels import hash_bytes
from roomkey.mls import tree_math
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.ratchet_tree import ParentNode, RatchetTree
from roomkey.tls import opaque

_opaque = opaque()


def tree_hash(tree: RatchetTree) -> bytes:
    """The hash of the whole tree, the suite's hash size."""
    return node_hash(tree, tree_math.root(tree.width))


def node_hash(tree: RatchetTree, node: int) -> bytes:
    """The tree hash of one node (RFC 9420 section 7.8); what is computed on the way stays with the tree."""
    known = tree.hashes[node]
    if known is not None:
        return known
    if node & 1:
        half = (~node & (node + 1)) >> 1  # 2^(level - 1)
        value = tree.nodes[node]
        body = b"\x00" if value is None else b"\x01" + value.encode()
        result = _parent_hash_of(tree, body, node_hash(tree, node - half), node_hash(tree, node + half))
    else:
        leaf = tree.nodes[node]
        body = b"\x00" if leaf is None else b"\x01" + leaf.encode()
        result = hash_bytes(tree.suite, b"\x01" + (node >> 1).to_bytes(4, "big") + body)
    tree.hashes[node] = result
    return result


def _parent_hash_of(tree: RatchetTree, body: bytes, left: bytes, right: bytes) -> bytes:
    size = bytes((tree.suite.nh,))  # hashes are shorter than 64 bytes, so their length takes one byte
    return hash_bytes(tree.suite, b"\x02" + body + size + left + size + right)


def parent_hash(tree: RatchetTree, node: ParentNode, sibling_hash: bytes) -> bytes:
    """The parent hash of a node with a copath child (RFC 9420 section 7.9), given that child's original tree hash."""
    out = bytearray()
    for part in (node.encryption_key, node.parent_hash, sibling_hash):
        _opaque.write(out, part)
    return hash_bytes(tree.suite, bytes(out))


def path_parents(
    tree: RatchetTree, path: Sequence[tuple[int, int]], keys: Sequence[bytes]
) -> tuple[dict[int, ParentNode], bytes]:
    """The new nodes of a filtered direct path, chained by parent hashes, and the parent hash for the leaf below.

    Args:
        path: as `filtered_direct_path`, (node, copath child) from below.
        keys: the nodes' new public keys, in the same order.
    The copath's tree hashes are the original ones, because a path resets the unmerged leaves (RFC 9420 section 7.9).
    """
    parents: dict[int, ParentNode] = {}
    above = b""
    for (node, copath), key in zip(reversed(path), reversed(keys), strict=True):
        parents[node] = ParentNode(key, above)
        above = parent_hash(tree, parents[node], node_hash(tree, copath))
    return parents, above


class OriginalHashes:
    """Original sibling tree hashes (RFC 9420 section 7.9): tree hashes as if some leaves had not been added yet.

    Subtrees in which none of them lies hash as they are; the others are computed once per set of leaves.
    """

    def __init__(self, tree: RatchetTree) -> None:
        self._tree = tree
        self._known: dict[tuple[int, tuple[int, ...]], bytes] = {}

    def get(self, node: int, without: tuple[int, ...]) -> bytes:
        """The tree hash of `node` with the leaves of `without` (indexes, sorted) blank and no longer unmerged."""
        first, end = tree_math.span(node)
        inside = without[bisect_left(without, first) : bisect_left(without, end)]
        if not inside:
            return node_hash(self._tree, node)
        known = self._known.get((node, inside))
        if known is not None:
            return known
        if node & 1:
            result = self._parent(node, inside)
        else:
            result = hash_bytes(self._tree.suite, b"\x01" + (node >> 1).to_bytes(4, "big") + b"\x00")
        self._known[(node, inside)] = result
        return result

    def _parent(self, node: int, inside: tuple[int, ...]) -> bytes:
        value = self._tree.nodes[node]
        body = b"\x00"
        if isinstance(value, ParentNode):
            blank = set(inside)
            kept = tuple(leaf for leaf in value.unmerged_leaves if leaf not in blank)
            body = b"\x01" + value.replace(unmerged_leaves=kept).encode()
        half = (~node & (node + 1)) >> 1
        return _parent_hash_of(self._tree, body, self.get(node - half, inside), self.get(node + half, inside))


def parent_hash_failure(tree: RatchetTree) -> int | None:
    """The position of a parent node that is not parent-hash valid (RFC 9420 section 7.9.2); None if all are.

    Top down: each parent P must have exactly one descendant D that was set together with it. With C the child of P
    towards D, and S the other child:
    1. The resolution of C is D and P's unmerged leaves below C, all of them.
    2. D's parent_hash is the parent hash of P with copath child S.
    By induction every chain then ends at a leaf that a member signed.
    """
    original = OriginalHashes(tree)
    for position, node in tree.parents():
        half = (~position & (position + 1)) >> 1
        valid = 0
        for child, other in ((position - half, position + half), (position + half, position - half)):
            linked = _set_together(tree, node, child)
            if linked is not None and linked == parent_hash(tree, node, original.get(other, node.unmerged_leaves)):
                valid += 1
        if valid != 1:
            return position
    return None


def _set_together(tree: RatchetTree, node: ParentNode, child: int) -> bytes | None:
    """The parent hash that rule 1's D, if there is one below this child, states."""
    first, end = tree_math.span(child)
    leaves = node.unmerged_leaves
    later = {2 * leaf for leaf in leaves[bisect_left(leaves, first) : bisect_left(leaves, end)]}
    resolution = tree.resolution(child)
    if len(resolution) != len(later) + 1:
        return None
    rest = [position for position in resolution if position not in later]
    if len(rest) != 1:
        return None
    linked = tree.nodes[rest[0]]
    return linked.parent_hash if isinstance(linked, LeafNode | ParentNode) else None
