"""Which of the received proposals a commit of ours carries (RFC 9420 sections 12.2 and 12.4).

All that are valid and go together, so that nobody's proposal can keep others from being committed. In this order, where
"newest" and "first" go by when they came:

1. those that are valid by themselves (`sound`), and that no proposal given by value repeats;
2. for a leaf one change: a Remove before an Update, the newest Update before older ones; none for our own leaf;
3. one GroupContextExtensions: the newest whose requirements all meet who stay;
4. Adds, the first of a client, that meet the new requirements, clash with no member and find room;
5. PreSharedKeys whose key the caller offers, each once (who offers it says that all have it: members who came later
   have no resumption PSK from before, and a commit with it would cut them off); custom proposals that all support who
   stay;
6. a ReInit, the newest, if there is nothing else.

Proposals given by value come before all of these: what clashes with them is left out. They themselves are not judged
here; the caller gets their errors from `apply_proposals`. What is left out may be sent again in the next epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.mls.extensions import Extension
from roomkey.mls.group import Group, Psks, ReceivedProposal
from roomkey.mls.key_package import key_package_failures
from roomkey.mls.leaf_node import UPDATE, LeafNode, Requirements, check_leaf, leaf_signed, requirements
from roomkey.mls.policy import Policy
from roomkey.mls.proposal_list import check_proposal
from roomkey.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    ReInit,
    Remove,
    Update,
)
from roomkey.mls.psk import PreSharedKeyID
from roomkey.mls.ratchet_tree import MAX_WIDTH


async def sound(
    crypto: CryptoProvider, group: Group, items: Sequence[ReceivedProposal], policy: Policy
) -> list[ReceivedProposal]:
    """Those of the proposals that are valid by themselves (RFC 9420 section 12.1), signatures included; lifetimes and
    keys of PSKs are not looked at.
    """
    needs = requirements(group.context.extensions)
    good = [item for item in items if _obeys(group, item, policy, needs)]
    updates = [
        (item, leaf_signed(item.proposal.body.leaf_node, group.group_id, item.sender.leaf_index or 0))
        for item in good
        if isinstance(item.proposal.body, Update)
    ]
    if updates:
        verdicts = await labels.verify_with_label(crypto, group.suite, [signed for _, signed in updates])
        forged = {item.reference for (item, _), verdict in zip(updates, verdicts, strict=True) if not verdict}
        good = [item for item in good if item.reference not in forged]
    adds = [item for item in good if isinstance(item.proposal.body, Add)]
    return _without(good, adds, await _failures(crypto, group, adds, None, Requirements(), policy))


async def select(
    crypto: CryptoProvider,
    group: Group,
    given: Sequence[ReceivedProposal],
    policy: Policy,
    psks: Psks,
    now: float | None,
) -> list[ReceivedProposal]:
    """The received proposals that go into our commit, in the order in which they came.

    Args:
        given: proposals by value that are in it.
        now: Unix seconds, for the lifetimes of added KeyPackages; None leaves those unchecked.
    """
    # 1.
    repeated = {item.proposal for item in given}
    known = await sound(crypto, group, [item for item in group.proposals if item.proposal not in repeated], policy)
    choice = _Choice(group, given, policy)
    # 2.
    for item in reversed(known):
        if isinstance(item.proposal.body, Remove):
            choice.take_remove(item, item.proposal.body.removed)
    choice.meet()
    for item in reversed(known):
        if isinstance(item.proposal.body, Update):
            choice.take_update(item, item.proposal.body.leaf_node)
    # 3.
    for item in reversed(known):
        if isinstance(item.proposal.body, GroupContextExtensions):
            choice.take_context(item, item.proposal.body.extensions)
    # 4.
    adds = [item for item in known if isinstance(item.proposal.body, Add)]
    for item in _without(adds, adds, await _failures(crypto, group, adds, now, choice.needs, policy)):
        if isinstance(item.proposal.body, Add):
            choice.take_add(item, item.proposal.body.key_package.leaf_node)
    # 5.
    for item in known:
        if isinstance(item.proposal.body, PreSharedKey):
            choice.take_psk(item, item.proposal.body.psk, psks)
        elif item.proposal.custom:
            choice.take_custom(item)
    # 6.
    for item in reversed(known):
        if isinstance(item.proposal.body, ReInit) and not choice.taken and not given:
            choice.taken.append(item)
    order = {item.reference: place for place, item in enumerate(group.proposals)}
    return sorted(choice.taken, key=lambda item: order[item.reference])


class _Choice:
    """What was taken, and what that leaves room for. The tree's rules (`check_members`) are held a little more strictly
    than need be, as if the old leaf of an Update and the nodes that blank were still there.
    """

    def __init__(self, group: Group, given: Sequence[ReceivedProposal], policy: Policy) -> None:
        self.taken: list[ReceivedProposal] = []
        self._group, self._policy = group, policy
        bodies = [item.proposal.body for item in given]
        self._gone = {body.removed for body in bodies if isinstance(body, Remove)}
        self._touched = {*self._gone, group.own_leaf}
        contexts = [body.extensions for body in bodies if isinstance(body, GroupContextExtensions)]
        self._context_taken = bool(contexts)
        self.needs = requirements(contexts[0] if contexts else group.context.extensions)
        self._psks = {body.psk for body in bodies if isinstance(body, PreSharedKey)}
        self._new = [body.key_package.leaf_node for body in bodies if isinstance(body, Add)]
        self._staying: dict[int, LeafNode] = {}

    def take_remove(self, item: ReceivedProposal, leaf: int) -> None:
        if leaf not in self._touched:
            self._touched.add(leaf)
            self._gone.add(leaf)
            self.taken.append(item)

    def meet(self) -> None:
        """Those who stay are known: notes what new leaves must not clash with."""
        tree = self._group.tree
        self._staying = {index: leaf for index, leaf in tree.members() if index not in self._gone}
        leaves = [*self._staying.values(), *self._new]
        self._room = MAX_WIDTH - len(leaves)
        self._signature_keys = {leaf.signature_key for leaf in leaves}
        self._encryption_keys = tree.encryption_keys() | {leaf.encryption_key for leaf in self._new}
        self._credentials = {leaf.credential.credential_type for leaf in leaves}
        self._supported = frozenset.intersection(*(frozenset(leaf.capabilities.credentials) for leaf in leaves))

    def take_update(self, item: ReceivedProposal, leaf: LeafNode) -> None:
        index = item.sender.leaf_index
        if index is None or index in self._touched or not self._meets(leaf, self.needs):
            return
        if self._fits(leaf, self._staying[index].signature_key):
            self._touched.add(index)
            self._staying[index] = leaf
            self.taken.append(item)

    def take_context(self, item: ReceivedProposal, extensions: Sequence[Extension]) -> None:
        needs = requirements(extensions)
        if not self._context_taken and all(self._meets(leaf, needs) for leaf in self._staying.values()):
            self._context_taken = True
            self.needs = needs
            self.taken.append(item)

    def take_add(self, item: ReceivedProposal, leaf: LeafNode) -> None:
        if self._room > 0 and self._fits(leaf, None):
            self._room -= 1
            self.taken.append(item)

    def take_psk(self, item: ReceivedProposal, psk_id: PreSharedKeyID, psks: Psks) -> None:
        if psk_id in self._psks:
            return
        try:
            psks.key(psk_id)
        except RoomkeyError:
            return
        self._psks.add(psk_id)
        self.taken.append(item)

    def take_custom(self, item: ReceivedProposal) -> None:
        kind, tree = item.proposal.proposal_type, self._group.tree
        if all(kind in leaf.capabilities.proposals for index, leaf in tree.members() if index not in self._gone):
            self.taken.append(item)

    def _meets(self, leaf: LeafNode, needs: Requirements) -> bool:
        try:
            check_leaf(self._group.suite, leaf, now=None, needs=needs, max_lifetime=self._policy.max_lifetime)
        except RoomkeyError:
            return False
        return True

    def _fits(self, leaf: LeafNode, own_key: bytes | None) -> bool:
        """Whether a new leaf clashes with nobody; it is noted then. `own_key`: the signature key it had before."""
        can, kind = frozenset(leaf.capabilities.credentials), leaf.credential.credential_type
        if (
            (leaf.signature_key in self._signature_keys and leaf.signature_key != own_key)
            or leaf.encryption_key in self._encryption_keys
            or kind not in self._supported
            or not self._credentials <= can
        ):
            return False
        self._signature_keys.add(leaf.signature_key)
        self._encryption_keys.add(leaf.encryption_key)
        self._credentials.add(kind)
        self._supported &= can
        return True


def _obeys(group: Group, item: ReceivedProposal, policy: Policy, needs: Requirements) -> bool:
    body = item.proposal.body
    try:
        check_proposal(group, item.sender, item.proposal, policy)
        if isinstance(body, Update):
            check_leaf(group.suite, body.leaf_node, now=None, source=UPDATE, needs=needs)
        elif isinstance(body, GroupContextExtensions):
            requirements(body.extensions)
    except RoomkeyError:
        return False
    return not isinstance(body, ExternalInit)


async def _failures(
    crypto: CryptoProvider,
    group: Group,
    adds: Sequence[ReceivedProposal],
    now: float | None,
    needs: Requirements,
    policy: Policy,
) -> list[RoomkeyError | None]:
    packages = [item.proposal.body.key_package for item in adds if isinstance(item.proposal.body, Add)]
    return (
        await key_package_failures(crypto, group.suite, packages, now, needs=needs, max_lifetime=policy.max_lifetime)
        if packages
        else []
    )


def _without(
    items: Sequence[ReceivedProposal], asked: Sequence[ReceivedProposal], failures: Sequence[RoomkeyError | None]
) -> list[ReceivedProposal]:
    bad = {item.reference for item, failure in zip(asked, failures, strict=True) if failure is not None}
    return [item for item in items if item.reference not in bad]
