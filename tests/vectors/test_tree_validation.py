from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import tree_validation
from tests.vectors.support import check_file


async def test_tree_validation(vectors: Vectors) -> None:
    await check_file(vectors, "tree-validation.json", tree_validation.run)
