"""ts-mls in Node, as a member of a mixed group; what it holds is a number here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roomkey.crypto.suites import CipherSuite
from roomkey.mls.extensions import Extension
from roomkey.mls.proposals import Proposal

from tests.interop.members import EXPORT, PLAIN_EXPORT, Commit, Received, Refused, View, client_id, lifetime
from tests.interop.peer import Peer, PeerError, unpack


@dataclass
class TsMlsMember:
    """A client of ts-mls."""

    name: str
    suite: CipherSuite
    peer: Peer
    extension_types: tuple[int, ...] = ()
    keys: int | None = None
    state: int | None = None
    pending: int | None = None
    resuming: int | None = None  # the state of a group that this one resumes
    leaf: int = -1
    identity: str = ""  # in its credential; else `client_id` of its name

    def __post_init__(self) -> None:
        self.identity = self.identity or str(client_id(self.name))

    async def key_package(self, again: int | None = None) -> bytes:
        """`again`: with the signature key of this earlier one."""
        window = lifetime()
        made = self.peer.ask(
            "key_package", suite=self.suite.number, identity=self.identity.encode(), again=again,
            not_before=window.not_before, not_after=window.not_after, extension_types=self.extension_types,
        )  # fmt: skip
        self.keys = made["keys"]
        return unpack(made["message"])

    async def create(self, group_id: bytes, extensions: Sequence[Extension] = ()) -> None:
        await self.key_package()
        plain = [(item.extension_type, item.extension_data) for item in extensions]
        await self._take(self.ask("create", keys=self.keys, group_id=group_id, extensions=plain)["state"])

    async def join(self, welcome: bytes, tree: bytes | None, psks: Mapping[bytes, bytes]) -> None:
        made = self.ask("join", keys=self.keys, welcome=welcome, tree=tree, psks=dict(psks), resuming=self.resuming)
        await self._take(made["state"])

    async def commit(
        self, proposals: Sequence[Proposal], *, path: bool, public: bool, psks: Mapping[bytes, bytes], tree_inside: bool
    ) -> Commit:
        made = self.ask(
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

    async def follow(self, data: bytes) -> Received:
        """Processes a commit that is not ordered yet; it becomes ours with `adopt`."""
        made = self.ask("process", state=self.state, message=data)
        self.pending = made["state"]
        return Received(made["kind"])

    async def propose(self, proposal: Proposal | None, *, public: bool) -> bytes:
        if proposal is None:
            made = self.ask("propose_update", state=self.state, public=public)
        else:
            made = self.ask("propose", state=self.state, proposal=proposal.encode(), public=public)
        self._replace(made["state"])
        return unpack(made["message"])

    async def process(self, data: bytes, psks: Mapping[bytes, bytes]) -> Received:
        made = self.ask("process", state=self.state, message=data, psks=dict(psks))
        self._replace(made["state"])
        return Received(made["kind"], unpack(made.get("data", "")))

    async def protect(self, data: bytes, authenticated_data: bytes = b"") -> bytes:
        made = self.ask("protect", state=self.state, data=data, aad=authenticated_data)
        self._replace(made["state"])
        return unpack(made["message"])

    async def view(self) -> View:
        seen = self.ask("view", state=self.state, exports=[PLAIN_EXPORT, EXPORT])
        self.leaf = seen["leaf"]
        plain, exported = map(unpack, seen["exporters"])
        context, authenticator = unpack(seen["context"]), unpack(seen["authenticator"])
        return View(seen["epoch"], plain, exported, context, authenticator, unpack(seen["tree_hash"]))

    async def reload(self) -> None:
        self._replace(self.ask("reload", state=self.state)["state"])

    async def join_from_outside(self, group_info: bytes, *, resync: bool = False) -> bytes:
        """Joins by an external commit, whose message this is; `resync` removes our earlier self with it."""
        await self.key_package(again=self.keys if resync else None)
        made = self.ask("external_join", keys=self.keys, group_info=group_info, resync=resync)
        await self._take(made["state"])
        return unpack(made["message"])

    async def join_as(self, state: int) -> None:
        """Adopts a group that an external commit made and that has won."""
        await self._take(state)

    async def propose_own_add(self, group_info: bytes) -> bytes:
        """Asks to be added: a proposal from outside."""
        await self.key_package()
        return unpack(self.ask("propose_own_add", keys=self.keys, group_info=group_info)["message"])

    async def group_info(self, *, bare: bool = True) -> bytes:
        """`bare`: with external_pub as ts-mls writes it (`faults.BARE_EXTERNAL_PUB`)."""
        return unpack(self.ask("group_info", state=self.state, bare=bare)["message"])

    async def reinit(self, group_id: bytes, suite: CipherSuite) -> bytes:
        """Ends the group in favour of another: the commit, adopted."""
        made = self.ask("reinit", state=self.state, group_id=group_id, suite=suite.number, extensions=[])
        self._replace(made["state"])
        return unpack(made["message"])

    async def resume(
        self, old: TsMlsMember, packages: Sequence[bytes], group_id: bytes, usage: str, suite: CipherSuite
    ) -> Commit:
        """Founds the group that resumes the old one; its first commit adds everybody else and is adopted."""
        await self.key_package()
        made = self.ask(
            "resume", state=old.state, keys=self.keys, packages=list(packages), group_id=group_id, usage=usage,
            suite=suite.number, extensions=[],
        )  # fmt: skip
        await self._take(made["state"])
        return Commit(unpack(made["message"]), unpack(made["welcome"]), unpack(made["tree"]))

    async def _take(self, state: int) -> None:
        self._replace(state)
        await self.view()  # knows the leaf index

    def _replace(self, state: int) -> None:
        if self.state is not None:
            self.peer.drop(self.state)
        self.state = state

    def ask(self, op: str, **request: object) -> dict[str, Any]:
        """One operation's answer. Raises Refused."""
        try:
            return self.peer.ask(op, **request)
        except PeerError as error:
            raise Refused(self.name, str(error)) from error
