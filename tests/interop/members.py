"""A member of a mixed group, whichever engine it runs: ours (`roomkey_member`) or ts-mls (`ts_mls_member`).

Proposals are our own structs; ts-mls gets them encoded and reads them with its own decoder.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from roomkey.crypto.suites import SUITES
from roomkey.mls.extensions import Extension
from roomkey.mls.framing import MLSMessage
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import Lifetime
from roomkey.mls.proposals import Proposal

# Exporters' label, context and length: longer than a hash, so that HKDF-Expand turns twice; and core-crypto's only one.
EXPORT = ("interop", b"both engines", 40)
PLAIN_EXPORT = ("exporter", b"", 32)

# What all engines can do.
COMMON_SUITES = tuple(suite for suite in SUITES.values() if not suite.experimental)

APPLICATION = "application"
PROPOSAL = "proposal"
COMMIT = "commit"
REMOVED = "removed"


class ClientId(NamedTuple):
    """An identity in the form that core-crypto insists on; the other engines take any."""

    uuid: str
    device: int
    domain: str

    def __str__(self) -> str:
        return f"{self.uuid}:{self.device}@{self.domain}"


def client_id(name: str) -> ClientId:
    """The identity of the member with this name."""
    return ClientId(str(UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4)), 1, "interop.example")


class View(NamedTuple):
    """What all members of an epoch must agree on. core-crypto shows the first two only."""

    epoch: int
    plain_exporter: bytes
    exporter: bytes | None = None
    context: bytes | None = None  # the encoded GroupContext
    authenticator: bytes | None = None
    tree_hash: bytes | None = None  # computed from the tree


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

    @property
    def identity(self) -> str:
        """In its credential."""

    @property
    def leaf(self) -> int:
        """Our leaf index."""

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

    async def reload(self) -> None:
        """Goes on with the group as it was stored and loaded."""


def lifetime() -> Lifetime:
    """A day around now: ts-mls takes the time from its own clock."""
    now = int(time.time())
    return Lifetime(now - 3600, now + 86400)


def read_key_package(data: bytes) -> KeyPackage:
    """The KeyPackage of an encoded MLSMessage."""
    body = MLSMessage.decode(data).body
    assert isinstance(body, KeyPackage)
    return body
