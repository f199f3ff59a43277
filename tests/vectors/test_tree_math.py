from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import tree_math
from tests.vectors.support import check_file


async def test_tree_math(vectors: Vectors) -> None:
    await check_file(vectors, "tree-math.json", tree_math.run)
