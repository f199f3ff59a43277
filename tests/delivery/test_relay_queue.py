"""Messages on their way to other domains: what waits, how it is delivered, and how much there may be of it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import MessageDelivery
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.host.native_crypto import NativeCrypto
from roomkey_delivery.peers.carrier import BACKOFF, MESSAGES, SENDERS
from roomkey_delivery.peers.queue import LIFETIME, Amount, QueueLimits, RelayQueue

from tests.delivery.federated import ELSEWHERE, Federated
from tests.delivery.local import NOW
from tests.delivery.people import Person

ALICE, BOB = b"a" * 32, b"b" * 32  # ids of clients
ASK_ALICE = GetUserInitKeyRequest(b"alice@email1.example", ())
ASK_BOB = GetUserInitKeyRequest(b"bob@email2.example", ())


@pytest.fixture
async def federated(tmp_path: Path) -> AsyncIterator[Federated]:
    made = Federated(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def two(federated: Federated) -> tuple[Person, Person]:
    """Alice of email1 and Bob of email2."""
    return await federated.first.enrolled("alice"), await federated.second.enrolled("bob")


def texts(start: int, count: int) -> list[bytes]:
    return [b"message %d" % number for number in range(start, start + count)]


async def unavailable(request: httpx.Request) -> httpx.Response:
    return httpx.Response(503, json={"code": "service-unavailable", "text": ""})


def stored(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def amount(federated: Federated) -> Amount:
    relay = federated.first.service.relay
    assert relay is not None
    return await relay._queue.amount()


@pytest.mark.parametrize("how", ["away", "answers that it cannot"])
async def test_an_outage_of_an_hour(federated: Federated, two: tuple[Person, Person], how: str) -> None:
    """Nothing is lost, nothing comes twice, the order stays; the pauses grow to a minute."""
    alice, bob = two
    at, clients = federated.relay(alice), [bob.signer.client_id]
    if how == "away":
        federated.between.down.add("email2.example")
    else:
        federated.between.played["ds.email2.example"] = unavailable
    relay = federated.first.service.relay
    assert relay is not None
    begun = federated.first.time
    failures: list[float] = []
    sent: list[bytes] = []
    while federated.first.time < begun + 3600:
        if len(sent) < 100:
            sent.append(b"message %d" % len(sent))
            await at.send(sent[-1], clients)
        before = relay.carrier._rests.get("email2.example")
        await federated.carry()
        if relay.carrier._rests["email2.example"] != before:
            failures.append(federated.first.time - begun)
        federated.pass_time(1 if len(failures) < len(BACKOFF) + 1 else 20)
    pauses = [later - earlier for earlier, later in itertools.pairwise(failures)]
    assert pauses[: len(BACKOFF)] == list(BACKOFF)
    assert set(pauses[len(BACKOFF) :]) == {60.0}
    assert await amount(federated) == Amount(100, sum(len(MessageDelivery(tuple(clients), m).encode()) for m in sent))
    federated.between.down.clear()
    federated.between.played.clear()
    federated.pass_time(60)
    await federated.carry()
    assert await federated.inbox(bob) == sent
    assert await amount(federated) == Amount(0, 0)


async def test_a_service_that_is_heard_of_again_is_tried_at_once(
    federated: Federated, two: tuple[Person, Person]
) -> None:
    alice, bob = two
    federated.between.down.add("email2.example")
    await federated.relay(alice).send(b"one", [bob.signer.client_id])
    await federated.carry()
    federated.between.down.clear()
    await federated.carry()
    assert await federated.inbox(bob) == []  # it rests
    await federated.second.at(bob).relaying("email1.example").claim([ASK_ALICE])
    await federated.carry()
    assert await federated.inbox(bob) == [b"one"]  # a request of its own told that it is there
    federated.between.down.add("email2.example")
    await federated.relay(alice).send(b"two", [bob.signer.client_id])
    await federated.carry()
    federated.between.down.clear()
    await federated.relay(alice).claim([ASK_BOB])
    await federated.carry()
    assert await federated.inbox(bob) == [b"one", b"two"]  # as its answer to one of ours did


async def test_an_answer_that_got_lost(federated: Federated, two: tuple[Person, Person]) -> None:
    """The other service has the message and we do not know it: it is sent again, and comes once."""
    alice, bob = two
    second = federated.second

    async def lost(request: httpx.Request) -> httpx.Response:
        await second.bare.request(request.method, str(request.url), headers=request.headers, content=request.content)
        raise httpx.ReadTimeout("lost", request=request)

    federated.between.played["ds.email2.example"] = lost
    for message in texts(0, 3):
        await federated.relay(alice).send(message, [bob.signer.client_id])
    await federated.carry()
    assert await federated.inbox(bob) == texts(0, 1)
    assert (await amount(federated)).messages == 3
    del federated.between.played["ds.email2.example"]
    federated.pass_time(60)
    await federated.carry()
    assert await federated.inbox(bob) == texts(0, 3)


async def test_many_senders_each_in_order(federated: Federated, two: tuple[Person, Person]) -> None:
    alice, bob = two
    senders = [alice, *[await federated.first.enrolled(f"sender{n}") for n in range(SENDERS + 2)]]
    for number in range(MESSAGES + 3):
        for place, who in enumerate(senders):
            await federated.relay(who).send(b"%d %d" % (place, number), [bob.signer.client_id])
    await federated.carry()
    received = [tuple(map(int, message.split())) for message in await federated.inbox(bob)]
    assert len(received) == len(senders) * (MESSAGES + 3)
    for place in range(len(senders)):
        assert [number for sender, number in received if sender == place] == list(range(MESSAGES + 3))


async def test_a_sender_who_is_too_fast_rests_alone(federated: Federated, two: tuple[Person, Person]) -> None:
    alice, bob = two
    carol = await federated.first.enrolled("carol")
    second, slow = federated.second, True

    async def limiting(request: httpx.Request) -> httpx.Response:
        if slow and request.headers["roomkey-client"].endswith("alice@email1.example"):
            return httpx.Response(429, json={"code": "too-many-requests", "text": ""}, headers={"retry-after": "9"})
        answer = await second.bare.request(
            request.method, str(request.url), headers=request.headers, content=request.content
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    federated.between.played["ds.email2.example"] = limiting
    for who, message in ((alice, b"a1"), (alice, b"a2"), (carol, b"c1"), (carol, b"c2")):
        await federated.relay(who).send(message, [bob.signer.client_id])
    await federated.carry()
    assert await federated.inbox(bob) == [b"c1", b"c2"]
    slow = False
    federated.pass_time(8)
    await federated.carry()
    assert await federated.inbox(bob) == [b"c1", b"c2"]
    federated.pass_time(1)
    await federated.carry()
    assert await federated.inbox(bob) == [b"c1", b"c2", b"a1", b"a2"]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "malformed-request"), (413, "request-too-large"), (507, "inbox-full")]
)
async def test_what_the_other_service_never_takes(
    federated: Federated, two: tuple[Person, Person], status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = two

    async def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"code": code, "text": "bob@email2.example"})

    federated.between.played["ds.email2.example"] = refuse
    await federated.relay(alice).send(b"one", [bob.signer.client_id])
    await federated.carry()
    assert await amount(federated) == Amount(0, 0)
    assert code in caplog.text
    assert "email" not in caplog.text


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unknown-client"), (404, "malformed-request"), (403, "not-yours"), (500, ""), (503, "service-unavailable"),
     (507, "queue-full"), (302, "")],
)  # fmt: skip
async def test_what_another_service_takes_later(
    federated: Federated, two: tuple[Person, Person], status: int, code: str
) -> None:
    alice, bob = two

    async def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"code": code, "text": ""})

    federated.between.played["ds.email2.example"] = refuse
    await federated.relay(alice).send(b"one", [bob.signer.client_id])
    await federated.carry()
    del federated.between.played["ds.email2.example"]
    federated.pass_time(BACKOFF[0])
    await federated.carry()
    assert await federated.inbox(bob) == [b"one"]


async def test_a_restart_goes_on(federated: Federated, two: tuple[Person, Person]) -> None:
    alice, bob = two
    federated.between.down.add("email2.example")
    for message in texts(0, 5):
        await federated.relay(alice).send(message, [bob.signer.client_id])
    await federated.carry()
    await federated.first.close()
    federated.start("email1.example")
    federated.between.down.clear()
    await federated.carry()
    assert await federated.inbox(bob) == texts(0, 5)


async def test_a_domain_that_is_down_holds_up_no_other(federated: Federated, two: tuple[Person, Person]) -> None:
    alice, bob = two
    arrived, answers = asyncio.Event(), asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await answers.wait()
        return httpx.Response(500)

    federated.between.played[f"ds.{ELSEWHERE}"] = hang
    relay = federated.first.service.relay
    assert relay is not None
    await federated.relay(alice, ELSEWHERE).send(b"never", [ALICE])
    await relay.carrier.look()
    await arrived.wait()
    await federated.relay(alice).send(b"hello", [bob.signer.client_id])
    await relay.carrier.look()
    await relay.carrier._carrying["email2.example"]
    assert await federated.inbox(bob) == [b"hello"]
    assert ELSEWHERE in relay.carrier._carrying
    answers.set()
    await relay.carrier.settled()


async def test_what_waits_is_bounded(tmp_path: Path) -> None:
    small = QueueLimits(Amount(3, 1000), Amount(5, 1500), Amount(6, 2000), 3)
    queue = RelayQueue(tmp_path / "queue.db", small)

    async def full(domain: str, sender: bytes, body: bytes) -> bool:
        try:
            await queue.put(domain, sender, "x@email1.example", body, NOW)
        except RoomkeyError as error:
            return (error.code, error.retryable, error.retry_after) == ("queue-full", True, 60)
        return False

    try:
        assert [await full("a.example", ALICE, text) for text in texts(0, 4)] == [False, False, False, True]
        assert not await full("a.example", ALICE, b"message 0")  # it waits already
        assert not await full("b.example", ALICE, bytes(900))
        assert await full("b.example", ALICE, bytes(101))  # of one sender for one domain
        assert await full("c.example", ALICE, bytes(700))  # of one sender for all
        assert not await full("c.example", ALICE, b"small")
        assert await full("d.example", ALICE, b"small")  # more messages, and more domains
        assert [await full("a.example", BOB, text) for text in texts(0, 3)] == [False, False, False]
        assert await full("a.example", b"c" * 32, b"x")  # of all for one domain
        await queue.delivered([1])
        assert not await full("a.example", b"c" * 32, b"x")
        assert not await full("b.example", BOB, b"x")
        assert not await full("c.example", BOB, b"x")
        assert await full("d.example", BOB, b"x")
    finally:
        await queue.close()


async def test_all_that_waits_is_bounded(tmp_path: Path) -> None:
    """Many senders for many domains; the count is right after deliveries, expiry, and in an older file."""
    path = tmp_path / "queue.db"

    async def put(queue: RelayQueue, number: int, size: int = 10) -> str:
        try:
            await queue.put(f"d{number}.example", bytes([number]) * 32, "x@email1.example", bytes(size), NOW + number)
        except RoomkeyError as error:
            return error.code
        return ""

    queue = RelayQueue(path, QueueLimits(total=Amount(3, 100)))
    assert [await put(queue, number) for number in range(4)] == ["", "", "", "queue-full"]
    await queue.delivered([1])
    assert await put(queue, 4, size=81) == "queue-full"
    assert await put(queue, 4, size=80) == ""
    assert await queue.amount() == Amount(3, 100)
    assert await queue.expire(NOW + 1 + LIFETIME) == 1
    assert await queue.amount() == Amount(2, 90)
    await queue.close()
    with sqlite3.connect(path) as db:
        db.executescript("DROP TABLE relayed_total; DROP TRIGGER relayed_came; DROP TRIGGER relayed_went")
    queue = RelayQueue(path, QueueLimits(total=Amount(3, 100)))
    assert await queue.amount() == Amount(2, 90)
    assert [await put(queue, number) for number in (5, 6)] == ["", "queue-full"]
    await queue.close()


async def test_a_full_queue_is_told_to_the_sender(tmp_path: Path) -> None:
    federated = Federated(tmp_path, limits=QueueLimits(pair=Amount(1, 1000)))
    try:
        alice = await federated.first.enrolled("alice")
        await federated.relay(alice).send(b"one", [BOB])
        with pytest.raises(RoomkeyError) as caught:
            await federated.relay(alice).send(b"two", [BOB])
        assert (caught.value.code, caught.value.retryable) == ("queue-full", True)
    finally:
        await federated.close()


async def test_what_waited_for_30_days_is_counted_and_gone(
    federated: Federated, two: tuple[Person, Person], caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = two
    federated.between.down.add("email2.example")
    relay = federated.first.service.relay
    assert relay is not None
    for message in texts(0, 2):
        await federated.relay(alice).send(message, [bob.signer.client_id])
    federated.pass_time(LIFETIME - 1)
    await federated.relay(alice).send(b"later", [bob.signer.client_id])
    await relay.carrier.expire()
    assert (await amount(federated)).messages == 3
    federated.pass_time(1)
    with caplog.at_level(logging.WARNING):
        await relay.carrier.expire()
    assert "2 messages" in caplog.text
    assert "email" not in caplog.text
    federated.between.down.clear()
    await federated.carry()
    assert await federated.inbox(bob) == [b"later"]


async def test_one_process_delivers_at_a_time(tmp_path: Path) -> None:
    first, second = RelayQueue(tmp_path / "queue.db"), RelayQueue(tmp_path / "queue.db")
    assert await first.take_turn()
    assert not await second.take_turn()
    await second.put("a.example", ALICE, "x@email1.example", b"taken by the second", NOW)
    assert await first.domains() == ["a.example"]
    assert await first.take_turn()
    await first.close()
    assert await second.take_turn()
    await second.close()


async def test_what_was_delivered_does_not_lie_in_the_file(tmp_path: Path) -> None:
    queue = RelayQueue(tmp_path / "queue.db")
    secret = NativeCrypto().random(40).hex().encode()
    await queue.put("a.example", ALICE, "x@email1.example", secret, NOW)
    await queue.delivered([1])
    await queue.close()
    assert secret not in stored(tmp_path)
