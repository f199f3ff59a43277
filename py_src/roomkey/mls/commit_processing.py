"""Applying others' commits (RFC 9420 section 12.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.mls.commit import Commit
from roomkey.mls.committing import spent_keys
from roomkey.mls.framing import (
    NEW_MEMBER_COMMIT,
    FramedContent,
    Sender,
)
from roomkey.mls.group import Group, Psks, ReceivedProposal, begin_epoch
from roomkey.mls.key_schedule import external_key_pair, next_epoch, take_external_init
from roomkey.mls.leaf_node import COMMIT as COMMIT_SOURCE
from roomkey.mls.leaf_node import LeafNode, check_leaf, leaf_signed
from roomkey.mls.own_content import expect_active
from roomkey.mls.policy import Policy
from roomkey.mls.proposal_list import Changes, apply_proposals
from roomkey.mls.proposals import ReInit
from roomkey.mls.protection import VerifiedContent
from roomkey.mls.psk import psk_secret
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.transcript import check_confirmation_tag, confirmed_transcript_hash
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.tree_validation import check_members
from roomkey.mls.treekem import PathKeys, UpdatePath, apply_path, current_keys, open_path
from roomkey.mls.validation import violation


@dataclass(frozen=True)
class CommitProcessed:
    """A commit, valid and applied.

    Attributes:
        sender: the committer's leaf index (for an external commit the new member's).
        added, updated: leaf indexes whose leaf is new; a commit with a path updates its sender's leaf.
        removed: leaf indexes with the leaf that stood there.
        self_removed: we are no member any more; `Processed.group` is still the old group, to be deleted.
        reinit: set if the group ends here in favour of another.
        custom: proposals of types beyond RFC 9420, in the commit's order, for the application to apply.
        spent_keys: pairs that only the old group needed.
        newcomer: the leaf of who joined by an external commit. Any stranger can name our credential: with
            `self_removed`, it is for the caller to see whether that one is us, come back, or somebody else.
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
    custom: tuple[ReceivedProposal, ...] = ()
    newcomer: LeafNode | None = None


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


async def process_commit(
    crypto: CryptoProvider, group: Group, verified: VerifiedContent, psks: Psks, policy: Policy
) -> tuple[Group, CommitProcessed]:
    """The group after a commit whose group, epoch and signature are proved (RFC 9420 section 12.4.2, in its order).

    Args:
        policy: the one in force in the group.
    Errors: those of commits that `processing.process` lists.
    """
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

    # 2. the path, its leaf and the new tree. Who is removed can check no more: the path has no secret for them.
    signature, own_keys = _own_keys(group, items)
    keys: PathKeys = current_keys(tree, own_keys)
    if commit.path is not None:
        tree = await _merge_path(crypto, group, changes, tree, sender, commit.path)
    check_members(tree)
    if any(index == group.own_leaf for index, _ in changes.removed):
        return group, _event(changes, sender, external, framed, commit, True, ())
    provisional = group.context.following(tree_hash(tree), changes.extensions)
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
        suite, context, tree, group.own_leaf, signature, keys, epoch, tag, before=group, reinit=changes.reinit
    )
    return after, _event(changes, sender, external, framed, commit, False, spent_keys(group, after))


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


def _own_keys(group: Group, items: Sequence[ReceivedProposal]) -> tuple[KeyPair, PathKeys]:
    """What signs for us from now on and our other private keys, with those of our Update if the commit carries it."""
    signature, keys = group.signature, dict(group.path_keys)
    committed = {item.reference for item in items if item.reference}
    for update in group.own_updates:
        if update.reference in committed:
            keys[2 * group.own_leaf] = update.encryption
            signature = update.signature
    return signature, keys


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
        changes.reinit, framed.authenticated_data, spent, changes.custom,
        commit.path.leaf_node if external and commit.path is not None else None,
    )  # fmt: skip
