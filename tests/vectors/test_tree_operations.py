from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import tree_operations
from tests.vectors.support import check_file


async def test_tree_operations(vectors: Vectors) -> None:
    await check_file(vectors, "tree-operations.json", tree_operations.run)
