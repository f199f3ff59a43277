"""Server fanout: what a home service asks other domains for its clients (`roomkey_delivery.peers.relay`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation import fanout
from roomkey.federation.delivery import Accepted, Conflict, DeliveryService
from roomkey.federation.delivery_messages import (
    DELIVERY,
    FEDERATION,
    INIT_KEY_SETS,
    JSON,
    StoredCommit,
    init_key_requests,
)
from roomkey.federation.messages import GetUserInitKeyRequest, GetUserInitKeyResponse
from roomkey.federation.relaying import RELAY, RELAY_PATH, Relayed
from roomkey_delivery.config import MAX_CLAIM
from roomkey_delivery.peers.passing import MAX_IN_FLIGHT
from roomkey_delivery.peers.relay import CLAIM_PATH, SYNCHRONOUS

from tests.delivery.federated import ELSEWHERE, Federated
from tests.delivery.local import code_of
from tests.delivery.people import Person
from tests.delivery.test_ordering import GROUP, commit, hashed, token

BOB = GetUserInitKeyRequest(b"bob@email2.example", ())
EVE = GetUserInitKeyRequest(b"eve@email3.example", ())


@pytest.fixture
async def federated(tmp_path: Path) -> AsyncIterator[Federated]:
    made = Federated(tmp_path)
    yield made
    await made.close()


async def refused(federated: Federated, who: Person, asked: Relayed) -> tuple[int, str]:
    body = asked.encode()
    headers = await federated.first.signed(who, "POST", RELAY_PATH, body, RELAY)
    answer = await federated.first.bare.post(RELAY_PATH, headers=headers, content=body)
    return answer.status_code, code_of(answer)


async def error_of(work: object) -> tuple[str, object]:
    with pytest.raises(RoomkeyError) as caught:
        await work  # type: ignore[misc]  # an awaitable of any kind
    return caught.value.code, caught.value.details.get("domain")


def plays(federated: Federated, *answers: httpx.Response) -> None:
    """What email3.example answers, in turn, the last for ever."""
    left = list(answers)

    async def play(request: httpx.Request) -> httpx.Response:
        given = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(given.status_code, headers=given.headers, content=given.content)

    federated.between.played[f"ds.{ELSEWHERE}"] = play


async def test_a_claim_and_a_message_through_the_home_service(federated: Federated) -> None:
    alice, bob = await federated.first.enrolled("alice"), await federated.second.enrolled("bob")
    (one,) = await bob.sets(federated.second.time)
    await federated.second.at(bob).publish([one])
    at = federated.relay(alice)
    (bundle,) = await at.claim([BOB])
    assert bundle.set == one
    assert await at.claim([BOB]) == ()
    assert await at.send(b"hello", [bob.signer.client_id]) == ()
    assert await federated.inbox(bob) == []  # it is in the keeping of the home service
    await federated.carry()
    assert await federated.inbox(bob) == [b"hello"]
    passed = [request for request in federated.between.asked if request.method == "POST"]
    assert [request.url.path for request in passed] == [CLAIM_PATH, CLAIM_PATH, "/v1/messages"]
    assert all(request.headers["roomkey-client"].endswith(" alice@email1.example") for request in passed)


async def test_a_register_through_the_home_service(federated: Federated) -> None:
    alice, carol = await federated.first.enrolled("alice"), await federated.first.enrolled("carol")
    ways = [federated.relay(who) for who in (alice, carol)]
    await ways[0].register_group(GROUP, hashed(0))
    assert await ways[0].submit_commit(GROUP, 0, commit(0), token(0), token(1)) == Accepted(0)
    lost = await ways[1].submit_commit(GROUP, 0, commit(0, b"other"), token(0), token(1))
    assert lost == Conflict((StoredCommit(0, commit(0), hashed(1)),))
    assert await ways[1].read_commits(GROUP, 0, token(0)) == (StoredCommit(0, commit(0), hashed(1)),)
    assert await error_of(ways[1].read_commits(GROUP, 0, token(5))) == ("wrong-token", "email2.example")
    assert await error_of(ways[1].register_group(GROUP, hashed(7))) == ("group-exists", "email2.example")


async def test_the_drafts_request_for_somebody_elsewhere_is_asked_there(federated: Federated) -> None:
    alice, bob = await federated.first.enrolled("alice"), await federated.second.enrolled("bob")
    (one,) = await bob.sets(federated.second.time)
    await federated.second.at(bob).publish([one])
    caller = federated.first.at(alice)._caller
    answer = await caller.call("POST", CLAIM_PATH, BOB.encode(), FEDERATION, accept=FEDERATION)
    (bundle,) = GetUserInitKeyResponse.decode(answer).user_init_keys
    assert bundle.user_init_key == one.user_init_key
    # whom another service vouches for gets an answer of this one alone: requests do not go on and on
    carol = GetUserInitKeyRequest(b"carol@email1.example", ())
    asked = len(federated.between.asked)
    passed = federated.relay(alice)._caller
    answer = await passed.call("POST", CLAIM_PATH, carol.encode(), FEDERATION, accept=FEDERATION)
    assert GetUserInitKeyResponse.decode(answer).user_init_keys == ()
    assert [request.url.host for request in federated.between.asked[asked:]] == ["ds.email2.example"]


async def test_what_is_not_passed_on(federated: Federated) -> None:
    alice, bob = await federated.first.enrolled("alice"), await federated.second.enrolled("bob")
    good = Relayed(b"email2.example", CLAIM_PATH.encode(), INIT_KEY_SETS.encode(), INIT_KEY_SETS.encode(), b"")
    for changed in (
        good.replace(domain=b"email1.example"),
        good.replace(domain=b"Email2.example"),
        good.replace(domain=b"127.0.0.1"),
        good.replace(domain=b"\xff"),
        good.replace(path=b"/v1/clients"),
        good.replace(path=b"/v1/user-init-keys"),
        good.replace(path=b"/v1/inbox"),
        good.replace(path=b"/v1/relay"),
        good.replace(path=b"/v1/user-init-keys/claim?a=b"),
        good.replace(path=b"//ds.email1.example/v1/user-init-keys/claim"),
        good.replace(content_type=JSON.encode()),
        good.replace(accept=b"text/html"),
        good.replace(path=b"/v1/messages", content_type=DELIVERY.encode(), accept=JSON.encode(), body=b"x"),
    ):
        assert await refused(federated, alice, changed) == (400, "malformed-request"), changed
    large = good.replace(body=bytes(MAX_CLAIM + 1))
    assert await refused(federated, alice, large) == (413, "request-too-large")
    assert await refused(federated, bob, good) == (403, "not-yours")  # a client of the other domain, known there
    assert [request.url.path for request in federated.between.asked] == ["/v1/clients/lookup"]


async def test_a_service_passes_on_for_its_own_clients_alone(federated: Federated) -> None:
    """No loops: what one service passed on, the next one does not."""
    alice = await federated.first.enrolled("alice")
    inner = Relayed(b"email1.example", CLAIM_PATH.encode(), INIT_KEY_SETS.encode(), INIT_KEY_SETS.encode(), b"")
    relay = federated.first.service.relay
    assert relay is not None
    assert await error_of(
        relay._passer.post(
            "email2.example", alice.signer.client_id, "alice@email1.example", RELAY_PATH, RELAY, JSON, inner.encode(),
            limit=1000, seconds=5.0, asker="",
        )
    ) == ("service-unavailable", "email2.example")  # fmt: skip
    assert federated.between.asked[-1].url.path == RELAY_PATH


async def test_a_service_without_keys_passes_nothing_on(federated: Federated) -> None:
    alice = await federated.first.enrolled("alice")
    relay = federated.first.service.relay
    federated.first.service.relay = None
    assert await error_of(federated.relay(alice).claim([BOB])) == ("service-unavailable", None)
    assert (await federated.first.bare.get("/.well-known/roomkey")).status_code == 404
    federated.first.service.relay = relay


async def test_a_domain_that_is_down_costs_its_own_people(federated: Federated) -> None:
    alice, bob, carol = (
        await federated.first.enrolled("alice"),
        await federated.second.enrolled("bob"),
        await federated.first.enrolled("carol"),
    )
    await federated.second.at(bob).publish(await bob.sets(federated.second.time))
    await federated.first.at(carol).publish(await carol.sets(federated.first.time))
    federated.between.down.add(ELSEWHERE)
    home = federated.first.at(alice)
    routes = fanout.Routes({"email1.example": home}, home)
    people = ["eve@email3.example", "bob@email2.example", "carol@email1.example"]
    claimed = await fanout.claim(routes, people)
    assert sorted(claimed.keys) == ["bob@email2.example", "carol@email1.example"]
    ((who, error),) = claimed.missing
    assert (who, error.code, error.retryable) == ("eve@email3.example", "service-unavailable", True)
    assert error.details["domain"] == ELSEWHERE


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html>"),
        httpx.Response(200, headers={"content-type": JSON}, content=b"{}"),
        httpx.Response(302, headers={"location": "http://127.0.0.1/"}),
        httpx.Response(401, json={"code": "unknown-client", "text": ""}),
        httpx.Response(401, json={"code": "clock-skew", "text": "", "time": "now"}),
        httpx.Response(403, headers={"content-type": "text/html"}, content=b"no"),
        httpx.Response(404, json={"code": 5}),
        httpx.Response(429, content=b"[" * 100_000, headers={"content-type": JSON}),
        httpx.Response(500, json={"code": "service-unavailable", "text": ""}),
        httpx.Response(502),
        httpx.Response(200, headers={"content-type": INIT_KEY_SETS}, content=bytes(SYNCHRONOUS[CLAIM_PATH].answer + 1)),
    ],
)
async def test_what_makes_no_sense_is_the_other_services_fault(federated: Federated, answer: httpx.Response) -> None:
    alice = await federated.first.enrolled("alice")
    plays(federated, answer)
    assert await error_of(federated.relay(alice, ELSEWHERE).claim([EVE])) == ("service-unavailable", ELSEWHERE)


async def test_errors_are_handed_on(federated: Federated) -> None:
    alice = await federated.first.enrolled("alice")
    problem = {"code": "too-many-requests", "text": "t" * 1000, "domain": "elsewhere", "other": 5}
    plays(federated, httpx.Response(429, json=problem, headers={"retry-after": "7", "set-cookie": "a=b"}))
    with pytest.raises(RoomkeyError) as caught:
        await federated.relay(alice, ELSEWHERE).claim([EVE])
    assert (caught.value.code, caught.value.retry_after, len(caught.value.text)) == ("too-many-requests", 7.0, 200)
    assert caught.value.details == {"status": 429, "domain": ELSEWHERE}
    # a code that is not one of a delivery service's is not believed, wherever it comes from
    plays(federated, httpx.Response(400, json={"code": "identity-changed", "text": ""}))
    assert await error_of(federated.relay(alice, ELSEWHERE).claim([EVE])) == ("service-error", None)


async def test_a_service_that_does_not_answer_holds_up_no_other(federated: Federated) -> None:
    alice, bob = await federated.first.enrolled("alice"), await federated.second.enrolled("bob")
    (one,) = await bob.sets(federated.second.time)
    await federated.second.at(bob).publish([one])
    arrived, answers = asyncio.Semaphore(0), asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        arrived.release()
        await answers.wait()
        return httpx.Response(503, json={"code": "service-unavailable", "text": ""})

    federated.between.played[f"ds.{ELSEWHERE}"] = hang
    at = federated.relay(alice, ELSEWHERE)
    waiting = [asyncio.ensure_future(error_of(at.claim([EVE]))) for _ in range(MAX_IN_FLIGHT)]
    for _ in waiting:
        await arrived.acquire()
    assert await error_of(at.claim([EVE])) == ("service-unavailable", ELSEWHERE)  # at once: enough wait for it
    (bundle,) = await federated.relay(alice).claim([BOB])
    assert bundle.set == one
    assert not any(task.done() for task in waiting)
    answers.set()
    assert set(await asyncio.gather(*waiting)) == {("service-unavailable", ELSEWHERE)}
    assert await error_of(at.claim([EVE])) == ("service-unavailable", ELSEWHERE)  # and is asked again


async def test_services_whose_clocks_differ(federated: Federated) -> None:
    alice = await federated.first.enrolled("alice")
    federated.second.time += 3600
    at = federated.relay(alice)
    assert await at.claim([BOB]) == ()
    paths = [request.url.path for request in federated.between.asked if request.method == "POST"]
    assert paths == [CLAIM_PATH] * 2
    assert await at.claim([BOB]) == ()  # and is remembered
    assert len([request for request in federated.between.asked if request.method == "POST"]) == 3


async def test_d8_who_passes_the_request_on_asks_for_less(federated: Federated) -> None:
    """The home service strips the suites, and so gets sets of a weaker suite alone: our own list counts."""
    alice, bob = await federated.first.enrolled("alice"), await federated.second.enrolled("bob")
    weak, good = await bob.sets(federated.second.time, suites=(2,)), await bob.sets(federated.second.time)
    await federated.second.at(bob).publish(weak)
    await federated.second.at(bob).publish(good)
    home = federated.first.at(alice)
    routes = fanout.Routes({"email1.example": home}, home)
    wanted = (0x0001, 0x0003)  # the draft's numbers
    relay = federated.first.service.relay
    assert relay is not None
    honest = relay.ask

    async def stripping(
        domain: str, sender: bytes, identity: str, path: str, content_type: str, accept: str, body: bytes
    ) -> object:
        less = tuple(asked.replace(supported_suites=(0x0000,)) for asked in init_key_requests.decode(body))
        return await honest(domain, sender, identity, path, content_type, accept, init_key_requests.encode(less))

    relay.ask = stripping  # type: ignore[method-assign,assignment]
    claimed = await fanout.claim(routes, ["bob@email2.example"], wanted)
    assert (claimed.keys, [item.error.code for item in claimed.missing]) == ({}, ["suite-withheld"])
    relay.ask = honest  # type: ignore[method-assign]
    claimed = await fanout.claim(routes, ["bob@email2.example"], wanted)
    assert [bundle.set for bundle in claimed.keys["bob@email2.example"]] == good


async def test_what_a_client_does_with_its_own_service_alone(federated: Federated) -> None:
    alice = await federated.first.enrolled("alice")
    at: DeliveryService = federated.relay(alice)
    for work in (at.stock(), at.publish(()), at.admit(bytes(32)), at.acknowledge(1), anext(at.inbox())):
        with pytest.raises(RoomkeyError) as caught:
            await work
        assert caught.value.code in ("bad-argument", "malformed-request")
    assert federated.between.asked == []
