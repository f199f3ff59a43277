"""Members as they are stored."""

from __future__ import annotations

from collections.abc import Sequence

from roomkey.conference import records
from roomkey.conference.events import Member


def members_record(epoch: int, members: Sequence[Member]) -> records.MembersRecord:
    return records.MembersRecord(epoch, tuple(member_record(member) for member in members))


def member_record(member: Member) -> records.MemberRecord:
    return records.MemberRecord(
        member.leaf, member.identity.encode(), member.identity_key, member.client, member.by.encode(), member.since
    )


def member_of(record: records.MemberRecord, own_client: bytes) -> Member:
    return Member(
        record.identity.decode(), record.client, record.identity_key, record.leaf, record.by.decode(), record.since,
        own=record.client == own_client,
    )  # fmt: skip
