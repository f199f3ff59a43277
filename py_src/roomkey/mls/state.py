"""A group as it is stored: exact and versioned. Never sent.

What is stored holds the epoch's secrets and raw node keys; private keys that the host keeps stand as the names of
their handles. The store encrypts it (host/interface.py).

    version 1    an Update keeps the signature key of the member; no times (`state_v1`)
    version 2    an Update's signature key; the time since when a skipped key waits or an epoch is over; written now

A version that is not known here is refused, never guessed at.
"""

from __future__ import annotations

from typing import Annotated

from roomkey.crypto.provider import KeyHandle, KeyPair
from roomkey.crypto.suites import suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.mls import state_v1
from roomkey.mls.framing import Sender
from roomkey.mls.group import Group, OwnUpdate, PastEpoch, ReceivedProposal
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_schedule import EpochSecrets
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.proposals import Proposal, ReInit
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.secret_tree import SecretTree
from roomkey.tls import U8, U32, U64, Opaque, Struct, When, malformed, one_of, optional, uint16, vector

_FIRST, _VERSION = 1, 2

_RAW, _HANDLE = 0, 1


class StoredKeyPair(Struct):
    """`private` is the raw key, or the handle's id in ASCII."""

    public: Opaque
    kind: U8
    private: Opaque


class StoredNodeKey(Struct):
    node: U32
    pair: StoredKeyPair


class StoredProposal(Struct):
    reference: Opaque
    sender: Sender
    proposal: Proposal


class FirstUpdate(Struct):
    """Of version 1."""

    reference: Opaque
    encryption: StoredKeyPair


class StoredUpdate(Struct):
    reference: Opaque
    encryption: StoredKeyPair
    signature: StoredKeyPair


class StoredResumption(Struct):
    epoch: U64
    secret: Opaque


class StoredMember(Struct):
    index: U32
    leaf: LeafNode


class StoredPast(Struct):
    context: GroupContext
    sender_data_secret: Opaque
    messages: Opaque
    members: Annotated[tuple[StoredMember, ...], vector(StoredMember)]
    ended: U64


class FirstPast(Struct):
    """Of version 1, as the secret tree in it."""

    context: GroupContext
    sender_data_secret: Opaque
    messages: Opaque
    members: Annotated[tuple[StoredMember, ...], vector(StoredMember)]


class StoredGroup(Struct):
    _elements = 1 << 24  # our own bytes: the members of several epochs, as many as there are
    version: Annotated[int, one_of(uint16, _FIRST, _VERSION)]
    context: GroupContext
    tree: Opaque
    own_leaf: U32
    signature: StoredKeyPair
    path_keys: Annotated[tuple[StoredNodeKey, ...], vector(StoredNodeKey)]
    secrets: EpochSecrets
    messages: Opaque
    interim_transcript_hash: Opaque
    confirmation_tag: Opaque
    proposals: Annotated[tuple[StoredProposal, ...], vector(StoredProposal)]
    own_updates: Annotated[
        tuple[FirstUpdate | StoredUpdate, ...],
        When("version", {_FIRST: vector(FirstUpdate), _VERSION: vector(StoredUpdate)}),
    ]
    resumption: Annotated[tuple[StoredResumption, ...], vector(StoredResumption)]
    past: Annotated[
        tuple[StoredPast | FirstPast, ...], When("version", {_FIRST: vector(FirstPast), _VERSION: vector(StoredPast)})
    ]
    reinit: Annotated[ReInit | None, optional(ReInit)]


def encode_group(group: Group) -> bytes:
    """The group's bytes, secrets included."""
    return StoredGroup(
        _VERSION,
        group.context,
        group.tree.encode(),
        group.own_leaf,
        store_pair(group.signature),
        tuple(StoredNodeKey(node, store_pair(pair)) for node, pair in sorted(group.path_keys.items())),
        group.secrets,
        group.messages.encode(),
        group.interim_transcript_hash,
        group.confirmation_tag,
        tuple(StoredProposal(*item) for item in group.proposals),
        tuple(_store_update(item) for item in group.own_updates),
        tuple(StoredResumption(epoch, secret) for epoch, secret in group.resumption),
        tuple(_store_past(past) for past in group.past),
        group.reinit,
    ).encode()


def decode_group(data: bytes) -> Group:
    """The group that `encode_group` stored, in this version or an older one. Errors: "unsupported-state" for any
    other version, "malformed", "unsupported-suite".
    """
    version = int.from_bytes(data[:2])
    if len(data) >= 2 and not _FIRST <= version <= _VERSION:
        raise RoomkeyError("unsupported-state", f"expected a group of version {_FIRST} to {_VERSION}, got {version}")
    stored = StoredGroup.decode(data)
    suite = suite_by_number(stored.context.cipher_suite)
    return Group(
        suite,
        stored.context,
        RatchetTree.decode(suite, stored.tree),
        stored.own_leaf,
        load_pair(stored.signature),
        {key.node: load_pair(key.pair) for key in stored.path_keys},
        stored.secrets,
        _load_tree(stored.messages, stored.version),
        stored.interim_transcript_hash,
        stored.confirmation_tag,
        tuple(ReceivedProposal(item.reference, item.sender, item.proposal) for item in stored.proposals),
        tuple(_load_update(item, stored.signature) for item in stored.own_updates),
        tuple((item.epoch, item.secret) for item in stored.resumption),
        tuple(_load_past(past) for past in stored.past),
        stored.reinit,
    )


def _store_update(item: OwnUpdate) -> StoredUpdate:
    return StoredUpdate(item.reference, store_pair(item.encryption), store_pair(item.signature))


def _load_update(stored: FirstUpdate | StoredUpdate, before: StoredKeyPair) -> OwnUpdate:
    signature = stored.signature if isinstance(stored, StoredUpdate) else before
    return OwnUpdate(stored.reference, load_pair(stored.encryption), load_pair(signature))


def store_pair(pair: KeyPair) -> StoredKeyPair:
    if isinstance(pair.private, KeyHandle):
        return StoredKeyPair(pair.public, _HANDLE, pair.private.id.encode("ascii"))
    return StoredKeyPair(pair.public, _RAW, pair.private)


def load_pair(stored: StoredKeyPair) -> KeyPair:
    if stored.kind == _HANDLE and not stored.private.isascii():
        raise malformed("private", "the name of a key", "other bytes")
    private = KeyHandle(stored.private.decode("ascii")) if stored.kind == _HANDLE else stored.private
    return KeyPair(stored.public, private)


def _store_past(past: PastEpoch) -> StoredPast:
    members = tuple(StoredMember(index, leaf) for index, leaf in past.members.items())
    return StoredPast(past.context, past.sender_data_secret, past.messages.encode(), members, past.ended)


def _load_past(stored: StoredPast | FirstPast) -> PastEpoch:
    members = {member.index: member.leaf for member in stored.members}
    version, ended = (_VERSION, stored.ended) if isinstance(stored, StoredPast) else (_FIRST, 0)
    return PastEpoch(stored.context, stored.sender_data_secret, _load_tree(stored.messages, version), members, ended)


def _load_tree(data: bytes, version: int) -> SecretTree:
    return SecretTree.decode(state_v1.upgraded(data) if version == _FIRST else data)
