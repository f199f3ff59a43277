"""Client fanout: all services are asked side by side, and one that is slow or dead costs its own people alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from roomkey.errors import RoomkeyError
from roomkey_delivery.peers.relay import CLAIM_PATH

from tests.support.conferences import said
from tests.support.people import Person, call, enrol
from tests.support.simulator import Network, Simulation, origin_of, until

Answer = tuple[int, dict[str, str], AsyncIterator[bytes]]
FIRST, SECOND = origin_of("email1.example"), origin_of("email2.example")


class Slow:
    """Holds claims at some origins until they are let go, and writes down what happens in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: str = CLAIM_PATH) -> None:
        self.events: list[tuple[str, str]] = []
        self.held: dict[str, asyncio.Event] = {}
        self.fails: set[str] = set()
        once = Network.open

        async def open_slowly(
            network: Network, method: str, url: str, headers: Mapping[str, str], body: bytes | None
        ) -> Answer:
            origin = url.removesuffix(path)
            if origin == url:
                return await once(network, method, url, headers, body)
            self.events.append(("asked", origin))
            if origin in self.held:
                await self.held[origin].wait()
            if origin in self.fails:
                self.events.append(("failed", origin))
                raise RoomkeyError("timeout", "expected an answer in time, got none")
            answer = await once(network, method, url, headers, body)
            self.events.append(("answered", origin))
            return answer

        monkeypatch.setattr(Network, "open", open_slowly)

    def count(self, what: str) -> int:
        return sum(event == what for event, _ in self.events)


async def test_nobody_waits_for_another_service_to_be_asked(
    simulation: Simulation, alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    slow.held = {origin: asyncio.Event() for origin in (FIRST, SECOND)}
    fetching = asyncio.ensure_future(alice.client.fetch([bob.identity, carol.identity]))
    await until(lambda: slow.count("asked") == 2, "both services to be asked")
    assert slow.count("answered") == 0
    slow.held[FIRST].set()
    await until(lambda: slow.count("answered") == 1, "the quick one's answer")
    assert not fetching.done()
    slow.held[SECOND].set()
    fetched = await fetching
    assert [keys.identity for keys in fetched.keys] == [bob.identity, carol.identity]
    assert slow.events[2:] == [("answered", FIRST), ("answered", SECOND)]


async def test_a_dead_service_costs_its_own_people_and_is_asked_again(
    simulation: Simulation, alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    dave = await enrol(simulation, "dave@email2.example")
    slow = Slow(monkeypatch)
    slow.fails = {SECOND}
    people = [bob.identity, carol.identity, dave.identity]
    fetched = await alice.client.fetch(people)
    assert [keys.identity for keys in fetched.keys] == [carol.identity]
    assert [(item.identity, item.error.code, item.error.retryable) for item in fetched.missing] == [
        (bob.identity, "timeout", True),
        (dave.identity, "timeout", True),
    ]
    slow.fails.clear()
    slow.events.clear()
    again = await alice.client.fetch([item.identity for item in fetched.missing])
    assert [keys.identity for keys in again.keys] == [bob.identity, dave.identity]
    assert slow.events == [("asked", SECOND), ("answered", SECOND)]
    conference = alice.listen(await alice.client.create_conference("all", [*fetched.keys, *again.keys]))
    await alice.client.invite(conference, [*fetched.keys, *again.keys])
    await asyncio.gather(*(person.invited() for person in (bob, carol, dave)))
    await dave.close()


async def test_who_gave_up_waiting_has_what_comes_later(
    simulation: Simulation, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sets are handed out once: those of a claim whose caller has gone wait for the next call."""
    slow = Slow(monkeypatch)
    slow.held = {SECOND: asyncio.Event()}
    fetching = asyncio.ensure_future(alice.client.fetch([bob.identity]))
    await until(lambda: slow.count("asked") == 1, "the service to be asked")
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)
    slow.held[SECOND].set()
    await until(lambda: not alice.client._contacts._claims, "the claim to come to its end")
    (keys,) = (await alice.client.fetch([bob.identity])).keys
    assert keys.identity == bob.identity
    assert slow.count("asked") == 1


async def test_messages_pass_a_service_that_does_not_answer(
    simulation: Simulation, alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    conference = await call(alice, bob, carol)
    slow = Slow(monkeypatch, "/v1/messages")
    slow.held = {SECOND: asyncio.Event()}
    texts = [b"%d" % number for number in range(3)]
    for text in texts:
        await conference.send(text)
    await until(lambda: said(carol) == texts, "three messages for carol")
    assert said(bob) == []
    assert slow.events.count(("asked", SECOND)) == 1  # the others wait their turn
    slow.held[SECOND].set()
    await until(lambda: said(bob) == texts, "the same for bob")
