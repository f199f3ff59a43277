from __future__ import annotations

from tests.conftest import Vectors
from tests.vectors.runners import transcript_hashes
from tests.vectors.support import check_file


async def test_transcript_hashes(vectors: Vectors) -> None:
    await check_file(vectors, "transcript-hashes.json", transcript_hashes.run)
