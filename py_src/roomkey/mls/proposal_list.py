"""The proposals of a commit: what each must satisfy, what they must satisfy together, and what they do to the group.

1. the list (RFC 9420 section 12.2), for a member's commit or an external one;
2. each proposal by itself (section 12.1);
3. applied in the order of section 12.3: GroupContextExtensions, Update, Remove, Add;
4. all new leaves and key packages, signatures included;
5. the members of the new tree support what the new context asks for.

Rules are named by their ids in `validation`. Whether now lies in the lifetime of an added key package is checked by who
adds, against its own clock; those who process a commit do not, or members whose clocks differ would part ways over a
valid commit (web/docs/decisions.md). How long it is needs no clock and is checked by all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.extensions import Extension, duplicate_type, external_senders
from roomkey.mls.framing import Sender
from roomkey.mls.group import Group, ReceivedProposal
from roomkey.mls.key_package import KeyPackage, verify_key_packages
from roomkey.mls.leaf_node import UPDATE, LeafNode, Requirements, check_leaf, leaf_signed, requirements
from roomkey.mls.policy import Policy, policy_name
from roomkey.mls.proposals import (
    FROM_OUTSIDE,
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    Update,
)
from roomkey.mls.psk import PSK_EXTERNAL, USAGE_APPLICATION, PreSharedKeyID
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.validation import violation


@dataclass(frozen=True)
class Changes:
    """What a valid list of proposals does. `tree` and `extensions` are the group's after it, before any path."""

    tree: RatchetTree
    extensions: tuple[Extension, ...]
    needs: Requirements
    added: tuple[tuple[int, KeyPackage], ...]  # by leaf index
    removed: tuple[tuple[int, LeafNode], ...]
    updated: tuple[int, ...]
    psks: tuple[PreSharedKeyID, ...]
    reinit: ReInit | None
    external_init: ExternalInit | None
    custom: tuple[ReceivedProposal, ...]  # what the application applies
    path_required: bool

    @property
    def added_indexes(self) -> frozenset[int]:
        return frozenset(index for index, _ in self.added)


def check_proposal(
    group: Group, sender: Sender, proposal: Proposal, policy: Policy, founding: PreSharedKeyID | None = None
) -> None:
    """Step 2: the rules of one proposal that need no signature. Errors: "invalid-proposal", "unsupported-proposal",
    "unsupported-policy".

    Args:
        founding: the PSK that links a new group to an old one (`successor`), which stands in its first commit only.
    """
    body = proposal.body
    if isinstance(body, bytes):
        if proposal.proposal_type not in policy.custom_proposals:
            raise violation("proposal-unknown", f"got type {proposal.proposal_type}")
        return
    if isinstance(body, Remove):
        if group.tree.leaf(body.removed) is None:
            raise violation("remove-leaf", f"got leaf {body.removed}")
    elif isinstance(body, Update):
        _check_update(group, sender, body.leaf_node)
    elif isinstance(body, PreSharedKey):
        check_psk(group.suite, body.psk, founding)
    elif isinstance(body, ReInit):
        if body.version < group.context.version:
            raise violation("reinit-version", f"got {body.version}")
        twice = duplicate_type(body.extensions)
        if twice is not None:
            raise violation("reinit-extensions", f"got type {twice} twice")
        policy_name(body.extensions)
    elif isinstance(body, GroupContextExtensions):
        twice = duplicate_type(body.extensions)
        if twice is not None:
            raise violation("context-extensions", f"got type {twice} twice")
        external_senders(body.extensions)
        policy_name(body.extensions)


def check_psk(suite: CipherSuite, psk_id: PreSharedKeyID, founding: PreSharedKeyID | None = None) -> None:
    """The rules of a proposed PSK: psk-type, psk-nonce. `founding`: as for `check_proposal`."""
    if psk_id.psktype != PSK_EXTERNAL and psk_id.usage != USAGE_APPLICATION and psk_id != founding:
        raise violation("psk-type", f"got usage {psk_id.usage}")
    if len(psk_id.psk_nonce) != suite.nh:
        raise violation("psk-nonce", f"expected {suite.nh} bytes, got {len(psk_id.psk_nonce)}")


def may_come_from_outside(item: Proposal, policy: Policy) -> bool:
    """Whether an external sender may send this (RFC 9420 section 12.1.8)."""
    return isinstance(item.body, FROM_OUTSIDE) or (item.custom and item.proposal_type in policy.custom_from_outside)


def _check_update(group: Group, sender: Sender, leaf: LeafNode) -> None:
    # Others than members have been refused: from outside on receipt, in an external commit by its list.
    assert sender.leaf_index is not None
    before = group.tree.leaf(sender.leaf_index)
    if before is not None and leaf.encryption_key == before.encryption_key:
        raise violation("update-encryption-key")


def check_list(group: Group, committer: int | None, items: Sequence[ReceivedProposal]) -> None:
    """Step 1: the rules of the list. `committer`: leaf index, None for an external commit. Errors: "invalid-commit"."""
    bodies = [item.proposal.body for item in items]
    if committer is None:
        _check_external_list(items)
    elif any(isinstance(body, ExternalInit) for body in bodies):
        raise violation("commit-external-init")
    touched: set[int] = set()
    psks: set[PreSharedKeyID] = set()
    for item in items:
        body = item.proposal.body
        leaf: int | None = None
        if isinstance(body, Update):
            leaf = item.sender.leaf_index
            if leaf == committer:
                raise violation("commit-update-committer")
        elif isinstance(body, Remove):
            leaf = body.removed
            if leaf == committer:
                raise violation("commit-removes-committer")
        elif isinstance(body, PreSharedKey):
            if body.psk in psks:
                raise violation("commit-psk-twice")
            psks.add(body.psk)
        if leaf is not None:
            if leaf in touched:
                raise violation("commit-one-per-leaf", f"got leaf {leaf} twice")
            touched.add(leaf)
    if sum(isinstance(body, GroupContextExtensions) for body in bodies) > 1:
        raise violation("commit-one-context")
    if len(items) > 1 and any(isinstance(body, ReInit) for body in bodies):
        raise violation("commit-reinit-alone", f"got {len(items)} proposals")
    leaving = {body.removed for body in bodies if isinstance(body, Remove)}
    _check_adds(group, [b.key_package.leaf_node for b in bodies if isinstance(b, Add)], leaving)


def _check_external_list(items: Sequence[ReceivedProposal]) -> None:
    bodies = [item.proposal.body for item in items]
    inits = sum(isinstance(body, ExternalInit) for body in bodies)
    if inits != 1:
        raise violation("external-one-init", f"got {inits}")
    if sum(isinstance(body, Remove) for body in bodies) > 1:
        raise violation("external-one-remove")
    if any(
        item.reference or not isinstance(item.proposal.body, ExternalInit | Remove | PreSharedKey) for item in items
    ):
        raise violation("external-types")


def _check_adds(group: Group, leaves: Sequence[LeafNode], leaving: Collection[int]) -> None:
    """A client is its signature key here; what else makes two leaves one client is the application's to say."""
    if not leaves:
        return
    keys = {leaf.signature_key for leaf in leaves}
    if len(keys) != len(leaves):
        raise violation("commit-add-twice")
    for index, member in group.tree.members():
        if member.signature_key in keys and index not in leaving:
            raise violation("commit-add-member", f"got the client of leaf {index}")


def _check_supported(group: Group, proposals: Sequence[Proposal]) -> None:
    """Who is added or removed need not know the types of custom proposals (RFC 9420 section 12.2)."""
    custom = {proposal.proposal_type for proposal in proposals if proposal.custom}
    leaving = {proposal.body.removed for proposal in proposals if isinstance(proposal.body, Remove)}
    for index, leaf in group.tree.members() if custom else ():
        unknown = custom.difference(leaf.capabilities.proposals)
        if unknown and index not in leaving:
            raise violation("proposal-type-supported", f"got type {min(unknown)}")


async def apply_proposals(
    crypto: CryptoProvider,
    group: Group,
    committer: int | None,
    items: Sequence[ReceivedProposal],
    policy: Policy,
    now: float | None,
    founding: PreSharedKeyID | None = None,
) -> Changes:
    """All five steps.

    Args:
        committer: leaf index; None for an external commit.
        items: in the commit's order; `reference` empty for those given by value.
        now: Unix seconds, to check that it lies in the lifetime of added key packages; None not to.
        founding: as for `check_proposal`.
    Errors: "invalid-proposal", "invalid-commit", "invalid-key-package", "invalid-leaf-node", "invalid-signature",
    with `rule`.
    """
    check_list(group, committer, items)
    for item in items:
        check_proposal(group, item.sender, item.proposal, policy, founding)
    _check_supported(group, [item.proposal for item in items])

    bodies = [item.proposal.body for item in items]
    extensions = next((b.extensions for b in bodies if isinstance(b, GroupContextExtensions)), group.context.extensions)
    changed_context = extensions != group.context.extensions
    needs = requirements(extensions)
    updates = [
        (i.sender.leaf_index or 0, i.proposal.body.leaf_node) for i in items if isinstance(i.proposal.body, Update)
    ]
    removes = [body.removed for body in bodies if isinstance(body, Remove)]
    packages = [body.key_package for body in bodies if isinstance(body, Add)]

    await _verify_leaves(crypto, group, updates, packages, needs, now, policy.max_lifetime)
    tree = group.tree
    removed = [(index, leaf) for index in removes if (leaf := tree.leaf(index)) is not None]
    if updates:
        tree = tree.update_all(updates)
    if removes:
        tree = tree.remove(removes)
    added: list[int] = []
    if packages:
        tree, added = tree.add([package.leaf_node for package in packages])
    if changed_context:
        for _, leaf in tree.members():
            _as_rule("context-extensions", group, leaf, needs, policy.max_lifetime)
    return Changes(
        tree,
        extensions,
        needs,
        tuple(zip(added, packages, strict=True)),
        tuple(removed),
        tuple(index for index, _ in updates),
        tuple(body.psk for body in bodies if isinstance(body, PreSharedKey)),
        next((body for body in bodies if isinstance(body, ReInit)), None),
        next((body for body in bodies if isinstance(body, ExternalInit)), None),
        tuple(item for item in items if item.proposal.custom),
        not items or any(_asks_for_path(item.proposal, policy) for item in items),
    )


def _asks_for_path(proposal: Proposal, policy: Policy) -> bool:
    """Whether a proposal's type takes a path (RFC 9420 section 12.4); custom ones do unless the policy knows better."""
    if proposal.custom:
        return proposal.proposal_type not in policy.custom_without_path
    return not isinstance(proposal.body, Add | PreSharedKey | ReInit)


async def _verify_leaves(
    crypto: CryptoProvider,
    group: Group,
    updates: Sequence[tuple[int, LeafNode]],
    packages: Sequence[KeyPackage],
    needs: Requirements,
    now: float | None,
    max_lifetime: float,
) -> None:
    """Step 4: key packages (section 10.1) and the leaves of Updates (section 7.3), each kind in one batch."""
    if packages:
        await verify_key_packages(crypto, group.suite, packages, now, needs=needs, max_lifetime=max_lifetime)
    if updates:
        for _, leaf in updates:
            check_leaf(group.suite, leaf, now=None, source=UPDATE, needs=needs)
        signed = [leaf_signed(leaf, group.group_id, index) for index, leaf in updates]
        if not all(await labels.verify_with_label(crypto, group.suite, signed)):
            raise violation("leaf-signature", "got an Update's leaf whose signature does not")


def _as_rule(rule: str, group: Group, leaf: LeafNode, needs: Requirements, max_lifetime: float) -> None:
    try:
        check_leaf(group.suite, leaf, now=None, needs=needs, max_lifetime=max_lifetime)
    except RoomkeyError as error:
        raise violation(rule, error.text) from None
