"""What a conference does by itself: finds out what it missed, commits the leaving of others, and goes on in another
group where one is due.

Background work never raises: what goes wrong becomes a `Failed` event, once per run of the same failure, and is tried
again.
"""

from __future__ import annotations

from roomkey.conference import attempts, commits, following, founding, leavers, receiving, records, succession
from roomkey.conference.changes import Changes
from roomkey.conference.commits import Plan
from roomkey.conference.events import Failed
from roomkey.conference.leavers import BACKOFF, MAX_TURNS, TURN
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.mls.group import MAX_PAST_AGE

# Seconds that the inbox has to show what came while we were away, before commits are fetched that it did not show: who
# takes commits first may find the messages of their epochs no longer readable.
INBOX_FIRST = 3.0
# Looks for a winner's Welcome, and seconds between them: a minute, in which even a page that was reloaded sends it.
WELCOME_LOOKS = 12
WELCOME_LOOK = 5.0
# Times that long that a winner whose group goes on is waited for: its Welcome must be on its way, unless it leaves us
# out, by mistake or because it is whoever made the unusable commit.
MAX_WAITS = 4
# Failures in a row, some five minutes, before people are told; the next connection is the next try.
MAX_FAILURES = 9
# Foundings of ours that the register did not take, before the next ones wait as after a failure: each uses up a set of
# everybody's keys. As many insiders may get in the way, once each.
MAX_LOST = 8
# Who goes on where a group follows on theirs.
_WAITING = (records.ACTIVE, records.INVITED)
# Failed tries to have everybody's keys before a successor does without who has none: some 20 s for a branch, without
# which nobody can do anything; all but one for a ReInit, which all were asked for.
STRICT_TRIES = 4
REINIT_TRIES = MAX_FAILURES - 1


async def settle(session: Session, *, at_once: bool = False) -> None:
    """Resolves a pending commit and catches up, however long the ordering service takes to answer. One at a time.

    Args:
        at_once: does not give the inbox its time, because it has shown what is to be settled.
    """
    if session.settling:
        session.settle_again = True
        return
    session.settling = True
    try:
        if session.pending is None and not at_once:
            await session.around.sleep(INBOX_FIRST)
        failures = 0
        while session.group is not None:
            session.settle_again = False
            doubt = succession.in_doubt(session)
            try:
                async with session.lock:
                    await following.follow(session)
                    await receiving.receive_strangers(session)
                    await receiving.catch_up(session)
                    await following.follow(session)  # what waited for it
                session.told_of = ""
                if doubt is None:
                    break
                continue  # what came after it
            except RoomkeyError as error:
                if error.code == "group-succeeding":
                    break
                if error.code != session.told_of:
                    session.told_of = error.code
                    session.emit(Failed(error))
                if not error.retryable:
                    if session.settle_again:  # people may have decided what it waits for
                        continue
                    break
                wait = max(error.retry_after or 0.0, BACKOFF[min(failures, len(BACKOFF) - 1)])
            failures += 1
            await session.around.sleep(wait)
    finally:
        session.settling = False
    await succeed(session)
    if session.record.renew and session.record.status == records.ACTIVE:
        await renew(session)
    await leavers.see_off(session)


async def succeed(session: Session) -> None:
    """Sees to it that a group follows on ours, if one is due: by the Welcome of another member, or founded by us when
    our turn comes; who is only invited waits for a Welcome. One at a time.
    """
    if session.succeeding:
        return
    session.succeeding = True
    try:
        waits, failures, lost, turned = 0, 0, 0, False
        while (what := succession.due(session)) is not None and session.record.status in _WAITING:
            if failures == MAX_FAILURES:
                text = "expected a group to follow on one that nobody can change"
                reason = what.reason if session.stuck is None else session.stuck.reason
                session.emit(Failed(RoomkeyError("group-stuck", text, reason=reason)))
                return
            try:
                if await _is_open(session):
                    if session.record.status != records.ACTIVE:
                        return
                    if not turned:
                        turned = True
                        await session.around.sleep(_founding_turn(session, what.absent) * TURN)
                    strict = STRICT_TRIES if session.live.reinit is None else REINIT_TRIES
                    if await _found(session, lenient=failures >= strict):
                        return
                    lost += 1
                    if lost >= MAX_LOST:
                        text = f"expected one of {lost} groups that we founded to be taken"
                        raise RoomkeyError("service-unavailable", text)
                elif await _welcomed(session):
                    return
                else:
                    async with session.lock:
                        waits = waits + 1 if await attempts.alive(session) else MAX_WAITS
                    if waits == MAX_WAITS:
                        session.attempt += 1
                        waits, turned = 0, False
                failures = 0
            except RoomkeyError as error:
                if failures == 0:
                    session.emit(Failed(error))
                wait = max(error.retry_after or 0.0, BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1
                await session.around.sleep(wait)
    finally:
        session.succeeding = False


async def _is_open(session: Session) -> bool:
    """Whether a successor is still to be founded, by us or whoever has an earlier turn."""
    async with session.lock:
        if await _followed(session):
            return False
        return session.founding is not None or await attempts.look(session) is None


async def _found(session: Session, *, lenient: bool) -> bool:
    """Founds the successor, unless somebody has; whether we went on."""
    async with session.lock:
        if await _followed(session):
            return True
        return await founding.found(session, lenient=lenient)


def _founding_turn(session: Session, absent: int | None) -> int:
    """How many others found before us: first who asked for the successor, then all in the tree's order."""
    if session.reinitialised or session.founding is not None:
        return 0
    going = {absent, *session.record.departing}
    others = [member for member in session.members if member.leaf not in going]
    return min(1 + next((place for place, member in enumerate(others) if member.own), MAX_TURNS), MAX_TURNS)


async def _welcomed(session: Session) -> bool:
    """Waits for the Welcome of who won; whether we went on by it."""
    for _ in range(WELCOME_LOOKS):
        if succession.due(session) is None:
            return True
        await session.around.sleep(WELCOME_LOOK)
        async with session.lock:
            if await _followed(session):
                return True
    return False


async def _followed(session: Session) -> bool:
    """Whether no successor is due any more, now that the Welcomes that wait have been looked at."""
    if await following.follow(session):
        await receiving.receive_strangers(session)
    return succession.due(session) is None


async def forget(session: Session) -> None:
    """Deletes message keys and past epochs that are too old (`Group.aged`), also while nothing comes. From the first
    call on every transaction does.
    """
    async with session.lock:
        session.forgetting = True
        if succession.former_is_over(session, session.around.now(), MAX_PAST_AGE):
            await session.around.store.write({}, [records.former_name(session.key)])
            session.former = None
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
        if error.code != "group-succeeding":
            session.emit(Failed(error))
