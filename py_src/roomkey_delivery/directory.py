"""Which key a client has: enrolled here, or told by the service of the client's home domain.

A request names its home domain and its key's hash. The key comes from that domain's service alone, over an address
that the operator configured or that https://DOMAIN/.well-known/roomkey names. A request can make us ask, but only
servers on public addresses (S14):

1. Names resolve here, every address must be public, and the connection goes to the address that was checked.
2. https only, no redirects, 5 s, 16 kB, nothing packed.
3. The answer's key must have the hash asked for, and its identity must be of the domain asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
from roomkey.errors import RoomkeyError
from roomkey.federation.calls import service_origin
from roomkey.federation.identity import check_domain, check_identity, domain_of
from roomkey.federation.messages import Credential
from roomkey.federation.requests import base64url, client_id, from_base64url

from roomkey_delivery.config import MAX_JSON, ServiceConfig
from roomkey_delivery.limits import Limiter
from roomkey_delivery.store.interface import Client, Store

LOOKUP_TIME = 5.0  # seconds for all of one lookup: the client itself gives up after 10
REMEMBERED = 10_000  # foreign clients in memory, about 5 MB
KNOWN_FOR = 300.0  # seconds that an answer is believed
UNKNOWN_FOR = 10.0  # seconds that a refusal is
LOOKUP_PATH = "/v1/clients/lookup"
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # RFC 4291 section 2.4
WELL_KNOWN = "/.well-known/roomkey"

Fetch = Callable[[str, str, dict[str, Any] | None], Awaitable[dict[str, Any]]]  # method, URL, body -> JSON object


class Directory:
    """Finds the keys of clients."""

    def __init__(
        self, config: ServiceConfig, store: Store, clock: Callable[[], float], http: httpx.AsyncClient
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._http = http
        self._found: OrderedDict[tuple[str, bytes], tuple[float, Client | None]] = OrderedDict()
        self._lookups = Limiter(config.rates.lookup)

    async def find(self, client: bytes, home: str | None, address: str) -> Client | None:
        """The client of this id: of this service if `home` is None or its own domain, else of the service of `home`.

        Args:
            address: who asks, for the limit on lookups.
        Errors: "malformed-request" (home is no domain), "service-unavailable" (its service does not answer),
        "too-many-requests".
        """
        if home is None or home == self._config.domain:
            return await self._store.client(client)
        check_domain(home)
        now = self._clock()
        until, known = self._found.get((home, client), (0.0, None))
        if now < until:
            return known
        self._lookups.take(address, now)
        try:
            async with asyncio.timeout(LOOKUP_TIME):
                known = await self._ask(home, client)
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            text = f"expected the client's home service to answer, got {type(error).__name__}"
            raise RoomkeyError("service-unavailable", text, retry_after=5) from None
        self._found[home, client] = (now + (UNKNOWN_FOR if known is None else KNOWN_FOR), known)
        if len(self._found) > REMEMBERED:
            self._found.popitem(last=False)
        return known

    async def _ask(self, home: str, client: bytes) -> Client | None:
        peer = self._config.peers.get(home)
        public = peer is None
        if peer is None:
            peer = (await self._fetch("GET", f"https://{home}{WELL_KNOWN}", None, public=True)).get("service")
            if not isinstance(peer, str):
                return None
        try:
            url = service_origin(peer) + LOOKUP_PATH
            answer = await self._fetch("POST", url, {"client": base64url(client)}, public=public)
            return _checked(answer, home, client)
        except RoomkeyError:
            return None  # an address or a credential that is none vouches for nobody

    async def _fetch(self, method: str, url: str, body: dict[str, Any] | None, *, public: bool) -> dict[str, Any]:
        headers = {"accept": "application/json", "content-type": "application/json", "accept-encoding": "identity"}
        extensions = {}
        if public:
            host, url = await _public(url)
            headers["host"] = host
            extensions["sni_hostname"] = urlsplit(f"//{host}").hostname
        content = None if body is None else json.dumps(body).encode()
        request = self._http.build_request(method, url, headers=headers, content=content, extensions=extensions)
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code != 200:
                raise httpx.HTTPError(f"status {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise httpx.HTTPError("packed")  # it could be a thousand times as long
            received = b""
            async for piece in response.aiter_bytes():
                received += piece
                if len(received) > MAX_JSON:
                    raise httpx.HTTPError("too long")
        finally:
            await response.aclose()
        try:
            value = json.loads(received)
        except (ValueError, RecursionError):
            raise httpx.HTTPError("no JSON") from None
        if not isinstance(value, dict):
            raise httpx.HTTPError("no JSON object")
        return value


def _checked(answer: dict[str, Any], home: str, client: bytes) -> Client | None:
    encoded = answer.get("credential")
    if not isinstance(encoded, str):
        return None
    basic = Credential.decode(from_base64url(encoded)).require_basic()
    identity = check_identity(basic.identity)
    if domain_of(identity) != home or client_id(basic.public_key) != client:
        return None
    return Client(client, identity, basic.algorithm, basic.public_key)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the public internet. Of IPv6 only global unicast, and no form that carries an IPv4
    address, which a gateway (6to4, NAT64) might follow inside.
    """
    if address.version == 6 and (address not in _GLOBAL_UNICAST or address.sixtofour is not None):
        return False
    return address.is_global and not address.is_multicast


async def _public(url: str) -> tuple[str, str]:
    """The Host of an https URL and the same URL by address, all of whose addresses are public. Errors: OSError."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        raise OSError("expected https")
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise OSError("expected public addresses only")
    literal = f"[{addresses[0]}]" if addresses[0].version == 6 else str(addresses[0])
    port = "" if parts.port is None else f":{parts.port}"
    return parts.netloc, parts._replace(netloc=literal + port).geturl()
