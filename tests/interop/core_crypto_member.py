"""OpenMLS, by core-crypto in Node, as a member of a mixed group, for what its API allows.

It commits Adds, or Removes, or nothing, always with a path but for Adds, commits what others propose, takes external
commits and external proposals, and proposes nothing; it has no PSKs, ReInit or branches, adopts its commits at once,
and shows of an epoch its number and one exporter. It insists on identities of its own form (`members.client_id`)
and, in groups it creates, on members whose capabilities list X.509 credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roomkey.crypto.suites import CipherSuite
from roomkey.mls.extensions import Extension
from roomkey.mls.framing import MLSMessage, message
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.proposals import Add, Proposal, Remove
from roomkey.mls.welcome import GroupInfo

from tests.interop.members import PLAIN_EXPORT, ClientId, Commit, Received, Refused, View, client_id
from tests.interop.peer import Peer, PeerError, unpack


@dataclass
class CoreCryptoMember:
    """A client of core-crypto. It knows members by identity, not by leaf: `who` says who sits there."""

    name: str
    suite: CipherSuite
    peer: Peer
    group_id: bytes
    who: Callable[[int], ClientId]
    client: int | None = None
    leaf: int = -1
    info: bytes = b""  # the GroupInfo of its last commit, for strangers

    @property
    def identity(self) -> str:
        return str(client_id(self.name))

    async def key_package(self) -> bytes:
        made = self._ask("key_package", client=self._client())
        return message(KeyPackage.decode(unpack(made["message"]))).encode()  # it knows them bare only

    async def create(
        self, group_id: bytes, extensions: Sequence[Extension] = (), *, sender: bytes | None = None
    ) -> None:
        """`sender`: the key of whom the group lets propose from outside."""
        assert not extensions
        self._ask("create", client=self._client(), group_id=group_id, sender=sender)

    async def join(self, welcome: bytes, tree: bytes | None, psks: Mapping[bytes, bytes]) -> None:
        assert tree is None
        self._ask("join", client=self.client, welcome=welcome)

    async def join_from_outside(self, group_info: bytes) -> bytes:
        """Joins by an external commit, whose message this is."""
        info = MLSMessage.decode(group_info).body  # it knows them bare only
        assert isinstance(info, GroupInfo)
        return self._made(self._ask("enter", client=self._client(), group_info=info.encode())).message

    async def commit(
        self, proposals: Sequence[Proposal], *, path: bool, public: bool, psks: Mapping[bytes, bytes], tree_inside: bool
    ) -> Commit:
        bodies = [item.body for item in proposals]
        adds = [body.key_package.encode() for body in bodies if isinstance(body, Add)]
        removes = [self.who(body.removed)._asdict() for body in bodies if isinstance(body, Remove)]
        assert len(bodies) in (len(adds), len(removes)), "core-crypto commits Adds or Removes"
        if adds:
            made = self._ask("add", client=self.client, group_id=self.group_id, packages=adds)
        elif removes:
            made = self._ask("remove", client=self.client, group_id=self.group_id, names=removes)
        else:
            made = self._ask("update", client=self.client, group_id=self.group_id)
        return self._made(made)

    def adopt(self) -> None:
        """It did at once."""

    async def commit_proposals(self) -> Commit:
        """A commit of what others proposed."""
        made = self._ask("commit_proposals", client=self.client, group_id=self.group_id)
        return self._made(made)

    async def renew(self) -> Commit:
        """A commit that should give our leaf another credential's key."""
        return self._made(self._ask("renew", client=self.client, group_id=self.group_id, suite=self.suite.number))

    async def propose(self, proposal: Proposal | None, *, public: bool) -> bytes:
        raise NotImplementedError("core-crypto has no operation for proposals")

    async def process(self, data: bytes, psks: Mapping[bytes, bytes]) -> Received:
        made = self._ask("process", client=self.client, group_id=self.group_id, message=data)
        return Received(made["kind"], unpack(made.get("data", "")))

    async def protect(self, data: bytes, authenticated_data: bytes = b"") -> bytes:
        return unpack(self._ask("protect", client=self.client, group_id=self.group_id, data=data)["message"])

    async def view(self) -> View:
        seen = self._ask("view", client=self.client, group_id=self.group_id, length=PLAIN_EXPORT[2])
        return View(seen["epoch"], unpack(seen["exporter"]))

    async def reload(self) -> None:
        """Its state is in its database all along."""

    def _made(self, made: dict[str, Any]) -> Commit:
        self.info = unpack(made["group_info"])
        return Commit(unpack(made["message"]), None if made["welcome"] is None else unpack(made["welcome"]), None)

    def _client(self) -> int:
        if self.client is None:
            self.client = self._ask("client", suite=self.suite.number, **client_id(self.name)._asdict())["client"]
        return self.client

    def _ask(self, op: str, **request: object) -> dict[str, Any]:
        try:
            return self.peer.ask(op, **request)
        except PeerError as error:
            raise Refused(self.name, str(error)) from error
