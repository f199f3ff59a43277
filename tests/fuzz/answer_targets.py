"""Targets of a client that talks to a delivery service: answers of any kind, and the stream of an inbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Annotated

from roomkey.errors import RoomkeyError
from roomkey.federation import inbox
from roomkey.federation.calls import SERVICE_CODES, ClientKey
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.delivery_messages import (
    COMMITS,
    INIT_KEY_SETS,
    JSON,
    InboxItem,
    StoredCommit,
    StoredCommits,
    init_key_bundles,
)
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.host.interface import HttpResponse
from roomkey.tls import U8, U16, Opaque, Struct, opaque

from tests.fuzz.federation_targets import _NAME, _bundle, _client
from tests.fuzz.target import Finding, Target, finish, refused
from tests.support.mls_world import NOW

# What a caller hears of a service: its own refusals, and answers that make no sense.
ANSWERED = SERVICE_CODES | {"service-error", "not-a-delivery-service"}

# -- what a service answers --


class Answer(Struct):
    """An answer to the call of this number, and to its repetition."""

    call: U8
    status: U16
    content_type: Opaque
    retry_after: Opaque
    body: Annotated[bytes, opaque()]


class _Answering:
    """A host whose network has one answer."""

    def __init__(self, answer: Answer) -> None:
        text = (answer.content_type.decode("latin-1"), answer.retry_after.decode("latin-1"))
        self._headers = {"content-type": text[0], "retry-after": text[1]}
        self._answer = answer
        self.http = self

    def now(self) -> float:
        return NOW

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        return HttpResponse(self._answer.status, self._headers, self._answer.body)


async def _ask(service: DeliveryService, number: int) -> None:
    group, token = b"group", bytes(32)
    match number % 8:
        case 0:
            await service.describe()
        case 1:
            await service.stock()
        case 2:
            await service.claim([GetUserInitKeyRequest(_NAME.encode(), ())])
        case 3:
            await service.send(b"message", [bytes(32)])
        case 4:
            await service.submit_commit(group, 1, b"commit", token, token)
        case 5:
            await service.read_commits(group, 1, token)
        case 6:
            await service.register_group(group, token)
        case _:
            await service.acknowledge(1)


def run_answer(data: bytes) -> bool:
    """No answer of a service makes a caller fail otherwise than by an error that names the service."""
    try:
        answer = Answer.decode(data)
    except RoomkeyError:
        return False
    crypto, keys, _ = _client()
    signer = ClientKey(crypto, keys.scheme, keys.pairs[keys.scheme], keys.identity)
    service = DeliveryService(_Answering(answer), "https://a.example", signer)  # type: ignore[arg-type]
    try:
        finish(_ask(service, answer.call))
    except RoomkeyError as error:
        if error.code not in ANSWERED:
            raise Finding(f"expected one of {sorted(ANSWERED)}, got {error.code}") from error
    return True


def _service_answers() -> dict[str, bytes]:
    described = {
        "protocol": "roomkey-delivery/1", "domain": "a.example", "name": "x", "version": "1", "time": 5,
        "limits": {"maxMessage": 5, "maxUpload": 6},
    }  # fmt: skip
    commits = StoredCommits((StoredCommit(1, b"one", bytes(32)), StoredCommit(2, b"two", bytes(32)))).encode()
    said: list[tuple[int, int, str, bytes]] = [
        (0, 200, JSON, json.dumps(described).encode()),
        (1, 200, JSON, b'{"sets":1,"lastResort":true,"expires":null}'),
        (2, 200, INIT_KEY_SETS, init_key_bundles.encode((_bundle(_client()[2][0]),))),
        (3, 200, JSON, b'{"unknown":["AAAA"]}'),
        (4, 409, COMMITS, commits),
        (4, 200, JSON, b"{}"),
        (5, 200, COMMITS, commits),
        (6, 429, JSON, b'{"code":"too-many-requests","text":"slow"}'),
        (7, 401, JSON, b'{"code":"clock-skew","text":"","time":1800000009}'),
    ]
    return {
        f"a{number}": Answer(call, status, kind.encode(), b"5", body).encode()
        for number, (call, status, kind, body) in enumerate(said)
    }


# -- the stream of an inbox --


class _Stream:
    def __init__(self, data: bytes, step: int) -> None:
        self._pieces = [data[at : at + step] for at in range(0, len(data), step)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _collect(data: bytes, step: int) -> list[bytes]:
    return [item.encode() async for item in inbox._items(_Stream(data, step))]  # type: ignore[arg-type]


def run_stream(data: bytes) -> bool:
    """`uint8 step`, then the stream: the same items in whatever pieces it comes."""
    if not data:
        return False
    found = []
    for step in (data[0] + 1, len(data)):
        try:
            found.append(_loop().run_until_complete(_collect(data[1:], step)))
        except RoomkeyError as error:
            refused(error, frozenset({"service-error"}), "service")
            found.append([])
    if found[0] != found[1] or not data[1:].startswith(b"".join(found[0])):
        raise Finding("expected the items of the stream")
    return True


def _streams() -> dict[str, bytes]:
    items = [InboxItem(0, b""), InboxItem(1, b"first"), InboxItem(2, bytes(300))]
    data = b"".join(item.encode() for item in items)
    return {"three": b"\x05" + data, "cut": b"\x40" + data[:-7]}


class Streamed(Struct):
    """A stream with its step, for mutations."""

    step: U8
    first: InboxItem
    second: InboxItem
    third: InboxItem


def targets() -> list[Target]:
    return [
        Target("service-answers", run_answer, _service_answers, Answer.codec()),
        Target("inbox-stream", run_stream, _streams, Streamed.codec()),
    ]
