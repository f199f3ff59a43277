"""Full Roomkey clients, and people with another application on ts-mls, on the same delivery services."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roomkey.client.client import Client
from roomkey.client.events import Event
from roomkey.client.opening import create_client
from roomkey.conference.conference import Conference
from roomkey.conference.events import Event as ConferenceEvent
from roomkey.conference.events import Failed, MessageArrived
from roomkey.conference.ordering import group_extensions
from roomkey.crypto.suites import SUITES
from roomkey.federation.identity import domain_of
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost
from roomkey.media.srtp import verification_digits
from roomkey.mls.extensions import ExtensionType
from roomkey.mls.framing import MLSMessage
from roomkey.mls.proposals import Add, Proposal, Remove, proposal
from roomkey.mls.welcome import Welcome
from roomkey_delivery.enrolment import new_code
from roomkey_delivery.store.sqlite import SqliteStore

from tests.delivery.processes import Running
from tests.interop.accounts import Address, TsMlsAccount
from tests.interop.members import COMMIT, Received, lifetime, read_key_package
from tests.interop.peer import Peer, unpack
from tests.interop.ts_mls_member import TsMlsMember
from tests.support import simulator

# What a leaf must list to be in a Roomkey conference: the types in its context, and the one of leaves like this.
TYPES = (
    ExtensionType.ROOMKEY_CLIENT,
    ExtensionType.ROOMKEY_GROUP,
    ExtensionType.ROOMKEY_NAME,
    ExtensionType.ROOMKEY_POLICY,
)

# Seconds for what takes a tenth of one on a machine that is not busy.
DEADLINE = 120.0


@dataclass
class Ours:
    """Somebody with a Roomkey client, and what it told."""

    identity: str
    client: Client
    host: NativeHost
    events: list[Event]
    told: list[ConferenceEvent] = field(default_factory=list)

    @property
    def conference(self) -> Conference:
        (only,) = self.client.conferences()
        return only

    @property
    def failures(self) -> list[str]:
        return [event.error.code for event in (*self.events, *self.told) if isinstance(event, Failed)]

    async def invited(self) -> Conference:
        """Waits for an invitation and accepts it."""
        await until(self.client.invitations, f"an invitation for {self.identity}")
        (conference,) = self.client.invitations()
        conference.listen(self.told.append)
        await self.client.accept(conference)
        return conference

    async def heard(self, data: bytes) -> str:
        """Waits for a message; who sent it."""

        def found() -> list[str]:
            arrived = [event.message for event in self.told if isinstance(event, MessageArrived)]
            return [message.identity for message in arrived if message.data == data]

        await until(found, f"a message for {self.identity}")
        (sender,) = found()
        return sender


async def ours(folder: Path, identity: str, services: Mapping[str, str], code: str) -> Ours:
    """A Roomkey client, enrolled, with keys to be fetched."""
    host = NativeHost(folder / identity)
    events: list[Event] = []
    client = await create_client(host, identity, code, services, FirstUse(), events.append)
    await client.publish(2)
    return Ours(identity, client, host, events)


class Theirs:
    """Somebody with another application: ts-mls, and a client of the delivery service in Node."""

    def __init__(self, peer: Peer, identity: str, services: Mapping[str, str], suite: int = 1) -> None:
        self.identity, self.services = identity, services
        self.member = TsMlsMember(identity, SUITES[suite], peer, TYPES, identity=identity)
        self._account: TsMlsAccount | None = None
        self._packages: dict[int, int] = {}  # of the published set, by suite
        self._taken: set[bytes] = set()  # commits that the register told of; the inbox has them too

    @property
    def account(self) -> TsMlsAccount:
        assert self._account is not None
        return self._account

    async def enrol(self, code: str, *others: int) -> Theirs:
        """Enrols, and publishes a set of the member's suite and `others`, all of which its leaves list."""
        suites = (self.member.suite.number, *others)
        self.member.keys = self._package(suites[0], suites)
        self._account = TsMlsAccount(self.member, self.services, domain_of(self.identity))
        await self.account.enrol(code)
        self._packages = {suites[0]: self.member.keys} | {number: self._package(number, suites) for number in others}
        self.account.publish_sets([list(self._packages.values())])
        return self

    def _package(self, number: int, suites: Sequence[int]) -> int:
        """A key package of a suite: by the credential's key, or by one of another scheme that it vouches for."""
        window, known = lifetime(), self._account is not None
        own_scheme = SUITES[number].scheme == self.member.suite.scheme
        made = self.member.ask(
            "key_package", suite=number, identity=self.identity.encode(), suites=list(suites), extension_types=TYPES,
            not_before=window.not_before, not_after=window.not_after,
            again=self.member.keys if known and own_scheme else None,
            voucher=self.account.number if known and not own_scheme else None,
        )  # fmt: skip
        keys: int = made["keys"]
        return keys

    # -- groups --

    async def create(self, group_id: bytes, name: str | None) -> None:
        """A group whose context names its service and itself; with None as other applications make them."""
        extensions = () if name is None else group_extensions(domain_of(self.identity), name)
        plain = [(item.extension_type, item.extension_data) for item in extensions]
        made = self.member.ask("create", keys=self.member.keys, group_id=group_id, extensions=plain)
        self.member.state = made["state"]
        await self.account.register()

    async def joined(self) -> None:
        """Takes the next message for a Welcome, to a KeyPackage of whichever suite."""
        data = await self.account.take()
        welcome = MLSMessage.decode(data).body
        assert isinstance(welcome, Welcome)
        self.member.suite, self.member.keys = SUITES[welcome.cipher_suite], self._packages[welcome.cipher_suite]
        await self.member.join(data, None, {})

    async def come_in(self, ticket: bytes) -> bool:
        """Joins a conference by a ticket; False if it is over."""
        made = self.member.ask("external_join", keys=self.member.keys, group_info=ticket)
        message, state = unpack(made["message"]), made["state"]
        answer = self.member.ask(
            "ds_enter", client=self.account.number, ticket=ticket, after=state, message=message
        )  # fmt: skip
        if answer["commits"] is not None:
            return False
        await self.member.join_as(state)
        await self.account.send(message, self.addresses())
        return True

    async def add(self, *identities: str) -> bool:
        """Invites people; False if another commit won."""
        packages = [await self.account.claim(identity) for identity in identities]
        return await self.commit(*(proposal(Add(read_key_package(package))) for package in packages))

    async def remove(self, identity: str) -> bool:
        return await self.commit(proposal(Remove(self.leaf_of(identity))))

    async def commit(self, *items: Proposal, public: bool = False) -> bool:
        """Submits a commit; it is ours and goes out if it wins, else the one that stands is taken."""
        before = self.addresses()
        made = await self.member.commit(items, path=True, public=public, psks={}, tree_inside=True)
        others = await self.account.submit(made.message)
        if others:
            self.member.pending = None
            for other in others:
                assert (await self.member.process(other, {})).kind == COMMIT
                self._taken.add(other)
            return False
        self.member.adopt()
        await self.account.send(made.message, before)
        newcomers = [address for address in self.addresses() if address not in before]
        if newcomers:
            assert made.welcome is not None
            await self.account.send(made.welcome, newcomers)
        return True

    async def next(self, kind: str) -> Received:
        """The next message, of this kind; those that we know from the register are passed over."""
        data = await self.account.take()
        while data in self._taken:
            data = await self.account.take()
        received = await self.member.process(data, {})
        assert received.kind == kind
        return received

    async def say(self, data: bytes) -> None:
        await self.account.send(await self.member.protect(data), self.addresses())

    async def leave(self, *, public: bool = False) -> None:
        """Asks to be removed."""
        message = await self.member.propose(proposal(Remove(self.leaf_of(self.identity))), public=public)
        await self.account.send(message, self.addresses())

    # -- what it sees --

    def members(self) -> list[tuple[int, str, bytes]]:
        made = self.member.ask("ds_members", state=self.member.state)
        return [(leaf, identity, unpack(client)) for leaf, identity, client in made["members"]]

    def addresses(self) -> list[Address]:
        """Everybody else's."""
        return [Address(name, client) for _, name, client in self.members() if name != self.identity]

    def leaf_of(self, identity: str) -> int:
        return next(leaf for leaf, name, _ in self.members() if name == identity)

    async def sees(self, conference: Conference) -> None:
        """Agrees with a Roomkey client on the epoch, its secrets and who is in it."""
        view = await self.member.view()
        assert view.epoch == conference.epoch
        assert view.authenticator is not None
        assert verification_digits(view.authenticator) == conference.verification_digits
        assert conference.keys.export("exporter", b"", 32) == view.plain_exporter
        assert conference.keys.export("interop", b"both engines", 40) == view.exporter
        assert [(member.leaf, member.identity, member.client) for member in conference.members] == self.members()


async def code_for(service: Running, identity: str) -> str:
    """An enrolment code, as the service's operator makes it."""
    store = SqliteStore(service.database)
    try:
        return await new_code(store, identity, service.domain, time.time())
    finally:
        await store.close()


async def until(condition: Callable[[], object], what: str) -> None:
    """Waits until something holds; a failure says what did not."""
    await simulator.until(condition, what, DEADLINE)


async def in_epoch(person: Ours, epoch: int) -> None:
    """Waits until somebody's conference is there."""
    await until(lambda: person.conference.epoch == epoch, f"{person.identity} in epoch {epoch}")
