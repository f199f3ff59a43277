"""Our engine on CPython, as a member of a mixed group."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.committing import commit, group_info, propose, propose_update
from roomkey.mls.creation import create_group
from roomkey.mls.credential import BASIC, Credential
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.external import external_commit, propose_own_add, read_group_info
from roomkey.mls.framing import PRIVATE_MESSAGE, PUBLIC_MESSAGE, message
from roomkey.mls.group import STRICT, Group, JoinKeys, OwnKeys, Policy, Psks
from roomkey.mls.joining import join
from roomkey.mls.key_package import KeyPackage, PackageKeys, make_key_packages
from roomkey.mls.key_schedule import external_key_pair
from roomkey.mls.leaf_node import own_capabilities
from roomkey.mls.processing import ApplicationMessage, ProposalReceived, process, protect
from roomkey.mls.proposals import Proposal
from roomkey.mls.state import decode_group, encode_group
from roomkey.mls.successor import branch_group, reinit_group
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.welcome import sign_group_info

from tests.interop.members import (
    APPLICATION,
    COMMIT,
    COMMON_SUITES,
    EXPORT,
    PLAIN_EXPORT,
    PROPOSAL,
    REMOVED,
    Commit,
    Received,
    Refused,
    View,
    client_id,
    lifetime,
    read_key_package,
)


@dataclass
class RoomkeyMember:
    """A client of our engine."""

    name: str
    suite: CipherSuite
    extension_types: tuple[int, ...] = ()
    crypto: CryptoProvider = field(default_factory=NativeCrypto)
    keys: JoinKeys | None = None
    group: Group | None = None
    pending: Group | None = None  # what our commit, or one that we follow, leads to
    policy: Policy = STRICT
    credential_types: tuple[int, ...] = (BASIC,)  # listed as supported
    resuming: Group | None = None  # the group that the next one resumes
    identity: str = ""  # in its credential; else `client_id` of its name

    def __post_init__(self) -> None:
        self.identity = self.identity or str(client_id(self.name))

    @property
    def leaf(self) -> int:
        return self._group.own_leaf

    @property
    def _group(self) -> Group:
        assert self.group is not None
        return self.group

    async def key_package(self) -> bytes:
        return message(await self.publish()).encode()

    async def publish(self, signature: KeyPair | None = None) -> KeyPackage:
        """A KeyPackage by this signature key, or a fresh one."""
        if signature is None:
            (signature,) = await self.crypto.generate_keys(self.suite.scheme, 1)
        init, encryption = await self.crypto.generate_keys(self.suite.group, 2)
        capabilities = own_capabilities(sorted({suite.number for suite in (*COMMON_SUITES, self.suite)}))
        capabilities = capabilities.replace(
            extensions=(*capabilities.extensions, *self.extension_types), credentials=self.credential_types
        )
        (package,) = await make_key_packages(
            self.crypto, self.suite, Credential.basic(self.identity.encode()), signature,
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
            former = [] if self.resuming is None else [self.resuming]
            joined = await join(self.crypto, welcome, [self.keys], tree=tree, psks=Psks(psks), former=former)
        except RoomkeyError as error:
            raise self._refused(error) from error
        self.group = joined.group

    async def commit(
        self, proposals: Sequence[Proposal], *, path: bool, public: bool, psks: Mapping[bytes, bytes], tree_inside: bool
    ) -> Commit:
        try:
            made = await commit(
                self.crypto, self._group, time.time(), proposals=proposals, path=path or None, psks=Psks(psks),
                policy=self.policy, wire_format=PUBLIC_MESSAGE if public else PRIVATE_MESSAGE, with_tree=tree_inside,
            )  # fmt: skip
        except RoomkeyError as error:
            raise self._refused(error) from error
        self.pending = made.group
        return Commit(made.message, made.welcome, None if tree_inside else made.group.tree.encode())

    def adopt(self) -> None:
        assert self.pending is not None
        self.group, self.pending = self.pending, None

    async def follow(self, data: bytes) -> Received:
        """Processes a commit that is not ordered yet; it becomes ours with `adopt`."""
        before = self.group
        received = await self.process(data, {})
        self.group, self.pending = before, self.group
        return received

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
        group = self._group
        plain, exported = (
            group.export(label.encode(), context, size) for label, context, size in (PLAIN_EXPORT, EXPORT)
        )
        return View(
            group.epoch, plain, exported, group.context.encode(), group.epoch_authenticator, tree_hash(group.tree)
        )

    async def reload(self) -> None:
        stored = encode_group(self._group)
        self.group = decode_group(stored)
        assert encode_group(self.group) == stored

    async def join_from_outside(self, group_info: bytes, *, resync: bool = False) -> bytes:
        """Joins by an external commit, whose message this is; `resync` removes our earlier self with it."""
        await self.publish(self._group.signature if resync else None)
        assert self.keys is not None
        try:
            made = await external_commit(self.crypto, group_info, self.keys, time.time())
        except RoomkeyError as error:
            raise self._refused(error) from error
        assert (made.replaced is not None) == resync
        self.group = made.group
        return made.message

    async def propose_own_add(self, group_info: bytes) -> bytes:
        """Asks to be added: a proposal from outside."""
        await self.publish()
        assert self.keys is not None
        known = await read_group_info(self.crypto, group_info)
        return await propose_own_add(self.crypto, known.context, self.keys, time.time())

    async def resume(
        self, old: Group, packages: Sequence[bytes], group_id: bytes, usage: str, *, with_tree: bool
    ) -> Commit:
        """Founds the group that resumes the old one; its first commit adds everybody else and is adopted."""
        await self.publish()
        assert self.keys is not None
        others, now = [read_key_package(package) for package in packages], time.time()
        if usage == "branch":
            made = await branch_group(self.crypto, old, self.keys, others, group_id, now, with_tree=with_tree)
        else:
            made = await reinit_group(self.crypto, old, self.keys, others, now, with_tree=with_tree)
        self.group = made.group
        return Commit(made.message, made.welcome, None if with_tree else made.group.tree.encode())

    async def group_info(self, external_pub: Extension | None = None) -> bytes:
        """A GroupInfo for strangers, or one with this extension in place of the key for external commits."""
        info = await group_info(self.crypto, self._group, external=external_pub is None)
        if external_pub is not None:
            info = await sign_group_info(
                self.crypto, self.suite, self._group.signature, self.leaf, info.group_context,
                (*info.extensions, external_pub), info.confirmation_tag,
            )  # fmt: skip
        return message(info).encode()

    async def bare_external_key(self) -> Extension:
        """external_pub without the length of its vector."""
        pair = await external_key_pair(self.crypto, self.suite, self._group.secrets.external_secret)
        return Extension(ExtensionType.EXTERNAL_PUB, pair.public)

    def _refused(self, error: RoomkeyError) -> Refused:
        return Refused(self.name, str(error.details.get("rule", error.code)))
