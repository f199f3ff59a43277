"""Where nodes stand in a full binary tree kept in an array (RFC 9420 section 4.1 and appendix C).

Leaves are the even positions, parents the odd ones; leaf i is node 2i. A node's level is the number of ones at the end
of its position in binary. Trees are always full: their width, the number of leaves, is a power of two.
"""

from __future__ import annotations

from roomkey.errors import RoomkeyError


def node_count(width: int) -> int:
    """The number of nodes of a tree with `width` leaves."""
    return 2 * width - 1


def width_for(leaves: int) -> int:
    """The width of the smallest full tree that has room for so many leaves, at least one."""
    return 1 << (leaves - 1).bit_length() if leaves > 1 else 1


def root(width: int) -> int:
    return width - 1


def level(node: int) -> int:
    """0 for leaves, 1 for their parents, and so on."""
    return (~node & (node + 1)).bit_length() - 1


def left(node: int) -> int:
    """The left child. Errors: "bad-argument" for a leaf."""
    if not node & 1:
        raise RoomkeyError("bad-argument", "expected a parent node, got a leaf")
    return node ^ (1 << (level(node) - 1))


def right(node: int) -> int:
    """The right child. Errors: "bad-argument" for a leaf."""
    if not node & 1:
        raise RoomkeyError("bad-argument", "expected a parent node, got a leaf")
    return node ^ (3 << (level(node) - 1))


def parent(node: int, width: int) -> int:
    """The parent. Errors: "bad-argument" for the root."""
    if node == width - 1:
        raise RoomkeyError("bad-argument", "expected a node below the root, got the root")
    bit = ~node & (node + 1)  # 2^level
    return (node | bit) & ~(bit << 1)


def sibling(node: int, width: int) -> int:
    """The other child of the parent. Errors: "bad-argument" for the root."""
    above = parent(node, width)
    return right(above) if node < above else left(above)


def direct_path(node: int, width: int) -> list[int]:
    """The nodes above `node`, from its parent to the root."""
    top = width - 1
    path: list[int] = []
    while node != top:
        bit = ~node & (node + 1)
        node = (node | bit) & ~(bit << 1)
        path.append(node)
    return path


def copath(node: int, width: int) -> list[int]:
    """The siblings of `node` and of the nodes above it, below the root, in that order."""
    steps = [node, *direct_path(node, width)][:-1]
    return [sibling(step, width) for step in steps]


def span(node: int) -> tuple[int, int]:
    """The leaves below `node` (itself, if it is a leaf): first leaf index and the one after the last."""
    reach = ~node & (node + 1)  # 2^level
    return (node - reach + 1) >> 1, (node + reach + 1) >> 1


def covers(node: int, leaf_index: int) -> bool:
    """Whether the leaf is `node` or below it."""
    first, end = span(node)
    return first <= leaf_index < end


def common_ancestor(first_leaf: int, second_leaf: int) -> int:
    """The lowest node above, or at, both leaves (given as leaf indexes)."""
    differ = (first_leaf ^ second_leaf).bit_length()  # the level of the ancestor
    return (first_leaf >> differ << (differ + 1)) + (1 << differ) - 1
