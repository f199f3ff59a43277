"""Services as they are deployed, a process with a database of its own, and clients of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from roomkey.crypto.suites import Scheme
from roomkey.federation.calls import ClientKey
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.init_keys import LIFETIME, ClientKeys, InitKeySet, make_client_keys, make_init_key_sets
from roomkey.host.native import NativeHost
from roomkey.host.native_crypto import NativeCrypto

SOURCES = Path(__file__).parents[2] / "py_src"


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`roomkey-delivery` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "roomkey_delivery", *arguments],
        env=os.environ | {"PYTHONPATH": str(SOURCES)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


class Running:
    """A service in a process of its own."""

    def __init__(self, domain: str, database: Path, *options: str, port: int = 0) -> None:
        self.domain, self.database, self.options = domain, database, options
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the service
        self._start(port)

    def _start(self, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "roomkey_delivery", "serve", "--domain", self.domain, "--db", str(self.database),
             "--port", str(port), *self.options],
            env=os.environ | {"PYTHONPATH": str(SOURCES)}, stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(f"{self.domain} at http"), self.log()
        self.url = line.split(" at ")[1].strip()
        self.port = int(self.url.rpartition(":")[2])

    def log(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def enrolment_code(self, identity: str) -> str:
        result = run_cli("enrol", identity, "--db", str(self.database))
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def kill(self) -> None:
        """As a power cut for the process: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator stops it; returns the exit status."""
        return self._end(signal.SIGTERM)

    def restart(self) -> None:
        self._start(self.port)

    def _end(self, how: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        assert self.process.stdout is not None
        status = self.process.wait(30)
        self.process.stdout.close()
        return status


class Services:
    """Starts services and ends those it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Running] = []

    def start(self, domain: str = "email1.example", *options: str, database: Path | None = None) -> Running:
        path = database or self.folder / f"{domain}-{len(self.running)}.db"
        service = Running(domain, path, *options)
        self.running.append(service)
        return service

    def close(self) -> None:
        for service in self.running:
            if not service.process.stdout or not service.process.stdout.closed:
                service.kill()
            service.errors.close()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[NativeHost]:
    async with AsyncExitStack() as stack:
        host = NativeHost(tmp_path / "clients")
        stack.push_async_callback(host.close)
        yield host


class Person:
    """One client: its keys, and a way to make sets."""

    def __init__(self, crypto: NativeCrypto, keys: ClientKeys) -> None:
        self.crypto, self.keys = crypto, keys

    @property
    def signer(self) -> ClientKey:
        return ClientKey(self.crypto, self.keys.scheme, self.keys.pairs[self.keys.scheme], self.keys.identity)

    async def sets(
        self,
        now: float,
        count: int = 1,
        *,
        suites: tuple[int, ...] = (1, 3),
        last_resort: bool = False,
        lifetime: float = LIFETIME,
    ) -> list[InitKeySet]:
        made = await make_init_key_sets(
            self.crypto, self.keys, suites, count, now, last_resort=last_resort, lifetime=lifetime
        )
        return [item.set for item in made]

    def at(self, host: NativeHost, url: str) -> DeliveryService:
        return DeliveryService(host, url, self.signer)


async def person(identity: str, scheme: Scheme = "ed25519") -> Person:
    """A client that no service knows yet."""
    crypto = NativeCrypto()
    return Person(crypto, await make_client_keys(crypto, identity, scheme, (1, 2, 3)))


async def enrolled(host: NativeHost, service: Running, identity: str, scheme: Scheme = "ed25519") -> Person:
    """A client that `service` knows."""
    made = await person(identity, scheme)
    await made.at(host, service.url).enrol(made.keys.credential, service.enrolment_code(identity))
    return made
