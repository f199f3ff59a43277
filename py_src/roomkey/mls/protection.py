"""Signing, verifying, protecting and unprotecting framed contents (RFC 9420 sections 6.1 to 6.3).

    sending    FramedContent -> sign -> AuthenticatedContent -> protect_public | protect_private -> message
    receiving  message -> open_public | open_private -> AuthenticatedContent -> verify -> VerifiedContent

What a VerifiedContent proves: it was made for this group, epoch and wire format (`expect_current`), by somebody who
knows the epoch's secrets (membership tag, or the AEAD; not for senders from outside), and signed by the key it was
verified with. What the caller still owes: to give the key of the sender's leaf (or the external sender's, or the new
member's), to check what the sender may say, and a commit's confirmation tag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from roomkey.crypto.labels import Signed, Signing, equal, mac, sign_with_label, verify_with_label
from roomkey.crypto.provider import CryptoProvider, KeyPair, SealItem
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.framing import (
    APPLICATION,
    COMMIT,
    MEMBER,
    NEW_MEMBER_COMMIT,
    PRIVATE_MESSAGE,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    FramedContentTBS,
    PrivateMessage,
    PublicMessage,
)
from roomkey.mls.group_context import GroupContext
from roomkey.mls.private_content import (
    GUARD_SIZE,
    PAD_256,
    Padding,
    PrivateContentAAD,
    SenderData,
    content_item,
    decode_inner,
    encode_inner,
    kind_of,
    sender_item,
)
from roomkey.mls.secret_tree import SecretTree
from roomkey.mls.validation import violation
from roomkey.mls.version import MLS10
from roomkey.tls import Opaque, Struct, When, opaque

_LABEL = b"FramedContentTBS"


class AuthenticatedContentTBM(Struct):
    """`struct { FramedContentTBS content_tbs; FramedContentAuthData auth; } AuthenticatedContentTBM;`"""

    content_tbs: FramedContentTBS
    signature: Opaque
    confirmation_tag: Annotated[bytes | None, When("content_tbs.content.content_type", {COMMIT: opaque()})]


@dataclass(frozen=True, slots=True, repr=False)
class VerifiedContent:
    """A content whose signature holds. `verify` makes it; `own_content` for what we signed ourselves."""

    authenticated: AuthenticatedContent

    @property
    def framed(self) -> FramedContent:
        return self.authenticated.content


def _tbs(context: GroupContext, wire_format: int, content: FramedContent) -> FramedContentTBS:
    bound = content.sender.sender_type in (MEMBER, NEW_MEMBER_COMMIT)
    return FramedContentTBS(MLS10, wire_format, content, context if bound else None)


async def sign(
    crypto: CryptoProvider,
    suite: CipherSuite,
    context: GroupContext,
    items: Sequence[tuple[KeyPair, int, FramedContent]],
) -> list[bytes]:
    """The signatures of contents, each with its signer's key and the wire format it will travel in (section 6.1)."""
    return await sign_with_label(
        crypto, suite, [Signing(key, _LABEL, _tbs(context, form, content).encode()) for key, form, content in items]
    )


async def verify(
    crypto: CryptoProvider,
    suite: CipherSuite,
    context: GroupContext,
    items: Sequence[tuple[AuthenticatedContent, bytes]],
) -> list[VerifiedContent]:
    """Verifies contents, each with its sender's public signature key, in one batch.

    Errors: "invalid-signature" for the first that does not hold; none is answered then.
    """
    asked = [
        Signed(public, _LABEL, _tbs(context, item.wire_format, item.content).encode(), item.signature)
        for item, public in items
    ]
    for index, good in enumerate(await verify_with_label(crypto, suite, asked)):
        if not good:
            raise violation("message-signature", f"got one that does not, content {index} of {len(asked)}")
    return [VerifiedContent(item) for item, _ in items]


def own_content(content: AuthenticatedContent) -> VerifiedContent:
    """Takes a content that this client has just signed as verified."""
    return VerifiedContent(content)


def expect_current(context: GroupContext, message: PublicMessage | PrivateMessage) -> None:
    """Errors: "wrong-group", "wrong-epoch" if the message is not of the context's group and epoch."""
    framed = message.content if isinstance(message, PublicMessage) else message
    if framed.group_id != context.group_id:
        raise violation("message-group")
    if framed.epoch != context.epoch:
        raise violation("message-epoch", f"expected epoch {context.epoch}, got {framed.epoch}")


def _membership_tag(
    suite: CipherSuite, context: GroupContext, membership_key: bytes, content: AuthenticatedContent
) -> bytes:
    tbs = _tbs(context, content.wire_format, content.content)
    return mac(
        suite, membership_key, AuthenticatedContentTBM(tbs, content.signature, content.confirmation_tag).encode()
    )


def protect_public(
    suite: CipherSuite, context: GroupContext, membership_key: bytes, content: AuthenticatedContent
) -> PublicMessage:
    """The content as PublicMessage (section 6.2).

    Errors: "bad-argument" for application data, or if it was signed for encryption.
    """
    if content.content.content_type == APPLICATION:
        raise RoomkeyError(
            "bad-argument", "expected a proposal or commit, got application data, which is always encrypted"
        )
    if content.wire_format != PUBLIC_MESSAGE:
        raise RoomkeyError("bad-argument", "expected a content signed for a public message")
    tag = None
    if content.content.sender.sender_type == MEMBER:
        tag = _membership_tag(suite, context, membership_key, content)
    return PublicMessage(content.content, content.signature, content.confirmation_tag, tag)


def open_public(
    suite: CipherSuite, context: GroupContext, membership_key: bytes, message: PublicMessage
) -> AuthenticatedContent:
    """The content of a PublicMessage, after these checks:

    1. it is of this group and epoch ("wrong-group", "wrong-epoch");
    2. it is no application data ("invalid-message");
    3. a member's membership tag holds ("invalid-tag"); other senders have none.
    """
    # 1.
    expect_current(context, message)
    # 2.
    if message.content.content_type == APPLICATION:
        raise violation("message-application-encrypted")
    content = AuthenticatedContent(PUBLIC_MESSAGE, message.content, message.signature, message.confirmation_tag)
    # 3.
    if message.membership_tag is not None:
        expected = _membership_tag(suite, context, membership_key, content)
        if not equal(expected, message.membership_tag):
            raise violation("message-membership-tag", f"got {len(message.membership_tag)} bytes that do not match")
    return content


async def protect_private(
    crypto: CryptoProvider,
    context: GroupContext,
    sender_data_secret: bytes,
    tree: SecretTree,
    contents: Sequence[AuthenticatedContent],
    padding: Padding = PAD_256,
) -> tuple[SecretTree, list[PrivateMessage]]:
    """Contents of our own leaf as PrivateMessages (section 6.3), and the tree without their keys.

    The tree must be stored before a message leaves. Errors: "bad-argument" if a content's sender is no member, or it
    was signed for a public message.
    """
    suite = tree.suite
    sealing: list[SealItem] = []
    senders: list[bytes] = []
    for content in contents:
        framed = content.content
        leaf_index = framed.sender.leaf_index
        if leaf_index is None or content.wire_format != PRIVATE_MESSAGE:
            raise RoomkeyError("bad-argument", "expected a member's content signed for a private message")
        tree, generation, key = tree.next_key(leaf_index, kind_of(framed.content_type))
        guard = crypto.random(GUARD_SIZE)
        senders.append(SenderData(leaf_index, generation, guard).encode())
        aad = PrivateContentAAD(framed.group_id, framed.epoch, framed.content_type, framed.authenticated_data)
        sealing.append(content_item(suite, key, guard, aad, encode_inner(content, padding)))
    ciphertexts = await crypto.seal(sealing)
    sealed_senders = await crypto.seal(
        [
            sender_item(suite, sender_data_secret, content.content, ciphertext, sender)
            for content, ciphertext, sender in zip(contents, ciphertexts, senders, strict=True)
        ]
    )
    return tree, [
        PrivateMessage(f.group_id, f.epoch, f.content_type, f.authenticated_data, sender, ciphertext)
        for f, sender, ciphertext in zip((c.content for c in contents), sealed_senders, ciphertexts, strict=True)
    ]


async def open_private(
    crypto: CryptoProvider,
    context: GroupContext,
    sender_data_secret: bytes,
    tree: SecretTree,
    message: PrivateMessage,
    check_sender: Callable[[int], None],
) -> tuple[SecretTree, AuthenticatedContent]:
    """The content of a PrivateMessage, and the tree without its key, after these checks:

    1. it is of this group and epoch ("wrong-group", "wrong-epoch");
    2. its sender data decrypt ("decryption-failed") and parse ("malformed");
    3. the sender's leaf is one that may send: `check_sender` raises if it is blank or our own (section 6.3.2);
    4. its key was not used before and is not too far ahead ("key-consumed", "generation-too-far");
    5. its content decrypts ("decryption-failed");
    6. it parses and its padding is all zero ("malformed").

    The caller keeps the new tree only once the signature holds too: else an insider's forgery would use up the true
    message's key.
    """
    suite = tree.suite
    # 1.
    expect_current(context, message)
    # 2.
    item = sender_item(suite, sender_data_secret, message, message.ciphertext, message.encrypted_sender_data)
    sender = SenderData.decode(await _open(crypto, item, "sender data"))
    # 3.
    check_sender(sender.leaf_index)
    # 4.
    tree, key = tree.take_key(sender.leaf_index, kind_of(message.content_type), sender.generation)
    # 5.
    aad = PrivateContentAAD(message.group_id, message.epoch, message.content_type, message.authenticated_data)
    item = content_item(suite, key, sender.reuse_guard, aad, message.ciphertext)
    plain = await _open(crypto, item, "content")
    # 6.
    return tree, decode_inner(message, sender, plain)


async def _open(crypto: CryptoProvider, item: SealItem, what: str) -> bytes:
    (plain,) = await crypto.open([item])
    if plain is None:
        raise RoomkeyError("decryption-failed", f"expected {what} for this group, authentication failed")
    return plain
