"""Taking others' messages, and application data both ways (RFC 9420 sections 6, 12.4.2 and 15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.errors import RoomkeyError
from roomkey.mls import protection
from roomkey.mls.commit import Commit
from roomkey.mls.committing import expect_active, spent_keys
from roomkey.mls.extensions import external_senders
from roomkey.mls.framing import (
    APPLICATION,
    EXTERNAL,
    MEMBER,
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    PRIVATE_MESSAGE,
    PROPOSAL,
    AuthenticatedContent,
    FramedContent,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    member,
    message,
)
from roomkey.mls.group import NO_PSKS, STRICT, Group, Policy, Psks, ReceivedProposal, begin_epoch
from roomkey.mls.key_schedule import external_key_pair, next_epoch, take_external_init
from roomkey.mls.leaf_node import COMMIT as COMMIT_SOURCE
from roomkey.mls.leaf_node import LeafNode, check_leaf, leaf_signed
from roomkey.mls.private_content import PAD_256, Padding
from roomkey.mls.proposal_list import Changes, apply_proposals
from roomkey.mls.proposals import FROM_OUTSIDE, Add, Proposal, ReInit, proposal_ref
from roomkey.mls.protection import VerifiedContent
from roomkey.mls.psk import psk_secret
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.transcript import check_confirmation_tag, confirmed_transcript_hash
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.tree_validation import check_members
from roomkey.mls.treekem import PathKeys, UpdatePath, apply_path, current_keys, open_path
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


@dataclass(frozen=True)
class CommitProcessed:
    """A commit, valid and applied.

    Attributes:
        sender: the committer's leaf index (for an external commit the new member's).
        added, updated: leaf indexes whose leaf is new; a commit with a path updates its sender's leaf.
        removed: leaf indexes with the leaf that stood there.
        self_removed: we are no member any more; `Processed.group` is still the old group, to be deleted.
        reinit: set if the group ends here in favour of another.
        spent_keys: pairs that only the old group needed.
    """

    sender: int
    added: tuple[int, ...]
    removed: tuple[tuple[int, LeafNode], ...]
    updated: tuple[int, ...]
    self_removed: bool
    external: bool
    reinit: ReInit | None
    authenticated_data: bytes
    spent_keys: tuple[KeyPair, ...]


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

    Errors: "malformed", "wrong-group", "wrong-epoch", "own-message", "invalid-message", "invalid-signature",
    "invalid-tag", "decryption-failed", "key-consumed", "generation-too-far"; for commits also "invalid-proposal",
    "invalid-commit", "invalid-update-path", "invalid-tree", "invalid-key-package", "invalid-leaf-node",
    "unknown-proposal", "unsupported-proposal", "external-commit-refused", "psk-unknown".
    """
    body = MLSMessage.decode(data).body
    if isinstance(body, PrivateMessage) and body.content_type == APPLICATION and body.epoch < group.epoch:
        return await _process_past(crypto, group, body)
    if isinstance(body, PrivateMessage):
        tree, content = await protection.open_private(
            crypto,
            group.context,
            group.secrets.sender_data_secret,
            group.messages,
            body,
            lambda i: _expect_other(group, i),
        )
        opened = replace(group, messages=tree)
    elif isinstance(body, PublicMessage):
        content = protection.open_public(group.suite, group.context, group.secrets.membership_key, body)
        opened = group
    else:
        raise RoomkeyError("invalid-message", f"expected a public or private message, got {type(body).__name__}")
    key = _sender_key(group, content.content)
    (verified,) = await protection.verify(crypto, group.suite, group.context, [(content, key)])
    framed = verified.framed
    if framed.content_type == APPLICATION:
        return Processed(opened, _application(framed, group.tree.leaf(framed.sender.leaf_index or 0)))
    if framed.content_type == PROPOSAL:
        return _remember(opened, verified)
    return await _process_commit(crypto, opened, verified, psks, policy)


async def protect(
    crypto: CryptoProvider,
    group: Group,
    data: bytes,
    authenticated_data: bytes = b"",
    *,
    padding: Padding = PAD_256,
) -> tuple[Group, bytes]:
    """Application data for all members: the group without the message's key, to be stored before the encoded
    MLSMessage leaves.

    Errors: "group-ended".
    """
    after, (encoded,) = await protect_all(crypto, group, [data], authenticated_data, padding=padding)
    return after, encoded


async def protect_all(
    crypto: CryptoProvider,
    group: Group,
    texts: Sequence[bytes],
    authenticated_data: bytes = b"",
    *,
    padding: Padding = PAD_256,
) -> tuple[Group, list[bytes]]:
    """`protect` for a batch, in three border crossings."""
    expect_active(group)
    sender = member(group.own_leaf)
    framed = [
        FramedContent(group.group_id, group.epoch, sender, authenticated_data, APPLICATION, data) for data in texts
    ]
    asked = [(group.signature, PRIVATE_MESSAGE, content) for content in framed]
    signatures = await protection.sign(crypto, group.suite, group.context, asked)
    contents = [AuthenticatedContent(PRIVATE_MESSAGE, f, s) for f, s in zip(framed, signatures, strict=True)]
    tree, private = await protection.protect_private(
        crypto, group.context, group.secrets.sender_data_secret, group.messages, contents, padding
    )
    return replace(group, messages=tree), [message(item).encode() for item in private]


async def _process_past(crypto: CryptoProvider, group: Group, body: PrivateMessage) -> Processed:
    """Application data of an ended epoch, which only that epoch's keys and members can prove."""
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
    return Processed(replace(group, past=kept), _application(verified.framed, leaf))


def _application(framed: FramedContent, leaf: LeafNode | None) -> ApplicationMessage:
    assert isinstance(framed.content, bytes)
    assert leaf is not None
    return ApplicationMessage(
        framed.epoch, framed.sender.leaf_index or 0, leaf, framed.content, framed.authenticated_data
    )


def _expect_other(group: Group, index: int) -> None:
    if group.tree.leaf(index) is None:
        raise violation("message-sender-member", f"got leaf {index}")
    if index == group.own_leaf:
        raise violation("message-own")


def _sender_key(group: Group, framed: FramedContent) -> bytes:
    """The public key that a content's signature must verify with (RFC 9420 section 6.1)."""
    sender, content = framed.sender, framed.content
    if sender.sender_type == MEMBER:
        index = sender.leaf_index or 0
        _expect_other(group, index)
        leaf = group.tree.leaf(index)
        assert leaf is not None
        return leaf.signature_key
    if sender.sender_type == EXTERNAL:
        known = external_senders(group.context.extensions)
        if framed.content_type != PROPOSAL:
            raise violation("message-sender-type", f"got content type {framed.content_type} from outside")
        if sender.sender_index is None or sender.sender_index >= len(known):
            raise violation("proposal-external-sender", f"got sender {sender.sender_index} of {len(known)}")
        if not (isinstance(content, Proposal) and isinstance(content.body, FROM_OUTSIDE)):
            raise violation("proposal-external-type")
        return known[sender.sender_index].signature_key
    if sender.sender_type == NEW_MEMBER_PROPOSAL:
        if not isinstance(content, Proposal) or not isinstance(content.body, Add):
            raise violation("proposal-new-member")
        return content.body.key_package.leaf_node.signature_key
    assert sender.sender_type == NEW_MEMBER_COMMIT
    if not isinstance(content, Commit) or content.path is None:
        raise violation("external-path" if isinstance(content, Commit) else "message-sender-type")
    return content.path.leaf_node.signature_key


def _remember(group: Group, verified: VerifiedContent) -> Processed:
    framed = verified.framed
    assert isinstance(framed.content, Proposal)
    reference = proposal_ref(group.suite, verified.authenticated.encode())
    received = ReceivedProposal(reference, framed.sender, framed.content)
    return Processed(group.with_proposal(received), ProposalReceived(framed.sender, framed.content, reference))


def _resolve(group: Group, commit: Commit, sender: Sender) -> list[ReceivedProposal]:
    """The commit's proposals: by value from the committer, by reference from whoever sent them."""
    known = {item.reference: item for item in group.proposals}
    items: list[ReceivedProposal] = []
    for entry in commit.proposals:
        if entry.proposal is not None:
            items.append(ReceivedProposal(b"", sender, entry.proposal))
            continue
        found = known.get(entry.reference or b"")
        if found is None:
            raise violation("commit-unknown-reference")
        items.append(found)
    return items


async def _process_commit(
    crypto: CryptoProvider, group: Group, verified: VerifiedContent, psks: Psks, policy: Policy
) -> Processed:
    """RFC 9420 section 12.4.2, in its order; the group, epoch and signature are proved already."""
    framed, suite = verified.framed, group.suite
    commit = framed.content
    assert isinstance(commit, Commit)
    external = framed.sender.sender_type == NEW_MEMBER_COMMIT
    if external and not policy.external_commits:
        raise violation("external-off")
    expect_active(group)

    # 1. the proposals
    items = _resolve(group, commit, framed.sender)
    changes = await apply_proposals(crypto, group, framed.sender.leaf_index, items, policy, None)
    if changes.path_required and commit.path is None:
        raise violation("commit-path-required")
    tree = changes.tree
    sender = framed.sender.leaf_index
    if sender is None:
        tree, sender = tree.make_room()
    removed_us = any(index == group.own_leaf for index, _ in changes.removed)
    if removed_us:
        return Processed(group, _event(changes, sender, external, framed, commit, True, ()))

    # 2. the path, its leaf and the new tree
    keys: PathKeys = current_keys(tree, _own_keys(group, items))
    if commit.path is not None:
        tree = await _merge_path(crypto, group, changes, tree, sender, commit.path)
    check_members(tree)
    provisional = group.context.replace(epoch=group.epoch + 1, tree_hash=tree_hash(tree), extensions=changes.extensions)
    commit_secret = bytes(suite.nh)
    if commit.path is not None:
        opened = await open_path(
            crypto, tree, sender, group.own_leaf, keys, commit.path, changes.added_indexes, provisional.encode()
        )
        keys, commit_secret = opened.keys, opened.commit_secret

    # 3. the key schedule and the confirmation tag
    authenticated = verified.authenticated
    confirmed = confirmed_transcript_hash(
        suite, group.interim_transcript_hash, authenticated.wire_format, framed, authenticated.signature
    )
    context = provisional.replace(confirmed_transcript_hash=confirmed)
    init_secret = group.secrets.init_secret
    if changes.external_init is not None:
        pair = await external_key_pair(crypto, suite, group.secrets.external_secret)
        init_secret = await take_external_init(crypto, suite, pair, changes.external_init.kem_output)
    used = [(psk_id, group.psk(psk_id, psks)) for psk_id in changes.psks]
    epoch = next_epoch(suite, init_secret, commit_secret, psk_secret(suite, used), context)
    tag = authenticated.confirmation_tag or b""
    check_confirmation_tag(suite, epoch.secrets.confirmation_key, confirmed, tag, "commit-confirmation")

    after = begin_epoch(
        suite, context, tree, group.own_leaf, group.signature, keys, epoch, tag, before=group, reinit=changes.reinit
    )
    return Processed(after, _event(changes, sender, external, framed, commit, False, spent_keys(group, after)))


async def _merge_path(
    crypto: CryptoProvider, group: Group, changes: Changes, tree: RatchetTree, sender: int, path: UpdatePath
) -> RatchetTree:
    """The tree with the path, whose leaf is checked and whose signature holds."""
    leaf = path.leaf_node
    check_leaf(group.suite, leaf, now=None, source=COMMIT_SOURCE, needs=changes.needs)
    if changes.external_init is not None:
        _check_resync(changes, leaf)
    merged = apply_path(tree, sender, path, changes.added_indexes)
    (good,) = await labels.verify_with_label(crypto, group.suite, [leaf_signed(leaf, group.group_id, sender)])
    if not good:
        raise violation("leaf-signature", "got a path's leaf whose signature does not")
    return merged


def _check_resync(changes: Changes, leaf: LeafNode) -> None:
    """Who comes back by an external commit and removes an old leaf must be the one who stood there (RFC 9420 section
    12.2): to us, who bears the same credential. Else any stranger could remove any member.
    """
    for _, before in changes.removed:
        if leaf.credential != before.credential:
            raise violation("external-remove-self", "got another's leaf")
        if leaf.encryption_key == before.encryption_key:
            raise violation("update-encryption-key")


def _own_keys(group: Group, items: Sequence[ReceivedProposal]) -> PathKeys:
    """Our private keys with those of our Update, if the commit carries it."""
    keys = dict(group.path_keys)
    committed = {item.reference for item in items if item.reference}
    for update in group.own_updates:
        if update.reference in committed:
            keys[2 * group.own_leaf] = update.encryption
    return keys


def _event(
    changes: Changes,
    sender: int,
    external: bool,
    framed: FramedContent,
    commit: Commit,
    self_removed: bool,
    spent: tuple[KeyPair, ...],
) -> CommitProcessed:
    added = [index for index, _ in changes.added]
    updated = set(changes.updated)
    if external:
        added.append(sender)
    elif commit.path is not None:
        updated.add(sender)
    return CommitProcessed(
        sender, tuple(added), changes.removed, tuple(sorted(updated)), self_removed, external,
        changes.reinit, framed.authenticated_data, spent,
    )  # fmt: skip
