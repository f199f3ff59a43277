"""What follows on a group: the one that a ReInit asks for, and branches (RFC 9420 sections 11.2 and 11.3).

    a member commits a ReInit        `commit(..., proposals=[proposal(ReInit(...))])`: `Group.reinit` is set for all
    a member makes the new group     `reinit_group`, with new KeyPackages of all others; its Welcome goes to them
    they join it                     `join(..., former=[the old group])`, which runs `check_successor`

    a member makes a branch          `branch_group`, with new KeyPackages of those who should be in it
    they join it                     the same

The old group's resumption PSK proves that who made the new one was in the old one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import Delivery, PendingCommit, conclude
from roomkey.mls.creation import create_group
from roomkey.mls.extensions import Extension
from roomkey.mls.framing import member
from roomkey.mls.group import NO_PSKS, Group, JoinKeys, Psks, ReceivedProposal
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import MAX_LIFETIME, LeafNode
from roomkey.mls.policy import STRICT
from roomkey.mls.proposal_list import apply_proposals
from roomkey.mls.proposals import Add, PreSharedKey, proposal
from roomkey.mls.psk import USAGE_BRANCH, USAGE_REINIT, PreSharedKeyID, resumption_psk
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.validation import violation

# Whom a leaf stands for, "according to the application" (RFC 9420 section 12.4.3.1): leaves of equal value match.
Who = Callable[[LeafNode], Hashable]
# Whether a group id is one that the members of a reinitialised group agreed on in place of the ReInit's.
Agreed = Callable[[bytes], bool]


def nothing_agreed(group_id: bytes) -> bool:
    """The members agreed on no other id."""
    return False


def by_credential(leaf: LeafNode) -> Hashable:
    """Who bears the same credential is the same member."""
    return leaf.credential


async def reinit_group(
    crypto: CryptoProvider,
    old: Group,
    ours: JoinKeys,
    others: Sequence[KeyPackage],
    now: float | None,
    *,
    again: bytes | None = None,
    authenticated_data: bytes = b"",
    path: bool = False,
    with_tree: bool = True,
    who: Who = by_credential,
    max_lifetime: float = MAX_LIFETIME,
) -> PendingCommit:
    """Makes the group that the old one's ReInit asks for, in epoch 1 with all the old members.

    The answer's `welcome` goes to the others; its `message` is nobody's to process. The group id, version, suite and
    extensions are the ReInit's.

    Args:
        old: the group after the commit of the ReInit.
        ours: a KeyPackage of ours for the new suite, never published; others: one of each other old member.
        now: Unix seconds, for the KeyPackages' lifetimes; None leaves those unchecked.
        again: the id of a group in place of the ReInit's own, by agreement (`check_successor`).
        authenticated_data, path, with_tree: as for `commit`.
        who: whom a leaf stands for.
        max_lifetime: as in `Policy`.
    Errors: "bad-argument" for a group that is not reinitialised, or to a version or suite that we cannot make;
    "invalid-welcome" with rule successor-members; "invalid-key-package", "invalid-leaf-node", "invalid-signature",
    "invalid-commit", "invalid-tree".
    """
    wanted = old.reinit
    if wanted is None:
        raise RoomkeyError("bad-argument", "expected a group whose last commit holds a ReInit")
    if (wanted.version, wanted.cipher_suite) != (ours.key_package.version, ours.key_package.cipher_suite):
        raise RoomkeyError("bad-argument", "expected a KeyPackage of the version and suite that the ReInit asks for")
    leaves = [ours.key_package.leaf_node, *(package.leaf_node for package in others)]
    if again is None:
        _check_reinit_members(old, leaves, who)
    else:
        _check_branch_members(old, leaves, who)
    delivery = Delivery(authenticated_data, with_tree=with_tree)
    group_id = wanted.group_id if again is None else again
    return await _found(
        crypto, old, USAGE_REINIT, ours, others, group_id, wanted.extensions, now, max_lifetime, path, delivery
    )


async def branch_group(
    crypto: CryptoProvider,
    old: Group,
    ours: JoinKeys,
    others: Sequence[KeyPackage],
    group_id: bytes,
    now: float | None,
    *,
    extensions: Sequence[Extension] = (),
    authenticated_data: bytes = b"",
    path: bool = False,
    with_tree: bool = True,
    who: Who = by_credential,
    max_lifetime: float = MAX_LIFETIME,
) -> PendingCommit:
    """Makes a new group of some of a group's members, in epoch 1; the old one goes on. The answer as of `reinit_group`.

    Args:
        others: a KeyPackage of each other member of the branch, of the old group's suite.
        group_id: of the branch, unique.
        extensions: of the branch's context.
        now, ours, authenticated_data, path, with_tree, who, max_lifetime: as for `reinit_group`.
    Errors: "invalid-welcome" with rule branch-parameters or branch-members; the others as of `reinit_group`.
    """
    package = ours.key_package
    if (package.version, package.cipher_suite) != (old.context.version, old.context.cipher_suite):
        raise violation("branch-parameters", f"got suite {package.cipher_suite}")
    _check_branch_members(old, [package.leaf_node, *(other.leaf_node for other in others)], who)
    delivery = Delivery(authenticated_data, with_tree=with_tree)
    return await _found(
        crypto, old, USAGE_BRANCH, ours, others, group_id, extensions, now, max_lifetime, path, delivery
    )


def check_successor(
    old: Group,
    psk_id: PreSharedKeyID,
    context: GroupContext,
    tree: RatchetTree,
    who: Who = by_credential,
    again: Agreed = nothing_agreed,
) -> None:
    """What a joiner checks of a group that claims to follow on `old` (RFC 9420 sections 11.2, 11.3 and 12.4.3.1). For
    a ReInit:

    1. successor-committed: the old group's last commit holds one, and the PSK is of the epoch after it.
    2. successor-parameters: group id, version, suite and extensions are those of the ReInit.
    3. successor-members: the members are those of the old group, no more and no fewer.

    For a ReInit that was spoilt, and a group id that the old group's members agreed on in place of its own, which RFC
    9420 does not know: 1.; 2. but for the group id; branch-members as below.

    For a branch:

    1. branch-parameters: version and suite are the old group's.
    2. branch-members: every member is one of the old group as it is now for us; who was removed from it since the
       PSK's epoch can still compute that PSK, and must not be here.

    Still owed, by `join`: that it is the only PSK of such usage, and the new group's epoch is 1.

    Args:
        old: our view of the group that `psk_id` names; context, tree: the new group's, proved.
        again: whether a group id is one that was agreed on.
    Errors: "invalid-welcome" with `rule`.
    """
    leaves = [leaf for _, leaf in tree.members()]
    if psk_id.usage == USAGE_REINIT:
        # 1.
        wanted = old.reinit
        if wanted is None or psk_id.psk_epoch != old.epoch:
            raise violation("successor-committed", f"got a PSK of epoch {psk_id.psk_epoch} in epoch {old.epoch}")
        # 2.
        agreed = again(context.group_id)
        group_id = context.group_id if agreed else wanted.group_id
        asked = (group_id, wanted.version, wanted.cipher_suite, wanted.extensions)
        if asked != (context.group_id, context.version, context.cipher_suite, context.extensions):
            raise violation("successor-parameters", "got others")
        # 3.
        if agreed:
            _check_branch_members(old, leaves, who)
        else:
            _check_reinit_members(old, leaves, who)
    else:
        # 1.
        if (context.version, context.cipher_suite) != (old.context.version, old.context.cipher_suite):
            raise violation("branch-parameters", f"got suite {context.cipher_suite}")
        # 2.
        _check_branch_members(old, leaves, who)


def _check_reinit_members(old: Group, leaves: Sequence[LeafNode], who: Who) -> None:
    """All the old members, each with as many leaves as before."""
    before = Counter(who(leaf) for _, leaf in old.tree.members())
    after = Counter(who(leaf) for leaf in leaves)
    if before != after:
        raise violation(
            "successor-members", f"got {(after - before).total()} too many, {(before - after).total()} too few"
        )


def _check_branch_members(old: Group, leaves: Sequence[LeafNode], who: Who) -> None:
    before = {who(leaf) for _, leaf in old.tree.members()}
    strangers = sum(who(leaf) not in before for leaf in leaves)
    if strangers:
        raise violation("branch-members", f"got {strangers} others")


async def _found(
    crypto: CryptoProvider,
    old: Group,
    usage: int,
    ours: JoinKeys,
    others: Sequence[KeyPackage],
    group_id: bytes,
    extensions: Sequence[Extension],
    now: float | None,
    max_lifetime: float,
    path: bool,
    delivery: Delivery,
) -> PendingCommit:
    """A new group and its first commit: the others' Adds, and the PSK of the old group's newest epoch."""
    group = await create_group(crypto, ours, group_id, now, extensions=extensions)
    psk_id = resumption_psk(usage, old.group_id, old.epoch, crypto.random(group.suite.nh))
    wanted = [*(proposal(Add(package)) for package in others), proposal(PreSharedKey(psk_id))]
    items = [ReceivedProposal(b"", member(group.own_leaf), item) for item in wanted]
    policy = STRICT._replace(max_lifetime=max_lifetime)
    changes = await apply_proposals(crypto, group, group.own_leaf, items, policy, now, founding=psk_id)
    psks = Psks({}, {(old.group_id, old.epoch): old.psk(psk_id, NO_PSKS)})
    return await conclude(crypto, group, items, changes, psks, delivery, path=path)
