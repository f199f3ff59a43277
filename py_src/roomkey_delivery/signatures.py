"""Who sent a request: proved by its HTTP Message Signature (wire.md section 5).

1. One signature, in the strict form, with tag "roomkey", and no more than one label.
2. It covers `@method`, `@authority`, `@path` and `@query`; with a body `content-type` and `content-digest`;
   `roomkey-home` if that is sent; nothing else.
3. The authority is one of this service's names, so that no other service can pass on what was signed for it.
4. `created` is within 300 s of our clock; `expires`, where given, is not over.
5. The key is known: enrolled here, or told by the client's home service; never taken from the request.
6. The signature is right under that key.
7. The nonce was not used by this client within 600 s.
8. The body has the digest that was signed. It is read only after all the above, and never beyond its limit.

What remains for the caller: what this client may do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from roomkey.crypto.provider import VerifyItem
from roomkey.errors import RoomkeyError
from roomkey.federation.code_points import scheme_of
from roomkey.federation.requests import (
    BODY,
    CREATED_WINDOW,
    HOME,
    NONCE_LIFETIME,
    REQUEST_LINE,
    TAG,
    SignatureInput,
    authority,
    content_digest,
    from_base64url,
    parse_signature,
    signature_base,
)
from roomkey.host.native_crypto import NativeCrypto
from starlette.requests import Request

from roomkey_delivery.config import ServiceConfig
from roomkey_delivery.directory import Directory
from roomkey_delivery.limits import Limiter, address_of, read_body
from roomkey_delivery.store.interface import Client, Store

MAX_NONCE = 64  # characters; ours have 24

Find = Callable[[bytes, str | None], Awaitable[Client | None]]  # client id, home domain


class Verifier:
    """Proves who sent a request."""

    def __init__(self, config: ServiceConfig, store: Store, directory: Directory, clock: Callable[[], float]) -> None:
        self._config = config
        self._store = store
        self._directory = directory
        self._clock = clock
        self._crypto = NativeCrypto()
        self._by_client = Limiter(config.rates.client)

    async def sender(self, request: Request) -> Client:
        """Who sent a request without a body. Errors: as `signed_body` but for the body's."""
        return await self._sender(request, lambda keyid, home: self._directory.find(keyid, home, address_of(request)))

    async def signed_body(self, request: Request, limit: int, *types: str) -> tuple[Client, bytes]:
        """Who sent a request, and its body of at most `limit` bytes, of one of the media types.

        Errors: "malformed-request", "request-refused", "clock-skew", "unknown-client", "request-replayed",
        "request-too-large", "too-many-requests".
        """
        check_type(request, *types)
        client = await self.sender(request)
        return client, await digested_body(request, limit)

    async def self_signed(self, request: Request, client: Client) -> None:
        """Proves that who sent the request holds the key of `client`, which is not enrolled yet; the body is checked
        already.
        """

        async def only(keyid: bytes, home: str | None) -> Client | None:
            return client if keyid == client.id else None

        await self._sender(request, only)

    async def _sender(self, request: Request, find: Find) -> Client:
        signature_input, signature = _signature_of(request)  # 1
        values = _values(request, signature_input)  # 2
        if not self._config.is_own(values["@authority"]):  # 3
            raise RoomkeyError("request-refused", "expected a request signed for this service")
        now = self._clock()
        created, expires = signature_input.created, signature_input.expires  # 4
        if created is None or abs(now - created) > CREATED_WINDOW or (expires is not None and expires < now):
            raise RoomkeyError("clock-skew", f"expected a time within {CREATED_WINDOW} s of ours", time=int(now))
        client = await find(_keyid(signature_input), values.get(HOME))  # 5
        if client is None:
            raise RoomkeyError("unknown-client", "expected an enrolled client")
        base = signature_base(values, signature_input)
        item = VerifyItem(scheme_of(client.algorithm), client.public_key, base, signature)
        if (await self._crypto.verify([item])) != [True]:  # 6
            raise RoomkeyError("request-refused", "expected a signature by the client's key")
        self._by_client.take(client.id, now)
        nonce = signature_input.nonce
        if nonce is None or not 0 < len(nonce) <= MAX_NONCE:
            raise RoomkeyError("request-refused", f"expected a nonce of 1 to {MAX_NONCE} characters")
        if not await self._store.use_nonce(client.id, nonce, now, NONCE_LIFETIME):  # 7
            raise RoomkeyError("request-replayed", "expected a nonce that was not used")
        return client


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
    if signature_input.tag != TAG or signature_input.alg not in (None, "ed25519", "ecdsa-p256-sha256"):
        raise RoomkeyError("request-refused", f"expected a signature with tag {TAG}")
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
    if HOME in request.headers:
        needed.append(HOME)
    for name in needed[len(REQUEST_LINE) :]:
        sent = request.headers.getlist(name)
        if len(sent) != 1:
            raise RoomkeyError("request-refused", f"{name}: expected one")
        values[name] = sent[0].strip()
    if sorted(signature_input.components) != sorted(needed):
        raise RoomkeyError("request-refused", f"expected a signature over {', '.join(needed)}")
    return values


def _keyid(signature_input: SignatureInput) -> bytes:
    try:
        keyid = from_base64url(signature_input.keyid or "")
    except RoomkeyError:
        keyid = b""
    if len(keyid) != 32:
        raise RoomkeyError("request-refused", "keyid: expected a client id")
    return keyid
