"""Founding the group that follows on a conference's own: write, submit, swap, as with every commit of ours (`commits`).

    due --look--> lost                    the register of the attempt holds a member's founding already (`attempts`)
    due --write--> founding               the new group with all who come along, its first commit and its Welcome in one
                                          transaction, which uses up their init-key sets; before anything is submitted
    founding --accepted--> (succeeded)    `succession.take_up`, and the Welcome goes out
    founding --another won--> lost        the group deleted; the winner's Welcome is on its way
    founding --no answer--> founding      the same bytes are submitted again

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

from roomkey.conference import attempts, commits, ordering, records, refusing, succession
from roomkey.conference.changes import Changes
from roomkey.conference.commits import Plan, Processor
from roomkey.conference.events import Member
from roomkey.conference.member_records import member_of, member_record
from roomkey.conference.session import Session, better_suite, own_pairs
from roomkey.conference.succession import Due
from roomkey.crypto.provider import KeyHandle
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import named_client
from roomkey.federation.delivery import Accepted
from roomkey.mls import committing, state, successor
from roomkey.mls.framing import COMMIT, PrivateMessage, message
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


async def found(session: Session, *, lenient: bool) -> bool:
    """Founds the successor that is due; whether it is ours. If not, the attempt went to another member, or was spoilt.

    Args:
        lenient: leaves out whose keys cannot be had.
    Errors: those of the members' keys; the ordering service's, and where those leave open whether we won we try again;
    `Admission.admit`'s.
    """
    if session.founding is None:
        what = succession.due(session)
        if what is None or not await _prepare(session, what, lenient):
            return False
    return await _submit(session)


async def _prepare(session: Session, what: Due, lenient: bool) -> bool:
    """Writes our founding down, in the first attempt that is open; whether nobody else's is there. It is looked at last
    of all, because an insider can spoil an attempt meanwhile, and the keys of all others are used up for it.
    """
    old, around = session.live, session.around
    reinit = old.reinit
    suite = old.suite.number if reinit is None else reinit.cipher_suite
    people = _coming(session, what)
    try:
        found, missing = await around.heirs.keys(people, suite)
        if missing is not None and (not lenient or not found):
            raise missing
        if await attempts.look(session) is not None:
            return False
        if reinit is not None and session.attempt == 0 and missing is not None:
            await _void(session, what)
            return False
        group_id = succession.successor_id(old, what, session.attempt)
        token = succession.founding_token(old, group_id)
        statement = await attempts.sign(around.crypto, old, group_id)
        sets = [found[member.client] for member in people if member.client in found]
        packages = [item.package_for(suite) for item in sets]
        ours, now = await around.heirs.own(suite), around.now()
        if reinit is not None:
            made = await successor.reinit_group(
                around.crypto, old, ours, packages, now,
                again=None if session.attempt == 0 else group_id, authenticated_data=statement, who=named_client,
            )  # fmt: skip
        else:
            made = await successor.branch_group(
                around.crypto, old, ours, packages, group_id, now,
                extensions=old.context.extensions, authenticated_data=statement, who=named_client,
            )  # fmt: skip
        changes = Changes()
        around.heirs.use(sets, changes)
        await _write(session, made, token, records.BRANCH if reinit is None else records.REINIT, changes)
    finally:
        around.heirs.release()
    return True


async def _void(session: Session, what: Due) -> None:
    """Passes over the attempt that only all members together can make: somebody's keys cannot be had."""
    group_id = succession.successor_id(session.live, what, session.attempt)
    nothing = message(PrivateMessage(group_id, 0, COMMIT, b"", b"", b"")).encode()
    token = succession.founding_token(session.live, group_id)
    await session.ordering_service().submit_commit(group_id, 0, nothing, token, bytes(ordering.TOKEN_BYTES))


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
        await refusing.farewell(session, changes)
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
