"""Members who are to go, and the commit that removes them.

1. Who asked for it (their Remove of themselves); every member notes that by itself.
2. Whom their own manifest no longer lists, by what a log proved to us (wire.md section 6): a device that its owner
   removed, or that is of a life before a reset that we agreed to. Whoever learns of it sees to it; others need not
   know, because a member may remove any other.

Both stand in the record as `departing` until a commit has them gone: ours, somebody else's, or that of an invitation,
which takes them along, so that nobody is invited to a group whose members cannot all be proved.
"""

from __future__ import annotations

from roomkey.conference import commits, following, receiving, records
from roomkey.conference.commits import Plan
from roomkey.conference.events import Failed
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.mls.proposals import Proposal, Remove, proposal

# Seconds before each new try, the last one again and again.
BACKOFF = (1.0, 2.0, 5.0, 15.0, 60.0)
# Everybody may commit a leaver's removal, and one is enough: each waits this many seconds per member before it in the
# tree, so that the ordering service sees one commit, not a race.
TURN = 2.0
MAX_TURNS = 10


async def note_unlisted(session: Session) -> None:
    """Writes down which members are to go by 2. The caller holds the lock. Errors: "storage-failed"."""
    if session.group is None or session.record.status != records.ACTIVE:
        return
    unlisted = await session.around.admission.unlisted(session.members)
    departing = tuple(sorted({*session.record.departing, *unlisted}))
    if departing != session.record.departing:
        record = session.record.replace(departing=departing)
        await session.around.store.write({records.conference_name(session.key): record.encode()})
        session.record = record


def removals(session: Session) -> tuple[Proposal, ...]:
    """What removes all who are to go."""
    return tuple(proposal(Remove(leaf)) for leaf in session.record.departing if leaf != session.live.own_leaf)


async def see_off(session: Session, *, at_once: bool = False) -> None:
    """Commits the removal of members who are to go, when our turn comes and nobody else has; however long the ordering
    service takes to answer. What goes wrong becomes a `Failed` event, once.

    Args:
        at_once: takes the first turn.
    """
    failures = 0
    while session.group is not None and session.record.status == records.ACTIVE:
        try:
            async with session.lock:
                await note_unlisted(session)
            departing = set(session.record.departing)
            others = [member for member in session.members if member.leaf not in departing]
            turn = next((place for place, member in enumerate(others) if member.own), None)
            if turn is None or not departing:
                return
            await session.around.sleep(0.0 if at_once else min(turn, MAX_TURNS) * TURN)
            async with session.lock:
                # Declines the branch of who goes on without us, while they are a member.
                await following.follow(session)
                if session.group is not None:
                    await commits.commit(session, lambda group: plan(session), receiving.process_commits)
            return
        except RoomkeyError as error:
            if error.code == "group-succeeding":
                return  # the successor takes over who is to go
            if failures == 0 or not error.retryable:
                session.emit(Failed(error))
            if not error.retryable:
                return
            wait = max(error.retry_after or 0.0, BACKOFF[min(failures, len(BACKOFF) - 1)])
        failures += 1
        await session.around.sleep(wait)


def plan(session: Session) -> Plan | None:
    """The commit that removes them; None if there is nobody."""
    proposals = removals(session)
    return Plan(proposals) if proposals else None
