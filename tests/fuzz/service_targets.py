"""Targets of the delivery service, whole requests and signatures' wire forms; and what JavaScript passes us."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Annotated, Any
from unittest import mock

import httpx
from roomkey.bridge.arguments import Arguments
from roomkey.crypto.admission import admit_dh_key, admit_signature_keys
from roomkey.crypto.signatures import from_der, to_der
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import (
    COMMIT,
    COMMITS_READ,
    DELIVERY,
    FEDERATION,
    GROUP,
    INIT_KEY_SETS,
    JSON,
    CommitsRead,
    CommitSubmission,
    GroupRegistration,
    MessageDelivery,
    init_key_requests,
    init_key_sets,
)
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.federation.relaying import RELAY, RELAY_PATH, Relayed
from roomkey.federation.requests import (
    BODY,
    CLIENT,
    DOMAIN_TAG,
    HOME,
    REQUEST_LINE,
    TAG,
    SignatureInput,
    base64url,
    content_digest,
    parse_signature,
)
from roomkey.host.native_crypto import NativeCrypto
from roomkey.tls import U8, Opaque, Struct, vector
from roomkey_delivery import init_keys
from roomkey_delivery.app import make_app
from roomkey_delivery.config import Rate, Rates, ServiceConfig
from roomkey_delivery.peers import routes as peers
from roomkey_delivery.peers.keys import new_keys
from roomkey_delivery.peers.reaching import Answer
from roomkey_delivery.peers.relay import Relay
from roomkey_delivery.service import Service
from roomkey_delivery.store.interface import Client, StockCount

from tests.fuzz.answer_targets import _loop
from tests.fuzz.federation_targets import _client
from tests.fuzz.forgiving import Forgiving
from tests.fuzz.group_targets import messages_to_bob
from tests.fuzz.target import Finding, Target, refused
from tests.support.mls_world import NOW

_UNBOUND = Rate(1 << 60, 1.0)
_RATES = Rates(*[_UNBOUND] * len(fields(Rates)))


class Header(Struct):
    name: Opaque
    value: Opaque


class Request(Struct):
    """A request as it comes from the network. A content-digest of "=" stands for the body's own."""

    method: U8
    path: Opaque
    query: Opaque
    headers: Annotated[tuple[Header, ...], vector(Header)]
    body: Opaque


class _CannedStore:
    """A store of one client, alice, and nothing else."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def client(self, client: bytes) -> Client | None:
        return None if client == self._client.id else self._client  # a stream of alice's own would never end

    async def use_nonce(self, *_: object) -> bool:
        return True

    async def stock(self, *_: object) -> StockCount:
        return StockCount(1, True, 5)

    async def submit(self, *_: object) -> None:
        return None

    async def nothing(self, *_: object, **__: object) -> list[Any]:
        return []

    admit = enrol = publish = claim = deliver = acknowledge = register_group = commits = nothing


class _CannedQueue:
    async def put(self, *_: object) -> None:
        return None


async def _known(service: Service, client: bytes) -> bool:
    return True  # for the store alice is a stranger, whose stream ends


async def _canned_answer(
    domain: str, client: bytes, identity: str, path: str, content_type: str, accept: str, body: bytes, **_: object
) -> Answer:
    return Answer(200, {"content-type": accept}, b"{}")


@cache
def _app() -> tuple[asyncio.AbstractEventLoop, Any]:
    _, keys, _ = _client()
    basic = keys.credential.require_basic()
    alice = Client(keys.client_id, keys.identity, basic.algorithm, basic.public_key)
    config = ServiceConfig("a.example", frozenset({"a.example"}), rates=_RATES)
    service = Service(config, _CannedStore(alice), clock=lambda: NOW)  # type: ignore[arg-type]
    service.verifier._crypto = Forgiving("service")  # type: ignore[assignment]

    async def find(keyid: bytes, home: str | None, address: str) -> Client:
        return alice

    async def key(domain: str, keyid: bytes, asker: str) -> bytes:
        return bytes(32)

    service.directory.find = find  # type: ignore[method-assign,assignment]
    service.peers.key = key  # type: ignore[method-assign]
    queue: Any = _CannedQueue()
    service.relay = Relay("a.example", new_keys(), service.peers, queue, lambda: NOW, httpx.AsyncClient())
    service.relay._passer.post = _canned_answer  # type: ignore[method-assign]
    return asyncio.new_event_loop(), make_app(service)


def _scope(request: Request) -> dict[str, Any]:
    headers = [
        (header.name.lower(), content_digest(request.body).encode() if header.value == b"=" else header.value)
        for header in request.headers
    ]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "https", "root_path": "",
        "method": ("GET", "POST", "OPTIONS", "PUT")[request.method % 4],
        "path": request.path.decode("utf-8", "replace"), "raw_path": request.path, "query_string": request.query,
        "headers": headers, "client": ("192.0.2.1", 5), "server": ("a.example", 443), "state": {},
    }  # fmt: skip


async def _status(app: Any, request: Request) -> int:
    found: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    await app(_scope(request), receive, send)
    return found[0]


def run_request(data: bytes) -> bool:
    """Whatever is asked, the answer is no fault of the service."""
    try:
        request = Request.decode(data)
    except RoomkeyError:
        return False
    loop, app = _app()
    with (
        mock.patch.object(init_keys, "_crypto", Forgiving("service")),
        mock.patch.object(peers, "current", _known),
    ):
        status = loop.run_until_complete(_status(app, request))
    if status >= 500 or status < 200:
        raise Finding(f"expected an answer to the request, got status {status}")
    return status < 300 or status == 404


def _signed(method: int, path: str, kind: str | None, body: bytes, vouched: tuple[str, str] | None = None) -> bytes:
    """`vouched`: the domain that signs, and the client that it names."""
    names = () if vouched is None else (HOME, CLIENT)
    components = (*REQUEST_LINE, *names, *(BODY if method == 1 else ()))
    keyid = base64url(_client()[1].client_id)
    parameters = SignatureInput(
        components, created=int(NOW), nonce="nonce", keyid=keyid, tag=DOMAIN_TAG if names else TAG
    )
    headers = [(b"host", b"a.example"), (b"signature", b"roomkey=:" + base64.b64encode(bytes(64)) + b":")]
    headers.append((b"signature-input", b"roomkey=" + parameters.serialise().encode()))
    headers += [(name.encode(), value.encode()) for name, value in zip(names, vouched or (), strict=True)]
    if kind is not None:
        headers += [(b"content-type", kind.encode()), (b"content-digest", b"=")]
    return Request(method, path.encode(), b"", tuple(Header(*pair) for pair in headers), body).encode()


def _request_seeds() -> dict[str, bytes]:
    _, keys, sets = _client()
    commit = messages_to_bob()["commit-path"]
    asked = (GetUserInitKeyRequest(keys.identity.encode(), (0, 1)),)
    credential = base64url(keys.credential.encode())
    posts: list[tuple[str, str, bytes]] = [
        ("/v1/clients", JSON, json.dumps({"credential": credential, "code": "abc"}).encode()),
        ("/v1/clients/admissions", JSON, json.dumps({"client": base64url(bytes(32))}).encode()),
        ("/v1/clients/lookup", JSON, json.dumps({"client": base64url(bytes(32))}).encode()),
        ("/v1/user-init-keys", INIT_KEY_SETS, init_key_sets.encode((sets[0].set,))),
        ("/v1/user-init-keys/claim", INIT_KEY_SETS, init_key_requests.encode(asked)),
        ("/v1/user-init-keys/claim", FEDERATION, asked[0].encode()),
        ("/v1/messages", DELIVERY, MessageDelivery((bytes(32),), b"message").encode()),
        ("/v1/inbox/acknowledgements", JSON, b'{"through":5}'),
        ("/v1/groups", GROUP, GroupRegistration(b"group", 0, bytes(32)).encode()),
        ("/v1/commits", COMMIT, CommitSubmission(b"group", 2, bytes(32), bytes(32), commit).encode()),
        ("/v1/commits/read", COMMITS_READ, CommitsRead(b"group", 0, bytes(32)).encode()),
    ]
    message = MessageDelivery((bytes(32),), b"message").encode()
    for path, kind, accept, body in (
        ("/v1/user-init-keys/claim", INIT_KEY_SETS, INIT_KEY_SETS, init_key_requests.encode(asked)),
        ("/v1/messages", DELIVERY, JSON, message),
    ):
        relayed = Relayed(b"b.example", path.encode(), kind.encode(), accept.encode(), body)
        posts.append((RELAY_PATH, RELAY, relayed.encode()))
    found = {f"post{number:02}": _signed(1, *post) for number, post in enumerate(posts)}
    client = ("b.example", f"{base64url(bytes(32))} bob@b.example")
    found["vouched"] = _signed(1, "/v1/messages", DELIVERY, message, client)
    for number, path in enumerate(("/v1/service", "/v1/user-init-keys", "/.well-known/roomkey")):
        found[f"get{number}"] = _signed(0, path, None, b"")
    found["refused-inbox"] = _signed(0, "/v1/inbox", None, b"")
    return found


# -- signatures --


def run_signature_fields(data: bytes) -> bool:
    """Signature-Input, a line's end, Signature: one strict form, which serialises as it came."""
    first, _, second = data.decode("latin-1").partition("\n")
    try:
        parsed, raw = parse_signature(first, second)
    except RoomkeyError as error:
        return refused(error, frozenset({"malformed"}))
    label = first.partition("=")[0]
    if f"{label}={parsed.serialise()}" != first:
        raise Finding("expected Signature-Input as it came")
    if not second.startswith(f"{label}=:") or not isinstance(raw, bytes):
        raise Finding("expected the signature of that label")
    return True


def _signature_fields() -> dict[str, bytes]:
    made = SignatureInput(REQUEST_LINE, created=5, expires=6, nonce='a"\\b', keyid="k", alg="ed25519", tag=TAG)
    value = base64.b64encode(bytes(64)).decode()
    return {
        "full": f"sig={made.serialise()}\nsig=:{value}:".encode(),
        "short": b"a=();created=1\na=:AA==:",
        "items": b'a=("@method" "content-type");tag="x"\na=::',
    }


def run_der(data: bytes) -> bool:
    """DER signatures have one form; keys of every kind are taken or refused as keys."""
    raw = from_der(data)
    if raw is not None and (to_der(raw) != data or len(raw) != 64):
        raise Finding("expected the one DER form of a signature")
    for admit in _ADMISSIONS:
        try:
            admit(data)
        except RoomkeyError as error:
            refused(error, frozenset({"invalid-key"}))
    return True


def _admit(scheme: Scheme, public: bytes) -> None:
    _loop().run_until_complete(admit_signature_keys(NativeCrypto(), [(scheme, public)]))


_ADMISSIONS: tuple[Callable[[bytes], None], ...] = (
    lambda data: _admit("ed25519", data),
    lambda data: _admit("ecdsa_secp256r1_sha256", data),
    lambda data: admit_dh_key("X25519", data),
    lambda data: admit_dh_key("P-256", data),
)


def _ders() -> dict[str, bytes]:
    return {
        "der": to_der(bytes(31) + b"\x01" + b"\x7f" * 32),
        "high": to_der(b"\x90" * 64),
        "short": bytes.fromhex("3006020101020101"),
        "ed25519": bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        "p256": bytes.fromhex(
            "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
        ),
    }


# -- the bridge --


def run_arguments(data: bytes) -> bool:
    """JSON, as near as bytes come to what JavaScript passes: each getter gives its type or names the argument."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = data
    arguments = Arguments({"a": value, "b": value[0] if isinstance(value, list) and value else None})
    getters: tuple[tuple[Callable[[str], object], type], ...] = (
        (arguments.text, str), (arguments.texts, list), (arguments.number, int), (arguments.numbers, list),
        (arguments.data, bytes),
    )  # fmt: skip
    for name in ("a", "b"):
        for getter, kind in getters:
            try:
                if not isinstance(getter(name), kind):
                    raise Finding(f"expected {kind.__name__}")
            except RoomkeyError as error:
                refused(error, frozenset({"bad-argument"}), "caller")
    return True


def _arguments() -> dict[str, bytes]:
    values = ('"text"', "5", "5.0", "1e999", "[1, 2.0]", '["a", "b"]', "null", "true", "NaN", '{"a": 1}', "bytes")
    return {f"v{number}": value.encode() for number, value in enumerate(values)}


def targets() -> list[Target]:
    return [
        Target("requests", run_request, _request_seeds, Request.codec()),
        Target("signature-fields", run_signature_fields, _signature_fields),
        Target("signatures", run_der, _ders),
        Target("bridge-arguments", run_arguments, _arguments),
    ]
