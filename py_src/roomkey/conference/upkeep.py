"""What a conference does by itself: finds out what it missed, and commits the leaving of others.

Background work never raises: what goes wrong becomes a `Failed` event, once per run of the same failure, and is tried
again.
"""

from __future__ import annotations

from roomkey.conference import commits, receiving, records
from roomkey.conference.changes import Changes
from roomkey.conference.commits import Plan
from roomkey.conference.events import Failed
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.mls.group import Group
from roomkey.mls.proposals import Remove, proposal

# Seconds before each new try, the last one again and again.
BACKOFF = (1.0, 2.0, 5.0, 15.0, 60.0)
# Seconds that the inbox has to show what came while we were away, before commits are fetched that it did not show: who
# takes commits first may find the messages of their epochs no longer readable.
INBOX_FIRST = 3.0
# Everybody may commit a leaver's removal, and one is enough: each waits this many seconds per member before it in the
# tree, so that the ordering service sees one commit, not a race.
TURN = 2.0
MAX_TURNS = 10


async def settle(session: Session) -> None:
    """Resolves a pending commit and catches up, however long the ordering service takes to answer. One at a time."""
    if session.settling:
        return
    session.settling = True
    try:
        if session.pending is None:
            await session.around.sleep(INBOX_FIRST)
        failures = 0
        reported = ""
        while session.group is not None:
            try:
                async with session.lock:
                    await receiving.catch_up(session)
                break
            except RoomkeyError as error:
                if error.code != reported:
                    session.emit(Failed(error))
                    reported = error.code
                if not error.retryable:
                    break
                wait = max(error.retry_after or 0.0, BACKOFF[min(failures, len(BACKOFF) - 1)])
            failures += 1
            await session.around.sleep(wait)
    finally:
        session.settling = False
    if session.record.renew and session.record.status == records.ACTIVE:
        await renew(session)
    if session.record.departing:
        await see_off(session)


async def forget(session: Session) -> None:
    """Deletes message keys and past epochs that are too old (`Group.aged`), also while nothing comes. From the first
    call on every transaction does.
    """
    async with session.lock:
        session.forgetting = True
        if session.group is None or session.group.aged(session.around.now()) is session.group:
            return
        changes = Changes()
        after = session.put_group(changes, session.group)
        await changes.write(session.around.store)
        session.group = after


async def renew(session: Session) -> None:
    """Gives our leaf keys of its own after a join by a last resort, whose keys others were given too (wire.md section
    2).
    """
    try:
        async with session.lock:
            if session.group is not None:
                await commits.commit(session, lambda group: Plan(()), receiving.process_commits)
                record = session.record.replace(renew=0)
                await session.around.store.write({records.conference_name(session.key): record.encode()})
                session.record = record
    except RoomkeyError as error:
        session.emit(Failed(error))


async def see_off(session: Session) -> None:
    """Commits the removal of members who asked for it, when our turn comes and nobody else has; however long the
    ordering service takes to answer.
    """
    failures = 0
    while session.group is not None:
        departing = set(session.record.departing)
        others = [member for member in session.members if member.leaf not in departing]
        turn = next((place for place, member in enumerate(others) if member.own), None)
        if turn is None or not departing:
            return
        await session.around.sleep(min(turn, MAX_TURNS) * TURN)
        try:
            async with session.lock:
                if session.group is not None:
                    await commits.commit(session, lambda group: _plan(session, group), receiving.process_commits)
            return
        except RoomkeyError as error:
            if failures == 0 or not error.retryable:
                session.emit(Failed(error))
            if not error.retryable:
                return
            wait = max(error.retry_after or 0.0, BACKOFF[min(failures, len(BACKOFF) - 1)])
        failures += 1
        await session.around.sleep(wait)


def _plan(session: Session, group: Group) -> Plan | None:
    leaves = [leaf for leaf in session.record.departing if leaf != group.own_leaf]
    return Plan(tuple(proposal(Remove(leaf)) for leaf in leaves)) if leaves else None
