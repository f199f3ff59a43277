"""Other domains' services: where each is, and which keys it signs with.

The operator's word comes first: `--peer DOMAIN=URL` and `--peer-key DOMAIN=KEY`. What they leave open stands in the
document `/.well-known/roomkey`, at the configured address or at the domain itself, asked for by the rules of
`reaching`:

    {"service": URL, "keys": [base64url of 32 bytes, ...]}

A document is believed for an hour. Who meets a key that it does not list asks again, so that a service may begin to use
a new key at once; but only every ten seconds, so that nobody makes us ask for each request of theirs.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import httpx
from roomkey.errors import RoomkeyError
from roomkey.federation.calls import service_origin
from roomkey.federation.identity import check_domain
from roomkey.federation.requests import client_id, from_base64url

from roomkey_delivery.config import MAX_JSON, ServiceConfig
from roomkey_delivery.limits import Limiter
from roomkey_delivery.peers.keys import MAX_KEYS
from roomkey_delivery.peers.reaching import exchange, json_of

WELL_KNOWN: Final = "/.well-known/roomkey"
LOOKUP_TIME: Final = 5.0  # seconds for all of one lookup: the client itself gives up after 10
KNOWN_FOR: Final = 3600.0  # seconds that a document is believed
ASK_AGAIN: Final = 10.0  # seconds between two requests for one domain's document
REMEMBERED: Final = 10_000  # documents in memory, about 5 MB
PUBLIC_KEY: Final = 32  # bytes, Ed25519
_HEADERS: Final = {"accept": "application/json"}


class Address(NamedTuple):
    """The origin of a service. `public`: nobody configured it, so nothing inside may stand behind it."""

    origin: str
    public: bool


class Document(NamedTuple):
    """What a domain says of its service; None for what it does not say. `asked`: Unix seconds."""

    asked: float
    service: str | None
    keys: tuple[bytes, ...]


class Peers:
    """Finds other domains' services."""

    def __init__(self, config: ServiceConfig, clock: Callable[[], float], http: httpx.AsyncClient) -> None:
        self._config = config
        self._clock = clock
        self._http = http
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Document]] = {}
        self._lookups = Limiter(config.rates.lookup)

    async def address(self, domain: str, asker: str) -> Address:
        """Where the service of a domain (canonical) is. `asker`: for whom we look it up, for the limit on that.

        Errors: "service-unavailable" (it cannot be told), "too-many-requests".
        """
        configured = self._config.peers.get(domain)
        if configured is not None:
            return Address(configured, public=False)
        document = await self._document(domain, asker, KNOWN_FOR)
        if document.service is None:
            raise RoomkeyError("service-unavailable", "expected a domain that names its delivery service")
        return Address(document.service, public=True)

    async def key(self, domain: str, keyid: bytes, asker: str) -> bytes | None:
        """The domain key of this id (SHA-256 of the key), if the domain has it. Errors: as `address`."""
        pinned = self._config.peer_keys.get(domain)
        if pinned is not None:
            return _of_id(pinned, keyid)
        found = _of_id((await self._document(domain, asker, KNOWN_FOR)).keys, keyid)
        return found or _of_id((await self._document(domain, asker, ASK_AGAIN)).keys, keyid)

    async def _document(self, domain: str, asker: str, age: float) -> Document:
        """A document no older than `age` seconds."""
        known = self._documents.get(domain)
        now = self._clock()
        if known is not None and now - known.asked < age:
            return known
        asking = self._asking.get(domain)
        if asking is None:
            self._lookups.take(asker, now)
            asking = self._asking[domain] = asyncio.ensure_future(self._ask(domain))
            asking.add_done_callback(lambda task: self._asked(domain, task))
        return await asyncio.shield(asking)

    def _asked(self, domain: str, task: asyncio.Task[Document]) -> None:
        del self._asking[domain]
        if not task.cancelled() and task.exception() is None:
            self._documents[domain] = task.result()
            self._documents.move_to_end(domain)
            if len(self._documents) > REMEMBERED:
                self._documents.popitem(last=False)

    async def _ask(self, domain: str) -> Document:
        configured = self._config.peers.get(domain)
        origin = f"https://{domain}" if configured is None else configured
        answer = await exchange(
            self._http, "GET", origin + WELL_KNOWN,
            public=configured is None, limit=MAX_JSON, seconds=LOOKUP_TIME, headers=_HEADERS,
        )  # fmt: skip
        return read_document(json_of(answer), self._clock())


def read_document(said: dict[str, Any], now: float) -> Document:
    """What of a document makes sense: a domain that says nonsense of itself has no service, or no keys."""
    service, keys = said.get("service"), said.get("keys")
    try:
        origin = service_origin(service) if isinstance(service, str) else None
    except RoomkeyError:
        origin = None
    texts = keys if isinstance(keys, list) else []
    try:
        found = tuple(from_base64url(text) for text in texts[:MAX_KEYS] if isinstance(text, str))
    except RoomkeyError:
        found = ()
    return Document(now, origin, tuple(key for key in found if len(key) == PUBLIC_KEY))


def read_peer_key(text: str) -> tuple[str, bytes]:
    """What `--peer-key DOMAIN=KEY` says. Errors: "bad-argument", "malformed"."""
    domain, found, key = text.partition("=")
    if not found or len(from_base64url(key)) != PUBLIC_KEY:
        raise RoomkeyError("bad-argument", "expected --peer-key DOMAIN=KEY, the key as domain-key prints it")
    return check_domain(domain), from_base64url(key)


def _of_id(keys: tuple[bytes, ...], keyid: bytes) -> bytes | None:
    return next((key for key in keys if client_id(key) == keyid), None)
