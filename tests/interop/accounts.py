"""Members as clients of a delivery service: ours by our own client code, ts-mls by its own (`delivery_client.mjs`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from roomkey.conference.ordering import ordering_domain, token, token_hash
from roomkey.crypto.suites import SUITES
from roomkey.federation import code_points, messages
from roomkey.federation.calls import ClientKey
from roomkey.federation.delivery import Accepted, DeliveryService
from roomkey.federation.delivery_messages import StoredCommit
from roomkey.federation.identity import domain_of
from roomkey.federation.inbox import InboxMessage
from roomkey.federation.init_keys import InitKeySet, set_id
from roomkey.federation.messages import Credential, GetUserInitKeyRequest, UserInitKey
from roomkey.federation.negotiation import own_offer
from roomkey.federation.proof import Terms, UnverifiedInitKeySets, prove
from roomkey.federation.trust import FirstUse
from roomkey.host.interface import Host
from roomkey.mls.framing import message
from roomkey.mls.group import Group

from tests.interop.peer import unpack
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.ts_mls_member import TsMlsMember


class Address(NamedTuple):
    """Where a client's inbox is: at the service of its identity's domain, under its id (32 bytes)."""

    identity: str
    client: bytes


class Account(Protocol):
    """One member's client. It takes the place of a memory between the members of a group."""

    @property
    def address(self) -> Address: ...

    async def enrol(self, code: str | None = None) -> None: ...

    async def publish(self) -> None:
        """Publishes the member's last KeyPackage, in a set of its own."""

    async def claim(self, identity: str) -> bytes:
        """The proved KeyPackage of somebody's one client, as an encoded MLSMessage."""

    async def register(self) -> None:
        """Opens the register for the group that the member created."""

    async def submit(self, commit: bytes) -> Sequence[bytes]:
        """Hands in the member's pending commit; the commits that stand in its place, none if it won."""

    async def commits(self) -> Sequence[bytes]:
        """The register's commits from the member's epoch on."""

    async def send(self, data: bytes, to: Sequence[Address]) -> None: ...

    async def take(self) -> bytes:
        """The next message of the inbox."""

    async def close(self) -> None:
        """Acknowledges what was taken, and stops reading."""


@dataclass
class RoomkeyAccount:
    """A client of our own code."""

    member: RoomkeyMember
    host: Host
    services: Mapping[str, str]  # addresses by domain
    creators: str  # the domain of a group's creator, which orders a group that names no service
    stream: AsyncGenerator[InboxMessage, None] | None = None
    taken: int = 0

    def __post_init__(self) -> None:
        assert self.member.keys is not None
        pair = self.member.keys.leaf.signature
        self.signer = ClientKey(self.member.crypto, self.member.suite.scheme, pair, self.member.identity)

    @property
    def address(self) -> Address:
        return Address(self.signer.identity, self.signer.client_id)

    async def enrol(self, code: str | None = None) -> None:
        await self._home.enrol(self._credential, code)

    async def publish(self) -> None:
        assert self.member.keys is not None
        package = self.member.keys.key_package
        suites = (code_points.suite_to_draft(package.cipher_suite),)
        index = UserInitKey(set_id([package]), suites, (package.init_key,), self._credential)
        (signed,) = await messages.sign(self.member.crypto, [(index, self.signer.key)])
        await self._home.publish([InitKeySet(signed, (package,))])

    async def claim(self, identity: str) -> bytes:
        number = self.member.suite.number
        request = GetUserInitKeyRequest(identity.encode(), (code_points.suite_to_draft(number),))
        bundles = await self._at(domain_of(identity)).claim([request])
        terms = Terms(self.host.now(), own_offer(self.signer.identity, SUITES), FirstUse(), None)
        proved = await prove(self.member.crypto, UnverifiedInitKeySets(identity, bundles), terms)
        (only,) = proved.sets
        return message(only.package_for(number)).encode()

    async def register(self) -> None:
        group = self._group
        await self._register.register_group(group.group_id, token_hash(group))

    async def submit(self, commit: bytes) -> Sequence[bytes]:
        before, pending = self._group, self.member.pending
        assert pending is not None
        answer = await self._register.submit_commit(
            before.group_id, before.epoch, commit, token(before), token(pending)
        )
        return () if isinstance(answer, Accepted) else _bytes(answer.commits)

    async def commits(self) -> Sequence[bytes]:
        group = self._group
        return _bytes(await self._register.read_commits(group.group_id, group.epoch, token(group)))

    async def send(self, data: bytes, to: Sequence[Address]) -> None:
        for domain in {domain_of(address.identity) for address in to}:
            clients = [address.client for address in to if domain_of(address.identity) == domain]
            assert await self._at(domain).send(data, clients) == ()

    async def take(self) -> bytes:
        if self.stream is None:
            self.stream = self._home.inbox()
        item = await anext(self.stream)
        self.taken = item.sequence
        return item.message

    async def close(self) -> None:
        if self.taken:
            await self._home.acknowledge(self.taken)
        if self.stream is not None:
            await self.stream.aclose()

    @property
    def _group(self) -> Group:
        assert self.member.group is not None
        return self.member.group

    @property
    def _register(self) -> DeliveryService:
        return self._at(ordering_domain(self._group) or self.creators)

    @property
    def _credential(self) -> Credential:
        algorithm = code_points.algorithm_of(self.signer.scheme)
        return Credential.of(self.signer.identity.encode(), algorithm, self.signer.key.public)

    @property
    def _home(self) -> DeliveryService:
        return self._at(domain_of(self.signer.identity))

    def _at(self, domain: str) -> DeliveryService:
        return DeliveryService(self.host, self.services[domain], self.signer)


@dataclass
class TsMlsAccount:
    """A client in Node, whose requests leave from there."""

    member: TsMlsMember
    services: Mapping[str, str]
    creators: str
    number: int = 0
    taken: int = 0
    address: Address = field(init=False)

    def __post_init__(self) -> None:
        made = self.member.ask("ds_client", services=dict(self.services), keys=self.member.keys)
        self.number = made["client"]
        self.address = Address(self.member.identity, unpack(made["id"]))

    async def enrol(self, code: str | None = None) -> None:
        self.member.ask("ds_enrol", client=self.number, code=code)

    async def publish(self) -> None:
        self.publish_sets([[self.member.keys]])

    def publish_sets(self, sets: Sequence[Sequence[int | None]]) -> None:
        """Sets of the key packages that the peer holds under these numbers."""
        self.member.ask("ds_publish", client=self.number, sets=sets)

    async def claim(self, identity: str) -> bytes:
        suite = self.member.suite.number
        made = self.member.ask("ds_claim", client=self.number, identities=[identity], suites=[suite])
        ((number, package),) = [item for found in made["sets"] for item in found["packages"] if item[0] == suite]
        assert number == suite
        return unpack(package)

    async def register(self) -> None:
        self.member.ask("ds_register", client=self.number, state=self.member.state, creators=self.creators)

    async def submit(self, commit: bytes) -> Sequence[bytes]:
        made = self.member.ask(
            "ds_submit", client=self.number, before=self.member.state, after=self.member.pending, message=commit,
            creators=self.creators,
        )  # fmt: skip
        return [unpack(item["commit"]) for item in made["commits"] or ()]

    async def commits(self) -> Sequence[bytes]:
        made = self.member.ask("ds_commits", client=self.number, state=self.member.state, creators=self.creators)
        return [unpack(item["commit"]) for item in made["commits"]]

    async def send(self, data: bytes, to: Sequence[Address]) -> None:
        self.member.ask("ds_send", client=self.number, message=data, to=list(to))

    async def take(self) -> bytes:
        # Beside the loop: a sender of ours may still be at work in it.
        made = await asyncio.to_thread(self.member.ask, "ds_next", client=self.number)
        self.taken = made["sequence"]
        return unpack(made["message"])

    async def close(self) -> None:
        if self.taken:
            self.member.ask("ds_acknowledge", client=self.number, through=self.taken)
        self.member.ask("ds_close", client=self.number)
        self.member.peer.drop(self.number)


def _bytes(stored: Sequence[StoredCommit]) -> Sequence[bytes]:
    return [item.commit for item in stored]
