"""One running service: what the routes share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from roomkey.errors import RoomkeyError
from roomkey.federation.requests import from_base64url
from starlette.requests import Request

from roomkey_delivery.audit.auditor import Auditor
from roomkey_delivery.config import ServiceConfig
from roomkey_delivery.directory import Directory
from roomkey_delivery.hub import Hub
from roomkey_delivery.limits import Limiter, address_of
from roomkey_delivery.log.log import Log
from roomkey_delivery.peers.keys import DomainKeys
from roomkey_delivery.peers.peers import Peers
from roomkey_delivery.peers.queue import RelayQueue
from roomkey_delivery.peers.relay import Relay
from roomkey_delivery.signatures import Quota, Verifier
from roomkey_delivery.store.interface import Store

PRUNE_EVERY = 3600.0  # seconds
# Other services are asked by one pool: what waits for a slow one must not hold up the others.
# Idle ones are used again for a shorter time than servers keep them (`host.native`).
_CONNECTIONS = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=3.0)

logger = logging.getLogger("roomkey_delivery")


def outgoing() -> httpx.AsyncClient:
    """What a service asks others with."""
    return httpx.AsyncClient(timeout=5.0, trust_env=False, limits=_CONNECTIONS)


class Service:
    """The parts of one service. `clock` gives Unix seconds; `http` is for other services and may be a test's. Requests
    of our clients are passed on (server fanout) where there are `domain_keys` and a `queue`.
    """

    def __init__(
        self,
        config: ServiceConfig,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        http: httpx.AsyncClient | None = None,
        auditor: Auditor | None = None,
        log: Log | None = None,
        domain_keys: DomainKeys | None = None,
        queue: RelayQueue | None = None,
    ) -> None:
        self.config = config
        self.store = store
        self.clock = clock
        self._http = http or outgoing()
        self.peers = Peers(config, clock, self._http)
        self.relay: Relay | None = None
        if domain_keys is not None and queue is not None:
            self.relay = Relay(config.domain, domain_keys, self.peers, queue, clock, self._http)
        self.directory = Directory(config, store, self.peers, clock, self._http)
        heard = self.relay.heard if self.relay is not None else lambda domain: None
        self.verifier = Verifier(config, store, self.directory, self.peers, clock, heard)
        self.hub = Hub(store)
        self.auditor = auditor
        self.log = log
        self._by_address = Limiter(config.rates.address)
        self.claimed = Limiter(config.rates.claimed)
        self.targets = Limiter(config.rates.target)
        self.domains = Limiter(config.rates.domain)
        # Questions to the log take from buckets of their own, of the same sizes: who claims asks for the proofs too.
        self.asked = Limiter(config.rates.claimed)
        self.targets_asked = Limiter(config.rates.target)
        self.domains_asked = Limiter(config.rates.domain)
        self.registers = Quota(config.domain, config.rates.groups, config.rates.domain_groups)
        self.commits = Quota(config.domain, config.rates.commits, config.rates.domain_commits)
        self._log_files = Limiter(config.rates.log_files)

    def count_unsigned(self, request: Request) -> None:
        """Counts a request that nobody signed. Errors: "too-many-requests"."""
        self._by_address.take(address_of(request), self.clock())

    def count_log_file(self, request: Request) -> None:
        """Counts a request for one of the log's files. Errors: "too-many-requests"."""
        self._log_files.take(address_of(request), self.clock())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """From start to end: wakes streams for other processes' messages, prunes, closes the store."""
        tasks = [asyncio.create_task(self.hub.watch()), asyncio.create_task(self._prune())]
        if self.auditor is not None:
            tasks.append(asyncio.create_task(self.auditor.load()))
        if self.log is not None:
            tasks.append(asyncio.create_task(self.log.run()))
        if self.relay is not None:
            tasks.append(asyncio.create_task(self.relay.carrier.run()))
        try:
            yield
        finally:
            self.hub.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.auditor is not None:
                await self.auditor.close()
            if self.log is not None:
                await self.log.close()
            if self.relay is not None:
                await self.relay.close()
            await self._http.aclose()
            await self.store.close()

    async def _prune(self) -> None:
        while True:
            try:
                await self.store.prune(self.clock())
                if self.relay is not None:
                    await self.relay.carrier.expire()
            except RoomkeyError as error:
                logger.warning("not pruned: %s", error.text)
            await asyncio.sleep(PRUNE_EVERY)


def service_of(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def json_body(body: bytes) -> dict[str, Any]:
    """A JSON object. Errors: "malformed-request"."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RoomkeyError("malformed-request", "expected JSON") from None
    if not isinstance(value, dict):
        raise RoomkeyError("malformed-request", "expected a JSON object")
    return value


def bytes_of(value: dict[str, Any], name: str) -> bytes:
    """A base64url member of a JSON object. Errors: "malformed-request"."""
    text = value.get(name)
    if not isinstance(text, str):
        raise RoomkeyError("malformed-request", f"{name}: expected base64url", field=name)
    return from_base64url(text)
