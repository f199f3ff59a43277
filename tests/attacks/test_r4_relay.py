"""Other domains' services that do harm: to who they do not speak for, and by what they answer (attacks S7, S14)."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey_delivery.config import Rate, Rates
from roomkey_delivery.peers import reaching
from roomkey_delivery.peers.keys import new_keys

from tests.delivery.federated import ELSEWHERE, Federated
from tests.delivery.local import code_of
from tests.delivery.test_domain_keys import CLAIM, vouch
from tests.delivery.test_relay import BOB, EVE, error_of, plays

CLAIM_PATH = "/v1/user-init-keys/claim"


@pytest.fixture
async def federated(tmp_path: Path) -> AsyncIterator[Federated]:
    made = Federated(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("rates", [Rates(client=Rate(5, 0.001)), Rates(claimed=Rate(5, 0.001))])
async def test_s7_a_domain_cannot_use_up_what_anothers_client_may_ask(tmp_path: Path, rates: Rates) -> None:
    """Whom a domain vouches for it names itself, by any id: what it asks so is not that client's doing."""
    own = new_keys()
    federated = Federated(tmp_path, rates=rates, peer_keys={ELSEWHERE: own.public})
    alice = await federated.first.enrolled("alice")

    async def flood() -> str:
        headers = await vouch(
            federated, domain=ELSEWHERE, identity="mallory@email3.example", client=alice.signer.client_id,
            key=own.signing,
        )  # fmt: skip
        answer = await federated.second.bare.post(CLAIM_PATH, headers=headers, content=CLAIM)
        return "" if answer.status_code == 200 else code_of(answer)

    assert [await flood() for _ in range(6)][-1] == "too-many-requests"
    assert await federated.relay(alice).claim([BOB]) == ()
    await federated.close()


@pytest.mark.parametrize("code", [[], {}, 5, None])
async def test_a_code_of_any_kind_lets_a_domain_rest(
    federated: Federated, caplog: pytest.LogCaptureFixture, code: Any
) -> None:
    alice = await federated.first.enrolled("alice")
    plays(federated, httpx.Response(400, json={"code": code, "text": ""}))
    await federated.relay(alice, ELSEWHERE).send(b"hello", [bytes(32)])
    for _ in range(3):
        await federated.carry()
    relay = federated.first.service.relay
    assert relay is not None
    assert relay.carrier._rests[ELSEWHERE].failures == 1
    assert [request.url.path for request in federated.between.asked] == ["/v1/messages"]


@pytest.mark.parametrize("time", ["NaN", "Infinity", "-Infinity", "1e300", "1" + 400 * "0", "-1"])
async def test_no_time_of_a_services_clock_is_a_fault_of_ours(
    federated: Federated, caplog: pytest.LogCaptureFixture, time: str
) -> None:
    alice = await federated.first.enrolled("alice")
    body = f'{{"code": "clock-skew", "text": "", "time": {time}}}'.encode()
    plays(federated, httpx.Response(401, content=body))
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            at = federated.relay(alice, ELSEWHERE)
            assert await error_of(at.claim([EVE])) == ("service-unavailable", ELSEWHERE)
    assert not caplog.records


async def test_s14_names_that_never_resolve_do_not_hold_up_the_services_that_are_known(
    federated: Federated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can make us look up a name, whose servers may be theirs and never answer. A thread waits for that as
    long as the system does, whoever has given up on it.
    """
    over, honest = threading.Event(), socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith("slow.example"):
            over.wait(300)
            raise OSError("no such name")
        return honest(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    http = httpx.AsyncClient(trust_env=False)

    async def look_up(number: int) -> None:
        url = f"https://n{number}.slow.example/"
        with pytest.raises(RoomkeyError):
            await reaching.exchange(http, "GET", url, public=True, limit=1, seconds=20, headers={})

    waiting = [asyncio.ensure_future(look_up(number)) for number in range(40)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(120):  # a service that the operator named, by the loop's own way
            assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 443)
            with pytest.raises(OSError, match="public"):  # and one that was not
                await reaching._public("https://127.0.0.1/")
    finally:
        over.set()
        await asyncio.gather(*waiting)
        await http.aclose()
