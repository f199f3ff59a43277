"""Services of several domains in this process, which reach each other; the test sets their clocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from roomkey.federation.delivery import DeliveryService
from roomkey_delivery.peers.keys import DomainKeys, new_keys
from roomkey_delivery.peers.queue import QueueLimits, RelayQueue

from tests.delivery.local import Local
from tests.delivery.people import Person

DOMAINS = ("email1.example", "email2.example")
ELSEWHERE = "email3.example"  # a peer that tests play


Played = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Between(httpx.AsyncBaseTransport):
    """What services ask each other, by host.

    `down`: domains that do not answer. `played`: hosts whose answers a test makes. `asked`: all requests that arrived.
    """

    def __init__(self) -> None:
        self.services: dict[str, Local] = {}
        self.played: dict[str, Played] = {}
        self.down: set[str] = set()
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if host.removeprefix("ds.") in self.down or host not in {*self.services, *self.played}:
            raise httpx.ConnectError("down", request=request)
        await request.aread()
        self.asked.append(request)
        if host in self.played:
            return await self.played[host](request)
        local = self.services[host]
        answer = await local.bare.request(
            request.method, str(request.url), headers=request.headers, content=request.content
        )
        stream = httpx.ByteStream(answer.content)  # may be read in pieces
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


class Federated:
    """`email1.example` and `email2.example`, each the other's peer."""

    def __init__(self, folder: Path, *, limits: QueueLimits = QueueLimits(), **options: Any) -> None:  # noqa: B008
        self.between = Between()
        self.keys: dict[str, DomainKeys] = {domain: new_keys() for domain in DOMAINS}
        self.folder, self.limits, self.options = folder, limits, options
        self.at: dict[str, Local] = {}
        for domain in DOMAINS:
            self.start(domain)

    def start(self, domain: str) -> Local:
        """A service with the database and the keys of the one before."""
        queue = RelayQueue(self.folder / f"{domain}.db", self.limits)
        peers = {other: f"https://ds.{other}" for other in (*DOMAINS, ELSEWHERE) if other != domain}
        options = {"peers": peers} | self.options
        local = Local(
            self.folder, domain, http=httpx.AsyncClient(transport=self.between),
            parts={"domain_keys": self.keys[domain], "queue": queue}, **options,
        )  # fmt: skip
        if domain in self.at:
            local.time = self.at[domain].time
        self.at[domain] = self.between.services[f"ds.{domain}"] = local
        return local

    @property
    def first(self) -> Local:
        return self.at[DOMAINS[0]]

    @property
    def second(self) -> Local:
        return self.at[DOMAINS[1]]

    def pass_time(self, seconds: float) -> None:
        for local in self.at.values():
            local.time += seconds

    def relay(self, who: Person, domain: str = DOMAINS[1]) -> DeliveryService:
        """The service of `domain` as `who`, a client of email1.example, sees it through their own."""
        return self.first.at(who).relaying(domain)

    async def carry(self, domain: str = DOMAINS[0]) -> None:
        """Lets a service deliver what it may deliver now."""
        relay = self.at[domain].service.relay
        assert relay is not None
        await relay.carrier.look()
        await relay.carrier.settled()

    async def inbox(self, who: Person) -> list[bytes]:
        """The messages in an inbox at email2.example."""
        return [item.body for item in await self.second.service.store.messages(who.signer.client_id, 0, 10_000)]

    async def close(self) -> None:
        for local in self.at.values():
            await local.close()
