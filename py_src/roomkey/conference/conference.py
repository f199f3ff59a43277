"""A conference as its client uses it: who is in it, what they say, and the keys of its media."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from roomkey.conference import (
    answering,
    contexts,
    founding,
    leavers,
    messages,
    moving,
    ordering,
    receiving,
    refusing,
    signals,
    succession,
    tickets,
)
from roomkey.conference.changes import Changes
from roomkey.conference.commits import Plan
from roomkey.conference.epoch_keys import EpochKeys
from roomkey.conference.events import Event, Member
from roomkey.conference.kept import Kept
from roomkey.conference.messages import Sent
from roomkey.conference.reading import withheld
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


class Conference(Kept):
    """See the module. Snapshots (`epoch`, `members`, `verification_digits`) are the state that is on disk."""

    # -- what it is --

    @property
    def name(self) -> str:
        return self._session.record.name.decode()

    @property
    def epoch(self) -> int:
        return self._session.epoch

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
