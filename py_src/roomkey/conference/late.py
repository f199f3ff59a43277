"""What comes for the group before ours (`succession`), whose messages were on their way when another followed on it.

The function here expects the caller to hold the session's lock.
"""

from __future__ import annotations

from roomkey.conference import messages, records, refusing, signals
from roomkey.conference.changes import Changes
from roomkey.conference.events import Event, Member, MessageArrived
from roomkey.conference.reading import departing, group_of, head
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import named_client
from roomkey.mls import framing, processing, state
from roomkey.mls.framing import MLSMessage
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.processing import ApplicationMessage


async def receive(session: Session, data: bytes) -> None:
    """A message of the group before ours: what a member said in its last epochs counts, and that they want to go."""
    former, body = session.former, MLSMessage.decode(data).body
    if former is None or group_of(body) != former.group_id:
        raise RoomkeyError("wrong-group", "expected a message of the conference's group, got another")
    epoch, content_type = head(body)
    if session.seen(data) or content_type == framing.COMMIT or epoch >= former.epoch or refusing.is_farewell(body):
        return  # who did not come along may go on there; it is not for us any more
    changes, record = Changes(), session.marked(data)
    said: Event | None = None
    if content_type == framing.APPLICATION:
        processed = await processing.process(session.around.crypto, former, data)
        event, after = processed.event, processed.group
        assert isinstance(event, ApplicationMessage)
        sender = _member_behind(session, event.leaf)
        if signals.is_signal(event.authenticated_data):
            said = session.signalling.heard(event.data, sender, session.members, session.around.now())
        else:
            message, record = messages.append(session, record, changes, sender, event.epoch, event.data)
            said = MessageArrived(message)
    else:
        after, leaf = await processing.process_departure(session.around.crypto, former, data)
        gone = former.tree.leaf(leaf)
        assert gone is not None
        record = departing(record, _member_behind(session, gone).leaf)
    kept = records.FormerGroup(session.former_ended, state.encode_group(after))
    changes.put(records.former_name(session.key), kept)
    changes.put(records.conference_name(session.key), record)
    await changes.write(session.around.store)
    session.former, session.record = after, record
    if said is not None:
        session.emit(said)


def _member_behind(session: Session, leaf: LeafNode) -> Member:
    """The member of now whose leaf this was in the group before. Errors: "wrong-epoch" for who is gone since."""
    client = named_client(leaf)
    for member in session.members:
        if (member.identity, member.client) == client:
            return member
    raise RoomkeyError("wrong-epoch", "expected a message of a member, got one of somebody who is gone")
