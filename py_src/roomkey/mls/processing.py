"""Taking others' messages, and application data both ways (RFC 9420 sections 6, 12.4.2 and 15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.mls import protection
from roomkey.mls.commit import Commit
from roomkey.mls.commit_processing import CommitProcessed, process_commit
from roomkey.mls.framing import (
    APPLICATION,
    MEMBER,
    PRIVATE_MESSAGE,
    PROPOSAL,
    AuthenticatedContent,
    FramedContent,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    message,
)
from roomkey.mls.group import NO_PSKS, Group, Psks, ReceivedProposal
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.own_content import expect_active, frame
from roomkey.mls.policy import STRICT, Policy, in_force
from roomkey.mls.private_content import PAD_256, Padding
from roomkey.mls.proposals import Proposal, Remove, proposal_ref
from roomkey.mls.protection import VerifiedContent
from roomkey.mls.selection import sound
from roomkey.mls.senders import expect_other, sender_key
from roomkey.mls.validation import violation


@dataclass(frozen=True)
class ApplicationMessage:
    """Application data. `leaf` is the sender's as it was in the message's epoch; the text form hides the data."""

    epoch: int
    sender: int
    leaf: LeafNode
    data: bytes
    authenticated_data: bytes

    def __repr__(self) -> str:
        return "<ApplicationMessage>"


@dataclass(frozen=True)
class ProposalReceived:
    """A proposal, remembered for the next commit. Its rules are checked when it is committed."""

    sender: Sender
    proposal: Proposal
    reference: bytes


# What to do with application data while proposals wait for a commit.
Waiting = Literal["refuse", "unsafe-send"]

Event: TypeAlias = ApplicationMessage | ProposalReceived | CommitProcessed


@dataclass(frozen=True, repr=False)
class Processed:
    """The group after a message, and what it was."""

    group: Group
    event: Event


async def process(
    crypto: CryptoProvider,
    group: Group,
    data: bytes,
    *,
    psks: Psks = NO_PSKS,
    policy: Policy = STRICT,
) -> Processed:
    """Takes an encoded MLSMessage that carries content: proves it, then applies or remembers it. On any error
    nothing has changed.

    Application messages are read in the current epoch and the few before it, the others in the current one only.

    Args:
        psks: keys that a commit may name, beside the group's own resumption PSKs.
        policy: what is taken beyond the common; about strangers a group's own says more (`policy`).

    Errors: "malformed", "too-large", "wrong-group", "wrong-epoch", "own-message", "invalid-message",
    "invalid-signature", "invalid-tag", "decryption-failed", "key-consumed", "generation-too-far"; for commits also
    "invalid-proposal", "invalid-commit", "invalid-update-path", "invalid-tree", "invalid-key-package",
    "invalid-leaf-node", "unknown-proposal", "unsupported-proposal", "unsupported-policy", "external-commit-refused",
    "psk-unknown", "group-ended".
    """
    policy = in_force(group.context.extensions, policy)
    body = MLSMessage.decode(data).body
    if isinstance(body, PrivateMessage) and body.content_type == APPLICATION and body.epoch < group.epoch:
        return await _process_past(crypto, group, body)
    opened, verified = await _open(crypto, group, body, policy)
    framed = verified.framed
    if framed.content_type == APPLICATION:
        return Processed(opened, _application(framed, group.tree.leaf(framed.sender.leaf_index or 0)))
    if framed.content_type == PROPOSAL:
        return _remember(opened, verified)
    return Processed(*await process_commit(crypto, opened, verified, psks, policy))


async def committer(crypto: CryptoProvider, group: Group, data: bytes) -> int | None:
    """The leaf index of the member who signed a commit of the current epoch, whether or not the commit can be applied.
    None where nobody can be held to it: it does not decrypt or verify, is no commit, or comes from outside.
    """
    try:
        body = MLSMessage.decode(data).body
        _, verified = await _open(crypto, group, body, in_force(group.context.extensions, STRICT))
    except RoomkeyError:
        return None
    framed = verified.framed
    return (
        framed.sender.leaf_index if isinstance(framed.content, Commit) and framed.sender.sender_type == MEMBER else None
    )


async def protect(
    crypto: CryptoProvider,
    group: Group,
    data: bytes,
    authenticated_data: bytes = b"",
    *,
    padding: Padding = PAD_256,
    waiting: Waiting = "refuse",
    policy: Policy = STRICT,
) -> tuple[Group, bytes]:
    """Application data for all members: the group without the message's key, to be stored before the encoded
    MLSMessage leaves.

    Args:
        waiting: "refuse" says no while valid proposals wait for a commit, as RFC 9420 section 12.4 asks; "unsafe-send"
            sends all the same, to members too whose removal was proposed.
        policy: which proposals are valid.
    Errors: "group-ended", "commit-first".
    """
    after, (encoded,) = await protect_all(
        crypto, group, [data], authenticated_data, padding=padding, waiting=waiting, policy=policy
    )
    return after, encoded


async def protect_all(
    crypto: CryptoProvider,
    group: Group,
    texts: Sequence[bytes],
    authenticated_data: bytes = b"",
    *,
    padding: Padding = PAD_256,
    waiting: Waiting = "refuse",
    policy: Policy = STRICT,
) -> tuple[Group, list[bytes]]:
    """`protect` for a batch, in three border crossings."""
    expect_active(group)
    if waiting == "refuse" and group.proposals:
        count = len(await sound(crypto, group, group.proposals, policy))
        if count:
            raise RoomkeyError("commit-first", f"expected that no proposal waits for a commit, got {count}")
    framed = [frame(group, authenticated_data, APPLICATION, data) for data in texts]
    asked = [(group.signature, PRIVATE_MESSAGE, content) for content in framed]
    signatures = await protection.sign(crypto, group.suite, group.context, asked)
    contents = [AuthenticatedContent(PRIVATE_MESSAGE, f, s) for f, s in zip(framed, signatures, strict=True)]
    tree, private = await protection.protect_private(
        crypto, group.context, group.secrets.sender_data_secret, group.messages, contents, padding
    )
    return replace(group, messages=tree), [message(item).encode() for item in private]


async def process_departure(crypto: CryptoProvider, group: Group, data: bytes) -> tuple[Group, int]:
    """A member's wish to be removed, proposed in an epoch that has ended since: the group without the message's key,
    and the member's leaf index. The proposal itself is void; somebody may propose the same anew.

    Errors: "malformed", "wrong-group", "wrong-epoch" also for a member who is gone since, "invalid-message" for
    anything else, "invalid-signature", "decryption-failed", "key-consumed", "generation-too-far".
    """
    body = MLSMessage.decode(data).body
    if not isinstance(body, PrivateMessage) or body.content_type != PROPOSAL:
        raise RoomkeyError("invalid-message", "expected a private message that proposes")
    after, framed, leaf = await _open_past(crypto, group, body)
    index, content = framed.sender.leaf_index or 0, framed.content
    if not (isinstance(content, Proposal) and isinstance(content.body, Remove) and content.body.removed == index):
        raise RoomkeyError("invalid-message", "expected a member's own removal, got another proposal")
    now = group.tree.leaf(index)
    if now is None or (now.credential, now.signature_key) != (leaf.credential, leaf.signature_key):
        raise violation("message-epoch", "expected somebody who is still a member, got one who is gone")
    return after, index


async def _open(crypto: CryptoProvider, group: Group, body: object, policy: Policy) -> tuple[Group, VerifiedContent]:
    """A content of this epoch, signed by who may have sent it: the group without the message's key, and the content."""
    if isinstance(body, PrivateMessage):
        tree, content = await protection.open_private(
            crypto, group.context, group.secrets.sender_data_secret, group.messages, body,
            lambda index: expect_other(group, index),
        )  # fmt: skip
        opened = replace(group, messages=tree)
    elif isinstance(body, PublicMessage):
        content = protection.open_public(group.suite, group.context, group.secrets.membership_key, body)
        opened = group
    else:
        raise RoomkeyError("invalid-message", f"expected a public or private message, got {type(body).__name__}")
    key = sender_key(group, content.content, policy)
    (verified,) = await protection.verify(crypto, group.suite, group.context, [(content, key)])
    return opened, verified


async def _process_past(crypto: CryptoProvider, group: Group, body: PrivateMessage) -> Processed:
    """Application data of an ended epoch."""
    after, framed, leaf = await _open_past(crypto, group, body)
    return Processed(after, _application(framed, leaf))


async def _open_past(
    crypto: CryptoProvider, group: Group, body: PrivateMessage
) -> tuple[Group, FramedContent, LeafNode]:
    """A content of an ended epoch, which only that epoch's keys and members can prove, and its sender's leaf then."""
    if body.group_id != group.group_id:
        raise violation("message-group")
    past = group.past_epoch(body.epoch)

    def check_sender(index: int) -> None:
        if index not in past.members:
            raise violation("message-sender-member", f"got leaf {index}")

    tree, content = await protection.open_private(
        crypto, past.context, past.sender_data_secret, past.messages, body, check_sender
    )
    leaf = past.members[content.content.sender.leaf_index or 0]
    (verified,) = await protection.verify(crypto, group.suite, past.context, [(content, leaf.signature_key)])
    kept = tuple(p._replace(messages=tree) if p is past else p for p in group.past)
    return replace(group, past=kept), verified.framed, leaf


def _application(framed: FramedContent, leaf: LeafNode | None) -> ApplicationMessage:
    assert isinstance(framed.content, bytes)
    assert leaf is not None
    return ApplicationMessage(
        framed.epoch, framed.sender.leaf_index or 0, leaf, framed.content, framed.authenticated_data
    )


def _remember(group: Group, verified: VerifiedContent) -> Processed:
    framed = verified.framed
    assert isinstance(framed.content, Proposal)
    reference = proposal_ref(group.suite, verified.authenticated.encode())
    received = ReceivedProposal(reference, framed.sender, framed.content)
    return Processed(group.with_proposal(received), ProposalReceived(framed.sender, framed.content, reference))
