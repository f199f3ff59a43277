"""Whole clients of CPython against two real services with logs, one of which is reached through a proxy that lies.

The liar is email2.example's operator: beside the answers on their way it has the keys of its log, and in some tests,
where auditors lie with it, theirs.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from roomkey.client.client import Client
from roomkey.client.events import Event
from roomkey.client.opening import create_client, open_client, prepare_device
from roomkey.conference.conference import Conference
from roomkey.conference.events import Event as ConferenceEvent
from roomkey.conference.events import Failed
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import init_key_bundles
from roomkey.federation.init_keys import InitKeySetBundle
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost
from roomkey.transparency.exchange import ANSWERS_PATH, Answers, AnswersRequest
from roomkey_delivery.log.keys import LogKeys

from tests.support.forged_log import ForgedLog
from tests.support.logged_services import LoggedServices, logged_services
from tests.support.simulator import until
from tests.support.tampering_proxy import CLAIM, Proxy, tampering_proxy

HOME, LYING = "email1.example", "email2.example"

Bundles = tuple[InitKeySetBundle, ...]


class SkewedHost(NativeHost):
    """A device whose clock a test sets."""

    ahead = 0.0  # seconds

    def now(self) -> float:
        return time.time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))  # waits are for others' sake, and nobody else is here


@dataclass
class Person:
    """One device of one person."""

    scene: LoggedScene
    identity: str
    host: SkewedHost
    routes: dict[str, str]
    client: Client = field(init=False)
    events: list[Event] = field(default_factory=list)
    told: list[ConferenceEvent] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """Codes of what failed in the background."""
        return [event.error.code for event in (*self.events, *self.told) if isinstance(event, Failed)]

    async def create(self, code: str | None, *, reset: bool = False) -> Client:
        self.client = await create_client(
            self.host, self.identity, code, self.routes, FirstUse(), self.events.append, trusts=self.scene.trusts,
            reset=reset,
        )  # fmt: skip
        return self.client

    async def close(self) -> None:
        if hasattr(self, "client"):
            await self.client.close()
        await self.host.close()

    async def reopen(self) -> None:
        """Closes the identity and opens it again."""
        await self.client.close()
        self.client = await open_client(
            self.host, self.identity, {}, FirstUse(), self.events.append, trusts=self.scene.trusts
        )
        for conference in (*self.client.conferences(), *self.client.invitations()):
            conference.listen(self.told.append)

    async def fetched(self, *identities: str) -> list[str]:
        """What comes of a fetch for each of these people: "fetched", or a code."""
        found = await self.client.fetch(identities)
        for keys in found.keys:
            self.client.release(keys)
        outcome = dict.fromkeys((keys.identity for keys in found.keys), "fetched")
        outcome |= {item.identity: item.error.code for item in found.missing}
        return [outcome[identity] for identity in identities]

    async def failure(self, identity: str) -> RoomkeyError:
        """Why nobody can be fetched by this name."""
        found = await self.client.fetch([identity])
        (missing,) = found.missing
        return missing.error

    async def call(self, other: Person) -> Conference:
        """A conference with somebody, who has accepted."""
        found = await self.client.fetch([other.identity])
        assert not found.missing, found.missing
        conference = await self.client.create_conference("call", found.keys)
        conference.listen(self.told.append)
        await self.client.invite(conference, found.keys)
        await until(other.client.invitations, "an invitation")
        (invitation,) = other.client.invitations()
        invitation.listen(other.told.append)
        await other.client.accept(invitation)
        return conference

    async def stored(self, prefix: str) -> dict[str, bytes]:
        return dict(await self.client._store.list(prefix))


class LoggedScene:
    """email1.example is honest; email2.example is reached by a proxy, and directly by who must not notice."""

    def __init__(self, services: LoggedServices, proxy: Proxy, folder: Path) -> None:
        self.services, self.proxy, self._folder = services, proxy, folder
        self.trusts = services.trusts
        self._numbers = itertools.count(1)
        self._devices: list[Person] = []

    @property
    def keys(self) -> LogKeys:
        """Of the liar's log."""
        return self.services.keys[LYING]

    def name(self, name: str, domain: str) -> str:
        return f"{name}{next(self._numbers)}@{domain}"

    def device(self, identity: str, *, lied_to: bool = False) -> Person:
        """A device that was just switched on."""
        lying = self.proxy.url if lied_to else self.services.at(LYING).url
        routes = {HOME: self.services.at(HOME).url, LYING: lying}
        folder = self._folder / f"device{next(self._numbers)}"
        folder.mkdir()
        made = Person(self, identity, SkewedHost(folder), routes)
        self._devices.append(made)
        return made

    @asynccontextmanager
    async def people(self, *who: tuple[str, str]) -> AsyncIterator[list[Person]]:
        """New people by name and domain, enrolled, with keys to be claimed; those of email1.example are lied to."""
        made: list[Person] = []
        try:
            for name, domain in who:
                person = self.device(self.name(name, domain), lied_to=domain == HOME)
                await person.create(self.services.at(person.identity).enrolment_code(person.identity))
                made.append(person)
                await person.client.publish(4)
            yield made
        finally:
            self.proxy.behave()
            for person in self._devices:
                await person.close()
            self._devices.clear()

    async def further_device(self, person: Person) -> Person:
        """Another device of somebody, listed in the log, with keys to be claimed."""
        made = self.device(person.identity)
        await person.client.admit_device(await prepare_device(made.host, made.identity))
        await made.create(None)
        await made.client.publish(4)
        return made

    # -- lies --

    def change_sets(self, change: Callable[[Bundles], Bundles]) -> None:
        """From now on changes what claims are answered with."""
        self.proxy.alter[CLAIM] = lambda body: init_key_bundles.encode(change(init_key_bundles.decode(body)))

    def change_answers(self, change: Callable[[Answers], Answers]) -> None:
        """From now on changes what the log answers."""
        self.proxy.alter[ANSWERS_PATH] = lambda body: change(Answers.decode(body)).encode()

    def hide_log(self) -> None:
        """From now on there is no log (404)."""
        self.proxy.instead[ANSWERS_PATH] = lambda asked, body: None

    def freeze_log(self, *, by_pin: bool = True) -> None:
        """From now on everybody gets the answer that came first to a question about the same people.

        Args:
            by_pin: with the same pins, too.
        """
        kept: dict[tuple[tuple[bytes, int], ...], bytes] = {}

        def old(asked: bytes, answer: bytes) -> bytes:
            requests = AnswersRequest.decode(asked).requests
            return kept.setdefault(tuple((item.identity, item.pinned if by_pin else 0) for item in requests), answer)

        self.proxy.instead[ANSWERS_PATH] = old

    def other_log(self, log: ForgedLog) -> None:
        """From now on another log answers, by the same keys."""

        def instead(asked: bytes, answer: bytes) -> bytes:
            return asyncio.run(log.answers(AnswersRequest.decode(asked))).encode()

        self.proxy.instead[ANSWERS_PATH] = instead

    def forged_log(self, *, auditors: bool = True, age: float = 0) -> ForgedLog:
        """A log by the liar's keys, with true cosignatures if the auditors lie with it."""
        others: Sequence[LogKeys] = [self.services.keys[HOME]] if auditors else []
        return ForgedLog(self.keys, others, age)


@contextmanager
def attacked_logs(folder: Path, people: Path) -> Iterator[LoggedScene]:
    """The scene while the context lasts; `folder` has the services' files, `people` the clients'."""
    with logged_services(folder) as services:
        service = services.at(LYING)
        with tampering_proxy(services.proxies[service.domain], service.port) as proxy:
            yield LoggedScene(services, proxy, people)
