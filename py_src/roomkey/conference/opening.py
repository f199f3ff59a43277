"""Sessions from what is stored, and of groups that were just made or joined."""

from __future__ import annotations

from roomkey.conference import ordering, records
from roomkey.conference.changes import Changes
from roomkey.conference.events import Member
from roomkey.conference.member_records import member_of, members_record
from roomkey.conference.session import Session, Surroundings, own_pairs
from roomkey.errors import RoomkeyError
from roomkey.host.interface import Store
from roomkey.mls import state
from roomkey.mls.group import Group


async def load(around: Surroundings, key: str) -> Session | None:
    """The stored conference; None, and nothing of it left, if its creation was never finished."""
    store = around.store
    data = await store.get(records.conference_name(key))
    if data is None:
        return None
    record = records.ConferenceRecord.decode(data)
    stored_group = await store.get(records.group_name(key))
    stored_members = records.MembersRecord.decode(await _required(store, records.members_name(key)))
    members = tuple(member_of(item, around.own_client) for item in stored_members.members)
    group = None if stored_group is None else state.decode_group(stored_group)
    session = Session(around, key, record, group, members, epoch=stored_members.epoch)
    if record.status == records.CREATING:
        await session.end("left", Changes())
        return None
    pending = await store.get(records.commit_name(key))
    session.pending = None if pending is None else records.PendingCommit.decode(pending)
    session.later_id = await store.get(records.id_name(key)) or b""
    founding, former = await store.get(records.founding_name(key)), await store.get(records.former_name(key))
    session.founding = None if founding is None else records.PendingFounding.decode(founding)
    refused = await store.get(records.refused_name(key))
    session.refused = None if refused is None else records.RefusedCommit.decode(refused)
    if former is not None:
        stored = records.FormerGroup.decode(former)
        session.former, session.former_ended = state.decode_group(stored.group), stored.ended
    return session


async def begin(
    around: Surroundings,
    group: Group,
    members: tuple[Member, ...],
    status: int,
    domain: str,
    inviter: int,
    changes: Changes,
    *,
    renew: bool = False,
    entry: records.PendingEntry | None = None,
) -> Session:
    """A new conference from a group that was just created or joined, or may be joined by `entry`, beside all that have
    its id: one transaction with `changes`.
    """
    place = 0
    while await around.store.get(records.conference_name(records.conference_key(group.group_id, place))) is not None:
        place += 1
    key = records.conference_key(group.group_id, place)
    name = ordering.name_of(group).encode()
    record = records.ConferenceRecord(status, name, domain.encode("ascii"), int(around.now()), inviter, int(renew))
    changes.put(records.conference_name(key), record)
    changes.put(records.members_name(key), members_record(group.epoch, members))
    changes.put(records.group_name(key), state.encode_group(group))
    if entry is not None:
        changes.put(records.entry_name(key), entry)
    changes.keep(own_pairs(group))
    await changes.write(around.store)
    return Session(around, key, record, group, members, epoch=group.epoch)


async def _required(store: Store, name: str) -> bytes:
    data = await store.get(name)
    if data is None:
        raise RoomkeyError("storage-failed", "expected a whole conference in the store")
    return data
