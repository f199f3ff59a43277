"""A group follows on a conference's group, and the conference goes on in it (RFC 9420 sections 11.2 and 11.3; wire.md
section 5). Its id changes; its key in the store, its messages and its name stay.

    reinit    the last commit asks for it, because all members offer a better suite
    branch    the register ended the epoch by a commit that we cannot follow; the one who signed it stays behind

Any member may found the successor, and one is enough: each waits for its turn by leaf (`upkeep`), and the ordering
service's register decides, as it does for every epoch. All members of the old epoch know, and nobody else:

    id of the successor    the ReInit's group_id; for a branch, and where that of a ReInit was not founded in time,
                           MLS-Exporter("roomkey branch 1.0", ended || uint32 attempt, 28) || uint32 attempt, where
                           ended is SHA-256 of the unusable commit, or of the ReInit proposal
    token of its epoch 0   MLS-Exporter("roomkey successor 1.0", id of the successor, 32)

So each of them can open the register of that id, again and again, and submit a founding commit as the one that ends
epoch 0. Whose wins, founded the group (`founding`); the others wait for its Welcome (`following`), which holds the old
group's resumption PSK. Attempts have numbers because a winner may die before its Welcome leaves, and because members
may keep to no rule (`attempts`). Later ones at what a ReInit asks for have its suite, and may leave out who has no keys
for it: RFC 9420 knows one group id and all members alone, and then any one of them could hold up the others for good.
"""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

from roomkey.conference import ordering, records
from roomkey.conference.changes import Changes
from roomkey.conference.events import EpochChanged, Member, MembersChanged, Succeeded
from roomkey.conference.member_records import members_record
from roomkey.conference.session import Doubt, Session, Stuck, better_suite, own_pairs
from roomkey.errors import RoomkeyError
from roomkey.mls import state
from roomkey.mls.group import PAST_EPOCHS, Group, remains
from roomkey.mls.proposals import ReInit

ID_BYTES = 32
_NUMBER = 4  # bytes at the end of an id: the attempt
_BRANCH = b"roomkey branch 1.0"
_TOKEN = b"roomkey successor 1.0"

Reason = Literal["reinit", "branch"]


class Due(NamedTuple):
    """Why a successor is due. `ended`: SHA-256 of what ended the group; `absent`: the leaf that stays behind."""

    reason: Reason
    ended: bytes
    absent: int | None


def due(session: Session) -> Due | None:
    """Whether the conference waits for a successor of its group."""
    group, stuck = session.group, session.stuck
    if group is None:
        return None
    if group.reinit is not None:
        return Due("reinit", hashlib.sha256(group.reinit.encode()).digest(), None)
    if stuck is not None and stuck.epoch == group.epoch:
        return Due("branch", hashlib.sha256(stuck.commit).digest(), stuck.by)
    return None


def in_doubt(session: Session) -> Due | None:
    """What others go on from who refuse the commit that is withheld here; None where none is."""
    group, doubt = session.group, session.doubt
    if group is None or doubt is None or doubt.epoch != group.epoch:
        return None
    return Due("branch", hashlib.sha256(doubt.commit).digest(), None)


def refused(session: Session, doubt: Doubt) -> Stuck:
    """What a commit is to us that we refuse, as `session.refused` says."""
    without = session.refused is not None and session.refused.without_inviter
    return Stuck(doubt.epoch, doubt.commit, doubt.by if without else None, doubt.error.code)


def expect_none_due(session: Session) -> None:
    """Errors: "group-succeeding"."""
    if due(session) is not None:
        raise RoomkeyError("group-succeeding", "expected a group that goes on, got one that another follows on")


def successor_id(group: Group, what: Due, attempt: int) -> bytes:
    """The group id of the successor's `attempt`th founding, from 0."""
    if group.reinit is not None and attempt == 0:
        return group.reinit.group_id
    number = attempt.to_bytes(_NUMBER)
    return group.export(_BRANCH, what.ended + number, ID_BYTES - _NUMBER) + number


def attempt_of(group: Group, what: Due, successor: bytes) -> int | None:
    """The attempt that has this group id; None if none has."""
    if group.reinit is not None and successor == group.reinit.group_id:
        return 0
    attempt = int.from_bytes(successor[-_NUMBER:])
    return attempt if successor == successor_id(group, what, attempt) else None


def founding_token(group: Group, successor: bytes) -> bytes:
    """The token of the successor's epoch 0, 32 bytes."""
    return group.export(_TOKEN, successor, ordering.TOKEN_BYTES)


def check_reinit(before: Group, wanted: ReInit) -> None:
    """What a ReInit may ask for: a better suite, the best that all members offer, for the same conference (attack D10).
    One for no better suite would let a member have everybody's keys used up again and again.

    Errors: "downgrade"; "invalid-commit" for the suite that there is, another name, ordering service or policy.
    """
    better = better_suite(before)
    best = better or before.suite.number
    if (wanted.version, wanted.cipher_suite) != (before.context.version, best):
        text = f"reinit: expected suite {best:#06x}, which all offer, got {wanted.cipher_suite:#06x}"
        raise RoomkeyError("downgrade", text, suite=wanted.cipher_suite, better=best)
    if wanted.extensions != before.context.extensions:
        raise RoomkeyError("invalid-commit", "reinit: expected the group's extensions, got others")
    if better is None:
        raise RoomkeyError("invalid-commit", f"reinit: expected a better suite than {best:#06x}, got the same")


async def take_up(
    session: Session, after: Group, members: tuple[Member, ...], reason: Reason, changes: Changes, **fields: int
) -> None:
    """Goes on in a successor: one transaction with `changes`, then memory, then events.

    Args:
        after, members: the successor, proved.
        fields: of the conference's record, to be set in the same transaction.
    """
    before, around, key, old_id = session.live, session.around, session.key, session.group_id
    needed = {pair.public for pair in own_pairs(after)}
    pairs = [pair for group in (before, *session.candidates()) for pair in own_pairs(group)]
    changes.drop(pair for pair in pairs if pair.public not in needed and not around.outlives(pair.public))
    changes.keep(own_pairs(after))
    going = {member.client for member in session.members if member.leaf in session.record.departing}
    domain = ordering.ordering_domain(after)
    record = session.record.replace(
        closed=0,
        departing=tuple(member.leaf for member in members if member.client in going),
        ordering=session.record.ordering if domain is None else domain.encode("ascii"),
        **fields,
    )
    former, ended = remains(before), int(around.now())
    changes.delete(await session._secret_names())
    changes.put(records.former_name(key), records.FormerGroup(ended, state.encode_group(former)))
    changes.put(records.id_name(key), after.group_id)
    changes.put(records.conference_name(key), record)
    changes.put(records.members_name(key), members_record(after.epoch, members))
    after = session.put_group(changes, after)
    await changes.write(around.store)

    known, old_members = {member.client for member in session.members}, session.members
    still = {member.client for member in members}
    session.later_id, session.former, session.former_ended = after.group_id, former, ended
    session.record, session.group, session.members, session.epoch = record, after, members, after.epoch
    session.pending, session.founding, session.stuck, session.reinitialised = None, None, None, False
    session.attempt, session.founded, session.doubt, session.refused = 0, {}, None, None
    session.offered, session.ahead = None, ("", ())
    session.emit(Succeeded(old_id, reason))
    session.emit(EpochChanged(after.epoch))
    added = tuple(member for member in members if member.client not in known)
    removed = tuple(member for member in old_members if member.client not in still)
    if added or removed:
        session.emit(MembersChanged(added, removed))
    session.offer()


def former_is_over(session: Session, now: float, max_age: float) -> bool:
    """Whether nothing of the group before is on its way any more."""
    return session.former is not None and (
        session.epoch > PAST_EPOCHS or session.former_ended + max_age < now or session.former_ended > now
    )
