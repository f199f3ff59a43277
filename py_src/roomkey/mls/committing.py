"""Making proposals and commits (RFC 9420 sections 12.1, 12.4.1 and 12.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.mls import protection
from roomkey.mls.commit import Commit
from roomkey.mls.extensions import Extension, ExtensionType, ExternalPub
from roomkey.mls.framing import (
    COMMIT,
    PRIVATE_MESSAGE,
    PROPOSAL,
    AuthenticatedContent,
    member,
    message,
)
from roomkey.mls.group import NO_PSKS, Group, OwnUpdate, Psks, ReceivedProposal, begin_epoch
from roomkey.mls.key_schedule import external_key_pair, next_epoch
from roomkey.mls.leaf_node import COMMIT as COMMIT_SOURCE
from roomkey.mls.leaf_node import UPDATE, LeafNode, check_leaf, requirements, sign_leaf
from roomkey.mls.own_content import expect_active, frame, protect_content
from roomkey.mls.own_leaf import UNCHANGED, LeafChange
from roomkey.mls.policy import STRICT, Policy
from roomkey.mls.private_content import PAD_256, Padding
from roomkey.mls.proposal_list import Changes, apply_proposals
from roomkey.mls.proposals import Proposal, Update, by_reference, by_value, proposal, proposal_ref
from roomkey.mls.psk import psk_secret
from roomkey.mls.selection import select
from roomkey.mls.transcript import confirmation_tag, confirmed_transcript_hash
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.tree_validation import check_members
from roomkey.mls.treekem import NewPath, UpdatePath, current_keys, new_path, seal_path
from roomkey.mls.welcome import GroupInfo, Joiner, seal_welcome, sign_group_info


@dataclass(frozen=True, repr=False)
class PendingCommit:
    """A commit that has not won yet.

    Attributes:
        message: the commit, an encoded MLSMessage.
        welcome: for the members it adds, an encoded MLSMessage; None if it adds none. It leaves only once the commit
            has won.
        group: the group after the commit; `group.tree.encode()` goes beside a Welcome without the tree.
        current: the group as it stands until then, without the message key that the commit used.
        added: leaf indexes of the new members, in the order of the Adds.
        referenced: the received proposals that it carries, by their references.
        made_keys: pairs generated for `group`: to be forgotten if the commit loses.
        spent_keys: encryption pairs that only `current` needs: to be forgotten once the commit has won.
        custom: proposals of types beyond RFC 9420 that it carries, for the application to apply.
    """

    message: bytes
    welcome: bytes | None
    group: Group
    current: Group
    added: tuple[int, ...]
    made_keys: tuple[KeyPair, ...]
    spent_keys: tuple[KeyPair, ...]
    referenced: tuple[bytes, ...] = ()
    custom: tuple[ReceivedProposal, ...] = ()


class Delivery(NamedTuple):
    """How a commit travels.

    Attributes:
        wire_format: PRIVATE_MESSAGE or PUBLIC_MESSAGE.
        with_tree: whether a Welcome's GroupInfo holds the ratchet tree; else newcomers must get it beside.
        info_extensions: what that GroupInfo says beyond (RFC 9420 section 12.4.3).
    """

    authenticated_data: bytes = b""
    wire_format: int = PRIVATE_MESSAGE
    padding: Padding = PAD_256
    with_tree: bool = True
    info_extensions: tuple[Extension, ...] = ()


async def commit(
    crypto: CryptoProvider,
    group: Group,
    now: float | None,
    *,
    proposals: Sequence[Proposal] = (),
    referenced: bool | Sequence[bytes] = True,
    path: bool | None = None,
    leaf: LeafChange | None = None,
    psks: Psks = NO_PSKS,
    policy: Policy = STRICT,
    authenticated_data: bytes = b"",
    wire_format: int = PRIVATE_MESSAGE,
    padding: Padding = PAD_256,
    with_tree: bool = True,
    info_extensions: Sequence[Extension] = (),
) -> PendingCommit:
    """A commit of proposals received in this epoch and, after them, of proposals given by value.

    Args:
        now: Unix seconds, for the lifetimes of added key packages; None leaves those unchecked.
        referenced: True takes all received proposals that are valid and go together (`selection`), False none; a list
            of references takes just those, in its order.
        path: True adds a path, fresh keys for us, where none is needed; None (as False) only where RFC 9420 section
            12.4 asks for one.
        leaf: what our leaf says differently from then on; it takes a path.
        wire_format, with_tree, info_extensions: as in `Delivery`.
    Errors: "invalid-proposal", "invalid-commit", "invalid-key-package", "invalid-leaf-node", "invalid-tree",
    "invalid-signature", "unsupported-proposal", "unsupported-policy", "psk-unknown", "unknown-proposal" for the
    proposals and `leaf`; "group-ended" after a ReInit.
    """
    expect_active(group)
    given = [ReceivedProposal(b"", member(group.own_leaf), item) for item in proposals]
    if isinstance(referenced, bool):
        chosen = await select(crypto, group, given, policy, psks, now) if referenced else []
        items = [*chosen, *given]
    else:
        items = [*(group.proposal(reference) for reference in referenced), *given]
    changes = await apply_proposals(crypto, group, group.own_leaf, items, policy, now)
    delivery = Delivery(authenticated_data, wire_format, padding, with_tree, tuple(info_extensions))
    return await conclude(crypto, group, items, changes, psks, delivery, path=bool(path), leaf=leaf)


async def conclude(
    crypto: CryptoProvider,
    group: Group,
    items: Sequence[ReceivedProposal],
    changes: Changes,
    psks: Psks,
    delivery: Delivery,
    *,
    path: bool = False,
    leaf: LeafChange | None = None,
) -> PendingCommit:
    """The commit of a list that `apply_proposals` took, with its Welcome (RFC 9420 section 12.4.1)."""
    suite = group.suite
    tree, keys, commit_secret = changes.tree, group.path_keys, bytes(suite.nh)
    new: NewPath | None = None
    made: tuple[KeyPair, ...] = ()
    signature = group.signature
    if path or leaf is not None or changes.path_required:
        change = leaf or UNCHANGED
        signature = change.signature or signature
        made = tuple(await crypto.generate_keys(suite.group, 1))
        wanted = change.applied_to(group.leaf)
        new = await new_path(crypto, tree, group.own_leaf, wanted, made[0], signature, group.group_id)
        check_leaf(suite, new.leaf_node, now=None, source=COMMIT_SOURCE, needs=changes.needs)
        tree, keys, commit_secret = new.tree, new.keys, new.commit_secret
    else:
        keys = current_keys(tree, keys)
    check_members(tree)
    provisional = group.context.following(tree_hash(tree), changes.extensions)
    update_path: UpdatePath | None = None
    if new is not None:
        update_path = await seal_path(crypto, new, changes.added_indexes, provisional.encode())

    refs = [by_reference(i.reference) if i.reference else by_value(i.proposal) for i in items]
    framed = frame(group, delivery.authenticated_data, COMMIT, Commit(tuple(refs), update_path))
    asked = (group.signature, delivery.wire_format, framed)
    (signed,) = await protection.sign(crypto, suite, group.context, [asked])
    confirmed = confirmed_transcript_hash(suite, group.interim_transcript_hash, delivery.wire_format, framed, signed)
    context = provisional.replace(confirmed_transcript_hash=confirmed)
    used = [(psk_id, group.psk(psk_id, psks)) for psk_id in changes.psks]
    epoch = next_epoch(suite, group.secrets.init_secret, commit_secret, psk_secret(suite, used), context)
    tag = confirmation_tag(suite, epoch.secrets.confirmation_key, confirmed)

    content = AuthenticatedContent(delivery.wire_format, framed, signed, tag)
    current, encoded = await protect_content(crypto, group, content, delivery.padding)
    after = begin_epoch(
        suite, context, tree, group.own_leaf, signature, keys, epoch, tag, before=current, reinit=changes.reinit
    )
    welcome = None
    if changes.added:
        info = await group_info(crypto, after, with_tree=delivery.with_tree, extensions=delivery.info_extensions)
        joiners = _joiners(after, changes, new)
        sealed = await seal_welcome(
            crypto, suite, epoch.welcome_secret, epoch.joiner_secret, info, changes.psks, joiners
        )
        welcome = message(sealed).encode()
    return PendingCommit(
        encoded, welcome, after, current, tuple(index for index, _ in changes.added), made, spent_keys(group, after),
        tuple(item.reference for item in items if item.reference), changes.custom,
    )  # fmt: skip


async def propose(
    crypto: CryptoProvider,
    group: Group,
    item: Proposal,
    *,
    authenticated_data: bytes = b"",
    wire_format: int = PRIVATE_MESSAGE,
    padding: Padding = PAD_256,
) -> tuple[Group, bytes]:
    """A proposal to the other members: the group that remembers it, and the encoded MLSMessage. Errors:
    "group-ended".
    """
    expect_active(group)
    framed = frame(group, authenticated_data, PROPOSAL, item)
    (signature,) = await protection.sign(crypto, group.suite, group.context, [(group.signature, wire_format, framed)])
    content = AuthenticatedContent(wire_format, framed, signature)
    reference = proposal_ref(group.suite, content.encode())
    current, encoded = await protect_content(crypto, group, content, padding)
    return current.with_proposal(ReceivedProposal(reference, member(group.own_leaf), item)), encoded


async def propose_update(
    crypto: CryptoProvider,
    group: Group,
    *,
    leaf: LeafChange = UNCHANGED,
    authenticated_data: bytes = b"",
    wire_format: int = PRIVATE_MESSAGE,
    padding: Padding = PAD_256,
) -> tuple[Group, bytes]:
    """Proposes fresh keys for our leaf, and what else `leaf` changes; they become ours when somebody commits the
    Update. `Group.own_updates` names the new pairs. Errors: "group-ended"; "invalid-leaf-node" for `leaf`.
    """
    (encryption,) = await crypto.generate_keys(group.suite.group, 1)
    signature = leaf.signature or group.signature
    unsigned = leaf.applied_to(group.leaf).replace(
        encryption_key=encryption.public, signature_key=signature.public,
        leaf_node_source=UPDATE, lifetime=None, parent_hash=None, signature=b"",
    )  # fmt: skip
    check_leaf(group.suite, unsigned, now=None, source=UPDATE, needs=requirements(group.context.extensions))
    signed: LeafNode = await sign_leaf(crypto, group.suite, unsigned, signature, group.group_id, group.own_leaf)
    after, encoded = await propose(
        crypto, group, proposal(Update(signed)), authenticated_data=authenticated_data, wire_format=wire_format,
        padding=padding,
    )  # fmt: skip
    own = OwnUpdate(after.proposals[-1].reference, encryption, signature)
    return replace(after, own_updates=(*after.own_updates, own)), encoded


async def group_info(
    crypto: CryptoProvider,
    group: Group,
    *,
    external: bool = False,
    with_tree: bool = True,
    extensions: Sequence[Extension] = (),
) -> GroupInfo:
    """The signed GroupInfo of this epoch; `framing.message(info).encode()` are the bytes for who joins by it.

    Args:
        external: adds the key that lets strangers join by external commits.
        with_tree: adds the ratchet tree, which readers must else get beside (`group.tree.encode()`).
        extensions: more of them.
    """
    inside = [*extensions]
    if with_tree:
        inside.append(Extension(ExtensionType.RATCHET_TREE, group.tree.encode()))
    if external:
        pair = await external_key_pair(crypto, group.suite, group.secrets.external_secret)
        inside.append(Extension(ExtensionType.EXTERNAL_PUB, ExternalPub(pair.public).encode()))
    return await sign_group_info(
        crypto, group.suite, group.signature, group.own_leaf, group.context, tuple(inside), group.confirmation_tag
    )


def spent_keys(before: Group, after: Group) -> tuple[KeyPair, ...]:
    """Pairs behind handles that only the group before needs."""
    kept = {pair.public for pair in after.path_keys.values()}
    ours = [before.path_keys[2 * before.own_leaf], *(update.encryption for update in before.own_updates)]
    return tuple(pair for pair in ours if pair.public not in kept)


def _joiners(after: Group, changes: Changes, new: NewPath | None) -> list[Joiner]:
    return [
        Joiner(package.ref(after.suite), package.init_key, None if new is None else new.secret_for(index))
        for index, package in changes.added
    ]
