"""What becomes of one message once its turn has come (`receiving`): said, heard, noted, or the next epoch.

Nothing of a message stays if it is bad. The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

from roomkey.conference import commits, messages, moving, records, signals, succession
from roomkey.conference.changes import Changes
from roomkey.conference.events import Failed, MessageArrived
from roomkey.conference.reading import departing, withheld
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.mls import committing, framing, processing
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.group import Group
from roomkey.mls.processing import ApplicationMessage, ProposalReceived
from roomkey.mls.proposals import Remove, proposal


async def take(session: Session, group: Group, data: bytes) -> None:
    """Takes a message of the current epoch, or an application message of one before. Errors: those of a bad message."""
    processed = await processing.process(session.around.crypto, group, data)
    event = processed.event
    if isinstance(event, ApplicationMessage) and signals.is_signal(event.authenticated_data):
        await _hear(session, processed.group, event, data)
    elif isinstance(event, ApplicationMessage):
        await _store_message(session, processed.group, event, data)
    elif isinstance(event, ProposalReceived):
        await _note_proposal(session, processed.group, event, data)
    elif isinstance(event, CommitProcessed):
        await _take_commit(session, processed.group, event, data)


async def _store_message(session: Session, after: Group, event: ApplicationMessage, data: bytes) -> None:
    changes = Changes()
    sender = messages.sender_of(session, after, event)
    if session.member_at(sender.leaf) != sender and event.epoch < session.record.closed:
        raise RoomkeyError("wrong-epoch", "expected a message of a member, got one of somebody who is gone")
    message, record = messages.append(session, session.marked(data), changes, sender, event.epoch, event.data)
    await write(session, after, record, changes)
    session.heard(event.authenticated_data, sender)
    session.emit(MessageArrived(message))


async def _hear(session: Session, after: Group, event: ApplicationMessage, data: bytes) -> None:
    """A signal: its key is used up, and nothing of it stays."""
    await write(session, after, session.marked(data), Changes())
    if session.record.status == records.ACTIVE:
        sender = messages.sender_of(session, after, event)
        heard = session.signalling.heard(event.data, sender, session.members, session.around.now())
        if heard is not None:
            session.emit(heard)


async def write(session: Session, after: Group, record: records.ConferenceRecord, changes: Changes) -> None:
    """One transaction with `changes`, then memory: the same epoch, keys used up."""
    after = session.put_group(changes, after)
    changes.put(records.conference_name(session.key), record)
    await changes.write(session.around.store)
    session.group, session.record = after, record


async def _note_proposal(session: Session, after: Group, event: ProposalReceived, data: bytes) -> None:
    """Takes a member's own leaving, which `upkeep` commits. Other members' are kept for who may commit them.

    Errors: "unsupported-proposal" for a stranger's wish to be added: anybody who knows the group's id can send any
    number of those.
    """
    if event.sender.sender_type == framing.NEW_MEMBER_PROPOSAL:
        raise RoomkeyError("unsupported-proposal", "expected a proposal of a member, got one of a stranger")
    body = event.proposal.body
    record = session.marked(data)
    if isinstance(body, Remove) and body.removed == event.sender.leaf_index:
        record = departing(record, body.removed)
    await write(session, after, record, Changes())


async def _take_commit(session: Session, after: Group, event: CommitProcessed, data: bytes) -> None:
    if event.self_removed:
        await _go(session, event)
        return
    if event.reinit is not None:
        succession.check_reinit(session.live, event.reinit)
    changes = Changes()
    try:
        _check_names_stay(session.live, after, event)
        members = await session.admitted(after, changes)
    except RoomkeyError as error:
        if withheld(error):
            raise
        await abandon(session, after, error)
        return
    moving.check_move(session.ordering, after, members)
    record = session.marked(data)
    # A leaf that is new has not asked to go, also where who stood there has.
    record = record.replace(departing=tuple(leaf for leaf in record.departing if leaf not in event.added))
    await session.adopt(after, members, changes, record, event.sender if event.external else None)
    session.heard(event.authenticated_data, session.member_at(event.sender))


async def _go(session: Session, event: CommitProcessed) -> None:
    """Ends a conference that a commit takes us out of.

    Who came by themselves in our place is us, on another device or with lost state, if they have our signature key;
    no member removed us then. Anybody else stole our name, which is a failure and not a removal.
    """
    if event.newcomer is None:
        await session.end("removed", Changes(), by=session.member_at(event.sender))
    elif event.newcomer.signature_key == session.live.leaf.signature_key:
        await session.end("removed", Changes())
    else:
        stolen = RoomkeyError("identity-mismatch", "leaf: expected our key under our name, got another", step=5)
        await session.end("failed", Changes(), error=stolen)


def _check_names_stay(before: Group, after: Group, event: CommitProcessed) -> None:
    """A leaf that takes its own place has the same credential (RFC 9420 section 5.3.1). Errors: "identity-mismatch"."""
    for index in event.updated:
        old, new = before.tree.leaf(index), after.tree.leaf(index)
        if old is None or new is None or old.credential != new.credential:
            raise RoomkeyError("identity-mismatch", "leaf credential: expected the one before, got another")


async def abandon(session: Session, after: Group, error: RoomkeyError, changes: Changes | None = None) -> None:
    """Leaves a conference in which it is not safe to go on: asks the others to remove us, and ends here. One
    transaction with `changes`.
    """
    changes = Changes() if changes is None else changes
    try:
        _, message = await committing.propose(session.around.crypto, after, proposal(Remove(after.own_leaf)))
    except RoomkeyError as failure:  # then they learn nothing; going is what matters
        session.emit(Failed(failure))
    else:
        session.around.outbox.put(
            changes, list(commits.deliveries(after.group_id, records.PROPOSAL, message, session.members))
        )
    await session.end("downgrade" if error.code == "downgrade" else "failed", changes, error=error)
    session.around.outbox.wake()
