from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import treekem
from tests.vectors.support import check_file


async def test_treekem(vectors: Vectors) -> None:
    await check_file(vectors, "treekem.json", treekem.run)
