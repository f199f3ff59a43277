from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import key_schedule
from tests.vectors.support import check_file


async def test_key_schedule(vectors: Vectors) -> None:
    await check_file(vectors, "key-schedule.json", key_schedule.run)
