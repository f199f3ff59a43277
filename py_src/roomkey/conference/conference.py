"""A conference as its client uses it: who is in it, what they say, and the keys of its media."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from roomkey.conference import (
    answering,
    contexts,
    entering,
    following,
    founding,
    leavers,
    messages,
    moving,
    ordering,
    receiving,
    records,
    refusing,
    signals,
    succession,
    tickets,
    upkeep,
)
from roomkey.conference.changes import Changes
from roomkey.conference.commits import Plan
from roomkey.conference.epoch_keys import EpochKeys
from roomkey.conference.events import Event, Failed, Member
from roomkey.conference.history import History
from roomkey.conference.messages import Sent
from roomkey.conference.reading import withheld
from roomkey.conference.running import Running
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import read_claim
from roomkey.federation.negotiation import Offer, better, leaf_offer, no_common_suite
from roomkey.federation.proof import VerifiedInitKeySet
from roomkey.media.srtp import verification_digits
from roomkey.mls.group import Group
from roomkey.mls.leaf_node import requirements
from roomkey.mls.proposals import Add, Remove, proposal

# A message goes to each member's inbox whole; files belong elsewhere.
MAX_DATA = 1 << 20


class Added(NamedTuple):
    epoch: int
    members: tuple[Member, ...]


class Conference(Running):
    """See the module. Snapshots (`epoch`, `members`, `verification_digits`) are the state that is on disk."""

    # -- what it is --

    @property
    def id(self) -> bytes:
        """The id of its group; another one once a group has followed on it (`Succeeded`)."""
        return self._session.group_id

    @property
    def key(self) -> str:
        """The conference's own name here: several may have one id, of which one is true (`answering`)."""
        return self._session.key

    @property
    def name(self) -> str:
        return self._session.record.name.decode()

    @property
    def epoch(self) -> int:
        return self._session.epoch

    @property
    def status(self) -> int:
        """One of `records`: INVITED, ENTERING, ACTIVE, REMOVED, FAILED."""
        return self._session.record.status

    @property
    def suite(self) -> int | None:
        """The RFC 9420 number; None once the conference has ended."""
        return None if self._session.group is None else self._session.group.suite.number

    @property
    def better_suite(self) -> int | None:
        """The better suite that all members offer, if there is one: `upgrade` moves the conference there."""
        return self._session.better_suite

    @property
    def policy(self) -> str | None:
        """The name of the group's policy (`mls.policy`); None once the conference has ended."""
        return None if self._session.group is None else tickets.name_of_policy(self._session.group.context)

    @property
    def ordering(self) -> str:
        """The domain of the ordering service."""
        return self._session.ordering

    @property
    def members(self) -> tuple[Member, ...]:
        return self._session.members

    @property
    def inviter(self) -> Member | None:
        """Whose Welcome or ticket brought us here, while it is a member."""
        return self._session.member_at(self._session.record.inviter)

    @property
    def created(self) -> int:
        """Unix seconds: when it was created or its invitation came."""
        return self._session.record.created

    @property
    def verification_digits(self) -> str:
        """30 digits, the same for all members of an epoch (wire.md section 7); empty once the conference has ended."""
        group = self._session.group
        return "" if group is None else verification_digits(group.epoch_authenticator)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Who hears the events from now on; one listener."""
        self._session.listener = listener

    # -- who is in it --

    async def invite(self, sets: Sequence[VerifiedInitKeySet], use: Callable[[Changes], None]) -> Added:
        """Adds the clients behind these sets: one commit, all or nothing. Clients that are members already stay as they
        are. If everybody then offers a suite that is better than the group's, the conference is moved there first.

        Args:
            use: marks the sets as used, in the transaction that writes the commit.
        Errors: "bad-argument", "no-common-suite", "unsupported-client", "already-member" if all of them are, and those
        of `commits.commit`.
        """
        if not sets:
            raise RoomkeyError("bad-argument", "expected at least one person to invite")
        await self._upgrade_for(sets)
        suite, needs = self._session.live.suite, requirements(self._session.live.context.extensions).extensions
        if any(suite.number not in item.packages for item in sets):
            raise no_common_suite([*self._offers(), *(item.offer for item in sets)], [suite.number])
        wanted = {item.client.client_id: item.package_for(suite.number) for item in sets}
        for package in wanted.values():
            lacking = needs.difference(package.leaf_node.capabilities.extensions)
            if lacking:
                text = f"capabilities: expected extension types {sorted(needs)}, got none of {sorted(lacking)}"
                raise RoomkeyError("unsupported-client", text, extension=min(lacking))
        before = {member.client for member in self.members}
        if wanted.keys() <= before:
            raise RoomkeyError("already-member", "expected someone who is not in the conference yet")

        def plan(group: Group) -> Plan | None:
            present = {member.client for member in self._session.members}
            adds = tuple(proposal(Add(package)) for client, package in wanted.items() if client not in present)
            naming = ordering.naming(group, self.ordering)
            return Plan((*leavers.removals(self._session), *adds, *naming), mark=use) if adds else None

        await self._run(lambda: leavers.note_unlisted(self._session))
        await self._change(plan)
        added = tuple(member for member in self.members if member.client in wanted.keys() - before)
        return Added(self.epoch, added)

    async def ticket(self) -> bytes:
        """A ticket, by which one person outside can come in by themselves until the next commit; a secret (`tickets`).

        Errors: "ticket-not-allowed" unless the policy is external-joins, "not-a-member", the ordering service's.
        """

        async def make() -> bytes:
            await receiving.catch_up(self._session)  # one of an epoch that is over would help nobody
            return await tickets.make_ticket(self._session.around.crypto, self._session.live, self.ordering)

        return await self._run(make)

    async def remove(self, *, identity: str | None = None, client: bytes | None = None) -> None:
        """Removes one client, or all clients of an identity. Errors: "no-such-member", "bad-argument" for ourselves;
        `commits.commit`'s.
        """
        if not any(_matches(member, identity, client) for member in self.members):
            raise RoomkeyError("no-such-member", "expected a member of the conference")
        if any(member.own and _matches(member, identity, client) for member in self.members):
            raise RoomkeyError("bad-argument", "expected another member; to go yourself, leave")

        def plan(group: Group) -> Plan | None:
            leaves = [member.leaf for member in self._session.members if _matches(member, identity, client)]
            return Plan(tuple(proposal(Remove(leaf)) for leaf in leaves)) if leaves else None

        await self._change(plan)

    async def update(self) -> None:
        """Gives our leaf, and its path to the root, fresh keys. Errors: `commits.commit`'s."""
        await self._change(lambda group: Plan(()))

    async def move_ordering(self, domain: str) -> None:
        """Moves the conference to the ordering service of `domain`, for good or until the next move (`moving`).

        Errors: "bad-argument" for a domain that no member has; "no-route"; `commits.commit`'s, and those of the new
        service, which leave everything as it was.
        """
        wanted = moving.destination(self._session, domain)
        await self._change(lambda group: moving.plan(self._session, group, wanted))

    async def upgrade(self) -> None:
        """Moves the conference to the best suite that all members offer: a new group of the same people follows on its
        own (`succession`). Its id changes; its messages, name and key stay.

        Errors: "no-better-suite"; that of the first member whose keys cannot be had, and then nothing has happened;
        `commits.commit`'s; "group-succeeding" if it takes long, and then it goes on in the background.
        """
        await self._run(lambda: founding.reinitialise(self._session, receiving.process_commits))
        await self._succeeded()

    async def go_on_without(self, *, without_inviter: bool = False) -> None:
        """Goes on without somebody who was brought into the conference and cannot be proved: in a branch of the group
        as it was before, with all who decide the same (`refusing`). For good; who has proved them stays with them.

        The conference stands still meanwhile. `Failed` tells so: "log-unproven", "identity-reset" or "log-fork", with
        details `identity`, whom it is about, and `inviter`, who brought them.

        Args:
            without_inviter: leaves behind who brought them, too.
        Errors: "bad-argument" if nobody waits for proof, also because it came just now; the ordering service's;
        "group-succeeding" if it takes long, and then it goes on in the background.
        """

        async def refuse() -> None:
            try:
                await receiving.catch_up(self._session)
            except RoomkeyError as error:
                if error.code == "group-succeeding":
                    return
                if not withheld(error) or succession.in_doubt(self._session) is None:
                    raise
            await refusing.refuse(self._session, without_inviter=without_inviter)

        await self._run(refuse)
        await self._succeeded()

    async def leave(self) -> None:
        """Asks the others to remove us and deletes the conference here. The keys are gone when this returns."""
        if succession.due(self._session) is not None:
            with contextlib.suppress(RoomkeyError):  # a group that has ended takes no wishes, but its successor does
                await self._succeeded()
        await self._run(lambda: answering.leave(self._session))

    # -- what they say --

    async def send(self, data: bytes) -> Sent:
        """Sends an application message; durable when this returns, delivered in the background. Errors: "bad-argument",
        "not-a-member".
        """
        if len(data) > MAX_DATA:
            raise RoomkeyError(
                "bad-argument", f"data: expected at most {MAX_DATA} bytes, got {len(data)}", field="data"
            )
        return await self._carry(lambda: messages.send(self._session, bytes(data)))

    async def signal(self, data: bytes, *, to: bytes | None = None, kind: int = signals.APPLICATION) -> None:
        """Says something for the moment, to all members or to one client: it is stored nowhere, and lost where it does
        not arrive within a minute (`SignalArrived`).

        Errors: "bad-argument" for too much, "no-such-member", "not-a-member", "too-many-signals".
        """
        if len(data) > signals.MAX_DATA:
            text = f"data: expected at most {signals.MAX_DATA} bytes, got {len(data)}"
            raise RoomkeyError("bad-argument", text, field="data")
        await self._carry(lambda: messages.signal(self._session, kind, bytes(data), to))

    @property
    def history(self) -> History:
        """What was said."""
        return History(self._session.around.store, self._session.key, self._session.around.now)

    @property
    def keys(self) -> EpochKeys:
        """The keys of this epoch. Errors: "not-a-member"."""
        return EpochKeys(self._session.live, self.members)

    async def prepare_media(self, *, fresh: bool) -> None:
        """Makes sure that no context of a media stream comes twice in an epoch: where it is not on record which were
        used, the epoch is ended by a commit first.

        Args:
            fresh: whether the conference came to us since this program started, so that nothing was sent before.
        Errors: `commits.commit`'s, "not-a-member", "storage-failed".
        """
        if not fresh and not await contexts.known(self._session):
            await self.update()
        await self._run(lambda: contexts.begin(self._session))

    async def media_context(self) -> int:
        """A context for one media stream, never given out before and durable. Errors: `contexts.reserve`'s."""
        return await self._run(lambda: contexts.reserve(self._session))

    # -- for the client --

    async def receive(self, data: bytes) -> None:
        """Processes one message of an inbox. Errors: see `receiving.receive`."""
        departing = self._session.record.departing
        try:
            await self._run(lambda: receiving.receive(self._session, data))
        except RoomkeyError as error:
            if error.code == "storage-failed" or not (error.retryable or withheld(error)):
                raise
            self.settle()  # what it takes to go on did not answer: the message is held, and tried again once it does
        if self._session.record.departing != departing:
            self.see_off()
        self._go_on()

    async def receive_successor(self, data: bytes) -> None:
        """Takes a Welcome to a group that says it follows on ours. Errors: `following.hold`'s."""
        await self._run(lambda: following.hold(self._session, data))
        self._session.around.spawn(lambda: upkeep.settle(self._session, at_once=True))

    async def activate(self) -> None:
        """A created conference is registered."""
        record = self._session.record.replace(status=records.ACTIVE)
        await self._session.around.store.write({records.conference_name(self._session.key): record.encode()})
        self._session.record = record

    async def accept(self, before: Conference | None = None) -> None:
        """Accepts the invitation. The members are proved once more, now with effect on what we know of them.

        Args:
            before: the same conference, which has ended here; this one takes its place, and its messages.
        Errors: "not-a-member" if it was taken back; "invalid-welcome" if the ordering service knows of no such epoch;
        its other errors and `Admission.admit`'s, and then it stays an invitation.
        """

        async def accept() -> None:
            if before is None:
                await answering.accept(self._session, None)
                return
            async with before._session.lock:
                await answering.accept(self._session, before._session)

        await self._run(accept)
        self.settle()

    async def enter(self, before: Conference | None = None, *, fresh: bool) -> None:
        """Submits the external commit of a ticket; see `entering.resolve` for errors. `before` as for `accept`."""

        async def enter() -> None:
            if before is None:
                await entering.resolve(self._session, None, fresh=fresh)
            else:
                async with before._session.lock:
                    await entering.resolve(self._session, before._session, fresh=fresh)
            await receiving.release(self._session)

        await self._run(enter)
        self.settle()

    async def catch_up(self) -> None:
        """Takes what the ordering service's register holds. Errors: that service's."""
        await self._run(lambda: receiving.catch_up(self._session))

    async def forget_old(self) -> None:
        """Deletes messages, message keys and past epochs that are too old. Errors: "storage-failed"."""
        await self.history.forget_old()
        await upkeep.forget(self._session)

    def see_off(self, *, at_once: bool = False) -> None:
        """Removes, in the background, members who are to go (`leavers`)."""
        self._session.around.spawn(lambda: leavers.see_off(self._session, at_once=at_once))

    async def remove_unlisted(self) -> None:
        """Removes whom their own manifest no longer lists; what cannot be done now goes on in the background."""
        try:
            await self._run(lambda: leavers.note_unlisted(self._session))
            if self._session.record.departing:
                await self._change(lambda group: leavers.plan(self._session))
        except RoomkeyError as error:
            if not error.retryable and error.code != "group-succeeding":
                self.report(error)
            self.see_off(at_once=True)

    def report(self, error: RoomkeyError) -> None:
        """Tells of a failure in the background."""
        self._session.emit(Failed(error))

    @property
    def gone(self) -> bool:
        """Left: nothing of it is stored any more."""
        return self._session.left

    def answers_to(self, group_id: bytes) -> bool:
        """Whether it is the conference of this group: its own, or the one before."""
        former = self._session.former
        return group_id == self.id or (former is not None and group_id == former.group_id)

    @property
    def goes_on(self) -> bool:
        """Whether it takes messages: an invitation, or active."""
        return self._session.group is not None

    async def discard(self) -> None:
        """Deletes a conference that nobody else knows of."""
        await self._session.end("left", Changes())

    # -- how --

    def _offers(self) -> list[Offer]:
        group = self._session.live
        return [
            leaf_offer(read_claim(group.suite, leaf).identity, leaf.capabilities) for _, leaf in group.tree.members()
        ]

    async def _upgrade_for(self, sets: Sequence[VerifiedInitKeySet]) -> None:
        """Moves the conference to a better suite if it and all who come offer one: members old and new would refuse the
        old group (wire.md section 4).
        """
        offers = [*self._offers(), *(item.offer for item in sets)]
        wanted = better(self._session.live.suite.number, offers)
        if wanted is not None and wanted == self.better_suite:
            await self.upgrade()


def _matches(member: Member, identity: str | None, client: bytes | None) -> bool:
    return member.client == client if client is not None else member.identity == identity
