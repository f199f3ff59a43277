"""Three people of CPython in the post-quantum suite, over two delivery services as they are deployed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from roomkey.client.client import Client
from roomkey.client.events import Event
from roomkey.client.opening import create_client, open_client
from roomkey.conference.conference import Conference
from roomkey.conference.events import Failed
from roomkey.federation.negotiation import Choice
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost

from tests.support.services import TwoServices, two_services
from tests.support.simulator import until

PQ = 0xF0C1
PROFILE = "SRTP_AEAD_AES_128_GCM"
SECONDS = 120.0  # for what takes under one


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoServices]:
    with two_services(tmp_path) as running:
        yield running


class Native:
    """A client in this process, with a store of its own on disk."""

    def __init__(self, services: TwoServices, host: NativeHost, identity: str) -> None:
        self.services, self.host, self.identity = services, host, identity
        self.events: list[Event] = []
        self.client: Client

    @property
    def routes(self) -> dict[str, str]:
        return {domain: service.url for domain, service in self.services.running.items()}

    async def enrol(self, choice: Choice, publish: int = 2) -> Native:
        code = self.services.at(self.identity).enrolment_code(self.identity)
        routes, listen = self.routes, self.events.append
        self.client = await create_client(self.host, self.identity, code, routes, FirstUse(), listen, choice=choice)
        await self.client.publish(publish)
        return self

    async def reopen(self) -> None:
        await self.client.close()
        self.client = await open_client(self.host, self.identity, {}, FirstUse(), self.events.append)

    async def accept(self) -> Conference:
        await until(self.client.invitations, f"an invitation for {self.identity}", SECONDS)
        (conference,) = self.client.invitations()
        await self.client.accept(conference)
        return conference

    @property
    def conference(self) -> Conference:
        (conference,) = self.client.conferences()
        return conference

    @property
    def errors(self) -> list[str]:
        return [event.error.code for event in self.events if isinstance(event, Failed)]


@pytest.fixture
async def people(two: TwoServices, host: NativeHost) -> AsyncIterator[list[Native]]:
    names = ("alice@email1.example", "bob@email2.example", "carol@email1.example")
    made = [Native(two, host, name) for name in names]
    for person in made:
        await person.enrol("experimental")
    yield made
    for person in made:
        await person.client.close()


async def agree(people: list[Native], epoch: int) -> None:
    await until(lambda: all(person.conference.epoch == epoch for person in people), f"epoch {epoch}", SECONDS)
    shown = [[item.fingerprint for item in person.conference.keys.fingerprints(PROFILE)] for person in people]
    assert all(one == shown[0] for one in shown)
    assert len(set(shown[0])) == len(people)
    assert [person.conference.suite for person in people] == [PQ] * len(people)


async def read(person: Native, text: bytes) -> None:
    end = asyncio.get_running_loop().time() + SECONDS
    while text not in [item.data for item in await person.conference.history.messages(0, 100)]:
        assert asyncio.get_running_loop().time() < end, f"expected {person.identity} to read {text!r}"
        await asyncio.sleep(0.01)


async def test_a_conference_of_three(people: list[Native]) -> None:
    alice, bob, carol = people
    fetched = await alice.client.fetch([bob.identity, carol.identity])
    assert fetched.missing == []
    conference = await alice.client.create_conference("stand-up", fetched.keys)
    await alice.client.invite(conference, fetched.keys)
    for person in (bob, carol):
        await person.accept()
    await agree(people, 1)

    await bob.conference.update()
    await agree(people, 2)
    await bob.reopen()  # the held halves of its keys come back from disk
    await carol.conference.update()
    await agree(people, 3)
    await carol.conference.send(b"hello")
    for person in (alice, bob):
        await read(person, b"hello")
    await alice.conference.remove(identity=carol.identity)
    await agree([alice, bob], 4)
    assert alice.errors == bob.errors == carol.errors == []
