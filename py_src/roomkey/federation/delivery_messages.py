"""What clients and delivery services send each other about messages and commits. The JSON bodies are in `delivery`.

The full description of the wire for people who write clients: web/docs/delivery-http.md.
"""

from __future__ import annotations

from typing import Annotated

from roomkey.federation.init_keys import InitKeySet, InitKeySetBundle
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.tls import U64, Codec, Opaque, Struct, fixed, uint32, vector
from roomkey.tls import opaque as opaque_of

DELIVERY = "application/roomkey-delivery"  # MessageDelivery
INBOX = "application/roomkey-inbox"  # a stream of InboxItem
GROUP = "application/roomkey-group"  # GroupRegistration
COMMIT = "application/roomkey-commit"  # CommitSubmission
COMMITS_READ = "application/roomkey-commits-read"  # CommitsRead
COMMITS = "application/roomkey-commits"  # StoredCommits
INIT_KEY_SETS = "application/roomkey-init-key-sets"  # claim: requests<V>, answered by bundles<V>; publish: sets<V>
FEDERATION = "application/mls-federation"  # the draft's GetUserInitKeyRequest and GetUserInitKeyResponse
MANIFEST = "application/roomkey-manifest"  # SignedManifest (roomkey.transparency.manifest)
JSON = "application/json"

CLIENT_ID = 32  # bytes: SHA-256 of a credential's public key
TOKEN = 32  # bytes: MLS-Exporter("roomkey ordering 1.0", "", 32)

_id: Codec[bytes] = fixed(CLIENT_ID)

# The bodies of INIT_KEY_SETS.
init_key_requests: Codec[tuple[GetUserInitKeyRequest, ...]] = vector(GetUserInitKeyRequest)
init_key_sets: Codec[tuple[InitKeySet, ...]] = vector(InitKeySet)
init_key_bundles: Codec[tuple[InitKeySetBundle, ...]] = vector(InitKeySetBundle)


# struct { opaque clients[32]<V>; opaque message<V>; } MessageDelivery;
class MessageDelivery(Struct):
    """One MLSMessage for the inboxes of the clients named."""

    clients: Annotated[tuple[bytes, ...], vector(_id)]
    message: Opaque


# struct { uint64 sequence; opaque message<0..2^32-1>; } InboxItem;
class InboxItem(Struct):
    """One message of an inbox; sequence 0 with an empty message is a heartbeat.

    The length has a fixed width so that a reader knows after 12 bytes how many are still to come.
    """

    sequence: U64
    message: Annotated[bytes, opaque_of(uint32)]


ITEM_HEAD = 12  # bytes of an InboxItem before its message


# struct { opaque group_id<V>; uint64 epoch; opaque token_hash[32]; } GroupRegistration;
class GroupRegistration(Struct):
    """Opens a group's register at `epoch`; `token_hash` is SHA-256 of that epoch's token."""

    group_id: Opaque
    epoch: U64
    token_hash: Annotated[bytes, fixed(32)]


# struct { opaque group_id<V>; uint64 epoch; opaque token[32]; opaque next_token_hash[32]; opaque commit<V>; }
# CommitSubmission;
class CommitSubmission(Struct):
    """A commit (MLSMessage) that ends `epoch`, with the token of that epoch and the hash of the next one's."""

    group_id: Opaque
    epoch: U64
    token: Annotated[bytes, fixed(TOKEN)]
    next_token_hash: Annotated[bytes, fixed(32)]
    commit: Opaque


# struct { opaque group_id<V>; uint64 epoch; opaque token[32]; } CommitsRead;
class CommitsRead(Struct):
    """Asks for the stored commits that ended `epoch` and later ones, showing the token of `epoch`."""

    group_id: Opaque
    epoch: U64
    token: Annotated[bytes, fixed(TOKEN)]


# struct { uint64 epoch; opaque commit<V>; opaque next_token_hash[32]; } StoredCommit;
class StoredCommit(Struct):
    """The commit that ended `epoch`, and the hash of the next epoch's token, as it was submitted."""

    epoch: U64
    commit: Opaque
    next_token_hash: Annotated[bytes, fixed(32)]


# struct { StoredCommit commits<V>; } StoredCommits;
class StoredCommits(Struct):
    """Consecutive commits, oldest first. An answer may stop early; who has processed it asks again from the epoch it
    is in then.
    """

    commits: Annotated[tuple[StoredCommit, ...], vector(StoredCommit)]
