from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import messages
from tests.vectors.support import check_file


async def test_messages(vectors: Vectors) -> None:
    await check_file(vectors, "messages.json", messages.run)
