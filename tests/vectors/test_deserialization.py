from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import deserialization
from tests.vectors.support import check_file


async def test_deserialization(vectors: Vectors) -> None:
    await check_file(vectors, "deserialization.json", deserialization.run)
