"""Message framing: the structs of RFC 9420 section 6. `protection` signs, verifies, protects and unprotects them.

RFC 9420 nests `FramedContentAuthData auth` (signature, and for commits a confirmation tag) and selects on a field
outside of it; here its two fields stand in the structs that hold it, in the same place on the wire.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from roomkey.mls.commit import Commit
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.proposals import Proposal
from roomkey.mls.version import MLS10, ProtocolVersion
from roomkey.mls.welcome import GroupInfo, Welcome
from roomkey.tls import U64, Opaque, Struct, When, one_of, opaque, uint8, uint16, uint32

# enum { reserved(0), application(1), proposal(2), commit(3), (255) } ContentType;
APPLICATION = 1
PROPOSAL = 2
COMMIT = 3
ContentType = Annotated[int, one_of(uint8, APPLICATION, PROPOSAL, COMMIT)]

# enum { reserved(0), member(1), external(2), new_member_proposal(3), new_member_commit(4), (255) } SenderType;
MEMBER = 1
EXTERNAL = 2
NEW_MEMBER_PROPOSAL = 3
NEW_MEMBER_COMMIT = 4

# WireFormat (RFC 9420 section 17.2)
PUBLIC_MESSAGE = 1
PRIVATE_MESSAGE = 2
WELCOME = 3
GROUP_INFO = 4
KEY_PACKAGE = 5
# The two that frame content.
ContentFormat = Annotated[int, one_of(uint16, PUBLIC_MESSAGE, PRIVATE_MESSAGE)]


class Sender(Struct):
    """Who sends; `member(leaf_index)` makes the usual one.

    struct {
        SenderType sender_type;
        select (Sender.sender_type) {
            case member: uint32 leaf_index;
            case external: uint32 sender_index;
            case new_member_commit: case new_member_proposal: struct{};
        };
    } Sender;
    """

    sender_type: Annotated[int, one_of(uint8, MEMBER, EXTERNAL, NEW_MEMBER_PROPOSAL, NEW_MEMBER_COMMIT)]
    leaf_index: Annotated[int | None, When("sender_type", {MEMBER: uint32})] = None
    sender_index: Annotated[int | None, When("sender_type", {EXTERNAL: uint32})] = None


def member(leaf_index: int) -> Sender:
    """The sender at this leaf of the ratchet tree."""
    return Sender(MEMBER, leaf_index=leaf_index)


Content: TypeAlias = bytes | Proposal | Commit
_CONTENT = {APPLICATION: opaque(), PROPOSAL: Proposal, COMMIT: Commit}


class FramedContent(Struct):
    """The content of a message in the clear.

    struct {
        opaque group_id<V>;
        uint64 epoch;
        Sender sender;
        opaque authenticated_data<V>;
        ContentType content_type;
        select (FramedContent.content_type) {
            case application: opaque application_data<V>;
            case proposal: Proposal proposal;
            case commit: Commit commit;
        };
    } FramedContent;
    """

    group_id: Opaque
    epoch: U64
    sender: Sender
    authenticated_data: Opaque
    content_type: ContentType
    content: Annotated[Content, When("content_type", _CONTENT)]


class FramedContentTBS(Struct):
    """What a content's signature covers.

    struct {
        ProtocolVersion version = mls10;
        WireFormat wire_format;
        FramedContent content;
        select (FramedContentTBS.content.sender.sender_type) {
            case member: case new_member_commit: GroupContext context;
            case external: case new_member_proposal: struct{};
        };
    } FramedContentTBS;
    """

    version: ProtocolVersion
    wire_format: ContentFormat
    content: FramedContent
    context: Annotated[
        GroupContext | None,
        When("content.sender.sender_type", {MEMBER: GroupContext, NEW_MEMBER_COMMIT: GroupContext}),
    ]


class AuthenticatedContent(Struct):
    """A content with its signature, not yet verified: `protection.verify` makes it a VerifiedContent.

    struct { WireFormat wire_format; FramedContent content; FramedContentAuthData auth; } AuthenticatedContent;
    struct {
        /* SignWithLabel(., "FramedContentTBS", FramedContentTBS) */
        opaque signature<V>;
        select (FramedContent.content_type) {
            case commit: MAC confirmation_tag;   /* MAC(confirmation_key, GroupContext.confirmed_transcript_hash) */
            case application: case proposal: struct{};
        };
    } FramedContentAuthData;
    """

    wire_format: ContentFormat
    content: FramedContent
    signature: Opaque
    confirmation_tag: Annotated[bytes | None, When("content.content_type", {COMMIT: opaque()})] = None


class PublicMessage(Struct):
    """A content that is signed and not encrypted; unverified.

    struct {
        FramedContent content;
        FramedContentAuthData auth;
        select (PublicMessage.content.sender.sender_type) {
            case member: MAC membership_tag;
            case external: case new_member_commit: case new_member_proposal: struct{};
        };
    } PublicMessage;
    """

    content: FramedContent
    signature: Opaque
    confirmation_tag: Annotated[bytes | None, When("content.content_type", {COMMIT: opaque()})] = None
    membership_tag: Annotated[bytes | None, When("content.sender.sender_type", {MEMBER: opaque()})] = None


class PrivateMessage(Struct):
    """An encrypted content.

    struct {
        opaque group_id<V>;
        uint64 epoch;
        ContentType content_type;
        opaque authenticated_data<V>;
        opaque encrypted_sender_data<V>;
        opaque ciphertext<V>;
    } PrivateMessage;
    """

    group_id: Opaque
    epoch: U64
    content_type: ContentType
    authenticated_data: Opaque
    encrypted_sender_data: Opaque
    ciphertext: Opaque


# Bytes of one message, which delivery services take no longer ones of either: a Welcome for 10,000 members with its
# ratchet tree has 4 MB and more. Copies for decryption included, refusing one stays below 64 MB.
MAX_MLS_MESSAGE = 8 << 20


class MLSMessage(Struct):
    """Whatever travels between clients; unverified.

    struct {
        ProtocolVersion version = mls10;
        WireFormat wire_format;
        select (MLSMessage.wire_format) {
            case mls_public_message: PublicMessage public_message;
            case mls_private_message: PrivateMessage private_message;
            case mls_welcome: Welcome welcome;
            case mls_group_info: GroupInfo group_info;
            case mls_key_package: KeyPackage key_package;
        };
    } MLSMessage;
    """

    _limit = MAX_MLS_MESSAGE
    version: ProtocolVersion
    wire_format: Annotated[int, one_of(uint16, PUBLIC_MESSAGE, PRIVATE_MESSAGE, WELCOME, GROUP_INFO, KEY_PACKAGE)]
    body: Annotated[
        PublicMessage | PrivateMessage | Welcome | GroupInfo | KeyPackage,
        When(
            "wire_format",
            {
                PUBLIC_MESSAGE: PublicMessage,
                PRIVATE_MESSAGE: PrivateMessage,
                WELCOME: Welcome,
                GROUP_INFO: GroupInfo,
                KEY_PACKAGE: KeyPackage,
            },
        ),
    ]


_FORMATS: dict[type[Struct], int] = {
    PublicMessage: PUBLIC_MESSAGE,
    PrivateMessage: PRIVATE_MESSAGE,
    Welcome: WELCOME,
    GroupInfo: GROUP_INFO,
    KeyPackage: KEY_PACKAGE,
}


def message(body: PublicMessage | PrivateMessage | Welcome | GroupInfo | KeyPackage) -> MLSMessage:
    """The MLSMessage with this body, its wire format set to match."""
    return MLSMessage(MLS10, _FORMATS[type(body)], body)
