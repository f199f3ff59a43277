"""Founding the group that follows on a conference's own: write, submit, swap, as with every commit of ours (`commits`).

    due --look--> lost                    the register of the successor's id holds a founding commit already
    due --write--> founding               the new group with all who come along, its first commit and its Welcome in one
                                          transaction, which uses up their init-key sets; before anything is submitted
    founding --accepted--> (succeeded)    `succession.take_up`, and the Welcome goes out
    founding --another won--> lost        the group deleted; the winner's Welcome is on its way
    founding --no answer--> founding      the same bytes are submitted again

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

import hashlib

from roomkey.conference import commits, ordering, records, succession
from roomkey.conference.changes import Changes
from roomkey.conference.commits import Plan, Processor
from roomkey.conference.events import Member
from roomkey.conference.session import Session, better_suite, member_of, member_record, own_pairs
from roomkey.conference.succession import Due
from roomkey.crypto.provider import KeyHandle
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import named_client
from roomkey.federation.delivery import Accepted, DeliveryService
from roomkey.mls import committing, state, successor
from roomkey.mls.group import Group
from roomkey.mls.proposals import ReInit, proposal
from roomkey.mls.version import MLS10

_REASONS: dict[int, succession.Reason] = {records.REINIT: "reinit", records.BRANCH: "branch"}


async def reinitialise(session: Session, process: Processor) -> None:
    """Commits the ReInit that moves the conference to the best suite that all its members offer.

    Errors: "no-better-suite"; that of the first member whose keys for it cannot be had, and then nothing has happened;
    `commits.commit`'s.
    """
    best = _expect_better(session.live)
    people = [member for member in session.members if not member.own]
    try:
        _, missing = await session.around.heirs.keys(people, best)
    finally:
        session.around.heirs.release()  # they wait, proved, for the founding
    if missing is not None:
        raise missing
    group_id = session.around.crypto.random(succession.ID_BYTES)

    def plan(group: Group) -> Plan:
        wanted = ReInit(group_id, MLS10, _expect_better(group), group.context.extensions)
        return Plan((proposal(wanted),), path=False)

    await commits.commit(session, plan, process)
    session.reinitialised = True


def _expect_better(group: Group) -> int:
    best = better_suite(group)
    if best is None:
        raise RoomkeyError("no-better-suite", "expected members who all offer a better suite")
    return best


async def found(session: Session, attempt: int, *, lenient: bool) -> bool:
    """Founds the successor that is due; whether it is ours. If not, another member's is.

    Args:
        lenient: leaves out of a branch whose keys cannot be had.
    Errors: those of the members' keys; the ordering service's, and where those leave open whether we won we try again;
    `Admission.admit`'s.
    """
    if session.founding is None:
        what = succession.due(session)
        if what is None or not await _prepare(session, what, attempt, lenient):
            return False
    return await _submit(session)


async def _prepare(session: Session, what: Due, attempt: int, lenient: bool) -> bool:
    """Opens the register and writes the founding down; whether nobody else's is there."""
    old, around = session.live, session.around
    group_id = succession.successor_id(old, what, attempt)
    token = succession.founding_token(old, group_id)
    if await _begun(session.ordering_service(), group_id, token):
        return False
    reinit = old.reinit if attempt == 0 else None
    suite = old.suite.number if reinit is None else reinit.cipher_suite
    people = _coming(session, what)
    try:
        found, missing = await around.heirs.keys(people, suite)
        if missing is not None and (reinit is not None or not lenient or not found):
            raise missing
        sets = [found[member.client] for member in people if member.client in found]
        packages = [item.package_for(suite) for item in sets]
        ours, now = await around.heirs.own(suite), around.now()
        if reinit is not None:
            made = await successor.reinit_group(around.crypto, old, ours, packages, now, who=named_client)
        else:
            made = await successor.branch_group(
                around.crypto, old, ours, packages, group_id, now,
                extensions=old.context.extensions, who=named_client,
            )  # fmt: skip
        changes = Changes()
        around.heirs.use(sets, changes)
        await _write(session, made, token, records.BRANCH if reinit is None else records.REINIT, changes)
    finally:
        around.heirs.release()
    return True


async def _begun(service: DeliveryService, group_id: bytes, token: bytes) -> bool:
    """Whether somebody founded the group already; if nobody did, its register is open now."""
    try:
        return len(await service.read_commits(group_id, 0, token)) > 0
    except RoomkeyError as error:
        if error.code != "wrong-token":
            raise
    try:
        await service.register_group(group_id, hashlib.sha256(token).digest())
    except RoomkeyError as error:
        if error.code != "group-exists":
            raise
        return True  # by somebody of the old group who keeps to no rule: the next attempt has another id
    return False


def _coming(session: Session, what: Due) -> list[Member]:
    """Who comes along beside ourselves. A reinitialised group has exactly the old members; who asked to go stays out
    of a branch.
    """
    others = [member for member in session.members if not member.own]
    if session.live.reinit is not None:
        return others
    return [member for member in others if member.leaf not in {what.absent, *session.record.departing}]


async def _write(session: Session, made: committing.PendingCommit, token: bytes, reason: int, changes: Changes) -> None:
    around, group = session.around, made.group
    try:
        proved = await around.admission.admit(group, list(group.tree.members()), changes)
        members = tuple(sorted(proved, key=lambda member: member.leaf))
        told = (
            () if made.welcome is None else commits.deliveries(group.group_id, records.WELCOME, made.welcome, members)
        )
        pending = records.PendingFounding(
            reason, group.group_id, token, made.message, state.encode_group(group),
            tuple(member_record(member) for member in members), tuple(told),
        )  # fmt: skip
        changes.put(records.founding_name(session.key), pending)
        changes.keep(own_pairs(group))
        await changes.write(around.store)
    except RoomkeyError:
        signing = group.signature.public
        pairs = [pair for pair in own_pairs(group) if pair.public != signing]
        await around.crypto.forget_keys([pair.private for pair in pairs if isinstance(pair.private, KeyHandle)])
        raise
    session.founding = pending


async def _submit(session: Session) -> bool:
    pending = session.founding
    assert pending is not None
    candidate = state.decode_group(pending.candidate)
    service = session.ordering_service()
    answer = await service.submit_commit(pending.group_id, 0, pending.commit, pending.token, ordering.token(candidate))
    if isinstance(answer, Accepted) or (answer.commits and answer.commits[0].commit == pending.commit):
        changes = Changes()
        session.around.outbox.put(changes, pending.deliveries)
        members = tuple(member_of(item, session.around.own_client) for item in pending.members)
        # Our leaf is renewed at once: that commit also shows who looks at the register that the group is alive.
        await succession.take_up(
            session, candidate, members, _REASONS[pending.reason], changes, renew=1, inviter=candidate.own_leaf
        )
        session.around.outbox.wake()
        return True
    changes = Changes()
    changes.delete([records.founding_name(session.key)])
    changes.drop(pair for pair in own_pairs(candidate) if not session.around.outlives(pair.public))
    await changes.write(session.around.store)
    session.founding = None
    return False


async def alive(session: Session, attempt: int) -> bool:
    """Whether the successor of this attempt has had more commits than the one that founded it. Errors: the ordering
    service's.
    """
    what = succession.due(session)
    if what is None:
        return True
    group_id = succession.successor_id(session.live, what, attempt)
    token = succession.founding_token(session.live, group_id)
    try:
        return len(await session.ordering_service().read_commits(group_id, 0, token)) > 1
    except RoomkeyError as error:
        if error.code != "wrong-token":
            raise
        return False
