"""A member of a mixed group: ours (`RoomkeyMember`) or one of ts-mls (`TsMlsMember`), with the same operations.

Proposals are our own structs; ts-mls gets them encoded and reads them with its own decoder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.committing import PendingCommit, commit, propose, propose_update
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import Extension
from roomkey.mls.framing import PRIVATE_MESSAGE, PUBLIC_MESSAGE, MLSMessage, message
from roomkey.mls.group import Group, JoinKeys, OwnKeys, Policy, Psks, create_group
from roomkey.mls.joining import join
from roomkey.mls.key_package import KeyPackage, PackageKeys, make_key_packages
from roomkey.mls.leaf_node import Lifetime, own_capabilities
from roomkey.mls.processing import ApplicationMessage, CommitProcessed, ProposalReceived, process, protect
from roomkey.mls.proposals import Proposal
from roomkey.mls.tree_hash import tree_hash

from tests.interop.peer import Peer, PeerError, unpack

EXPORT = ("interop", b"both engines", 40)  # label, context, length: longer than a hash, so that HKDF-Expand turns twice

APPLICATION = "application"
PROPOSAL = "proposal"
COMMIT = "commit"
REMOVED = "removed"


class View(NamedTuple):
    """What all members of an epoch must agree on."""

    epoch: int
    context: bytes  # the encoded GroupContext
    authenticator: bytes
    tree_hash: bytes  # computed from the tree
    exporter: bytes


class Received(NamedTuple):
    """What a message turned out to be; `data` of application messages."""

    kind: str
    data: bytes = b""


class Commit(NamedTuple):
    """A commit that its maker has not adopted yet."""

    message: bytes
    welcome: bytes | None
    tree: bytes | None  # content of a ratchet_tree extension, where the Welcome has none


class Refused(Exception):
    """A member refused; `text` is a stable code or rule of ours, or ts-mls's own words."""

    def __init__(self, member: str, text: str) -> None:
        super().__init__(f"{member}: {text}")
        self.member = member
        self.text = text


class Member(Protocol):
    """One client, in one group at a time."""

    name: str
    leaf: int

    async def key_package(self) -> bytes:
        """A fresh KeyPackage, as an encoded MLSMessage."""

    async def create(self, group_id: bytes, extensions: Sequence[Extension] = ()) -> None: ...

    async def join(self, welcome: bytes, tree: bytes | None, psks: Mapping[bytes, bytes]) -> None: ...

    async def commit(
        self, proposals: Sequence[Proposal], *, path: bool, public: bool, psks: Mapping[bytes, bytes], tree_inside: bool
    ) -> Commit:
        """A commit of these proposals and of all that were received; it becomes ours with `adopt`."""

    def adopt(self) -> None: ...

    async def propose(self, proposal: Proposal | None, *, public: bool) -> bytes:
        """A proposal's message; None proposes an Update of our own leaf."""

    async def process(self, data: bytes, psks: Mapping[bytes, bytes]) -> Received: ...

    async def protect(self, data: bytes, authenticated_data: bytes = b"") -> bytes: ...

    async def view(self) -> View: ...


def lifetime() -> Lifetime:
    """A day around now: ts-mls takes the time from its own clock."""
    now = int(time.time())
    return Lifetime(now - 3600, now + 86400)


@dataclass
class RoomkeyMember:
    """Our engine on CPython."""

    name: str
    suite: CipherSuite
    extension_types: tuple[int, ...] = ()
    crypto: CryptoProvider = field(default_factory=NativeCrypto)
    keys: JoinKeys | None = None
    group: Group | None = None
    pending: PendingCommit | None = None
    policy: Policy = Policy()  # noqa: RUF009 - a value

    @property
    def leaf(self) -> int:
        return self._group.own_leaf

    @property
    def _group(self) -> Group:
        assert self.group is not None
        return self.group

    async def key_package(self) -> bytes:
        return message(await self.publish()).encode()

    async def publish(self) -> KeyPackage:
        (signature,) = await self.crypto.generate_keys(self.suite.scheme, 1)
        init, encryption = await self.crypto.generate_keys(self.suite.group, 2)
        capabilities = own_capabilities(SUITES)
        capabilities = capabilities.replace(extensions=(*capabilities.extensions, *self.extension_types))
        (package,) = await make_key_packages(
            self.crypto, self.suite, Credential.basic(self.name.encode()), signature,
            [PackageKeys(init, encryption)], lifetime(), capabilities,
        )  # fmt: skip
        self.keys = JoinKeys(package, init, OwnKeys(signature, encryption))
        return package

    async def create(self, group_id: bytes, extensions: Sequence[Extension] = ()) -> None:
        await self.publish()
        assert self.keys is not None
        self.group = await create_group(self.crypto, self.keys, group_id, time.time(), extensions=extensions)

    async def join(self, welcome: bytes, tree: bytes | None, psks: Mapping[bytes, bytes]) -> None:
        assert self.keys is not None
        try:
            joined = await join(self.crypto, welcome, [self.keys], tree=tree, psks=Psks(psks))
        except RoomkeyError as error:
            raise self._refused(error) from error
        self.group = joined.group

    async def commit(
        self, proposals: Sequence[Proposal], *, path: bool, public: bool, psks: Mapping[bytes, bytes], tree_inside: bool
    ) -> Commit:
        try:
            self.pending = await commit(
                self.crypto, self._group, time.time(), proposals=proposals, path=path or None, psks=Psks(psks),
                policy=self.policy, wire_format=PUBLIC_MESSAGE if public else PRIVATE_MESSAGE,
            )  # fmt: skip
        except RoomkeyError as error:
            raise self._refused(error) from error
        return Commit(self.pending.message, self.pending.welcome, None)

    def adopt(self) -> None:
        assert self.pending is not None
        self.group, self.pending = self.pending.group, None

    async def propose(self, proposal: Proposal | None, *, public: bool) -> bytes:
        wire_format = PUBLIC_MESSAGE if public else PRIVATE_MESSAGE
        if proposal is None:
            self.group, data = await propose_update(self.crypto, self._group, wire_format=wire_format)
        else:
            self.group, data = await propose(self.crypto, self._group, proposal, wire_format=wire_format)
        return data

    async def process(self, data: bytes, psks: Mapping[bytes, bytes]) -> Received:
        try:
            done = await process(self.crypto, self._group, data, psks=Psks(psks), policy=self.policy)
        except RoomkeyError as error:
            raise self._refused(error) from error
        self.group = done.group
        if isinstance(done.event, ApplicationMessage):
            return Received(APPLICATION, done.event.data)
        if isinstance(done.event, ProposalReceived):
            return Received(PROPOSAL)
        assert isinstance(done.event, CommitProcessed)
        return Received(REMOVED if done.event.self_removed else COMMIT)

    async def protect(self, data: bytes, authenticated_data: bytes = b"") -> bytes:
        self.group, sealed = await protect(self.crypto, self._group, data, authenticated_data)
        return sealed

    async def view(self) -> View:
        group, (label, context, length) = self._group, EXPORT
        return View(
            group.epoch,
            group.context.encode(),
            group.epoch_authenticator,
            tree_hash(group.tree),
            group.export(label.encode(), context, length),
        )

    def _refused(self, error: RoomkeyError) -> Refused:
        return Refused(self.name, str(error.details.get("rule", error.code)))


@dataclass
class TsMlsMember:
    """ts-mls in Node; what it holds is a number here."""

    name: str
    suite: CipherSuite
    peer: Peer
    extension_types: tuple[int, ...] = ()
    keys: int | None = None
    state: int | None = None
    pending: int | None = None
    resuming: int | None = None  # the state of a group that this one resumes
    leaf: int = -1

    async def key_package(self) -> bytes:
        window = lifetime()
        made = self.peer.ask(
            "key_package", suite=self.suite.number, identity=self.name.encode(), not_before=window.not_before,
            not_after=window.not_after, extension_types=self.extension_types,
        )  # fmt: skip
        self.keys = made["keys"]
        return unpack(made["message"])

    async def create(self, group_id: bytes, extensions: Sequence[Extension] = ()) -> None:
        await self.key_package()
        plain = [(item.extension_type, item.extension_data) for item in extensions]
        await self._take(self._ask("create", keys=self.keys, group_id=group_id, extensions=plain)["state"])

    async def join(self, welcome: bytes, tree: bytes | None, psks: Mapping[bytes, bytes]) -> None:
        made = self._ask("join", keys=self.keys, welcome=welcome, tree=tree, psks=dict(psks), resuming=self.resuming)
        await self._take(made["state"])

    async def commit(
        self, proposals: Sequence[Proposal], *, path: bool, public: bool, psks: Mapping[bytes, bytes], tree_inside: bool
    ) -> Commit:
        made = self._ask(
            "commit", state=self.state, proposals=[item.encode() for item in proposals], public=public,
            psks=dict(psks), tree_inside=tree_inside,
        )  # fmt: skip
        self.pending = made["state"]
        welcome = None if made["welcome"] is None else unpack(made["welcome"])
        return Commit(unpack(made["message"]), welcome, None if tree_inside else unpack(made["tree"]))

    def adopt(self) -> None:
        assert self.pending is not None
        self._replace(self.pending)
        self.pending = None

    async def propose(self, proposal: Proposal | None, *, public: bool) -> bytes:
        if proposal is None:
            made = self._ask("propose_update", state=self.state, public=public)
        else:
            made = self._ask("propose", state=self.state, proposal=proposal.encode(), public=public)
        self._replace(made["state"])
        return unpack(made["message"])

    async def process(self, data: bytes, psks: Mapping[bytes, bytes]) -> Received:
        made = self._ask("process", state=self.state, message=data, psks=dict(psks))
        self._replace(made["state"])
        return Received(made["kind"], unpack(made.get("data", "")))

    async def protect(self, data: bytes, authenticated_data: bytes = b"") -> bytes:
        made = self._ask("protect", state=self.state, data=data, aad=authenticated_data)
        self._replace(made["state"])
        return unpack(made["message"])

    async def view(self) -> View:
        label, context, length = EXPORT
        seen = self._ask("view", state=self.state, label=label, context=context, length=length)
        self.leaf = seen["leaf"]
        return View(
            seen["epoch"],
            unpack(seen["context"]),
            unpack(seen["authenticator"]),
            unpack(seen["tree_hash"]),
            unpack(seen["exporter"]),
        )

    async def _take(self, state: int) -> None:
        self._replace(state)
        await self.view()  # knows the leaf index

    def _replace(self, state: int) -> None:
        if self.state is not None:
            self.peer.drop(self.state)
        self.state = state

    def _ask(self, op: str, **request: object) -> dict[str, object]:
        try:
            return self.peer.ask(op, **request)
        except PeerError as error:
            raise Refused(self.name, str(error)) from error


def read_key_package(data: bytes) -> KeyPackage:
    """The KeyPackage of an encoded MLSMessage."""
    body = MLSMessage.decode(data).body
    assert isinstance(body, KeyPackage)
    return body
