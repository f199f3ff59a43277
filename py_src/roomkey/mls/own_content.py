"""What we send into a group ourselves: whether we may, how it is framed and protected (RFC 9420 section 6)."""

from __future__ import annotations

from dataclasses import replace

from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.mls import protection
from roomkey.mls.framing import PUBLIC_MESSAGE, AuthenticatedContent, Content, FramedContent, member, message
from roomkey.mls.group import Group
from roomkey.mls.private_content import Padding


def expect_active(group: Group) -> None:
    """Errors: "group-ended" once a ReInit is committed (RFC 9420 section 11.2)."""
    if group.reinit is not None:
        raise RoomkeyError("group-ended", "expected a group that goes on, got one that was reinitialised")


def frame(group: Group, authenticated_data: bytes, content_type: int, content: Content) -> FramedContent:
    """A content of this epoch with us as its sender."""
    return FramedContent(group.group_id, group.epoch, member(group.own_leaf), authenticated_data, content_type, content)


async def protect_content(
    crypto: CryptoProvider, group: Group, content: AuthenticatedContent, padding: Padding
) -> tuple[Group, bytes]:
    """The group without the message key it took, and the encoded message."""
    if content.wire_format == PUBLIC_MESSAGE:
        public = protection.protect_public(group.suite, group.context, group.secrets.membership_key, content)
        return group, message(public).encode()
    tree, (private,) = await protection.protect_private(
        crypto, group.context, group.secrets.sender_data_secret, group.messages, [content], padding
    )
    return replace(group, messages=tree), message(private).encode()
