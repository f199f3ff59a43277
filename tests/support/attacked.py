"""Whole clients of CPython against two real services, one of which is reached through a proxy that lies."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from roomkey.client.client import Client
from roomkey.client.events import Event
from roomkey.client.opening import create_client
from roomkey.conference.conference import Conference
from roomkey.crypto.suites import Scheme
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost

from tests.support.key_attacks import FETCHED, Attack, altered
from tests.support.native_people import Publisher
from tests.support.services import TwoServices, two_services
from tests.support.tampering_proxy import CLAIM, Proxy, tampering_proxy

# What a client asks of services when it makes a change, or tells others.
TELLING = {"/v1/messages", "/v1/commits", "/v1/groups"}


class Scene:
    """email1.example is honest; email2.example is reached through `proxy`."""

    def __init__(self, services: TwoServices, proxy: Proxy, folder: Path) -> None:
        self.services, self.proxy, self._folder = services, proxy, folder
        self._numbers = itertools.count(1)
        self.dora = self.publisher("dora", sets=60)

    def publisher(self, name: str, scheme: Scheme = "ed25519", sets: int = 4) -> Publisher:
        """Somebody new at email2.example, with sets for everybody."""
        identity = f"{name}{next(self._numbers)}@email2.example"
        made = Publisher(self.services.at(identity), identity, self._folder, scheme).enrol(coded=False)
        made.publish(made.sets(sets))
        return made

    def folder_of(self, identity: str) -> Path:
        """Where a client keeps its identity."""
        return self._folder / identity

    @asynccontextmanager
    async def client(self, name: str, domain: str, *, publish: int = 0) -> AsyncIterator[tuple[Client, list[Event]]]:
        """A client of somebody new, and all that it tells."""
        identity = f"{name}{next(self._numbers)}@{domain}"
        host = NativeHost(self.folder_of(identity))
        events: list[Event] = []
        routes = {"email1.example": self.services.at("email1.example").url, "email2.example": self.proxy.url}
        client = await create_client(host, identity, None, routes, FirstUse(), events.append)
        try:
            if publish:
                await client.publish(publish)
            yield client, events
        finally:
            await client.close()
            await host.close()

    async def play(self, attack: Attack) -> None:
        """Has somebody new fetch two people, the keys of one attacked: refused by its code and step or taken, as the
        table says, without a trace, and to nobody else's harm. Right after it the true keys lead to a conference.
        """
        bob = self.publisher("bob", attack.scheme)
        async with self.client("alice", "email1.example") as (alice, _):
            if attack.met:
                await meet(alice, bob.identity)
            known = await stored(alice)
            forged = attack.forge(bob)
            self.proxy.alter[CLAIM] = lambda body: altered(body, bob.identity, forged)
            asked = len(self.proxy.passed)
            fetched = await alice.fetch([bob.identity, self.dora.identity])
            outcome = dict.fromkeys((keys.identity for keys in fetched.keys), FETCHED)
            outcome |= {item.identity: item.error.code for item in fetched.missing}
            assert outcome == {bob.identity: attack.code, self.dora.identity: attack.other}, outcome
            if attack.code != FETCHED:
                error = next(item.error for item in fetched.missing if item.identity == bob.identity)
                assert error.details.get("step") == attack.step
                assert bob.identity not in error.text
                assert {name: data for name, data in (await stored(alice)).items() if bob.identity in name} == {
                    name: data for name, data in known.items() if bob.identity in name
                }
                assert not {path for _, path in self.proxy.passed[asked:]} & TELLING
            self.proxy.behave()
            for keys in fetched.keys:
                alice.release(keys)
            await meet(alice, bob.identity)


async def meet(client: Client, identity: str) -> Conference:
    """A conference with this person, by the keys that come now."""
    fetched = await client.fetch([identity])
    assert not fetched.missing, fetched.missing
    conference = await client.create_conference("call", fetched.keys)
    added = await client.invite(conference, fetched.keys)
    assert [member.identity for member in added.members] == [identity]
    assert await client.sent() == frozenset()
    return conference


async def stored(client: Client) -> dict[str, bytes]:
    """What a client has written down of others."""
    store = client._store
    prefixes = ("pin/", "claimed/", "seen/", "manifest/", "log/", "reset/")
    return {name: data for prefix in prefixes for name, data in await store.list(prefix)}


@contextmanager
def attacked(folder: Path, people: Path) -> Iterator[Scene]:
    """The scene while the context lasts; `folder` has the services' files, `people` the clients'."""
    with two_services(folder, "--unsafe-open-enrolment") as services:  # names go to who comes first
        service = services.at("email2.example")
        with tampering_proxy(services.proxies[service.domain], service.port) as proxy:
            yield Scene(services, proxy, people)
