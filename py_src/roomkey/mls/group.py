"""A group as one member sees it in one epoch (RFC 9420 section 8 and 12).

`Group` is a value. `commit`, `process`, `protect` and the rest answer with another one; whoever calls decides when
the new one takes the old one's place, and stores it first (web/docs/decisions.md). What a value no longer holds is
forgotten only when the old value is.

    create_group, join          make one                (`creation`, `joining`)
    propose, commit             change it               (`committing`)
    process                     take others' messages   (`processing`)
    protect                     application data        (`processing`)
    Group.export                keys for everything else
    Group.aged                  forget what is too old
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import is_
from typing import NamedTuple

from roomkey.crypto.provider import KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls import key_schedule
from roomkey.mls.framing import Sender
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.key_schedule import EpochSecrets
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.policy import STRICT as STRICT
from roomkey.mls.policy import Policy as Policy
from roomkey.mls.proposals import Proposal, ReInit
from roomkey.mls.psk import NO_PSKS as NO_PSKS
from roomkey.mls.psk import PSK_EXTERNAL, PreSharedKeyID
from roomkey.mls.psk import Psks as Psks
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.secret_tree import SecretTree
from roomkey.mls.transcript import interim_transcript_hash
from roomkey.mls.treekem import PathKeys
from roomkey.mls.validation import violation

# Epochs whose application messages can still be read: those on their way while a commit is made. Each keeps a secret
# tree.
PAST_EPOCHS = 3
# Seconds after its end for which an epoch can be read (`Group.aged`): as for skipped keys, a device that fell asleep
# with messages to send wakes up within a day. Whoever is away longer takes the epochs in order, and each ends then.
MAX_PAST_AGE = 86400
# Epochs whose resumption_psk is kept, for PSK proposals, ReInit and branches (RFC 9420 section 8.6 leaves the number
# open).
RESUMPTION_EPOCHS = 8
# Proposals kept in one epoch; a member who sends more is not heard until the next commit.
MAX_PROPOSALS = 2048
MAX_PROPOSAL_BYTES = 4 << 20  # of all of them: the group is stored with every message


class OwnKeys(NamedTuple):
    """The pairs of our leaf: what signs, and what its `encryption_key` belongs to."""

    signature: KeyPair
    encryption: KeyPair


class JoinKeys(NamedTuple):
    """A published KeyPackage with the private keys to it."""

    key_package: KeyPackage
    init: KeyPair
    leaf: OwnKeys


@dataclass(frozen=True, slots=True)
class Member:
    """A member: its leaf index and its leaf."""

    index: int
    leaf: LeafNode


class ReceivedProposal(NamedTuple):
    """A proposal of this epoch, with its sender as the message proved it. `reference` is its ProposalRef."""

    reference: bytes
    sender: Sender
    proposal: Proposal


class OwnUpdate(NamedTuple):
    """The keys of an Update we proposed, until somebody commits it; `signature` may be the one we have."""

    reference: bytes
    encryption: KeyPair
    signature: KeyPair


class PastEpoch(NamedTuple):
    """What is kept of an ended epoch to read application messages that were on their way. `ended`: when it ended here,
    in Unix seconds; 0 until `Group.aged` has seen it.
    """

    context: GroupContext
    sender_data_secret: bytes
    messages: SecretTree
    members: Mapping[int, LeafNode]
    ended: int = 0

    def __repr__(self) -> str:
        return "<PastEpoch>"


@dataclass(frozen=True, repr=False)
class Group:
    """A member's view of a group in one epoch. Holds secrets; its text form shows none."""

    suite: CipherSuite
    context: GroupContext
    tree: RatchetTree
    own_leaf: int
    signature: KeyPair
    path_keys: PathKeys  # our leaf's pair and those of the nodes above that we know, by node position
    secrets: EpochSecrets
    messages: SecretTree
    interim_transcript_hash: bytes
    confirmation_tag: bytes
    proposals: tuple[ReceivedProposal, ...] = ()
    own_updates: tuple[OwnUpdate, ...] = ()
    resumption: tuple[tuple[int, bytes], ...] = ()  # (epoch, resumption_psk), the newest last
    past: tuple[PastEpoch, ...] = ()  # the newest last
    reinit: ReInit | None = None  # set once a ReInit is committed: nothing more is sent here (RFC 9420 section 11.2)

    @property
    def group_id(self) -> bytes:
        return self.context.group_id

    @property
    def epoch(self) -> int:
        return self.context.epoch

    @property
    def epoch_authenticator(self) -> bytes:
        """The same for all members who agree on the epoch (RFC 9420 section 8.7), 32 bytes."""
        return self.secrets.epoch_authenticator

    @property
    def leaf(self) -> LeafNode:
        """Our own leaf."""
        leaf = self.tree.leaf(self.own_leaf)
        assert leaf is not None
        return leaf

    def members(self) -> list[Member]:
        """All members, by leaf index."""
        return [Member(index, leaf) for index, leaf in self.tree.members()]

    def export(self, label: bytes, context: bytes, length: int) -> bytes:
        """MLS-Exporter (RFC 9420 section 8.5): `length` bytes. Errors: "bad-argument"."""
        return key_schedule.export(self.suite, self.secrets.exporter_secret, label, context, length)

    def psk(self, psk_id: PreSharedKeyID, offered: Psks) -> bytes:
        """The key behind an id: ours, if it is of an epoch of this group that we keep, else what is offered. Errors:
        "psk-unknown".
        """
        if psk_id.psktype != PSK_EXTERNAL and psk_id.psk_group_id == self.group_id:
            for epoch, secret in self.resumption:
                if epoch == psk_id.psk_epoch:
                    return secret
        return offered.key(psk_id)

    def proposal(self, reference: bytes) -> ReceivedProposal:
        """The proposal of this epoch with this reference. Errors: "unknown-proposal"."""
        for item in self.proposals:
            if item.reference == reference:
                return item
        raise violation("commit-unknown-reference")

    def with_proposal(self, received: ReceivedProposal) -> Group:
        """The group that remembers one more proposal; the same one twice is remembered once. Errors:
        "too-many-proposals".
        """
        if any(known.reference == received.reference for known in self.proposals):
            return self
        if len(self.proposals) >= MAX_PROPOSALS:
            raise RoomkeyError("too-many-proposals", f"expected at most {MAX_PROPOSALS} proposals in an epoch")
        size = sum(len(item.proposal.encode()) for item in (*self.proposals, received))
        if size > MAX_PROPOSAL_BYTES:
            raise RoomkeyError(
                "too-many-proposals", f"expected at most {MAX_PROPOSAL_BYTES} bytes of proposals, got {size}"
            )
        return replace(self, proposals=(*self.proposals, received))

    def following(self, ending: Group) -> Group:
        """This group, a commit's candidate, as what follows on `ending`: messages that were read since the commit was
        made have used up their keys for good.
        """
        return replace(self, past=past_epochs(ending))

    def aged(self, now: float) -> Group:
        """The group as of `now` (Unix seconds): without epochs that ended more than `MAX_PAST_AGE` ago and message keys
        that were skipped more than `MAX_SKIPPED_AGE` ago. The very same one if that changes nothing.

        Nothing else here knows the time. So whoever keeps a group calls this with every change, which sets the times,
        and now and then while nothing changes, and stores what it answers. See `SecretTree.aged` for clocks that go
        back.
        """
        seconds = max(1, int(now))
        past: list[PastEpoch] = []
        for item in self.past:
            ended = item.ended if 0 < item.ended <= seconds else seconds
            messages = item.messages.aged(seconds)
            if ended + MAX_PAST_AGE >= seconds:
                same = ended == item.ended and messages is item.messages
                past.append(item if same else item._replace(ended=ended, messages=messages))
        messages = self.messages.aged(seconds)
        if messages is self.messages and len(past) == len(self.past) and all(map(is_, past, self.past)):
            return self
        return replace(self, messages=messages, past=tuple(past))

    def past_epoch(self, epoch: int) -> PastEpoch:
        """What is kept of an ended epoch. Errors: "wrong-epoch"."""
        for past in self.past:
            if past.context.epoch == epoch:
                return past
        raise violation(
            "message-epoch", f"expected epoch {self.epoch} or one of the {len(self.past)} before, got {epoch}"
        )


def past_epochs(ending: Group) -> tuple[PastEpoch, ...]:
    """What the group after `ending` keeps of it and of those before, with the message keys that are left now."""
    members = dict(ending.tree.members())
    ended = PastEpoch(ending.context, ending.secrets.sender_data_secret, ending.messages, members)
    return (*ending.past, ended)[-PAST_EPOCHS:]


def remains(ended: Group) -> Group:
    """What is kept of a group that another has followed on (`successor`): enough to read the application messages of
    its last epochs, which were on their way, and to tell another follower that we are not with it. It has no keys of
    ours, and of the epochs' secrets only message keys and resumption PSKs.
    """
    context = ended.context.replace(epoch=ended.context.epoch + 1)
    return replace(
        ended, context=context, path_keys={}, secrets=EpochSecrets(*([b""] * 8)),
        messages=SecretTree.create(ended.suite, ended.tree.width, bytes(ended.suite.nh)), proposals=(),
        own_updates=(), past=past_epochs(ended),
    )  # fmt: skip


def begin_epoch(
    suite: CipherSuite,
    context: GroupContext,
    tree: RatchetTree,
    own_leaf: int,
    signature: KeyPair,
    path_keys: PathKeys,
    epoch: key_schedule.NewEpoch,
    tag: bytes,
    before: Group | None = None,
    reinit: ReInit | None = None,
) -> Group:
    """The group at the start of an epoch; of the epoch `before` it keeps what the limits above allow."""
    resumption = (*(before.resumption if before else ()), (context.epoch, epoch.secrets.resumption_psk))
    return Group(
        suite,
        context,
        tree,
        own_leaf,
        signature,
        path_keys,
        epoch.secrets,
        SecretTree.create(suite, tree.width, epoch.encryption_secret),
        interim_transcript_hash(suite, context.confirmed_transcript_hash, tag),
        tag,
        resumption=resumption[-RESUMPTION_EPOCHS:],
        past=() if before is None else past_epochs(before),
        reinit=reinit,
    )
