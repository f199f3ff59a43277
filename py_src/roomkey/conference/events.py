"""What a conference tells: values, no secrets. Fired after the transaction that made them true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roomkey.errors import RoomkeyError

# How an identity was proved: by a transparency log, by a key pinned before, on first use, or because it is our own.
By = str


@dataclass(frozen=True)
class Member:
    """A member as it was proved when admitted. `identity_key` is its credential's key, `client` that key's SHA-256;
    `since` Unix seconds.
    """

    identity: str
    client: bytes
    identity_key: bytes
    leaf: int
    by: By
    since: int
    own: bool


@dataclass(frozen=True)
class Message:
    """An application message as it is stored; `time` Unix seconds."""

    seq: int
    epoch: int
    identity: str
    client: bytes
    leaf: int
    own: bool
    data: bytes
    time: float


@dataclass(frozen=True)
class EpochChanged:
    epoch: int


@dataclass(frozen=True)
class MembersChanged:
    """Who came and who went. `entered`: who came by themselves, by a ticket; also who so came back in their own old
    place, which is no change of `added` and `removed`.
    """

    added: tuple[Member, ...]
    removed: tuple[Member, ...]
    entered: tuple[Member, ...] = ()


@dataclass(frozen=True)
class MessageArrived:
    message: Message


@dataclass(frozen=True)
class SignalArrived:
    """What a member said for the moment (`signals`): it is stored nowhere."""

    sender: Member
    kind: int  # of `signals.KINDS`
    data: bytes


@dataclass(frozen=True)
class Ended:
    """Nothing more comes: "removed" by `by`, "left" by ourselves, or "downgrade" or "failed" because going on was not
    safe.
    """

    reason: Literal["removed", "left", "downgrade", "failed"]
    by: Member | None = None
    error: RoomkeyError | None = None


@dataclass(frozen=True)
class Succeeded:
    """The conference goes on in a new group, with a new id: "reinit" because its members agreed on a better suite,
    "branch" because somebody's commit was one that nobody can follow.
    """

    old_id: bytes
    reason: Literal["reinit", "branch"]


@dataclass(frozen=True)
class UpgradeOffered:
    """Every member offers a suite that is better than the conference's: `Conference.upgrade` moves it there."""

    suite: int


@dataclass(frozen=True)
class Failed:
    """Something in the background went wrong; the conference goes on."""

    error: RoomkeyError


Event: TypeAlias = (
    EpochChanged | MembersChanged | MessageArrived | SignalArrived | Succeeded | UpgradeOffered | Ended | Failed
)
