"""A commit that brings somebody who cannot be proved, and the way on without them (wire.md section 5).

    withheld               the register has the commit, and what would prove a newcomer does not answer, or asks people
                           first: it is neither taken nor refused, the epoch stands, people are told whom it is about
    --proved--> taken      it goes on as if nothing had been
    --refused--> stuck     for good: we branch from the epoch before, as from a commit that nobody can follow

Nobody's client refuses by itself, and nobody refuses for others. Who has proved the newcomer stays, and tells the
branch so; who has not decided waits, and the Welcomes of those who have wait there. So a member who brings somebody who
is never provable is parted from whoever refuses, and one who refuses without need from everybody else: both sides see
who went.

Who refuses leaves the group that goes on with the newcomer, and says so to those who may be in it: by the Remove of
their own leaf in the epoch before, whose authenticated data are FAREWELL. It is a word about the group after that epoch
alone: who stands in the epoch keeps it, and it is void for whoever refuses, too.

Whoever brought the newcomer may be as much in the dark as we are, so they are invited along, unless our person says
otherwise.

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

import hashlib
from typing import Final

from roomkey.conference import commits, records, succession
from roomkey.conference.changes import Changes
from roomkey.conference.session import Doubt, Session
from roomkey.errors import RoomkeyError
from roomkey.mls import committing, processing
from roomkey.mls.framing import PrivateMessage
from roomkey.mls.group import Group
from roomkey.mls.proposals import Remove, proposal

FAREWELL: Final = b"roomkey farewell 1.0"


async def refuse(session: Session, *, without_inviter: bool) -> None:
    """Refuses the commit that is withheld, durably; the group's successor is due then.

    Args:
        without_inviter: leaves behind who made the commit, too.
    Errors: "bad-argument" if none is withheld, "storage-failed".
    """
    doubt = session.doubt
    if doubt is None or session.record.status != records.ACTIVE or doubt.epoch != session.live.epoch:
        raise RoomkeyError("bad-argument", "expected a conference with a commit that waits for proof, got none")
    refused = records.RefusedCommit(hashlib.sha256(doubt.commit).digest(), int(without_inviter))
    await session.around.store.write({records.refused_name(session.key): refused.encode()})
    session.refused = refused
    session.stuck = succession.refused(session, doubt)


async def doubted(session: Session, group: Group, commit: bytes, error: RoomkeyError) -> None:
    """Remembers a commit of the current epoch that is withheld; its error names by whom it is."""
    by = await processing.committer(session.around.crypto, group, commit)
    session.doubt = Doubt(group.epoch, commit, by, error)
    inviter = None if by is None else session.member_at(by)
    if inviter is not None:
        error.details["inviter"] = inviter.identity


async def is_refused(session: Session, group: Group, commit: bytes) -> bool:
    """Whether we refused this commit of the current epoch; then the successor is due."""
    if session.refused is None or session.refused.hash != hashlib.sha256(commit).digest():
        return False
    by = await processing.committer(session.around.crypto, group, commit)
    error = RoomkeyError("log-unproven", "expected a commit that was not refused")
    session.stuck = succession.refused(session, Doubt(group.epoch, commit, by, error))
    return True


def is_farewell(body: object) -> bool:
    """Whether a message says on its outside that its sender goes on without somebody."""
    return isinstance(body, PrivateMessage) and body.authenticated_data == FAREWELL


async def farewell(session: Session, changes: Changes) -> None:
    """Adds our farewell to the transaction that takes up the successor, if we refused what ended our group."""
    group = session.live
    if session.refused is None or group.reinit is not None:
        return
    leaving = proposal(Remove(group.own_leaf))
    _, message = await committing.propose(session.around.crypto, group, leaving, authenticated_data=FAREWELL)
    told = commits.deliveries(group.group_id, records.PROPOSAL, message, session.members)
    session.around.outbox.put(changes, list(told))
