"""What stands inside a PrivateMessage, and the keys it is sealed under (RFC 9420 section 6.3). `protection` uses it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from roomkey.crypto.labels import expand_with_label
from roomkey.crypto.provider import SealItem
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.commit import Commit
from roomkey.mls.framing import (
    APPLICATION,
    COMMIT,
    PRIVATE_MESSAGE,
    PROPOSAL,
    AuthenticatedContent,
    ContentType,
    FramedContent,
    PrivateMessage,
    member,
)
from roomkey.mls.proposals import Proposal
from roomkey.mls.secret_tree import Kind, MessageKey
from roomkey.tls import U32, U64, Opaque, Struct, fixed, malformed, rest

GUARD_SIZE = 4  # bytes of a reuse guard


class PrivateApplication(Struct):
    """PrivateMessageContent of application data. The content type stands outside of it, so each has its own struct.

    struct {
        select (PrivateMessage.content_type) {
            case application: opaque application_data<V>;
            case proposal: Proposal proposal;
            case commit: Commit commit;
        };
        FramedContentAuthData auth;
        opaque padding[length_of_padding];
    } PrivateMessageContent;
    """

    content: Opaque
    signature: Opaque
    padding: Annotated[bytes, rest]


class PrivateProposal(Struct):
    """PrivateMessageContent of a proposal."""

    content: Proposal
    signature: Opaque
    padding: Annotated[bytes, rest]


class PrivateCommit(Struct):
    """PrivateMessageContent of a commit."""

    content: Commit
    signature: Opaque
    confirmation_tag: Opaque
    padding: Annotated[bytes, rest]


class PrivateContentAAD(Struct):
    """What the content's encryption is bound to.

    struct {
        opaque group_id<V>;
        uint64 epoch;
        ContentType content_type;
        opaque authenticated_data<V>;
    } PrivateContentAAD;
    """

    group_id: Opaque
    epoch: U64
    content_type: ContentType
    authenticated_data: Opaque


class SenderData(Struct):
    """`struct { uint32 leaf_index; uint32 generation; opaque reuse_guard[4]; } SenderData;`"""

    leaf_index: U32
    generation: U32
    reuse_guard: Annotated[bytes, fixed(4)]


class SenderDataAAD(Struct):
    """`struct { opaque group_id<V>; uint64 epoch; ContentType content_type; } SenderDataAAD;`"""

    group_id: Opaque
    epoch: U64
    content_type: ContentType


class Padding(NamedTuple):
    """Zero bytes are added until a private content's length is a multiple of `multiple` bytes; 1 adds none."""

    multiple: int


# Hides the length of short texts and of most proposals; costs 128 bytes a message on average.
PAD_256 = Padding(256)
NO_PADDING = Padding(1)


def kind_of(content_type: int) -> Kind:
    return "application" if content_type == APPLICATION else "handshake"


_INNER: dict[int, type[PrivateApplication | PrivateProposal | PrivateCommit]] = {
    APPLICATION: PrivateApplication,
    PROPOSAL: PrivateProposal,
    COMMIT: PrivateCommit,
}


def encode_inner(content: AuthenticatedContent, padding: Padding) -> bytes:
    """The padded plaintext of a content. Errors: "bad-argument" for a commit without its confirmation tag."""
    body = content.content.content
    if isinstance(body, bytes):
        plain = PrivateApplication(body, content.signature, b"").encode()
    elif isinstance(body, Commit):
        if content.confirmation_tag is None:
            raise RoomkeyError("bad-argument", "expected a commit with its confirmation tag")
        plain = PrivateCommit(body, content.signature, content.confirmation_tag, b"").encode()
    else:
        plain = PrivateProposal(body, content.signature, b"").encode()
    return plain + bytes(-len(plain) % padding.multiple)


def decode_inner(message: PrivateMessage, sender: SenderData, plain: bytes) -> AuthenticatedContent:
    """The content of a decrypted PrivateMessage. Errors: "malformed", also for padding that is not all zero."""
    inner = _INNER[message.content_type].decode(plain)
    if any(inner.padding):
        raise malformed("padding", "zero bytes only", "others")
    framed = FramedContent(
        message.group_id,
        message.epoch,
        member(sender.leaf_index),
        message.authenticated_data,
        message.content_type,
        inner.content,
    )
    tag = inner.confirmation_tag if isinstance(inner, PrivateCommit) else None
    return AuthenticatedContent(PRIVATE_MESSAGE, framed, inner.signature, tag)


def content_item(suite: CipherSuite, key: MessageKey, guard: bytes, aad: PrivateContentAAD, text: bytes) -> SealItem:
    """The reuse guard is XORed onto the nonce's first bytes (section 6.3.1)."""
    head = bytes(a ^ b for a, b in zip(key.nonce, guard, strict=False))
    return SealItem(suite.aead, key.key, head + key.nonce[GUARD_SIZE:], aad.encode(), text)


def sender_data_key(suite: CipherSuite, sender_data_secret: bytes, ciphertext: bytes) -> MessageKey:
    """Key and nonce for the sender data beside this ciphertext (section 6.3.2)."""
    sample = ciphertext[: suite.nh]
    return MessageKey(
        expand_with_label(suite, sender_data_secret, b"key", sample, suite.nk),
        expand_with_label(suite, sender_data_secret, b"nonce", sample, suite.nn),
    )


def sender_item(
    suite: CipherSuite, secret: bytes, framed: FramedContent | PrivateMessage, ciphertext: bytes, text: bytes
) -> SealItem:
    key, nonce = sender_data_key(suite, secret, ciphertext)
    aad = SenderDataAAD(framed.group_id, framed.epoch, framed.content_type)
    return SealItem(suite.aead, key, nonce, aad.encode(), text)
