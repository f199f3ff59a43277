"""A service in this process, without sockets; the test sets its clock. Answers come whole, so there are no streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from roomkey.federation.calls import ClientKey
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import domain_of
from roomkey.federation.requests import sign_request
from roomkey.host.interface import HttpResponse
from roomkey_delivery.app import make_app
from roomkey_delivery.config import ServiceConfig
from roomkey_delivery.enrolment import new_code
from roomkey_delivery.service import Service
from roomkey_delivery.store.sqlite import SqliteStore

from tests.delivery.people import Person, person

NOW = 1_795_000_000.0  # November 2026


class Local:
    """One service and a bare HTTP client of it. As a `Host` it serves our own client code too."""

    def __init__(
        self,
        folder: Path,
        domain: str = "email1.example",
        *,
        http: httpx.AsyncClient | None = None,
        parts: Mapping[str, Any] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        """`http`: how it reaches other services. `parts`: arguments of `Service`, `options` of `ServiceConfig`."""
        self.domain = domain
        self.time = NOW  # the service's clock
        self.skew = 0.0  # how far clients' clocks are ahead
        self.url = f"https://ds.{domain}"
        config = ServiceConfig(domain, authorities=frozenset({f"ds.{domain}"}), **options)
        store = SqliteStore(folder / f"{domain}.db")
        self.service = Service(config, store, clock=lambda: self.time, http=http, **parts)
        self.app = make_app(self.service)
        self.bare = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.url)
        self.requests = 0

    # -- what a Host must offer --

    @property
    def http(self) -> Local:
        return self

    def now(self) -> float:
        return self.time + self.skew

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        self.requests += 1
        answer = await self.bare.request(method, url, headers=dict(headers), content=body)
        return HttpResponse(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    # -- for tests --

    async def enrolled(self, name: str, **options: Any) -> Person:
        made = await person(f"{name}@{self.domain}", **options)
        code = await new_code(self.service.store, made.keys.identity, self.domain, self.time)
        await self.at(made).enrol(made.keys.credential, code)
        return made

    def at(self, who: Person) -> DeliveryService:
        return DeliveryService(self, self.url, who.signer)  # type: ignore[arg-type]  # no store, no stream

    async def signed(
        self,
        who: Person,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str | None = None,
        *,
        now: float | None = None,
    ) -> dict[str, str]:
        """The headers of a request that `who` signs."""
        signer: ClientKey = who.signer
        at = self.time if now is None else now
        return await sign_request(
            signer.crypto,
            signer.scheme,
            signer.key,
            domain_of(signer.identity),
            method,
            self.url + path,
            body,
            kind,
            at,
        )

    async def close(self) -> None:
        await self.bare.aclose()
        if self.service.relay is not None:
            await self.service.relay.close()
        await self.service._http.aclose()
        await self.service.store.close()


def code_of(answer: httpx.Response) -> str:
    """The code in an error."""
    value = json.loads(answer.content)
    assert set(value) <= {"code", "text", "time", "field", "domain"}
    return str(value["code"])
