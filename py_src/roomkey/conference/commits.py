"""Write, submit, swap: how our own commits become epochs (architecture.md decision 4).

    idle --write--> pending        candidate, commit and deliveries in one transaction, before anything is sent
    pending --submit: accepted--> idle, next epoch      `adopt` and the outbox in one transaction
    pending --submit: conflict--> idle, old epoch       the candidate deleted; then the winners are processed, and the
    change planned anew pending --submit: refused--> idle, old epoch        the service did not take it: the error is
    the caller's pending --no answer--> pending                      whether it won is open: the error is the caller's,
    `resolve` asks again

A crash anywhere leaves idle or pending, and pending is resolved by submitting the same bytes again, which wins or loses
as before. The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from roomkey.conference import ordering, records, succession
from roomkey.conference.changes import Changes
from roomkey.conference.events import Member
from roomkey.conference.member_records import member_of, member_record
from roomkey.conference.session import Session, own_pairs
from roomkey.crypto.provider import KeyHandle
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Accepted
from roomkey.federation.delivery_messages import StoredCommit
from roomkey.federation.identity import domain_of
from roomkey.mls import committing, state
from roomkey.mls.group import Group
from roomkey.mls.proposals import Proposal

# Losing a race costs one try. In a group where so many commits overtake ours in a row, somebody else's change is the
# better one.
MAX_ATTEMPTS = 8


@dataclass(frozen=True)
class Plan:
    """What to commit in the epoch at hand.

    `path` False leaves the keys as they are, where the proposals allow it; `mark` adds to the transaction that writes
    the commit. `prepare` hears of the next epoch before that, and an error of its ends the matter.
    """

    proposals: tuple[Proposal, ...]
    path: bool = True
    mark: Callable[[Changes], None] = lambda changes: None
    prepare: Callable[[Group], Awaitable[None]] | None = None


# Plans a change for the group as it is now; None when there is nothing left to do.
Planner = Callable[[Group], Plan | None]
# Processes other people's commits that won (receiving.py).
Processor = Callable[[Session, Sequence[StoredCommit]], Awaitable[None]]


async def commit(session: Session, planner: Planner, process: Processor) -> None:
    """Carries a change through, on whatever epoch it lands.

    Errors: "group-succeeding" where another group is about to follow on; "commit-conflict" after `MAX_ATTEMPTS` lost
    races; the planner's; the ordering service's, and where those leave open whether the commit won ("timeout",
    "service-unreachable", "service-error") their details hold `pending` True.
    """
    await resolve(session, process)
    for _ in range(MAX_ATTEMPTS):
        succession.expect_none_due(session)
        plan = planner(session.live)
        if plan is None:
            return
        pending = await _write(session, plan)
        if await _submit(session, pending, process, fresh=True):
            return
    raise RoomkeyError("commit-conflict", f"expected to win one of {MAX_ATTEMPTS} races")


async def resolve(session: Session, process: Processor) -> None:
    """Finds out whether a pending commit won. Errors: as `commit`; then it stays pending."""
    if session.pending is not None:
        await _submit(session, session.pending, process, fresh=False)


async def _write(session: Session, plan: Plan) -> records.PendingCommit:
    """Makes a commit and writes it down, with the group that has used up the commit's message key."""
    before, around = session.live, session.around
    made = await committing.commit(
        around.crypto, before, around.now(), proposals=plan.proposals, referenced=False, path=plan.path,
        authenticated_data=await session.heads(),
    )  # fmt: skip
    try:
        changes = Changes()
        plan.mark(changes)
        members = await session.admitted(made.group, changes)
        if plan.prepare is not None:
            await plan.prepare(made.group)
        pending = records.PendingCommit(
            before.epoch,
            made.message,
            state.encode_group(replace(made.group, past=())),  # what has ended by then is ours to say (`_accept`)
            tuple(member_record(member) for member in members),
            tuple(_deliveries(session, members, made.message, made.welcome)),
        )
        changes.put(records.commit_name(session.key), pending)
        current = session.put_group(changes, made.current)
        changes.keep(made.made_keys)
        await changes.write(around.store)
    except RoomkeyError:
        await around.crypto.forget_keys(
            [pair.private for pair in made.made_keys if isinstance(pair.private, KeyHandle)]
        )
        raise
    session.group, session.pending = current, pending
    return pending


def _deliveries(
    session: Session, members: Sequence[Member], commit_message: bytes, welcome: bytes | None
) -> Iterable[records.Delivery]:
    """The commit for all who were members, the removed among them, and the Welcome for those who are new."""
    old = {member.leaf for member in session.members if member in members}
    yield from deliveries(session.group_id, records.COMMIT, commit_message, session.members)
    if welcome is not None:
        newcomers = [member for member in members if member.leaf not in old]
        yield from deliveries(session.group_id, records.WELCOME, welcome, newcomers)


def deliveries(group_id: bytes, kind: int, message: bytes, members: Iterable[Member]) -> Iterable[records.Delivery]:
    """One delivery for each domain, to all these members but ourselves."""
    by_domain: dict[str, list[bytes]] = {}
    for member in members:
        if not member.own:
            by_domain.setdefault(domain_of(member.identity), []).append(member.client)
    for domain, clients in by_domain.items():
        yield records.Delivery(group_id, kind, domain.encode("ascii"), tuple(clients), message)


async def _submit(session: Session, pending: records.PendingCommit, process: Processor, *, fresh: bool) -> bool:
    """Whether the pending commit won. `fresh`: it was never submitted before."""
    before = session.live
    candidate = state.decode_group(pending.candidate)
    try:
        service = session.ordering_service()
        answer = await service.submit_commit(
            session.group_id, pending.epoch, pending.commit, ordering.token(before), ordering.token(candidate)
        )
    except RoomkeyError as error:
        if not_taken(error, fresh):
            await _withdraw(session, candidate)
            raise
        error.details["pending"] = True
        raise
    if isinstance(answer, Accepted):
        await _accept(session, pending, candidate)
        return True
    if answer.commits and answer.commits[0].commit == pending.commit:
        # Our earlier submission won, and its answer was lost: a service may say so either way.
        await _accept(session, pending, candidate)
        await process(session, answer.commits[1:])
        return True
    await _withdraw(session, candidate)
    await process(session, answer.commits)
    return False


def not_taken(error: RoomkeyError, fresh: bool) -> bool:
    """Whether an error proves that the service holds no commit of ours for the epoch."""
    if error.code in ("wrong-token", "request-too-large"):
        return True
    status = error.details.get("status")
    # "request-replayed": the service saw this very request before, as when a browser tried again after a lost answer.
    answered = (
        isinstance(status, int) and 400 <= status < 500 and error.code not in ("service-error", "request-replayed")
    )
    return fresh and (answered or error.code == "no-route")


async def _accept(session: Session, pending: records.PendingCommit, candidate: Group) -> None:
    changes = Changes()
    session.around.outbox.put(changes, pending.deliveries)
    members = tuple(member_of(record, session.around.own_client) for record in pending.members)
    # No copy of our own commit comes by our inbox to end the epoch for those who left by it.
    record = session.record.replace(closed=candidate.epoch)
    await session.adopt(candidate.following(session.live), members, changes, record)
    session.around.outbox.wake()


async def _withdraw(session: Session, candidate: Group) -> None:
    """Deletes a commit that lost, and the keys that were made for it."""
    changes = Changes()
    changes.delete([records.commit_name(session.key)])
    current = {pair.public for pair in own_pairs(session.live)}
    changes.drop(pair for pair in own_pairs(candidate) if pair.public not in current)
    await changes.write(session.around.store)
    session.pending = None
