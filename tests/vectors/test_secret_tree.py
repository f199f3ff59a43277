from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import secret_tree
from tests.vectors.support import check_file


async def test_secret_tree(vectors: Vectors) -> None:
    await check_file(vectors, "secret-tree.json", secret_tree.run)
