"""The browser as a host: WebCrypto, IndexedDB and fetch, reached through JavaScript (web/src/worker/host.ts).

Only this file and `bridge` know Pyodide. Every call crosses the border once, with plain values:

    struct { uint32 count; uint32 lengths[count]; opaque fields[]; } Packed;   // little-endian; 0xffffffff: no value
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence, Set
from typing import Any, NoReturn

from js import Object
from pyodide.ffi import JsException, to_js

from roomkey.crypto.provider import CryptoProvider, DhItem, KeyHandle, KeyPair, SealItem, SignItem, VerifyItem
from roomkey.crypto.suites import AeadName, Group, Scheme
from roomkey.errors import CODES, RoomkeyError
from roomkey.host.browser_answers import Answers
from roomkey.host.interface import HttpResponse, HttpStream, Store

# JavaScript's numbers for the algorithms (web/src/worker/key_formats.ts), one byte each.
_CODES: dict[str, bytes] = {
    name: bytes((number,))
    for number, name in enumerate(
        (
            *("X25519", "P-256", "ed25519", "ecdsa_secp256r1_sha256", "AES-128-GCM", "CHACHA20-POLY1305"),
            "MLKEM768-X25519",
        ),
        start=1,
    )
}
_KEY_SIZE: dict[AeadName, int] = {"AES-128-GCM": 16, "CHACHA20-POLY1305": 32}
_NONCE_SIZE = 12
_NONE = 0xFFFFFFFF
_RAW, _HANDLE = b"\x00", b"\x01"


def pack(fields: Sequence[bytes]) -> bytes:
    """One buffer of all fields."""
    return struct.pack(f"<{len(fields) + 1}I", len(fields), *map(len, fields)) + b"".join(fields)


def unpack(packed: bytes) -> list[bytes | None]:
    """The fields of a buffer that JavaScript packed."""
    (count,) = struct.unpack_from("<I", packed)
    fields: list[bytes | None] = []
    offset = 4 + 4 * count
    for length in struct.unpack_from(f"<{count}I", packed, 4):
        if length == _NONE:
            fields.append(None)
            continue
        fields.append(packed[offset : offset + length])
        offset += length
    return fields


async def _answer(promise: Awaitable[Any]) -> Any:
    """What JavaScript answers; its typed failures become ours. Anything else it throws is a defect and goes on up."""
    try:
        return await promise
    except JsException as error:
        _raise(error)


def _raise(error: JsException) -> NoReturn:
    code = getattr(error, "code", None)  # of a Failure; a DOMException has a number there
    if not isinstance(code, str) or code not in CODES:
        raise error
    raise RoomkeyError(code, str(error.message), **error.details.to_py()) from None


def _object(values: Mapping[str, object]) -> Any:
    return to_js(values, dict_converter=Object.fromEntries)


class BrowserCrypto:
    """A `CryptoProvider` on WebCrypto. Private keys made here are non-extractable and live in JavaScript.

    Args:
        host: the JavaScript `CryptoHost` that holds the keys.
        algorithms: what this browser supports, by the names of `suites`.
    """

    def __init__(self, host: Any, algorithms: Iterable[str]) -> None:
        self._host = host
        self._answers = Answers()
        self._forget = host.forget
        self._algorithms = frozenset(algorithms)

    def supports(self, scheme: Scheme, group: Group, aead: AeadName) -> bool:
        return {scheme, group, aead} <= self._algorithms

    def random(self, size: int) -> bytes:
        return secrets.token_bytes(size)  # crypto.getRandomValues

    async def generate_keys(self, kind: Group | Scheme, count: int) -> list[KeyPair]:
        made = await self._batch("generate", {kind}, [_CODES[kind]] * count)
        return [
            KeyPair(_present(public), KeyHandle(_present(handle).decode()))
            for public, handle in zip(made[::2], made[1::2], strict=True)
        ]

    async def forget_keys(self, handles: Sequence[KeyHandle]) -> None:
        self._forget(to_js([handle.id for handle in handles]))

    async def public_keys(self, group: Group, private: Sequence[bytes]) -> list[bytes]:
        fields = [field for raw in private for field in (_CODES[group], raw)]
        return [_present(public) for public in await self._batch("publicKeys", {group}, fields)]

    async def dh(self, items: Sequence[DhItem]) -> list[bytes | None]:
        fields = [f for i in items for f in (_CODES[i.group], _private(i.key), i.key.public, i.peer)]
        return await self._batch("dh", {i.group for i in items}, fields)

    async def ephemeral_dh(self, group: Group, peers: Sequence[bytes]) -> list[tuple[bytes, bytes] | None]:
        made = await self._batch("ephemeralDh", {group}, [field for peer in peers for field in (_CODES[group], peer)])
        return [
            None if public is None or shared is None else (public, shared)
            for public, shared in zip(made[::2], made[1::2], strict=True)
        ]

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        fields = [f for i in items for f in (_CODES[i.scheme], _private(i.key), i.key.public, i.message)]
        return [_present(signature) for signature in await self._batch("sign", {i.scheme for i in items}, fields)]

    async def verify(self, items: Sequence[VerifyItem]) -> list[bool]:
        fields = [field for i in items for field in (_CODES[i.scheme], i.public, i.message, i.signature)]
        return [good == b"\x01" for good in await self._batch("verify", {i.scheme for i in items}, fields)]

    async def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        return [_present(sealed) for sealed in await self._batch("seal", {i.aead for i in items}, _aead(items))]

    async def open(self, items: Sequence[SealItem]) -> list[bytes | None]:
        return await self._batch("open", {i.aead for i in items}, _aead(items))

    async def _batch(self, operation: str, algorithms: Set[str], fields: Sequence[bytes]) -> list[bytes | None]:
        if not fields:
            return []  # nothing to ask: no crossing
        if not algorithms <= self._algorithms:
            missing = ", ".join(sorted(algorithms - self._algorithms))
            raise RoomkeyError("unsupported-suite", f"expected algorithms that this browser has, got {missing}")
        try:
            answer = await self._answers.ask(self._host.answer, operation, to_js(pack(fields)))
        except JsException as error:
            _raise(error)
        return unpack(answer.to_bytes())


def _private(key: KeyPair) -> bytes:
    private = key.private
    return _HANDLE + private.id.encode() if isinstance(private, KeyHandle) else _RAW + private


def _aead(items: Sequence[SealItem]) -> list[bytes]:
    fields: list[bytes] = []
    for item in items:
        if len(item.key) != _KEY_SIZE[item.aead] or len(item.nonce) != _NONCE_SIZE:
            raise RoomkeyError("bad-argument", f"expected a key and nonce for {item.aead}")
        fields += (_CODES[item.aead], item.key, item.nonce, item.aad, item.text)
    return fields


def _present(field: bytes | None) -> bytes:
    if field is None:
        raise TypeError("expected a value in every field of this answer")
    return field


class BrowserStore:
    """A `Store` on one IndexedDB database, open under one Web Lock; JavaScript encrypts (web/src/worker/storage.ts)."""

    def __init__(self, store: Any, crypto: BrowserCrypto) -> None:
        self._store = store
        self._crypto = crypto

    @property
    def crypto(self) -> CryptoProvider:
        return self._crypto

    async def get(self, name: str) -> bytes | None:
        found = await _answer(self._store.get(name))
        return None if found is None else bytes(found.to_bytes())

    async def list(self, prefix: str) -> list[tuple[str, bytes]]:
        fields = unpack((await _answer(self._store.list(prefix))).to_bytes())
        names, values = fields[::2], fields[1::2]
        return [(_present(name).decode(), _present(value)) for name, value in zip(names, values, strict=True)]

    async def write(
        self,
        puts: Mapping[str, bytes],
        deletes: Sequence[str] = (),
        *,
        keep_keys: Sequence[KeyHandle] = (),
        drop_keys: Sequence[KeyHandle] = (),
    ) -> None:
        records = pack([field for name, value in puts.items() for field in (name.encode(), value)])
        names = [list(deletes), [handle.id for handle in keep_keys], [handle.id for handle in drop_keys]]
        await _answer(self._store.write(to_js(records), *map(to_js, names)))

    async def close(self) -> None:
        await _answer(self._store.close())


class BrowserStream:
    """An `HttpStream` over a fetch whose body is still coming."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.status: int = stream.status
        self.headers: Mapping[str, str] = stream.headers.to_py()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await _answer(self._stream.next())) is not None:
            yield piece.to_bytes()

    async def close(self) -> None:
        self._stream.close()


class BrowserHttp:
    """`Http` by fetch. A cancelled request is aborted."""

    def __init__(self, host: Any) -> None:
        self._host = host

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        payload = None if body is None else to_js(body)
        answer = await self._aborting(self._host.request(method, url, _object(headers), payload, timeout))
        return HttpResponse(answer.status, answer.headers.to_py(), answer.body.to_bytes())

    async def stream(self, method: str, url: str, headers: Mapping[str, str], *, timeout: float) -> HttpStream:
        return BrowserStream(await self._aborting(self._host.stream(method, url, _object(headers), timeout)))

    async def _aborting(self, exchange: Any) -> Any:
        try:
            return await _answer(exchange.answer)
        except asyncio.CancelledError:
            exchange.abort()
            raise


class BrowserHost:
    """The `Host` that `bridge` hands to the core.

    Args:
        host: the JavaScript object of web/src/worker/host.ts.
    """

    def __init__(self, host: Any) -> None:
        self._host = host
        self._algorithms: list[str] = list(host.algorithms)
        self.http = BrowserHttp(host)

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def identities(self) -> list[str]:
        return list((await _answer(self._host.identities())).to_py())

    async def open_store(self, identity: str, *, create: bool = False) -> Store:
        store = await _answer(self._host.openStore(identity, create))
        return BrowserStore(store, BrowserCrypto(store.crypto, self._algorithms))

    async def delete_store(self, identity: str) -> None:
        await _answer(self._host.deleteStore(identity))


async def standalone_crypto(module: Any) -> BrowserCrypto:
    """A provider that keeps its keys in memory only.

    Args:
        module: the JavaScript module `browser_crypto.js` of this package, imported.
    """
    return BrowserCrypto(module.CryptoHost.new(), await module.supportedAlgorithms())
