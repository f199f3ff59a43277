"""One conference at work: its state in memory, which is always the state on disk, and the transactions that move it.

    (nothing) --create--> CREATING --registered--> ACTIVE
    (nothing) --Welcome--> INVITED --accept--> ACTIVE
    (nothing) --ticket--> ENTERING --our external commit wins--> ACTIVE
    INVITED, ACTIVE --commit--> the same, one epoch on          (`adopt`)
    INVITED, ACTIVE --our Remove--> REMOVED                     (`end`)
    INVITED, ACTIVE --an epoch that is not safe--> FAILED       (`end`)
    INVITED, ACTIVE --a group follows on its own--> the same, in that group     (`succession`)
    any --leave, decline, forget--> (nothing)

Whoever changes a session holds its `lock`. A change is written first and shown in memory after that, so an error or a
crash between two steps leaves the old state or the new one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from roomkey.conference import ordering, records
from roomkey.conference.changes import Changes
from roomkey.conference.events import Ended, EpochChanged, Event, Member, MembersChanged, UpgradeOffered
from roomkey.conference.member_records import members_record
from roomkey.conference.signals import Signalling
from roomkey.conference.surroundings import Surroundings as Surroundings
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.delivery_messages import StoredCommit
from roomkey.federation.negotiation import better, leaf_offer
from roomkey.mls import state
from roomkey.mls.group import PAST_EPOCHS, Group
from roomkey.mls.leaf_node import LeafNode


class Stuck(NamedTuple):
    """An epoch that the register ended by a commit which we cannot follow. `by`: the leaf of the member who signed it,
    None where nobody can be held to it.
    """

    epoch: int
    commit: bytes
    by: int | None
    reason: str  # code


class Doubt(NamedTuple):
    """A commit that the register holds and that is withheld, because somebody whom it brings cannot be proved now."""

    epoch: int
    commit: bytes
    by: int | None  # as of `Stuck`
    error: RoomkeyError


class Founding(NamedTuple):
    """Who founded a successor, by the leaf in our group, and the hash of the first token of the group that it made."""

    leaf: int
    token_hash: bytes


@dataclass
class Session:
    """See the module. `group` is None once the conference has ended."""

    around: Surroundings
    key: str  # in the store (`records`)
    record: records.ConferenceRecord
    group: Group | None
    members: tuple[Member, ...]
    pending: records.PendingCommit | None = None
    epoch: int = 0  # the last one known, also after the end
    later_id: bytes = b""  # of the group that followed on the one that `key` names
    founding: records.PendingFounding | None = None
    former: Group | None = None  # what is left of the group before (`mls.group.remains`)
    former_ended: int = 0
    stuck: Stuck | None = None
    doubt: Doubt | None = None
    refused: records.RefusedCommit | None = None
    succeeding: bool = False
    attempt: int = 0  # at founding the successor that is due: those before it were spoilt, or given up (`attempts`)
    founded: dict[int, Founding] = field(default_factory=dict)  # by attempt
    offered: int | None = None  # the better suite that was told of
    reinitialised: bool = False  # by ourselves: the first turn to found the successor is ours
    listener: Callable[[Event], None] = lambda event: None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    settling: bool = False
    settle_again: bool = False  # asked for while settling
    ahead: tuple[str, tuple[StoredCommit, ...]] = ("", ())  # a register's domain, and its commits not processed yet
    left: bool = False
    told_of: str = ""  # code of what keeps us from catching up, once it was told
    showed: int = -1  # the epoch in which we showed our heads of logs by a message
    signalling: Signalling = field(default_factory=Signalling)
    forgetting: bool = False  # not before the inbox has shown what waited in it: some may be of epochs now too old

    # -- reading --

    @property
    def group_id(self) -> bytes:
        return self.later_id or records.group_id_of(self.key)

    @property
    def live(self) -> Group:
        """The current group. Errors: "not-a-member"."""
        if self.group is None:
            raise RoomkeyError("not-a-member", "expected a conference that goes on")
        return self.group

    @property
    def ordering(self) -> str:
        return self.record.ordering.decode("ascii")

    def ordering_service(self) -> DeliveryService:
        """Errors: "no-route"."""
        return self.around.routes().service_of(self.ordering)

    def member_at(self, leaf: int) -> Member | None:
        return next((member for member in self.members if member.leaf == leaf), None)

    async def heads(self) -> bytes:
        """What our messages show the members of the logs of their keys, as authenticated data."""
        return await self.around.gossip.heads([member.identity for member in self.members])

    def heard(self, shown: bytes, sender: Member | None) -> None:
        """Takes what a member's message shows of logs, once the message is ours."""
        if sender is not None:
            people = [member.identity for member in self.members]
            accepted = self.record.status == records.ACTIVE
            self.around.gossip.heard(shown, sender.identity, people, accepted=accepted)

    def emit(self, event: Event) -> None:
        self.listener(event)

    # -- changing --

    async def admitted(self, after: Group, changes: Changes) -> tuple[Member, ...]:
        """The members of `after`. Leaves that are new, or changed name or signature key, are proved now; others were
        before.
        """
        before = {member.leaf: member for member in self.members}
        old = {} if self.group is None else dict(self.group.tree.members())
        known: dict[int, Member] = {}
        fresh: list[tuple[int, LeafNode]] = []
        if self.record.status == records.INVITED:
            changes = Changes()  # strangers teach us nothing about others before their invitation is accepted
        for index, leaf in after.tree.members():
            if index in before and index in old and _same_identity(old[index], leaf):
                known[index] = before[index]
            else:
                fresh.append((index, leaf))
        known.update({member.leaf: member for member in await self.around.admission.admit(after, fresh, changes)})
        return tuple(known[index] for index, _ in after.tree.members())

    def put_group(self, changes: Changes, group: Group) -> Group:
        """Adds a group to a transaction, without what is too old (`Group.aged`) once `upkeep.forget` has begun with it;
        what it returns is current once the transaction stands.
        """
        if self.forgetting:
            group = group.aged(self.around.now())
        changes.put(records.group_name(self.key), state.encode_group(group))
        return group

    async def adopt(
        self,
        after: Group,
        members: tuple[Member, ...],
        changes: Changes,
        record: records.ConferenceRecord,
        entered: int | None = None,
    ) -> None:
        """Makes `after` the current epoch: one transaction with `changes`, then memory, then events.

        Args:
            entered: the leaf of who came by themselves.
        """
        before = self.live
        needed = {pair.public for pair in own_pairs(after)}
        unneeded = (pair for pair in own_pairs(before) if pair.public not in needed)
        changes.drop(pair for pair in unneeded if not self.around.outlives(pair.public))
        still = {member.leaf for member in members if member in self.members}
        domain = ordering.ordering_domain(after)  # a commit may move the group to another service
        record = record.replace(
            departing=tuple(leaf for leaf in record.departing if leaf in still),
            ordering=record.ordering if domain is None else domain.encode("ascii"),
        )
        changes.put(records.conference_name(self.key), record)
        changes.put(records.members_name(self.key), members_record(after.epoch, members))
        new = {member.leaf for member in members if member not in self.members or member.leaf == entered}
        newest = await self._new_leaves()
        kept = [item for item in newest if item.epoch + PAST_EPOCHS >= after.epoch and item.leaf not in new]
        kept += [records.NewLeaf(leaf, after.epoch) for leaf in sorted(new)]
        if kept != [*newest]:
            changes.put(records.new_name(self.key), records.NewLeaves(tuple(kept)))
        after = self.put_group(changes, after)
        changes.delete([records.commit_name(self.key)])
        await changes.write(self.around.store)

        old_members = self.members
        self.record, self.group, self.members, self.pending = record, after, members, None
        self.epoch = after.epoch
        self.emit(EpochChanged(after.epoch))
        added = tuple(member for member in members if member not in old_members)
        removed = tuple(member for member in old_members if member not in members)
        by_themselves = tuple(member for member in members if member.leaf == entered)
        if added or removed or by_themselves:
            self.emit(MembersChanged(added, removed, by_themselves))
        self.offer()

    @property
    def better_suite(self) -> int | None:
        """The suite that all members offer and that stands before the group's."""
        return None if self.group is None or self.group.reinit is not None else better_suite(self.group)

    def offer(self) -> None:
        """Tells, once, of a better suite that all members offer."""
        found = self.better_suite
        if found is not None and found != self.offered:
            self.emit(UpgradeOffered(found))
        self.offered = found

    async def end(
        self,
        reason: Literal["removed", "left", "downgrade", "failed"],
        changes: Changes,
        *,
        by: Member | None = None,
        error: RoomkeyError | None = None,
    ) -> None:
        """Deletes the keys and all that is under way, in one transaction with `changes`. After "left", and of an
        invitation, nothing at all stays.
        """
        leaves_nothing = reason == "left" or self.record.status == records.INVITED
        changes.delete(await self.record_names() if leaves_nothing else await self._secret_names())
        record = self.record.replace(status=records.REMOVED if reason == "removed" else records.FAILED)
        if not leaves_nothing:
            changes.put(records.conference_name(self.key), record)
        groups = [group for group in (self.group, *self.candidates()) if group is not None]
        pairs = [pair for group in groups for pair in own_pairs(group)]
        changes.drop(pair for pair in pairs if not self.around.outlives(pair.public))
        await changes.write(self.around.store)

        self.record, self.group, self.pending, self.founding, self.former = record, None, None, None, None
        self.left = leaves_nothing
        self.emit(Ended(reason, by, error))

    async def record_names(self) -> list[str]:
        """The names of all records of the conference."""
        said = [name for name, _ in await self.around.store.list(records.message_name(self.key))]
        own = [name(self.key) for name in (records.conference_name, records.members_name, records.id_name)]
        return [*await self._secret_names(), *said, *own]

    async def _secret_names(self) -> list[str]:
        """The names of the records that hold keys, and of what only they could read."""
        listed = (records.held_name(self.key), records.welcome_name(self.key))
        waiting = [name for prefix in listed for name, _ in await self.around.store.list(prefix)]
        names = (
            records.new_name, records.group_name, records.commit_name, records.entry_name, records.founding_name,
            records.refused_name, records.former_name, records.contexts_name,
        )  # fmt: skip
        return [*(name(self.key) for name in names), *waiting]

    async def new_since(self, leaf: int) -> int:
        """The first epoch of who is at this leaf now, as far as it is one of the last few; else 0."""
        return max((item.epoch for item in await self._new_leaves() if item.leaf == leaf), default=0)

    async def _new_leaves(self) -> tuple[records.NewLeaf, ...]:
        data = await self.around.store.get(records.new_name(self.key))
        return () if data is None else records.NewLeaves.decode(data).leaves

    def candidates(self) -> list[Group]:
        """The groups that our pending commit and our founding would make."""
        return [state.decode_group(item.candidate) for item in (self.pending, self.founding) if item is not None]

    def seen(self, message: bytes) -> bool:
        """Whether this message was processed before."""
        return digest(message) in self.record.recent

    def marked(self, message: bytes) -> records.ConferenceRecord:
        """The record that remembers `message` as processed."""
        return self.record.replace(recent=(*self.record.recent, digest(message))[-records.RECENT :])


def digest(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()[: records.RECENT_BYTES]


def own_pairs(group: Group) -> tuple[KeyPair, ...]:
    """The key pairs that the group needs: of our leaf, its path and its proposed updates."""
    return (group.signature, *group.path_keys.values(), *(update.encryption for update in group.own_updates))


def better_suite(group: Group) -> int | None:
    """The best suite that all members offer, if it stands before the group's; None while we are alone."""
    kinds = [leaf.capabilities for _, leaf in group.tree.members()]
    if len(kinds) < 2:
        return None
    few = {(kind.versions, kind.cipher_suites): kind for kind in kinds}  # most members run the same software
    return better(group.suite.number, [leaf_offer("", kind) for kind in few.values()])


def _same_identity(left: LeafNode, right: LeafNode) -> bool:
    return left.credential == right.credential and left.signature_key == right.signature_key
