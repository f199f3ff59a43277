from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import message_protection
from tests.vectors.support import check_file


async def test_message_protection(vectors: Vectors) -> None:
    await check_file(vectors, "message-protection.json", message_protection.run)
