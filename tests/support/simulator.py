"""A network and hosts in memory, around real clients and real delivery services.

Everything that a client asks of its host passes `SimulatedHost.step`, before and after it takes effect. A test can stop
the host at any step, as a power cut does: nothing more happens, and what was durable is all there is when the identity
is opened again. The network can cut services off, hold messages, and keeps every body that went by.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from roomkey.crypto.provider import KeyHandle, SealItem
from roomkey.errors import RoomkeyError
from roomkey.host.interface import HttpResponse, HttpStream, Store
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.exchange import WITNESS_PREFIX
from roomkey.transparency.verifier import Trust
from roomkey_delivery.app import make_app
from roomkey_delivery.config import Rate, Rates, ServiceConfig
from roomkey_delivery.enrolment import new_code
from roomkey_delivery.log.keys import make_keys
from roomkey_delivery.log.parts import make_auditor, make_log
from roomkey_delivery.peers.keys import new_keys
from roomkey_delivery.peers.queue import RelayQueue
from roomkey_delivery.service import Service
from roomkey_delivery.store.sqlite import SqliteStore

from tests.support.log_configs import log_config, trusts_of

_FREE = Rate(1_000_000, 1_000_000)
UNLIMITED = Rates(*([_FREE] * 7))
BURYING = 120.0  # seconds for tasks to end that may do nothing but end


# -- the network --


@dataclass
class Network:
    """Origins and the services behind them."""

    services: dict[str, SimulatedService] = field(default_factory=dict)
    unreachable: set[str] = field(default_factory=set)  # origins
    lose_answers: set[str] = field(default_factory=set)  # "origin path": the service acts, and the answer never comes
    bodies: list[bytes] = field(default_factory=list)  # of every request, in order
    swallow: Callable[[str, str, bytes], bool] | None = None  # (origin, path, body) of what never gets there
    swallowed: list[bytes] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)  # "origin path": answered by "too-many-requests"

    async def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], AsyncIterator[bytes]]:
        """Status, headers and the pieces of the answer's body."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        service = self.services.get(origin)
        if service is None or origin in self.unreachable:
            raise RoomkeyError("service-unreachable", "expected an answer, got none")
        if body is not None:
            self.bodies.append(body)
            if self.swallow is not None and self.swallow(origin, parts.path, body):
                self.swallowed.append(body)
                raise RoomkeyError("service-unreachable", "expected an answer, got none")
        if f"{origin} {parts.path}" in self.refuse:
            return 429, {"content-type": "application/json"}, _once(b'{"code":"too-many-requests"}')
        status, answer_headers, pieces = await service.open(
            method, parts.path, parts.query, parts.netloc, headers, body
        )
        if f"{origin} {parts.path}" in self.lose_answers:
            async for _ in pieces:
                pass
            raise RoomkeyError("timeout", "expected an answer in time, got none")
        return status, answer_headers, pieces


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


class SimulatedService:
    """A delivery service in this process."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.app = make_app(service)

    async def enrolment_code(self, identity: str) -> str:
        return await new_code(self.service.store, identity, self.service.config.domain, self.service.clock())

    async def open(
        self, method: str, path: str, query: str, host: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], AsyncIterator[bytes]]:
        fields = {"host": host, **({} if body is None else {"content-length": str(len(body))}), **headers}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 1), "server": (host, 443),
        }  # fmt: skip
        events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        gone = asyncio.Event()
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": body or b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            events.put_nowait(dict(event))

        async def run() -> None:
            try:
                await self.app(scope, receive, send)
            finally:
                events.put_nowait(None)

        task = asyncio.ensure_future(run())
        start = await events.get()
        if start is None:
            await task
            raise AssertionError("the application gave no answer")

        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    event = await events.get()
                    if event is None:
                        break
                    if event.get("body"):
                        yield event["body"]
                    if not event.get("more_body"):
                        break
            finally:
                gone.set()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        names = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return int(start["status"]), names, pieces()


class _Transport(httpx.AsyncBaseTransport):
    """What services ask each other, through the same network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        try:
            fields = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
            status, headers, pieces = await self._network.open(request.method, str(request.url), fields, body or None)
        except RoomkeyError as error:
            raise httpx.ConnectError(error.text, request=request) from error
        stream = httpx.ByteStream(b"".join([piece async for piece in pieces]))  # may be read in pieces
        return httpx.Response(status, headers=headers, stream=stream)


# -- hosts --


@dataclass
class Disk:
    """What is durable of one identity."""

    records: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    locked_by: SimulatedHost | None = None


class RecordingCrypto(NativeCrypto):
    """Notes what was sealed with which key and nonce."""

    def __init__(self, sealed: list[tuple[bytes, bytes, bytes]]) -> None:
        super().__init__()
        self._sealed = sealed

    async def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        texts = await super().seal(items)
        self._sealed += [(item.key, item.nonce, text) for item, text in zip(items, texts, strict=True)]
        return texts


class SimulatedHost:
    """One device's machine, from one power-on to the next. `disks` outlives it."""

    def __init__(self, network: Network, disks: dict[str, Disk], sealed: list[tuple[bytes, bytes, bytes]]) -> None:
        self.network = network
        self.disks = disks
        self.sealed = sealed
        self.http = _SimulatedHttp(self)
        self.steps = 0
        self.stop_at: int | None = None
        self.disk_full = False
        self.clock_error = 0.0  # seconds by which this device's clock is ahead
        self.unreachable: set[str] = set()  # origins, for this device alone
        self.stopped = asyncio.Event()
        self._buried = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def stop_after(self, steps: int | None) -> None:
        """Cuts the power at the so manieth step from now; None never."""
        self.stop_at = None if steps is None else self.steps + steps

    async def step(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self.steps += 1
        if self.stop_at is not None and self.steps >= self.stop_at:
            self.stopped.set()
        if self.stopped.is_set():
            if not self._buried:
                await asyncio.Event().wait()
            raise asyncio.CancelledError

    async def bury(self) -> None:
        """Ends what a stopped host was running, without any further effect, and lets its disks be opened again."""
        self.stopped.set()
        self._buried = True
        current = asyncio.current_task()
        async with asyncio.timeout(BURYING):
            while running := [task for task in self._tasks if not task.done() and task is not current]:
                for task in running:
                    task.cancel()
                await asyncio.wait(running, timeout=1)
        for disk in self.disks.values():
            if disk.locked_by is self:
                disk.locked_by = None

    def now(self) -> float:
        return time.time() + self.clock_error

    async def sleep(self, seconds: float) -> None:
        await self.step()
        await asyncio.sleep(min(seconds, 0.05))  # waits are for others' sake: nobody else is here

    async def identities(self) -> list[str]:
        return sorted(self.disks)

    async def open_store(self, identity: str, *, create: bool = False) -> Store:
        await self.step()
        if (identity in self.disks) == create:
            raise RoomkeyError("identity-exists" if create else "no-such-identity")
        disk = self.disks.setdefault(identity, Disk())
        if disk.locked_by is not None:
            raise RoomkeyError("in-use-in-another-tab")
        disk.locked_by = self
        await self.step()
        return SimulatedStore(self, disk)

    async def delete_store(self, identity: str) -> None:
        await self.step()
        del self.disks[identity]


class SimulatedStore:
    def __init__(self, host: SimulatedHost, disk: Disk) -> None:
        self._host = host
        self._disk = disk
        self.crypto = RecordingCrypto(host.sealed)
        self.crypto.keys.update(disk.keys)

    async def get(self, name: str) -> bytes | None:
        await self._host.step()
        return self._disk.records.get(name)

    async def list(self, prefix: str) -> list[tuple[str, bytes]]:
        await self._host.step()
        return sorted((name, value) for name, value in self._disk.records.items() if name.startswith(prefix))

    async def write(
        self,
        puts: Mapping[str, bytes],
        deletes: Sequence[str] = (),
        *,
        keep_keys: Sequence[KeyHandle] = (),
        drop_keys: Sequence[KeyHandle] = (),
    ) -> None:
        await self._host.step()
        if self._host.disk_full:
            raise RoomkeyError("storage-failed", "expected room on the disk")
        kept = {handle.id: self.crypto.keys[handle.id] for handle in keep_keys}
        for name in deletes:
            self._disk.records.pop(name, None)
        self._disk.records.update(puts)
        for handle in drop_keys:
            self._disk.keys.pop(handle.id, None)
        self._disk.keys.update(kept)
        await self.crypto.forget_keys(drop_keys)
        await self._host.step()

    async def close(self) -> None:
        if self._disk.locked_by is self._host:
            self._disk.locked_by = None


class _SimulatedHttp:
    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        await self._host.step()
        self._check(url)
        status, names, pieces = await self._host.network.open(method, url, headers, body)
        answer = b"".join([piece async for piece in pieces])
        await self._host.step()
        return HttpResponse(status, names, answer)

    async def stream(self, method: str, url: str, headers: Mapping[str, str], *, timeout: float) -> HttpStream:
        await self._host.step()
        self._check(url)
        return _SimulatedStream(self._host, *await self._host.network.open(method, url, headers, None))

    def _check(self, url: str) -> None:
        if any(url.startswith(origin) for origin in self._host.unreachable):
            raise RoomkeyError("service-unreachable", "expected an answer, got none")


class _SimulatedStream:
    def __init__(
        self, host: SimulatedHost, status: int, headers: Mapping[str, str], pieces: AsyncIterator[bytes]
    ) -> None:
        self.status = status
        self.headers = headers
        self._host = host
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            await self._host.step()
            yield piece

    async def close(self) -> None:
        await self._pieces.aclose()  # type: ignore[attr-defined]


# -- a world of both --


class Simulation:
    """Two delivery services, as many devices as wanted. With `logs` they keep logs, and audit each other's."""

    def __init__(self, folder: Path, *, logs: bool = False) -> None:
        self.network = Network()
        self.folder = folder
        self.sealed: list[tuple[bytes, bytes, bytes]] = []
        self.domains = ("email1.example", "email2.example")
        self.log_keys = {domain: make_keys(domain) for domain in self.domains} if logs else {}
        self._stack = contextlib.AsyncExitStack()

    @property
    def routes(self) -> dict[str, str]:
        return {domain: origin_of(domain) for domain in self.domains}

    @property
    def trusts(self) -> dict[str, Trust]:
        """What clients are configured with, by domain."""
        return trusts_of(self.log_keys)

    def withhold_cosignatures(self, domain: str, *, withhold: bool = True) -> None:
        """Nobody cosigns a domain's log any more, or again: its auditor is not reached."""
        path = f"{WITNESS_PREFIX}/add-checkpoint"
        refused = {f"{origin_of(other)} {path}" for other in self.domains if other != domain}
        self.network.refuse = self.network.refuse | refused if withhold else self.network.refuse - refused

    async def __aenter__(self) -> Simulation:
        await self._stack.__aenter__()
        for domain in self.domains:
            config = ServiceConfig(domain, authorities=frozenset({f"ds.{domain}"}), peers=self.routes, rates=UNLIMITED)
            path = self.folder / f"{domain}.db"
            http = httpx.AsyncClient(transport=_Transport(self.network))
            logs = log_config(domain, self.log_keys, self.routes) if self.log_keys else None
            service = Service(
                config, SqliteStore(path), http=http, domain_keys=new_keys(), queue=RelayQueue(path),
                log=make_log(logs, path, http, time.time), auditor=make_auditor(logs, path, http, time.time),
            )  # fmt: skip
            self.network.services[origin_of(domain)] = SimulatedService(service)
            await self._stack.enter_async_context(service.running())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def device(self, disks: dict[str, Disk] | None = None) -> SimulatedHost:
        """A device that was just switched on."""
        return SimulatedHost(self.network, {} if disks is None else disks, self.sealed)

    async def code(self, identity: str) -> str:
        return await self.network.services[origin_of(identity.rpartition("@")[2])].enrolment_code(identity)

    def keys_used_twice(self) -> int:
        """How many keys sealed two different texts that both left a device.

        Every AEAD key here is made for one message. MLS's reuse guard would keep the nonces of such texts apart, but a
        state that forgets what it sent is no less wrong for it.
        """
        texts: dict[bytes, set[bytes]] = {}
        for key, _, text in self.sealed:
            texts.setdefault(key, set()).add(text)
        left = b"\x00".join(self.network.bodies)
        return sum(sum(text in left for text in found) > 1 for found in texts.values() if len(found) > 1)


def origin_of(domain: str) -> str:
    return f"https://ds.{domain}"


async def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Waits until something holds; a failure says what did not. It takes under a second on a machine at rest."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"expected {what} within {seconds:g} s")
        await asyncio.sleep(0.005)


def codes(errors: Iterable[RoomkeyError]) -> list[str]:
    return [error.code for error in errors]
