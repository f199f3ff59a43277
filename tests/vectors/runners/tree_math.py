"""tree-math.json: the shape of full trees (RFC 9420 appendix C)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.mls import tree_math


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed = 0
    for case in cases:
        width = case["n_leaves"]
        nodes = range(case["n_nodes"])
        assert tree_math.node_count(width) == case["n_nodes"], "n_nodes"
        assert tree_math.root(width) == case["root"], "root"
        assert tree_math.width_for(width) == width, "a full width"
        assert [or_none(tree_math.left, node) for node in nodes] == case["left"], "left"
        assert [or_none(tree_math.right, node) for node in nodes] == case["right"], "right"
        assert [or_none(tree_math.parent, node, width) for node in nodes] == case["parent"], "parent"
        assert [or_none(tree_math.sibling, node, width) for node in nodes] == case["sibling"], "sibling"
        passed += 1
    return {0: passed}


def or_none(function: Callable[..., int], *arguments: int) -> int | None:
    """None where the function refuses: leaves have no children, the root neither parent nor sibling."""
    try:
        return function(*arguments)
    except RoomkeyError:
        return None
