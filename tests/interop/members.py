"""A member of a mixed group, whichever engine it runs: ours (`roomkey_member`) or ts-mls (`ts_mls_member`).

Proposals are our own structs; ts-mls gets them encoded and reads them with its own decoder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from roomkey.mls.extensions import Extension
from roomkey.mls.framing import MLSMessage
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import Lifetime
from roomkey.mls.proposals import Proposal

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
