"""The client's side against services that misbehave: every failure has its code, and costs only whom it must."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from roomkey.errors import CODES, RoomkeyError
from roomkey.federation import fanout, inbox
from roomkey.federation.calls import SERVICE_CODES, service_origin
from roomkey.federation.delivery import Conflict, DeliveryService
from roomkey.federation.delivery_messages import COMMITS, INBOX, INIT_KEY_SETS, InboxItem, StoredCommit, StoredCommits
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.host.interface import HttpResponse

from tests.delivery.local import NOW, Local
from tests.delivery.people import Person, person

JSON = "application/json"
DESCRIPTION = {
    "protocol": "roomkey-delivery/1", "name": "roomkey-delivery", "version": "1", "domain": "email1.example", "time": 5,
    "limits": {"maxMessage": 1, "maxUpload": 2},
}  # fmt: skip
Answer = HttpResponse | RoomkeyError


def answer(status: int, body: object = b"", kind: str = JSON, **headers: str) -> HttpResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, {"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}, content)


class Stream:
    """A streamed answer of pieces; after the last it is silent, or ends."""

    def __init__(self, *pieces: bytes, silent: bool = False, status: int = 200, kind: str = INBOX) -> None:
        self.pieces, self.silent, self.status = pieces, silent, status
        self.headers: Mapping[str, str] = {"content-type": kind}
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.silent:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


class Scripted:
    """A host whose network answers what the test says, in order (the last for ever), and whose sleep takes no time."""

    def __init__(self, *answers: Answer | Stream) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes | None, float]] = []
        self.slept: list[float] = []

    @property
    def http(self) -> Scripted:
        return self

    def now(self) -> float:
        return NOW

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def _next(self) -> Any:
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, RoomkeyError):
            raise given
        return given

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        self.asked.append((method, url, dict(headers), body, timeout))
        given: HttpResponse = self._next()
        return given

    async def stream(self, method: str, url: str, headers: Mapping[str, str], *, timeout: float) -> Stream:
        self.asked.append((method, url, dict(headers), None, timeout))
        given: Stream = self._next()
        return given

    def service(self, who: Person | None = None, url: str = "https://ds.email1.example") -> DeliveryService:
        return DeliveryService(self, url, None if who is None else who.signer)  # type: ignore[arg-type]  # no stores


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://DS.email1.example/", "https://ds.email1.example"),
        (" https://ds.email1.example:443 ", "https://ds.email1.example"),
        ("https://ds.email1.example:8443", "https://ds.email1.example:8443"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://ds.demo.localhost:80/", "http://ds.demo.localhost"),
        ("http://127.0.0.2:1", "http://127.0.0.2:1"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_addresses(typed: str, origin: str) -> None:
    assert service_origin(typed) == origin


@pytest.mark.parametrize(
    "typed",
    [
        "", "ds.email1.example", "ftp://ds.email1.example", "http://ds.email1.example", "http://192.168.0.1", "https://",
        "https://u@ds.example", "https://@ds.example", "https://ds.example/path", "https://ds.example?a", "https://ds.example#a",
        "https://ds.example:99999", "https://ds.example:x", "https://dsé.example", "https://ds .example", "https://[::1",
        "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(RoomkeyError) as caught:
        service_origin(typed)
    assert caught.value.code == "invalid-address"


async def test_describe_is_unsigned_and_within_ten_seconds() -> None:
    host = Scripted(answer(200, DESCRIPTION))
    described = await host.service(await person("alice@email1.example")).describe()
    assert (described.domain, described.origin) == ("email1.example", "https://ds.email1.example")
    assert host.asked == [("GET", "https://ds.email1.example/v1/service", {"accept": JSON}, None, 10.0)]


@pytest.mark.parametrize(
    "given",
    [
        answer(200, b"<html>", "text/html"),
        answer(200, DESCRIPTION, "text/plain"),
        answer(200, b"<html>"),
        answer(200, []),
        answer(200, {}),
        answer(200, DESCRIPTION | {"protocol": "other"}),
        answer(200, DESCRIPTION | {"domain": "Not Canonical"}),
        answer(200, DESCRIPTION | {"domain": 5}),
        answer(200, DESCRIPTION | {"time": -1}),
        answer(200, DESCRIPTION | {"limits": None}),
        answer(200, b"[" * 100_000),
        answer(404, {"code": "malformed-request"}),
        answer(301, b"", location="https://elsewhere.example"),
        answer(500),
    ],
)
async def test_not_a_delivery_service(given: HttpResponse) -> None:
    with pytest.raises(RoomkeyError) as caught:
        await Scripted(given).service().describe()
    assert caught.value.code == "not-a-delivery-service"


async def test_a_refused_origin_is_believed_from_a_delivery_service_only() -> None:
    silent = Scripted(RoomkeyError("origin-not-allowed")).service()  # a web server that knows nothing of us
    speaking = Scripted(answer(403, {"code": "origin-not-allowed", "text": "expected x"})).service()
    for service, code in ((silent, "not-a-delivery-service"), (speaking, "origin-not-allowed")):
        with pytest.raises(RoomkeyError) as caught:
            await service.describe()
        assert caught.value.code == code
    with pytest.raises(RoomkeyError) as caught:
        await Scripted(RoomkeyError("origin-not-allowed")).service(await person("alice@email1.example")).stock()
    assert caught.value.code == "origin-not-allowed"


@pytest.mark.parametrize("code", ["service-unreachable", "timeout"])
async def test_what_the_host_says_passes_through(code: str) -> None:
    service = Scripted(RoomkeyError(code)).service(await person("alice@email1.example"))
    for call in (service.describe, service.stock):
        with pytest.raises(RoomkeyError) as caught:
            await call()
        assert caught.value.code == code


async def test_errors_of_the_service_keep_their_codes() -> None:
    alice = await person("alice@email1.example")
    for code in sorted(SERVICE_CODES):
        host = Scripted(answer(400, {"code": code, "text": "expected x"}, retry_after="7"))
        with pytest.raises(RoomkeyError) as caught:
            await host.service(alice).stock()
        assert (caught.value.code, caught.value.retry_after, caught.value.text) == (code, 7.0, "expected x")


@pytest.mark.parametrize(
    "given",
    [
        answer(400, {"code": "decryption-failed"}),  # not a service's to say
        answer(400, {"code": "made-up"}),
        answer(400, {"code": ["clock-skew"]}),
        answer(400, {}),
        answer(502, b"<html>", "text/html"),
        answer(400, {"code": "not-yours"}, "text/plain"),
        answer(400, b"{" + b" " * 70_000 + b'"code": "not-yours"}'),
        answer(302),
        answer(200, b"{}", "text/html"),
        answer(200, b"no json"),
        answer(200, {"sets": "1", "lastResort": False, "expires": None}),
        answer(200, {"sets": True, "lastResort": False, "expires": None}),
        answer(200, {"sets": 1, "lastResort": 0, "expires": None}),
        answer(200, {"sets": 1, "lastResort": False, "expires": -1}),
    ],
)
async def test_answers_that_make_no_sense(given: HttpResponse) -> None:
    with pytest.raises(RoomkeyError) as caught:
        await Scripted(given).service(await person("alice@email1.example")).stock()
    assert caught.value.code == "service-error"


async def test_a_clock_that_stays_wrong_is_an_error_after_two_tries() -> None:
    host = Scripted(answer(401, {"code": "clock-skew", "time": NOW + 1000}))
    with pytest.raises(RoomkeyError) as caught:
        await host.service(await person("alice@email1.example")).stock()
    assert caught.value.code == "clock-skew"
    assert [
        f"created={NOW + n:.0f};" in asked[2]["signature-input"] for n, asked in zip((0, 1000), host.asked, strict=True)
    ]
    assert len(host.asked) == 2


@pytest.mark.parametrize("time", ["soon", True, None, [1]])
async def test_a_clock_skew_without_a_time_is_final(time: object) -> None:
    host = Scripted(answer(401, {"code": "clock-skew", "time": time}))
    with pytest.raises(RoomkeyError) as caught:
        await host.service(await person("alice@email1.example")).stock()
    assert caught.value.code == "clock-skew"
    assert len(host.asked) == 1


async def test_commits_that_make_no_sense() -> None:
    alice = await person("alice@email1.example")
    good = StoredCommits((StoredCommit(3, b"c", bytes(32)), StoredCommit(4, b"d", bytes(32)))).encode()
    host = Scripted(answer(409, good, COMMITS))
    conflict = await host.service(alice).submit_commit(b"g", 3, b"m", bytes(32), bytes(32))
    assert conflict == Conflict((StoredCommit(3, b"c", bytes(32)), StoredCommit(4, b"d", bytes(32))))
    for body, kind in (
        (good, JSON),
        (good[:-1], COMMITS),
        (StoredCommits((StoredCommit(4, b"", bytes(32)),)).encode(), COMMITS),
    ):
        with pytest.raises(RoomkeyError) as caught:
            await Scripted(answer(409, body, kind)).service(alice).submit_commit(b"g", 3, b"m", bytes(32), bytes(32))
        assert caught.value.code == "service-error"
        with pytest.raises(RoomkeyError) as caught:
            await Scripted(answer(200, body, kind)).service(alice).read_commits(b"g", 3, bytes(32))
        assert caught.value.code == "service-error"


async def collect(
    host: Scripted, count: int, on_state: Callable[[RoomkeyError | None], None] | None = None
) -> list[inbox.InboxMessage]:
    stream = host.service(await person("alice@email1.example")).inbox(on_state)
    try:
        return [await anext(stream) for _ in range(count)]
    finally:
        await stream.aclose()


def item(sequence: int, message: bytes = b"") -> bytes:
    return InboxItem(sequence, message).encode()


async def test_pieces_of_any_size() -> None:
    whole = item(0) + item(1, b"one") + item(0) + item(2) + item(7, b"seven" * 1000)
    for size in (1, 5, 12, 13, 10_000):
        pieces = [whole[n : n + size] for n in range(0, len(whole), size)]
        assert await collect(Scripted(Stream(*pieces, silent=True)), 3) == [(1, b"one"), (2, b""), (7, b"seven" * 1000)]


async def test_reconnects_and_hands_on_each_message_once() -> None:
    states: list[str | None] = []
    first, second = Stream(item(0), item(1, b"a"), item(2, b"b")), Stream(item(1, b"a"), item(2, b"b"), item(3, b"c"))
    lost = RoomkeyError("service-unreachable")
    host = Scripted(lost, lost, first, lost, second)
    got = await collect(host, 3, lambda error: states.append(None if error is None else error.code))
    assert got == [(1, b"a"), (2, b"b"), (3, b"c")]
    gone = "service-unreachable"
    assert states == [gone, gone, None, gone, gone, None]
    assert first.closed
    assert second.closed
    longest = [0.5, 1.0, 0.5, 1.0]  # the backoff starts again once something came
    assert all(most / 2 <= slept <= most for slept, most in zip(host.slept, longest, strict=True))


async def test_numbers_that_begin_again_hide_nothing() -> None:
    """S3: a service whose old database was put back gives the numbers of messages that were read to others."""
    first, second = (
        Stream(item(1, b"a"), item(2, b"b")),
        Stream(item(1, b"a"), item(2, b"c"), item(2, b"c"), item(3, b"d")),
    )
    assert await collect(Scripted(first, second), 4) == [(1, b"a"), (2, b"b"), (2, b"c"), (3, b"d")]


async def test_silence_is_a_lost_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "SILENCE", 0.05)
    states: list[str | None] = []
    silent = Stream(item(0), silent=True)
    host = Scripted(silent, Stream(item(1, b"x")))
    assert await collect(host, 1, lambda error: states.append(None if error is None else error.code)) == [(1, b"x")]
    assert states == [None, "timeout", None]
    assert silent.closed


@pytest.mark.parametrize("code", ["unknown-client", "request-refused", "not-yours"])
async def test_what_waiting_cannot_mend_is_raised(code: str) -> None:
    body = json.dumps({"code": code}).encode()
    host = Scripted(Stream(body, status=401, kind=JSON))
    with pytest.raises(RoomkeyError) as caught:
        await collect(host, 1)
    assert caught.value.code == code
    assert host.slept == []


async def test_a_stream_waits_as_long_as_it_is_told() -> None:
    busy = RoomkeyError("too-many-requests", retry_after=20)
    host = Scripted(busy, Stream(item(1, b"x")))
    await collect(host, 1)
    assert host.slept == [20]


async def test_a_giant_item_ends_the_stream() -> None:
    host = Scripted(Stream(bytes(8) + b"\xff\xff\xff\xff"), Stream(item(1, b"x")))
    states: list[str | None] = []
    await collect(host, 1, lambda error: states.append(None if error is None else error.code))
    assert states == [None, "service-error", None]


async def test_one_service_down_costs_only_its_own_people(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    sets = await bob.sets(NOW)
    await local.at(bob).publish(sets)
    down = Scripted(RoomkeyError("timeout")).service(alice, "https://ds.email2.example")
    routes = fanout.Routes().with_service(local.at(alice), ["email1.example"]).with_service(down, ["email2.example"])
    people = ["carol@email2.example", "bob@email1.example", "dave@email2.example", "bob@email1.example"]
    claimed = await fanout.claim(routes, people)
    assert [bundle.set for bundle in claimed.keys["bob@email1.example"]] == sets
    assert [(m.identity, m.error.code) for m in claimed.missing] == [
        ("carol@email2.example", "timeout"),
        ("dave@email2.example", "timeout"),
    ]
    recipients = [
        fanout.Recipient("carol@email2.example", bytes(32)),
        fanout.Recipient("bob@email1.example", bob.signer.client_id),
        fanout.Recipient("bob@email1.example", bytes(32)),
        fanout.Recipient("eve@email3.example", bytes(32)),
    ]
    undelivered = await fanout.send(routes, b"m", recipients)
    assert {(u.recipient, u.error.code) for u in undelivered} == {
        (recipients[0], "timeout"),
        (recipients[2], "unknown-client"),
        (recipients[3], "no-route"),
    }
    assert (await local.service.store.messages(bob.signer.client_id, 0, 9))[0].body == b"m"


async def test_a_service_answers_for_those_asked_only(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    await local.at(bob).publish(await bob.sets(NOW))
    for body in (b"", b"\x01\x00"):  # no vector; a vector of no bundle
        service = Scripted(answer(200, body, INIT_KEY_SETS)).service(alice)
        claimed = await fanout.claim(fanout.Routes({"email1.example": service}), ["bob@email1.example"])
        assert [m.error.code for m in claimed.missing] == ["service-error"]
    bundles = await local.at(alice).claim([GetUserInitKeyRequest(b"bob@email1.example", ())])
    encoded = bundles[0].encode()
    length = (
        (0x80000000 | len(encoded)).to_bytes(4, "big")
        if len(encoded) > 0x3FFF
        else (0x4000 | len(encoded)).to_bytes(2, "big")
    )
    service = Scripted(answer(200, length + encoded, INIT_KEY_SETS)).service(alice)
    claimed = await fanout.claim(fanout.Routes({"email1.example": service}), ["carol@email1.example"])
    assert [m.error.code for m in claimed.missing] == ["identity-mismatch"]
    assert claimed.keys == {}


def test_every_code_has_a_sentence() -> None:
    assert all(CODES[code].sentence.endswith(".") for code in SERVICE_CODES)
