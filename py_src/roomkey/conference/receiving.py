"""What arrives for a conference, from inboxes and from its ordering service, and what becomes of it.

    epoch      commit                          proposal                       application message
    earlier    ends the epoch for who left     a member's own leaving counts  stored, while its epoch's keys are kept
    current    held until the register has it  a member's own leaving counts  stored
    later      held; the commits in between are fetched from the ordering service, then it is tried again

1. Each message is processed once, however often it comes.
2. A message is stored in the transaction that deletes its key; only then may the inbox forget it.
3. A commit counts only as the ordering service's register holds it. One in an inbox says no more than that it is time
   to ask: else a member could show everybody another one, and split the group.
4. Whoever a commit adds, or whose key it changes, is proved before the epoch is taken, and nobody changes their name;
   if that fails we leave the conference, because the commit stands for all others. So it is with who comes by
   themselves, where the group's policy takes them.
5. Commits are taken no faster than the inbox shows them, as far as it does: messages of the epochs between can be read
   in their own epoch and the few after it (`mls.group.PAST_EPOCHS`), and come in order.
6. Who was removed still has the keys of past epochs. An inbox keeps its order, so what they say after the copy of the
   commit that ended their epoch was said too late, and is refused.

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

from collections.abc import Sequence

from roomkey.conference import commits, late, ordering, records, refusing, succession, taking
from roomkey.conference.changes import Changes
from roomkey.conference.events import Failed
from roomkey.conference.reading import departing, group_of, head, withheld
from roomkey.conference.session import Session, Stuck, digest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import StoredCommit
from roomkey.mls import framing, processing
from roomkey.mls.framing import MLSMessage
from roomkey.mls.group import Group

# Messages held for later epochs, per conference, and their bytes: more than a minute's worth of a lively call; a flood
# costs the flooder's words. Anybody who knows the group's id can have something held.
MAX_HELD = 256
MAX_HELD_BYTES = 16 << 20


async def receive(session: Session, data: bytes) -> None:
    """Processes one MLSMessage from an inbox, and what was held until it came.

    Errors: those of a bad message, whose processing changes nothing; the ordering service's, and then the message is
    held; "storage-failed".
    """
    if session.group is None:
        return
    body = MLSMessage.decode(data).body
    epoch, content_type = head(body)
    group = session.live
    if group_of(body) != group.group_id:
        await late.receive(session, data)
        return
    if session.record.status == records.ENTERING:
        await _hold(session, epoch, data)  # whether the group is ours is not known yet (`entering`)
    elif content_type == framing.COMMIT and epoch < group.epoch:
        if epoch >= session.record.closed:
            await taking.write(session, group, session.record.replace(closed=epoch + 1), Changes())
    elif session.seen(data):
        return
    elif epoch > group.epoch or content_type == framing.COMMIT:
        await _hold(session, epoch, data)
        if succession.in_doubt(session) is not None and session.doubt is not None:
            raise session.doubt.error  # `upkeep.settle` asks for proof again, however many messages come meanwhile
        await catch_up(session, shown=epoch)
    elif epoch == group.epoch and refusing.is_farewell(body):
        await _hold(session, epoch + 1, data)
    elif epoch == group.epoch or content_type == framing.APPLICATION:
        await taking.take(session, group, data)
    else:
        after, leaf = await processing.process_departure(session.around.crypto, group, data)
        record = session.marked(data)
        if epoch >= await session.new_since(leaf):
            record = departing(record, leaf)
        await taking.write(session, after, record, Changes())


async def receive_strangers(session: Session) -> None:
    """Processes what came for our group before we were in it, oldest epoch first; bad messages are reported.

    Errors: "storage-failed".
    """
    store = session.around.store
    waiting = [
        (name, records.Stranger.decode(data).message)
        for name, data in await store.list(records.stranger_name(session.group_id))
    ]
    for name, data in sorted(waiting, key=lambda item: head(MLSMessage.decode(item[1]).body)[0]):
        try:
            await receive(session, data)
        except RoomkeyError as error:
            if error.code == "storage-failed":
                raise
            if not error.retryable:
                session.emit(Failed(error))
        await store.write({}, [name])


async def catch_up(session: Session, shown: int | None = None) -> None:
    """Resolves our pending commit, fetches the commits that we missed, and tries held messages again.

    Args:
        shown: the latest epoch of which the inbox showed anything: what ends it is the last commit to be taken now. A
            commit that was withheld and is proved now is taken alone: who went on without (`refusing`) is told so while
            they are still in our tree.
    Errors: the ordering service's, and then what came so far stands.
    """
    if session.group is None:
        return
    in_doubt = succession.in_doubt(session) is not None
    if session.pending is not None:
        await commits.resolve(session, process_commits)
    if in_doubt:
        shown = session.live.epoch
    elif shown is not None:
        held = await session.around.store.list(records.held_name(session.key))
        shown = max(shown, *(_held_epoch(name) for name, _ in held)) if held else shown
    while session.group is not None:
        if shown is not None and session.group.epoch > shown:
            break
        missed = await _missed(session, session.group)
        if not missed:
            await release(session, complete=True)
            break
        await process_commits(session, [item for item in missed if shown is None or item.epoch <= shown])


async def _missed(session: Session, group: Group) -> Sequence[StoredCommit]:
    """The register's commits from the current epoch on; those of an earlier answer, as long as they last."""
    domain, ahead = session.ahead
    if domain != session.ordering or not any(item.epoch == group.epoch for item in ahead):
        service = session.ordering_service()
        ahead = await service.read_commits(session.group_id, group.epoch, ordering.token(group))
        session.ahead = (session.ordering, ahead)
    return [item for item in ahead if item.epoch >= group.epoch]


async def process_commits(session: Session, winners: Sequence[StoredCommit]) -> None:
    """Processes commits that the ordering service stored, in order, from the current epoch on; after each what was held
    for its epoch. After one that moves the conference to another service the rest is no business of the old one's.

    Errors: "group-succeeding" for a commit that cannot be processed, or that we refused, although it stands: the group
    ends there, and another will follow on it (`succession`); while it is withheld, why (`refusing`).
    """
    domain = session.ordering
    for winner in winners:
        group = session.group
        if group is None or session.ordering != domain:
            return
        if winner.epoch != group.epoch:
            continue
        if await refusing.is_refused(session, group, winner.commit):
            succession.expect_none_due(session)
        try:
            body = MLSMessage.decode(winner.commit).body
            if head(body) != (winner.epoch, framing.COMMIT):
                raise RoomkeyError("malformed", "expected a commit of the epoch asked for")
            await taking.take(session, group, winner.commit)
        except RoomkeyError as error:
            if withheld(error):
                if error.code != "storage-failed":
                    await refusing.doubted(session, group, winner.commit, error)
                raise
            by = await processing.committer(session.around.crypto, group, winner.commit)
            session.stuck = Stuck(group.epoch, winner.commit, by, error.code)
            raise RoomkeyError(
                "group-succeeding", "expected a valid commit from the ordering service", reason=error.code
            ) from error
        await release(session)


async def release(session: Session, *, complete: bool = False) -> None:
    """Tries the messages that were held for epochs now reached, oldest epoch first; bad ones are reported.

    Args:
        complete: the register was read to its end: a commit of the current epoch that is still held is not in it.
    """
    for name, data in await session.around.store.list(records.held_name(session.key)):
        if session.group is None:
            return
        if _held_epoch(name) > session.group.epoch:
            continue
        try:
            if head(MLSMessage.decode(data).body) == (session.group.epoch, framing.COMMIT):
                if not complete:
                    continue
                raise RoomkeyError("invalid-commit", "expected a commit that the ordering service holds, got another")
            await receive(session, data)
        except RoomkeyError as error:
            if error.code == "storage-failed":
                raise
            session.emit(Failed(error))
        done = Changes()
        done.delete([name])
        await done.write(session.around.store)


def _held_epoch(name: str) -> int:
    return int(name.split("/")[2], 16)


async def _hold(session: Session, epoch: int, data: bytes) -> None:
    name = records.held_name(session.key, epoch, digest(data))
    held = dict(await session.around.store.list(records.held_name(session.key)))
    held[name] = data
    size = sum(len(item) for item in held.values())
    evicted: list[str] = []
    # The newest epochs go first: what is nearest to us is likeliest to be of use.
    for last in sorted(held, reverse=True):
        if len(held) - len(evicted) <= MAX_HELD and size <= MAX_HELD_BYTES:
            break
        evicted.append(last)
        size -= len(held[last])
    await session.around.store.write(
        {} if name in evicted else {name: data}, [item for item in evicted if item != name]
    )
