from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import psk_secret
from tests.vectors.support import check_file


async def test_psk_secret(vectors: Vectors) -> None:
    await check_file(vectors, "psk_secret.json", psk_secret.run)
