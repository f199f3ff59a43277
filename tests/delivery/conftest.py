"""Services and clients for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from roomkey.host.native import NativeHost

from tests.delivery.local import Local
from tests.delivery.processes import Services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[NativeHost]:
    made = NativeHost(tmp_path / "clients")
    yield made
    await made.close()


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    made = Local(tmp_path)
    yield made
    await made.close()
