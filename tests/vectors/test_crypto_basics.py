from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import crypto_basics
from tests.vectors.support import check_file


async def test_crypto_basics(vectors: Vectors) -> None:
    await check_file(vectors, "crypto-basics.json", crypto_basics.run)
