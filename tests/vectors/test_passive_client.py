from __future__ import annotations

import pytest

from tests.conftest import Vectors
from tests.vectors.runners import passive_client
from tests.vectors.support import check_file


@pytest.mark.parametrize("name", ["welcome", "handling-commit", "random"])
async def test_passive_client(vectors: Vectors, name: str) -> None:
    await check_file(vectors, f"passive-client-{name}.json", passive_client.run)
