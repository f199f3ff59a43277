"""Coming in by a ticket: write, submit, swap, as with every commit of ours (`commits`).

    (nothing) --write--> ENTERING                 the group as it will be, the external commit and its deliveries in one
                                                  transaction, before anything is sent
    ENTERING --accepted--> ACTIVE                 everybody proved once more; the commit goes to the members' inboxes
    ENTERING --another commit won--> (nothing)    "ticket-expired"
    ENTERING --not taken--> (nothing)             the error is the caller's
    ENTERING --no answer--> ENTERING              whether it won is open; the same bytes are submitted again

What an ENTERING conference's inbox brings is held: we can read it if we won. The functions here expect the caller to
hold the session's lock.
"""

from __future__ import annotations

from roomkey.conference import answering, commits, opening, ordering, records, taking, tickets
from roomkey.conference.changes import Changes
from roomkey.conference.reading import withheld
from roomkey.conference.session import Session, Surroundings
from roomkey.conference.tickets import Ticket
from roomkey.crypto.provider import KeyHandle
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Conflict
from roomkey.mls.external import ExternalCommit, external_commit
from roomkey.mls.group import JoinKeys


async def begin(around: Surroundings, ours: JoinKeys, ticket: Ticket) -> Session:
    """Makes the external commit and writes it down, after these checks:

    1. those of `external_commit`: the GroupInfo, signed by the member who made the ticket, its tree, our KeyPackage.
    2. every leaf belongs to the client that it names, and every client's key to its identity; no better suite is common
       to all. What is learnt of them is kept once we are in.

    A leaf of ours that is still in the group, from a state that we lost, is removed by the same commit.

    Args:
        ours: for one of our leaves; neither its init nor its encryption key is used.
    Errors: "invalid-ticket", "unsupported-policy", "invalid-key-package"; `Admission.admit`'s; "storage-failed".
    """
    try:
        # 1.
        made = await external_commit(around.crypto, ticket.data, ours, around.now())
    except RoomkeyError as error:
        raise tickets.unsound(error) from error
    try:
        return await _write(around, made, ticket)
    except RoomkeyError:
        await around.crypto.forget_keys(
            [pair.private for pair in made.made_keys if isinstance(pair.private, KeyHandle)]
        )
        raise


async def _write(around: Surroundings, made: ExternalCommit, ticket: Ticket) -> Session:
    group = made.group
    # 2.
    proved = await around.admission.admit(group, list(group.tree.members()), Changes())
    members = tuple(sorted(proved, key=lambda member: member.leaf))
    told = tuple(commits.deliveries(group.group_id, records.COMMIT, made.message, members))
    entry = records.PendingEntry(ticket.context.epoch, ticket.token, made.message, told)
    return await opening.begin(
        around, group, members, records.ENTERING, ticket.domain, ticket.signer, Changes(), entry=entry
    )


async def resolve(session: Session, before: Session | None, *, fresh: bool) -> None:
    """Submits the external commit, and so finds out whether it won.

    Args:
        before: as for `answering.accept`.
        fresh: it was never submitted before.
    Errors: "ticket-expired"; the ordering service's, and where those leave open whether the commit won their details
    hold `pending` True; `Admission.admit`'s, and then we have left the conference again.
    """
    entry = await _entry(session)
    try:
        service = session.ordering_service()
        answer = await service.submit_commit(
            session.group_id, entry.epoch, entry.commit, entry.token, ordering.token(session.live)
        )
    except RoomkeyError as error:
        if not commits.not_taken(error, fresh):
            error.details["pending"] = True
            raise
        await session.end("left", Changes())
        if error.code != "wrong-token":
            raise
        text = "expected a ticket of an epoch that the ordering service holds"
        raise RoomkeyError("ticket-expired", text) from error
    if isinstance(answer, Conflict) and (not answer.commits or answer.commits[0].commit != entry.commit):
        await session.end("left", Changes())
        raise RoomkeyError("ticket-expired", "expected a ticket of the current epoch, got one of an earlier epoch")
    await _come_in(session, before, entry)


async def _come_in(session: Session, before: Session | None, entry: records.PendingEntry) -> None:
    """The commit is the epoch's."""
    changes = Changes()
    changes.delete([records.entry_name(session.key)])
    session.around.outbox.put(changes, entry.deliveries)
    try:
        await answering.become_active(session, before, changes)
    except RoomkeyError as error:
        if withheld(error):
            error.details["pending"] = True  # we are in, and will be told by whom else once that is proved
            raise
        await taking.abandon(session, session.live, error)  # of our going the others hear, and so of our coming
        raise
    session.around.outbox.wake()


async def _entry(session: Session) -> records.PendingEntry:
    data = await session.around.store.get(records.entry_name(session.key))
    if data is None:
        raise RoomkeyError("storage-failed", "expected a whole conference in the store")
    return records.PendingEntry.decode(data)
