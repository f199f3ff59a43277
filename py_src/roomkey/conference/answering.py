"""Answers to an invitation, and leaving.

    INVITED --accept--> ACTIVE      the register knows our epoch, and everybody is proved once more
    any --leave, decline--> (nothing)

What has the same group id at the same ordering service, and comes from somebody who was in the conference as we last
knew it, is the same conference. So who was removed and is invited again finds, once they accept, what was said before.

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

from roomkey.conference import commits, messages, receiving, records
from roomkey.conference.changes import Changes
from roomkey.conference.events import Failed
from roomkey.conference.member_records import members_record
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.mls import committing, state
from roomkey.mls.proposals import Remove, proposal


async def accept(session: Session, before: Session | None) -> None:
    """Accepts an invitation.

    Args:
        before: the same conference as it was until we were removed from it: ours from now on with all that was said,
            and gone by itself. The caller holds its lock, too.
    Errors: as `Conference.accept`.
    """
    if session.record.status != records.INVITED:
        return
    try:
        # A member may have made our epoch for us alone: it counts if the register holds it.
        await receiving.catch_up(session)
    except RoomkeyError as error:
        if error.code != "wrong-token":
            raise
        text = "expected an epoch that the ordering service holds, got another"
        raise RoomkeyError("invalid-welcome", text) from error
    await become_active(session, before, Changes())


async def become_active(session: Session, before: Session | None, changes: Changes) -> None:
    """Proves everybody once more, now with effect on what we know of them, and makes the conference ACTIVE in one
    transaction with `changes`.

    Args:
        before: as for `accept`.
    Errors: `Admission.admit`'s, "storage-failed".
    """
    proved = await session.around.admission.admit(session.live, list(session.live.tree.members()), changes)
    members = tuple(sorted(proved, key=lambda member: member.leaf))
    record = session.record.replace(status=records.ACTIVE)
    key = session.key
    if before is not None:
        key, record = before.key, await _take_over(before, session, record, changes)
    changes.put(records.conference_name(key), record)
    changes.put(records.members_name(key), members_record(session.epoch, members))
    await changes.write(session.around.store)
    session.later_id = session.group_id
    session.key, session.record, session.members = key, record, members
    if before is not None:
        before.left = True


async def _take_over(
    before: Session, session: Session, record: records.ConferenceRecord, changes: Changes
) -> records.ConferenceRecord:
    """Adds to a transaction that `session` takes the key of `before`, whose messages it so has, and puts its own behind
    them. The record that it returns must be in the same.
    """
    store = session.around.store
    record = record.replace(next_seq=before.record.next_seq)
    for _, data in await store.list(records.message_name(session.key)):
        _, record = messages.append_stored(before.key, record, changes, records.StoredMessage.decode(data))
    for name, data in await store.list(records.held_name(session.key)):
        changes.put(name.replace(records.held_name(session.key), records.held_name(before.key)), data)
    changes.put(records.group_name(before.key), state.encode_group(session.live))
    changes.put(records.id_name(before.key), session.group_id)
    changes.delete(await session.record_names())
    return record


async def leave(session: Session) -> None:
    """Asks the others to remove us, and deletes the conference here."""
    if session.left:
        return
    changes = Changes()
    if session.group is not None:
        try:
            await receiving.catch_up(session)
        except RoomkeyError as error:
            session.emit(Failed(error))  # we go all the same; others take our word for it in any epoch they keep
    if session.group is not None and session.group.reinit is None:
        _, wire = await committing.propose(
            session.around.crypto, session.group, proposal(Remove(session.group.own_leaf))
        )
        session.around.outbox.put(
            changes, list(commits.deliveries(session.group_id, records.PROPOSAL, wire, session.members))
        )
    await session.end("left", changes)
    session.around.outbox.wake()
