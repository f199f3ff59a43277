"""Who sent a request: proved by its HTTP Message Signature (wire.md section 5).

1. One signature, in the strict form, and no more than one label, with tag "roomkey": a client's own. Where a route
   takes what other services pass on for their clients (`passed_body`), also with tag "roomkey-domain".
2. It covers `@method`, `@authority`, `@path` and `@query`; with a body `content-type` and `content-digest`;
   `roomkey-home` if that is sent; a domain's also `roomkey-client`, which a client's does not have; nothing else.
3. The authority is one of this service's names, so that no other service can pass on what was signed for it.
4. `created` is within 300 s of our clock; `expires`, where given, is not over.
5. The key is known: enrolled here, or told by the client's home service; a domain's by that domain (`peers`). It is
   never taken from the request. A domain vouches for clients of its own names, and nobody for ours.
6. The signature is right under that key.
7. The nonce was not used with this key within 600 s.
8. The body has the digest that was signed. It is read only after all the above, and never beyond its limit.

What remains for the caller: what this client may do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from roomkey.crypto.provider import VerifyItem
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError
from roomkey.federation.code_points import scheme_of
from roomkey.federation.identity import check_domain, check_identity, domain_of
from roomkey.federation.requests import (
    BODY,
    CLIENT,
    CREATED_WINDOW,
    DOMAIN_TAG,
    HOME,
    NONCE_LIFETIME,
    REQUEST_LINE,
    TAG,
    SignatureInput,
    authority,
    content_digest,
    from_base64url,
    parse_signature,
    read_vouched,
    signature_base,
)
from roomkey.host.native_crypto import NativeCrypto
from starlette.requests import Request

from roomkey_delivery.config import Rate, ServiceConfig
from roomkey_delivery.directory import Directory
from roomkey_delivery.limits import Limiter, address_of, read_body
from roomkey_delivery.peers.peers import Peers
from roomkey_delivery.store.interface import Client, Store

MAX_NONCE = 64  # characters; ours have 24


class Sender(NamedTuple):
    """Who sent a request. `vouched`: the service of their domain passed it on for them."""

    id: bytes
    identity: str
    vouched: bool

    @property
    def counted(self) -> tuple[str, bytes]:
        """Whom limits count it for: a domain may vouch for any id, and must not use up what another's client has."""
        return domain_of(self.identity), self.id


class Quota:
    """What one client may have us keep, and all clients of one other domain together, which can have any number."""

    def __init__(self, own: str, client: Rate, domain: Rate) -> None:
        self._own = own
        self._by_client = Limiter(client)
        self._by_domain = Limiter(domain)

    def take(self, sender: Sender, now: float, amount: int = 1) -> None:
        """Errors: "too-many-requests"."""
        home = domain_of(sender.identity)
        if home != self._own:
            self._by_domain.take(home, now, amount)
        self._by_client.take(sender.counted, now, amount)


class Key(NamedTuple):
    """What a signature is to be right under; `id` is SHA-256 of it."""

    id: bytes
    scheme: Scheme
    public: bytes


# (key id, home domain as sent) -> the key
Find = Callable[[bytes, str | None], Awaitable[Key | None]]


class Verifier:
    """Proves who sent a request. `heard` is told each domain whose service proved to be there."""

    def __init__(
        self,
        config: ServiceConfig,
        store: Store,
        directory: Directory,
        peers: Peers,
        clock: Callable[[], float],
        heard: Callable[[str], None] = lambda domain: None,
    ) -> None:
        self._config = config
        self._store = store
        self._directory = directory
        self._peers = peers
        self._clock = clock
        self._heard = heard
        self._crypto = NativeCrypto()
        self._by_client = Limiter(config.rates.client)
        self._by_peer = Limiter(config.rates.peer)

    async def sender(self, request: Request) -> Client:
        """Which client sent a request without a body. Errors: as `signed_body` but for the body's."""
        known: Client | None = None

        async def find(keyid: bytes, home: str | None) -> Key | None:
            nonlocal known
            known = await self._directory.find(keyid, home, address_of(request))
            return None if known is None else _key_of(known)

        await self._check(request, TAG, find)
        assert known is not None  # its key is what the signature was checked with
        return known

    async def signed_body(self, request: Request, limit: int, *types: str) -> tuple[Client, bytes]:
        """Which client sent a request, and its body of at most `limit` bytes, of one of the media types.

        Errors: "malformed-request", "request-refused", "clock-skew", "unknown-client", "request-replayed",
        "request-too-large", "too-many-requests".
        """
        check_type(request, *types)
        client = await self.sender(request)
        return client, await digested_body(request, limit)

    async def passed_body(self, request: Request, limit: int, *types: str) -> tuple[Sender, bytes]:
        """As `signed_body`, also for what another service passes on for a client of its own."""
        check_type(request, *types)
        if _signature_of(request)[0].tag != DOMAIN_TAG:
            client = await self.sender(request)
            sender = Sender(client.id, client.identity, vouched=False)
        else:
            sender = await self._vouched(request)
        return sender, await digested_body(request, limit)

    async def self_signed(self, request: Request, client: Client) -> None:
        """Proves that who sent the request holds the key of `client`, which is not enrolled yet; the body is checked
        already.
        """

        async def only(keyid: bytes, home: str | None) -> Key | None:
            return _key_of(client) if keyid == client.id else None

        await self._check(request, TAG, only)

    async def _vouched(self, request: Request) -> Sender:
        async def find(keyid: bytes, home: str | None) -> Key | None:
            domain = check_domain(home or "")
            public = await self._peers.key(domain, keyid, address_of(request))
            return None if public is None else Key(keyid, "ed25519", public)

        values = await self._check(request, DOMAIN_TAG, find)
        domain = values[HOME]
        client, identity = read_vouched(values[CLIENT])
        if domain == self._config.domain or domain_of(check_identity(identity.encode())) != domain:
            raise RoomkeyError("request-refused", "roomkey-client: expected a client of the domain that signs")
        self._heard(domain)
        self._by_peer.take(domain, self._clock())
        sender = Sender(client, identity, vouched=True)
        self._by_client.take(sender.counted, self._clock())
        return sender

    async def _check(self, request: Request, tag: str, find: Find) -> dict[str, str]:
        """The values of what the signature covers."""
        signature_input, signature = _signature_of(request)  # 1
        if signature_input.tag != tag:
            raise RoomkeyError("request-refused", f"expected a signature with tag {tag}")
        values = _values(request, signature_input)  # 2
        if not self._config.is_own(values["@authority"]):  # 3
            raise RoomkeyError("request-refused", "expected a request signed for this service")
        now = self._clock()
        created, expires = signature_input.created, signature_input.expires  # 4
        if created is None or abs(now - created) > CREATED_WINDOW or (expires is not None and expires < now):
            raise RoomkeyError("clock-skew", f"expected a time within {CREATED_WINDOW} s of ours", time=int(now))
        key = await find(_keyid(signature_input), values.get(HOME))  # 5
        if key is None:
            raise RoomkeyError("unknown-client", "expected a key that is known here")
        base = signature_base(values, signature_input)
        if (await self._crypto.verify([VerifyItem(key.scheme, key.public, base, signature)])) != [True]:  # 6
            raise RoomkeyError("request-refused", "expected a signature by the sender's key")
        if tag == TAG:
            self._by_client.take(key.id, now)
        nonce = signature_input.nonce
        if nonce is None or not 0 < len(nonce) <= MAX_NONCE:
            raise RoomkeyError("request-refused", f"expected a nonce of 1 to {MAX_NONCE} characters")
        if not await self._store.use_nonce(key.id, nonce, now, NONCE_LIFETIME):  # 7
            raise RoomkeyError("request-replayed", "expected a nonce that was not used")
        return values


def check_type(request: Request, *types: str) -> str:
    """The media type of the body, one of `types`. Errors: "malformed-request"."""
    sent = request.headers.get("content-type", "").strip().lower()
    if sent not in types:
        raise RoomkeyError("malformed-request", f"content-type: expected {' or '.join(types)}")
    return sent


async def digested_body(request: Request, limit: int) -> bytes:
    """The body, if its Content-Digest is right (8). Errors: "request-too-large", "request-refused"."""
    body = await read_body(request, limit)
    if request.headers.get("content-digest", "").strip() != content_digest(body):
        raise RoomkeyError("request-refused", "content-digest: expected the SHA-256 of the body, alone")
    return body


def _signature_of(request: Request) -> tuple[SignatureInput, bytes]:
    inputs, found = request.headers.getlist("signature-input"), request.headers.getlist("signature")
    if len(inputs) != 1 or len(found) != 1:
        raise RoomkeyError("request-refused", "expected one signature")
    try:
        signature_input, signature = parse_signature(inputs[0], found[0])
    except RoomkeyError as error:
        raise RoomkeyError("request-refused", error.text) from error
    if signature_input.alg not in (None, "ed25519", "ecdsa-p256-sha256"):
        raise RoomkeyError("request-refused", "expected a signature of an algorithm that we know")
    return signature_input, signature


def _values(request: Request, signature_input: SignatureInput) -> dict[str, str]:
    values = {
        "@method": request.method,
        "@authority": authority(request.headers.get("host", ""), request.scope["scheme"]),
        "@path": request.scope["raw_path"].partition(b"?")[0].decode("ascii", "replace"),
        "@query": "?" + request.scope["query_string"].decode("ascii", "replace"),
    }
    needed = [*REQUEST_LINE]
    if request.method == "POST":
        needed += BODY
    if HOME in request.headers or signature_input.tag == DOMAIN_TAG:
        needed.append(HOME)
    if CLIENT in request.headers or signature_input.tag == DOMAIN_TAG:
        needed.append(CLIENT)
    for name in needed[len(REQUEST_LINE) :]:
        sent = request.headers.getlist(name)
        if len(sent) != 1:
            raise RoomkeyError("request-refused", f"{name}: expected one")
        values[name] = sent[0].strip()
    if sorted(signature_input.components) != sorted(needed):
        raise RoomkeyError("request-refused", f"expected a signature over {', '.join(needed)}")
    if CLIENT in values and signature_input.tag != DOMAIN_TAG:
        raise RoomkeyError("request-refused", "roomkey-client: expected a domain's signature")
    return values


def _key_of(client: Client) -> Key:
    return Key(client.id, scheme_of(client.algorithm), client.public_key)


def _keyid(signature_input: SignatureInput) -> bytes:
    try:
        keyid = from_base64url(signature_input.keyid or "")
    except RoomkeyError:
        keyid = b""
    if len(keyid) != 32:
        raise RoomkeyError("request-refused", "keyid: expected a client id")
    return keyid
