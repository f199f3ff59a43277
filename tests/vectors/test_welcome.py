from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import welcome
from tests.vectors.support import check_file


async def test_welcome(vectors: Vectors) -> None:
    await check_file(vectors, "welcome.json", welcome.run)
