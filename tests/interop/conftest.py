"""The peers and the delivery service, each started once for all tests of a module."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from roomkey.host.native import NativeHost

from tests.delivery.processes import Running
from tests.interop.carriers import Delivery
from tests.interop.peer import Peer

DOMAIN = "interop.example"
# What the service writes it waits for; that it keeps it is shown elsewhere.
MEMORY = Path("/dev/shm")
_rooms = itertools.count(1)


@pytest.fixture(scope="module")
def ts_mls() -> Iterator[Peer]:
    """ts-mls in a Node process."""
    with Peer("ts_mls_peer.mjs") as peer:
        yield peer


@pytest.fixture(scope="module")
def core_crypto() -> Iterator[Peer]:
    """core-crypto in a Node process."""
    with Peer("core_crypto_peer.mjs") as peer:
        yield peer


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    """A delivery service that gives any name to who comes first."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        running = Running(DOMAIN, Path(folder) / "service.db", "--unsafe-open-enrolment")
        yield running
        running.kill()
        running.errors.close()


# Asynchronous tests that use it run in one loop for the module: a host of CPython takes a while to start.
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NativeHost]:
    made = NativeHost(tmp_path_factory.mktemp("host"))
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def delivery(service: Running, host: NativeHost) -> AsyncIterator[Delivery]:
    """A room's way over the delivery service."""
    carrier = Delivery(host, {DOMAIN: service.url}, {"a": DOMAIN, "b": DOMAIN}, next(_rooms))
    yield carrier
    await carrier.close()
