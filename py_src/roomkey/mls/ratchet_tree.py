"""The ratchet tree (RFC 9420 sections 4.1, 7.1, 7.7, 12.4.3.3): the public keys of members and subgroups.

A `RatchetTree` is a value. Each operation returns another tree that shares the nodes, and the tree hashes of the
subtrees that stayed the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final

from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls import tree_math
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.validation import violation
from roomkey.tls import Codec, Opaque, Reader, Struct, malformed, uint32, varint, vector

# A blank node is one byte on the wire and eight in memory, so a message may not ask for any number of them: with 2^14
# leaves the lists of nodes and hashes take half a megabyte. A group of 10,000 members fits.
MAX_WIDTH: Final = 1 << 14

_LEAF, _PARENT = 1, 2  # NodeType


class ParentNode(Struct):
    """The key of a subgroup.

    struct { HPKEPublicKey encryption_key; opaque parent_hash<V>; uint32 unmerged_leaves<V>; } ParentNode;
    """

    encryption_key: Opaque
    parent_hash: Opaque
    unmerged_leaves: Annotated[tuple[int, ...], vector(uint32)] = ()


Node = LeafNode | ParentNode


class _NodeCodec(Codec[Node | None]):
    """optional<Node>, with

    enum { reserved(0), leaf(1), parent(2), (255) } NodeType;
    struct {
        NodeType node_type;
        select (Node.node_type) { case leaf: LeafNode leaf_node; case parent: ParentNode parent_node; };
    } Node;
    """

    def __init__(self) -> None:
        self._read_leaf = LeafNode.codec().read
        self._read_parent = ParentNode.codec().read

    def read(self, r: Reader) -> Node | None:
        present = r.take(1)[0]
        if present == 0:
            return None
        if present != 1:
            raise malformed("", "0 or 1 before an optional value", present)
        kind = r.take(1)[0]
        if kind == _LEAF:
            return self._read_leaf(r)
        if kind == _PARENT:
            return self._read_parent(r)
        raise malformed("node_type", "1 or 2", kind)

    def write(self, out: bytearray, value: Node | None) -> None:
        if value is None:
            out.append(0)
        else:
            out += b"\x01\x01" if isinstance(value, LeafNode) else b"\x01\x02"
            out += value.encode()


_node = _NodeCodec()


class RatchetTree:
    """A group's tree, all of its nodes, trailing blanks included.

    Attributes (read only):
        suite: the group's.
        nodes: LeafNode at even, ParentNode at odd positions, None where blank; 2 * width - 1 of them.
        hashes: tree hashes by position, None where not computed yet; `tree_hash` fills them.
    """

    __slots__ = ("_resolutions", "hashes", "nodes", "suite")

    def __init__(self, suite: CipherSuite, nodes: list[Node | None], hashes: list[bytes | None] | None = None) -> None:
        self.suite = suite
        self.nodes = nodes
        self.hashes: list[bytes | None] = [None] * len(nodes) if hashes is None else hashes
        self._resolutions: dict[int, list[int]] = {}

    @classmethod
    def of(cls, suite: CipherSuite, leaf: LeafNode) -> RatchetTree:
        """The tree of a group with one member."""
        return cls(suite, [leaf])

    @classmethod
    def decode(cls, suite: CipherSuite, data: bytes) -> RatchetTree:
        """The tree of a `ratchet_tree` extension: `optional<Node> ratchet_tree<V>`, the last of them not blank.

        Errors: "malformed", "too-large", "invalid-tree" (rules tree-node-kinds, tree-trailing-blank).
        """
        r = Reader(data)
        size = varint.read(r)
        if size != r.remaining():
            raise malformed("ratchet_tree", f"{size} bytes", r.remaining())
        nodes: list[Node | None] = []
        limit = tree_math.node_count(MAX_WIDTH)
        while r.pos < r.end:
            if len(nodes) == limit:
                raise RoomkeyError("too-large", f"ratchet_tree: expected at most {limit} nodes, got more")
            node = _node.read(r)
            if node is not None and isinstance(node, LeafNode) == len(nodes) % 2:
                raise violation("tree-node-kinds", f"got the other at {len(nodes)}")
            nodes.append(node)
        if not nodes or nodes[-1] is None:
            raise violation("tree-trailing-blank", "got a blank one or none")
        width = tree_math.width_for((len(nodes) + 2) // 2)
        nodes += [None] * (tree_math.node_count(width) - len(nodes))
        return cls(suite, nodes)

    def encode(self) -> bytes:
        """The content of a `ratchet_tree` extension."""
        end = len(self.nodes)
        while self.nodes[end - 1] is None:
            end -= 1
        body = bytearray()
        for node in self.nodes[:end]:
            _node.write(body, node)
        out = bytearray()
        varint.write(out, len(body))
        out += body
        return bytes(out)

    @property
    def width(self) -> int:
        """The number of leaves, blank ones included."""
        return (len(self.nodes) + 1) // 2

    def leaf(self, index: int) -> LeafNode | None:
        """The member at this leaf index; None where the leaf is blank or outside the tree."""
        node = self.nodes[2 * index] if 0 <= index < self.width else None
        return node if isinstance(node, LeafNode) else None

    def members(self) -> Iterator[tuple[int, LeafNode]]:
        """All members with their leaf indexes, in order."""
        for index, node in enumerate(self.nodes[::2]):
            if isinstance(node, LeafNode):
                yield index, node

    def parents(self) -> Iterator[tuple[int, ParentNode]]:
        """All parent nodes that are not blank, with their positions, in order."""
        for index, node in enumerate(self.nodes[1::2]):
            if isinstance(node, ParentNode):
                yield 2 * index + 1, node

    def encryption_keys(self) -> set[bytes]:
        """The public keys of all nodes."""
        return {node.encryption_key for node in self.nodes if node is not None}

    # -- resolutions and paths (RFC 9420 sections 4.1.1 and 4.1.2) --

    def resolution(self, node: int) -> list[int]:
        """The positions of the nodes that together reach every member below `node`. Not to be changed."""
        known = self._resolutions.get(node)
        if known is not None:
            return known
        nodes = self.nodes
        found: list[int] = []
        stack = [node]
        while stack:
            at = stack.pop()
            value = nodes[at]
            if value is None:
                if at & 1:
                    half = (~at & (at + 1)) >> 1  # 2^(level - 1)
                    stack.append(at + half)
                    stack.append(at - half)
            else:
                found.append(at)
                if at & 1:
                    found += [2 * leaf for leaf in value.unmerged_leaves]  # type: ignore[union-attr]
        self._resolutions[node] = found
        return found

    def filtered_direct_path(self, leaf_index: int) -> list[tuple[int, int]]:
        """The nodes above a leaf, from below, each with its copath child; without those whose copath child is empty."""
        path: list[tuple[int, int]] = []
        at = 2 * leaf_index
        for above in tree_math.direct_path(at, self.width):
            other = 2 * above - at  # children stand equally far to both sides
            if self.resolution(other):
                path.append((above, other))
            at = above
        return path

    # -- changes (RFC 9420 sections 7.5, 7.7, 12.1.1 to 12.1.3) --

    def add(self, leaves: Sequence[LeafNode]) -> tuple[RatchetTree, list[int]]:
        """The tree with new members, each at the leftmost blank leaf in turn, and their leaf indexes."""
        nodes, hashes = self.nodes.copy(), self.hashes.copy()
        indexes: list[int] = []
        unmerged: dict[int, list[int]] = {}
        at = 0
        for leaf in leaves:
            while at < len(nodes) and nodes[at] is not None:
                at += 2
            if at >= len(nodes):
                _extend(nodes, hashes)
            nodes[at] = leaf
            indexes.append(at >> 1)
            hashes[at] = None
            for above in tree_math.direct_path(at, (len(nodes) + 1) // 2):
                hashes[above] = None
                if nodes[above] is not None:
                    unmerged.setdefault(above, []).append(at >> 1)
        for above, new in unmerged.items():
            node = nodes[above]
            assert isinstance(node, ParentNode)
            nodes[above] = node.replace(unmerged_leaves=tuple(sorted((*node.unmerged_leaves, *new))))
        return RatchetTree(self.suite, nodes, hashes), indexes

    def make_room(self) -> tuple[RatchetTree, int]:
        """The leftmost blank leaf, in a tree extended if there was none: where an external committer goes."""
        for index in range(self.width):
            if self.nodes[2 * index] is None:
                return self, index
        nodes, hashes = self.nodes.copy(), self.hashes.copy()
        _extend(nodes, hashes)
        return RatchetTree(self.suite, nodes, hashes), self.width

    def update(self, leaf_index: int, leaf: LeafNode) -> RatchetTree:
        """The tree with a member's leaf replaced and its direct path blanked. Errors: "invalid-tree" (tree-member)."""
        return self.update_all([(leaf_index, leaf)])

    def update_all(self, leaves: Iterable[tuple[int, LeafNode]]) -> RatchetTree:
        """`update` for many members, in one copy of the tree."""
        return self._change([(self._member(index), leaf) for index, leaf in leaves])

    def remove(self, leaf_indexes: Iterable[int]) -> RatchetTree:
        """The tree without these members, truncated. Errors: "invalid-tree" (tree-member, tree-empty)."""
        tree = self._change([(self._member(index), None) for index in leaf_indexes])
        nodes = tree.nodes
        last = len(nodes) - 1
        while last >= 0 and nodes[last] is None:
            last -= 2
        if last < 0:
            raise violation("tree-empty")
        count = tree_math.node_count(tree_math.width_for((last >> 1) + 1))
        del nodes[count:], tree.hashes[count:]
        return tree

    def with_path(self, leaf_index: int, leaf: LeafNode, parents: Mapping[int, ParentNode]) -> RatchetTree:
        """The tree with a leaf, blank or not, replaced, its direct path blanked but for these parents."""
        return self._change([(leaf_index, leaf)], parents)

    def _member(self, leaf_index: int) -> int:
        if self.leaf(leaf_index) is None:
            raise violation("tree-member", f"got leaf {leaf_index}")
        return leaf_index

    def _change(
        self, leaves: Iterable[tuple[int, LeafNode | None]], parents: Mapping[int, ParentNode] | None = None
    ) -> RatchetTree:
        nodes, hashes = self.nodes.copy(), self.hashes.copy()
        for index, leaf in leaves:
            nodes[2 * index] = leaf
            hashes[2 * index] = None
            for above in tree_math.direct_path(2 * index, self.width):
                nodes[above] = None
                hashes[above] = None
        for position, node in (parents or {}).items():
            nodes[position] = node
        return RatchetTree(self.suite, nodes, hashes)


def _extend(nodes: list[Node | None], hashes: list[bytes | None]) -> None:
    """A blank root over the tree and an empty tree of its size (RFC 9420 section 7.7). Errors: "too-large"."""
    if len(nodes) >= tree_math.node_count(MAX_WIDTH):
        raise RoomkeyError("too-large", f"expected a group of at most {MAX_WIDTH} leaves, got more")
    more = len(nodes) + 1
    nodes += [None] * more
    hashes += [None] * more
