"""Which opaque fields hold encoded values, for mutations that reach into them (see `shapes`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roomkey import tls
from roomkey.conference.ordering import RoomkeyGroup
from roomkey.conference.records import Delivery, PendingCommit, PendingEntry, Stranger
from roomkey.conference.tickets import RoomkeyTicket
from roomkey.crypto.labels import HPKECiphertext
from roomkey.federation.client_leaf import RoomkeyClient
from roomkey.federation.delivery_messages import CommitSubmission, MessageDelivery, StoredCommit
from roomkey.mls import framing
from roomkey.mls.extensions import Extension, ExtensionType, ExternalPub, ExternalSenders, RequiredCapabilities
from roomkey.mls.policy import RoomkeyPolicy
from roomkey.mls.private_content import PrivateApplication, PrivateCommit, PrivateProposal, SenderData
from roomkey.mls.ratchet_tree import _node
from roomkey.mls.secret_tree import StoredTree
from roomkey.mls.state import StoredGroup, StoredPast
from roomkey.mls.welcome import GroupInfo, GroupSecrets, Welcome
from roomkey.tls import vector

from tests.fuzz.shapes import Part, Tagged

TREE: tls.Codec[Any] = vector(_node)

_EXTENSIONS: dict[int, tls.Codec[Any]] = {
    ExtensionType.RATCHET_TREE: TREE,
    ExtensionType.REQUIRED_CAPABILITIES: RequiredCapabilities.codec(),
    ExtensionType.EXTERNAL_SENDERS: ExternalSenders.codec(),
    ExtensionType.ROOMKEY_CLIENT: RoomkeyClient.codec(),
    ExtensionType.ROOMKEY_GROUP: RoomkeyGroup.codec(),
    ExtensionType.ROOMKEY_NAME: tls.opaque(),
    ExtensionType.ROOMKEY_POLICY: RoomkeyPolicy.codec(),
    ExtensionType.ROOMKEY_TICKET: RoomkeyTicket.codec(),
    ExtensionType.EXTERNAL_PUB: ExternalPub.codec(),
}
_PRIVATE: dict[int, tls.Codec[Any]] = {
    framing.APPLICATION: PrivateApplication.codec(),
    framing.PROPOSAL: PrivateProposal.codec(),
    framing.COMMIT: PrivateCommit.codec(),
}
_message = framing.MLSMessage.codec()
_FIELDS: dict[tuple[type[tls.Struct], str], tls.Codec[Any] | Tagged] = {
    (Welcome, "encrypted_group_info"): Tagged(GroupInfo.codec()),
    (HPKECiphertext, "ciphertext"): Tagged(GroupSecrets.codec()),
    (framing.PrivateMessage, "encrypted_sender_data"): Tagged(SenderData.codec()),
    (StoredGroup, "tree"): TREE,
    (StoredGroup, "messages"): StoredTree.codec(),
    (StoredPast, "messages"): StoredTree.codec(),
    (MessageDelivery, "message"): _message,
    (CommitSubmission, "commit"): _message,
    (StoredCommit, "commit"): _message,
    (PendingCommit, "commit"): _message,
    (PendingCommit, "candidate"): StoredGroup.codec(),
    (PendingEntry, "commit"): _message,
    (Delivery, "message"): _message,
    (Stranger, "message"): _message,
}


def inside(cls: type[tls.Struct], field: str, fields: Mapping[str, Part]) -> tls.Codec[Any] | Tagged | None:
    """What an opaque field holds, as `Forgiving` seals it."""
    if cls is Extension and field == "extension_data":
        return _EXTENSIONS.get(fields["extension_type"].number())
    if cls is framing.PrivateMessage and field == "ciphertext":
        known = _PRIVATE.get(fields["content_type"].number())
        return None if known is None else Tagged(known)
    return _FIELDS.get((cls, field))
