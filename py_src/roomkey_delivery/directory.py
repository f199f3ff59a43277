"""Which key a client has: enrolled here, or told by the service of the client's home domain.

A request names its home domain and its key's hash. The key comes from that domain's service alone, over an address
that the operator configured or that https://DOMAIN/.well-known/roomkey names (`peers`). A request can make us ask, but
only servers on public addresses (`reaching`, attack S14), and the answer's key must have the hash asked for, its
identity be of the domain asked.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import httpx
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import check_domain, check_identity, domain_of
from roomkey.federation.messages import Credential
from roomkey.federation.requests import base64url, client_id, from_base64url

from roomkey_delivery.config import MAX_JSON, ServiceConfig
from roomkey_delivery.limits import Limiter
from roomkey_delivery.peers.peers import LOOKUP_TIME, Peers
from roomkey_delivery.peers.reaching import exchange, json_of
from roomkey_delivery.store.interface import Client, Store

REMEMBERED = 10_000  # foreign clients in memory, about 5 MB
KNOWN_FOR = 300.0  # seconds that an answer is believed
UNKNOWN_FOR = 10.0  # seconds that a refusal is
LOOKUP_PATH = "/v1/clients/lookup"
_HEADERS = {"accept": "application/json", "content-type": "application/json"}


class Directory:
    """Finds the keys of clients."""

    def __init__(
        self, config: ServiceConfig, store: Store, peers: Peers, clock: Callable[[], float], http: httpx.AsyncClient
    ) -> None:
        self._config = config
        self._store = store
        self._peers = peers
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
                known = await self._ask(home, client, address)
        except (RoomkeyError, TimeoutError) as error:
            if isinstance(error, RoomkeyError) and error.code != "service-unavailable":
                raise
            text = "expected the client's home service to answer"
            raise RoomkeyError("service-unavailable", text, retry_after=5) from error
        self._found[home, client] = (now + (UNKNOWN_FOR if known is None else KNOWN_FOR), known)
        if len(self._found) > REMEMBERED:
            self._found.popitem(last=False)
        return known

    async def _ask(self, home: str, client: bytes, address: str) -> Client | None:
        peer = await self._peers.address(home, address)
        asked = json.dumps({"client": base64url(client)}).encode()
        answer = json_of(
            await exchange(
                self._http, "POST", peer.origin + LOOKUP_PATH,
                public=peer.public, limit=MAX_JSON, seconds=LOOKUP_TIME, headers=_HEADERS, content=asked,
            )
        )  # fmt: skip
        try:
            return _checked(answer, home, client)
        except RoomkeyError:
            return None  # a credential that is none vouches for nobody


def _checked(answer: dict[str, Any], home: str, client: bytes) -> Client | None:
    encoded = answer.get("credential")
    if not isinstance(encoded, str):
        return None
    basic = Credential.decode(from_base64url(encoded)).require_basic()
    identity = check_identity(basic.identity)
    if domain_of(identity) != home or client_id(basic.public_key) != client:
        return None
    return Client(client, identity, basic.algorithm, basic.public_key)
