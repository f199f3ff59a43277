"""What is said in a conference: messages sent, and records of ours and the others'.

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

from typing import NamedTuple

from roomkey.conference import commits, records, signals, succession
from roomkey.conference.changes import Changes
from roomkey.conference.events import Member, Message
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import read_claim
from roomkey.mls import processing
from roomkey.mls.group import Group
from roomkey.mls.processing import ApplicationMessage

# Stored messages per conference (api.md).
MAX_MESSAGES = 10_000


class Sent(NamedTuple):
    seq: int
    epoch: int


async def send(session: Session, data: bytes) -> Sent:
    """Sends an application message: durable when this returns, delivered by the outbox. Errors: "not-a-member",
    "storage-failed"; "group-succeeding" between a ReInit and the group that it asks for.
    """
    before, own = _may_say(session)
    # Not held up by a leaver whom nobody has removed yet: see web/docs/decisions.md.
    heads = b"" if session.showed == before.epoch else await session.heads()
    after, wire = await processing.protect(session.around.crypto, before, data, heads, waiting="unsafe-send")
    changes = Changes()
    message, record = append(session, session.record, changes, own, before.epoch, data)
    # The advanced ratchet and the bytes in one transaction: what leaves was encrypted with a key that is gone.
    after = session.put_group(changes, after)
    changes.put(records.conference_name(session.key), record)
    deliveries = list(commits.deliveries(session.group_id, records.MESSAGE, wire, session.members))
    session.around.outbox.put(changes, deliveries)
    await changes.write(session.around.store)
    session.group, session.record, session.showed = after, record, before.epoch
    session.signalling.aside = 0
    session.around.outbox.wake()
    return Sent(message.seq, message.epoch)


async def signal(session: Session, kind: int, data: bytes, to: bytes | None) -> None:
    """Sends a signal (`signals`); the outbox forgets it once it is too old. Errors: "no-such-member" for a client that
    is none, "too-many-signals", and those of `send`.

    Args:
        to: the one client that it is for. From time to time others get one too, and pass over it.
    """
    before, own = _may_say(session)
    now = session.around.now()
    there = [member for member in session.members if to in (None, member.client)]
    if not there or to == own.client:
        raise RoomkeyError("no-such-member", "to: expected another client of the conference")
    session.signalling.expect_leave(now)
    said = signals.Signal(kind, int(now * 1000), to, data).encode()
    after, wire = await processing.protect(session.around.crypto, before, said, signals.MARK, waiting="unsafe-send")
    aside = to is not None and session.signalling.aside < signals.MAX_ASIDE
    changes = Changes()
    after = session.put_group(changes, after)
    hear = there if aside else session.members
    session.around.outbox.put(changes, list(commits.deliveries(session.group_id, records.SIGNAL, wire, hear)))
    await changes.write(session.around.store)
    session.group = after
    session.signalling.aside = session.signalling.aside + 1 if aside else 0
    session.around.outbox.wake()


def _may_say(session: Session) -> tuple[Group, Member]:
    """The group in which we speak, and ourselves. Errors: see `send`."""
    before = session.live
    if before.reinit is not None:
        succession.expect_none_due(session)
    own = session.member_at(before.own_leaf)
    if own is None:
        raise RoomkeyError("not-a-member", "expected our own leaf among the members")
    return before, own


def append(
    session: Session, record: records.ConferenceRecord, changes: Changes, sender: Member, epoch: int, data: bytes
) -> tuple[Message, records.ConferenceRecord]:
    """Adds a message to a transaction; the record it returns must be in the same."""
    stored = records.StoredMessage(
        epoch, int(session.around.now() * 1000), sender.leaf, int(sender.own), sender.identity.encode(), sender.client,
        data,
    )  # fmt: skip
    return append_stored(session.key, record, changes, stored)


def append_stored(
    key: str, record: records.ConferenceRecord, changes: Changes, stored: records.StoredMessage
) -> tuple[Message, records.ConferenceRecord]:
    """Adds a message as it is stored; the oldest makes room."""
    seq = record.next_seq
    changes.put(records.message_name(key, seq), stored)
    if seq > MAX_MESSAGES:
        changes.delete([records.message_name(key, seq - MAX_MESSAGES)])
    return message_of(seq, stored), record.replace(next_seq=seq + 1)


def message_of(seq: int, stored: records.StoredMessage) -> Message:
    return Message(
        seq,
        stored.epoch,
        stored.identity.decode(),
        stored.client,
        stored.leaf,
        bool(stored.own),
        stored.data,
        stored.time / 1000,
    )


def sender_of(session: Session, group: Group, event: ApplicationMessage) -> Member:
    """Who sent a message. In a past epoch its member may be gone since: then it is what its leaf says, as it was proved
    then.
    """
    current = session.member_at(event.sender)
    claim = read_claim(group.suite, event.leaf)
    if current is not None and current.client == claim.client_id:
        return current
    return Member(claim.identity, claim.client_id, claim.public_key, event.sender, "past", 0, own=False)
