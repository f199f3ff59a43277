"""What one identity's store holds, by name: every record is a struct, and a name says which conference it belongs to.

    account                          who we are (client/account.py)
    route/DOMAIN                     a delivery service (client/account.py)
    set/ID, spent/HASH               our published init-key sets (client/stock.py)
    pin/..., seen/..., claimed/...   what we know of others (client/contacts.py)
    conference/KEY                   ConferenceRecord
    members/KEY                      MembersRecord: who is in it and how each was proved
    new/KEY                          NewLeaves
    group/KEY                        the current group (mls/state)
    commit/KEY                       PendingCommit: ours, written before it is submitted
    entry/KEY                        PendingEntry: our way in by a ticket, written before it is submitted
    id/KEY                           the group's id, where another group has followed on the one that KEY names
    founding/KEY                     PendingFounding: a successor that we found, written before it is submitted
    welcome/KEY/HASH                 a Welcome to a successor (`following`)
    refused/KEY                      RefusedCommit
    former/KEY                       FormerGroup: what is left of the group before
    contexts/KEY                     ContextsRecord: which of our media streams were counted
    held/KEY/EPOCH/HASH              a message of an epoch that we have not reached
    message/KEY/SEQUENCE             StoredMessage
    stranger/GROUP/TIME/HASH         Stranger: a message of a group that we do not know, perhaps not yet
    out/DOMAIN/NUMBER                Delivery: to be sent, in order of number

GROUP is the group id in hex, numbers are 16 hex digits, so that names sort as their numbers do. KEY is GROUP, or
GROUP~PLACE for further conferences of that id: anybody can invite us to a group with an id that they have seen, and we
can be invited again where we were removed; which of them is true shows when it is accepted (`answering`). A KEY stays
for as long as the conference does, also where its group is followed by another (`succession`).
Nothing is ever changed but by `Store.write`, whole transactions; what a transaction must hold together is said where it
is made.
"""

from __future__ import annotations

from typing import Annotated

from roomkey.tls import U8, U32, U64, Opaque, Struct, fixed, one_of, uint8, uint32, vector

# ConferenceRecord.status
CREATING = 0  # not yet registered with its ordering service; a crash leaves nothing
INVITED = 1  # joined by a Welcome; its person has not answered
ACTIVE = 2
REMOVED = 3  # the keys are gone; messages can be read
FAILED = 4  # we went, because going on was not safe; as REMOVED
ENTERING = 5  # by a ticket: the group is ours if our external commit wins (`entering`)

# Delivery.kind
WELCOME = 1
COMMIT = 2
PROPOSAL = 3
MESSAGE = 4
SIGNAL = 5
KINDS = {WELCOME: "welcome", COMMIT: "commit", PROPOSAL: "proposal", MESSAGE: "message", SIGNAL: "signal"}

# PendingFounding.reason
REINIT = 1
BRANCH = 2

# Hashes of processed messages that are remembered, because an inbox delivers at least once. What could be repeated is
# what one service had in flight when it or we stopped.
RECENT = 128
RECENT_BYTES = 16


class ConferenceRecord(Struct):
    """A conference apart from its group. `ordering` is a domain, `created` Unix seconds, `inviter` a leaf index."""

    status: Annotated[int, one_of(uint8, CREATING, INVITED, ACTIVE, REMOVED, FAILED, ENTERING)]
    name: Opaque
    ordering: Opaque
    created: U64
    inviter: U32
    renew: U8 = 0  # we joined by a last resort: our leaf must be renewed once we accept
    next_seq: U64 = 1
    closed: U64 = 0  # what those who are gone say in epochs before this one is heard no more
    departing: Annotated[tuple[int, ...], vector(uint32)] = ()  # leaves that asked to be removed
    recent: Annotated[tuple[bytes, ...], vector(fixed(RECENT_BYTES))] = ()


class MemberRecord(Struct):
    """A member as it was proved when it was admitted; `by` is a word of `federation.trust`, `since` Unix seconds."""

    leaf: U32
    identity: Opaque
    identity_key: Opaque
    client: Annotated[bytes, fixed(32)]
    by: Opaque
    since: U64


class MembersRecord(Struct):
    epoch: U64
    members: Annotated[tuple[MemberRecord, ...], vector(MemberRecord)]


class NewLeaf(Struct):
    """A leaf, and the first epoch in which it is its owner's."""

    leaf: U32
    epoch: U64


class NewLeaves(Struct):
    """Leaves of who came in the last few epochs. Who left and came back has not left again by what they said before."""

    leaves: Annotated[tuple[NewLeaf, ...], vector(NewLeaf)]


class Delivery(Struct):
    """One MLSMessage for the clients of one domain."""

    group_id: Opaque
    kind: Annotated[int, one_of(uint8, *KINDS)]
    domain: Opaque
    clients: Annotated[tuple[bytes, ...], vector(fixed(32))]
    message: Opaque


class PendingCommit(Struct):
    """A commit that may or may not have won, and all that follows if it did: the next group and what goes to whom."""

    epoch: U64
    commit: Opaque
    candidate: Opaque
    members: Annotated[tuple[MemberRecord, ...], vector(MemberRecord)]
    deliveries: Annotated[tuple[Delivery, ...], vector(Delivery)]


class PendingEntry(Struct):
    """Our external commit that ends `epoch`, which may or may not have won: the token by which it is submitted, and
    what goes to whom if it did. The group that it makes is the conference's own.
    """

    epoch: U64
    token: Annotated[bytes, fixed(32)]
    commit: Opaque
    deliveries: Annotated[tuple[Delivery, ...], vector(Delivery)]


class PendingFounding(Struct):
    """A successor that we found, and that is the conference's group if its first commit wins: the token of its epoch 0,
    by which that is submitted, the group after it, and what goes to whom.
    """

    reason: Annotated[int, one_of(uint8, REINIT, BRANCH)]
    group_id: Opaque
    token: Annotated[bytes, fixed(32)]
    commit: Opaque
    candidate: Opaque
    members: Annotated[tuple[MemberRecord, ...], vector(MemberRecord)]
    deliveries: Annotated[tuple[Delivery, ...], vector(Delivery)]


class RefusedCommit(Struct):
    """A commit (its SHA-256) that we follow no more, whatever becomes of it (`refusing`); `without_inviter`: nor who
    made it.
    """

    hash: Annotated[bytes, fixed(32)]
    without_inviter: U8


class FormerGroup(Struct):
    """A group that another has followed on: what messages on their way need (mls/state). `ended`: Unix seconds."""

    ended: U64
    group: Opaque


class ContextsRecord(Struct):
    """The context value that our next media stream gets (`contexts`)."""

    next: U64


class Stranger(Struct):
    """A message whose Welcome may be on its way by another service; `received` Unix seconds."""

    received: U64
    message: Opaque


class StoredMessage(Struct):
    """An application message; `time` is when it was stored, Unix milliseconds."""

    epoch: U64
    time: U64
    leaf: U32
    own: U8
    identity: Opaque
    client: Annotated[bytes, fixed(32)]
    data: Opaque


def number(value: int) -> str:
    return f"{value:016x}"


def conference_key(group_id: bytes, place: int) -> str:
    """The key of the conference in this place, from 0, of those that have the group id."""
    return group_id.hex() if place == 0 else f"{group_id.hex()}~{place}"


def group_id_of(key: str) -> bytes:
    """The group id in a conference's key: of its first group."""
    return bytes.fromhex(key.partition("~")[0])


def conference_name(key: str) -> str:
    return f"conference/{key}"


def members_name(key: str) -> str:
    return f"members/{key}"


def new_name(key: str) -> str:
    return f"new/{key}"


def group_name(key: str) -> str:
    return f"group/{key}"


def commit_name(key: str) -> str:
    return f"commit/{key}"


def entry_name(key: str) -> str:
    return f"entry/{key}"


def id_name(key: str) -> str:
    return f"id/{key}"


def founding_name(key: str) -> str:
    return f"founding/{key}"


def refused_name(key: str) -> str:
    return f"refused/{key}"


def former_name(key: str) -> str:
    return f"former/{key}"


def contexts_name(key: str) -> str:
    return f"contexts/{key}"


def welcome_name(key: str, digest: bytes = b"") -> str:
    """The name of a Welcome to a successor, or the prefix of all."""
    return f"welcome/{key}/{digest.hex()}"


def held_name(key: str, epoch: int | None = None, digest: bytes = b"") -> str:
    """The name of a held message, or the prefix of all."""
    return f"held/{key}/" + ("" if epoch is None else f"{number(epoch)}/{digest.hex()}")


def message_name(key: str, seq: int | None = None) -> str:
    """The name of a stored message, or the prefix of all."""
    return f"message/{key}/{'' if seq is None else number(seq)}"


def stranger_name(group_id: bytes, came: float | None = None, digest: bytes = b"") -> str:
    """The name of a message of an unknown group that `came` at this time (Unix seconds), or the prefix of all of the
    group: they are read in the order of their coming.
    """
    return f"stranger/{group_id.hex()}/" + ("" if came is None else f"{number(int(came * 1e6))}/{digest.hex()}")


def out_name(domain: str, place: int) -> str:
    return f"out/{domain}/{number(place)}"
