"""What travelled between us and the delivery services: kind, direction, service, size; never contents.

The host's `Http` is wrapped, so that nothing is missed. Messages to inboxes are told by the outbox, which knows what
they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from roomkey.host.interface import Host, Http, HttpResponse, HttpStream, Store

_KINDS = {
    "/v1/service": "discover",
    "/v1/clients": "enrol",
    "/v1/clients/recovery": "recovery",
    "/v1/log/answers": "proof",
    "/v1/log/manifests": "manifest",
    "/v1/relay": "relay",
    "/v1/user-init-keys/claim": "claim",
    "/v1/inbox/acknowledgements": "ack",
    "/v1/groups": "register",
    "/v1/commits": "commit-order",
    "/v1/commits/read": "commits",
}


class Traffic(NamedTuple):
    """One body that went by: `service` is the origin of the delivery service, `bytes` the body's size, `time` Unix
    seconds.
    """

    direction: Literal["out", "in"]
    service: str
    kind: str
    bytes: int
    time: float


Report = Callable[[Traffic], None]


class MeteredHost:
    """A host whose requests are told to `report`."""

    def __init__(self, host: Host, report: Report) -> None:
        self._host = host
        self.http: Http = _MeteredHttp(host, report)

    def now(self) -> float:
        return self._host.now()

    async def sleep(self, seconds: float) -> None:
        await self._host.sleep(seconds)

    async def identities(self) -> list[str]:
        return await self._host.identities()

    async def open_store(self, identity: str, *, create: bool = False) -> Store:
        return await self._host.open_store(identity, create=create)

    async def delete_store(self, identity: str) -> None:
        await self._host.delete_store(identity)


class _MeteredHttp:
    def __init__(self, host: Host, report: Report) -> None:
        self._host = host
        self._report = report

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        kind, origin = _kind(method, url)
        if kind is not None:
            self._report(Traffic("out", origin, kind, len(body or b""), self._host.now()))
        response = await self._host.http.request(method, url, headers, body, timeout=timeout)
        if kind is not None:
            self._report(Traffic("in", origin, kind, len(response.body), self._host.now()))
        return response

    async def stream(self, method: str, url: str, headers: Mapping[str, str], *, timeout: float) -> HttpStream:
        return await self._host.http.stream(method, url, headers, timeout=timeout)


def _kind(method: str, url: str) -> tuple[str | None, str]:
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.path == "/v1/user-init-keys":
        return ("publish" if method == "POST" else "stock"), origin
    return _KINDS.get(parts.path), origin
