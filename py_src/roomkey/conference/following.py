"""Following into a successor that another member founded (`succession`).

A Welcome to a group that follows on ours waits in the store until the register has said how our group ended. Then it is
taken without asking, if

1. it passes RFC 9420 section 12.4.3.1, `mls.successor.check_successor` among it: its founder holds our epoch's
   resumption PSK, and its members are ours, compared by client.
2. a successor of our epoch is due: the register ended the epoch by a ReInit, or by a commit that we cannot follow, or
   refused. Where others refused one that is withheld here, their Welcomes wait for our person to decide (`refusing`).
3. its id is that of the successor (`succession.successor_id`), its context has the old one's extensions, and who signed
   the unusable commit is not in it.
4. it is the group that the register has for this attempt, and that attempt counts (`attempts`). Welcomes to later ones
   wait until those before them have been spoilt or given up.
5. every leaf belongs to the client that it names, and every client's key to its identity; no better suite is common.

For whom the commit was good, no successor is due: they stay where they are, tell the branch that they are not in it,
and see off its founder, who can follow them no more. So it is with a branch that comes after another one.

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

from typing import NamedTuple

from roomkey.conference import attempts, commits, receiving, records, refusing, succession, taking
from roomkey.conference.changes import Changes
from roomkey.conference.events import Failed, Member
from roomkey.conference.reading import withheld
from roomkey.conference.session import Session, digest
from roomkey.conference.surroundings import OpenedWelcome
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import named_client, vouched
from roomkey.mls import committing
from roomkey.mls.group import Group
from roomkey.mls.joining import Joined
from roomkey.mls.proposals import Remove, proposal
from roomkey.mls.psk import USAGE_REINIT

# Welcomes to successors that wait: they are judged as they come, so more come only in a burst.
MAX_WAITING = 16
# Of those, the ones that cannot be judged yet, which is up to whoever made them: one of each founder.
MAX_UNJUDGED = 8


class Waits(NamedTuple):
    """A Welcome that cannot be judged yet; `founder`: a client id that signed for it; whose it is, is not proved."""

    founder: bytes


async def hold(session: Session, data: bytes) -> None:
    """Keeps a Welcome until it can be judged. Errors: "too-many-proposals" while too many wait, "storage-failed"."""
    store = session.around.store
    if len(await store.list(records.welcome_name(session.key))) >= MAX_WAITING:
        raise RoomkeyError("too-many-proposals", f"expected at most {MAX_WAITING} Welcomes to successors")
    await store.write({records.welcome_name(session.key, digest(data)): data})


async def follow(session: Session) -> bool:
    """Judges the Welcomes that wait, and takes the first that is good; whether there was one. None holds up the others.

    Errors: the ordering service's, and those of proofs that cannot be had now, of a group that we wait for; then they
    wait on.
    """
    store = session.around.store
    waiting = await store.list(records.welcome_name(session.key))
    # A commit that was withheld has been proved: who went on without is told so before the commit that sees them off.
    proved = session.doubt is not None and succession.in_doubt(session) is None
    if not waiting or session.group is None:
        session.doubt = None if proved else session.doubt
        return False
    try:
        if not proved:
            await receiving.catch_up(session)
    except RoomkeyError as error:
        if error.code != "group-succeeding" and succession.in_doubt(session) is None:
            raise
    await attempts.look(session)
    try:
        return await _first_good(session, waiting)
    finally:
        session.doubt = None if proved else session.doubt


async def _first_good(session: Session, waiting: list[tuple[str, bytes]]) -> bool:
    store = session.around.store
    later: RoomkeyError | None = None
    unjudged: set[bytes] = set()
    for name, data in waiting:
        try:
            followed = await _judge(session, data)
            if followed is True:
                return True
            if isinstance(followed, Waits) and followed.founder not in unjudged and len(unjudged) < MAX_UNJUDGED:
                unjudged.add(followed.founder)
                continue
        except RoomkeyError as error:
            if withheld(error):
                later = later or error
                continue
            session.emit(Failed(error))
        done = Changes()
        done.delete([name])
        await done.write(store)
    if later is not None:
        raise later
    return False


async def _judge(session: Session, data: bytes) -> bool | Waits:
    """Whether we go on in this Welcome's group; its set is used up, unless the error says try again, or it waits.

    Errors: "not-a-member" if we were removed before it; by the list above those of `joining.join`, "invalid-welcome",
    `Admission.admit`'s.
    """
    async with session.around.heirs.welcome(data) as opened:
        try:
            # 1.
            groups = [item for item in (session.live, session.former) if item is not None]
            joined = await opened.join(groups, lambda group_id: _is_attempt(session, group_id))
            followed = await _take(session, opened, joined)
        except RoomkeyError as error:
            if not withheld(error):
                changes = Changes()
                opened.use_up(changes, joined=False)
                await changes.write(session.around.store)
                opened.used_up()
            raise
        if not isinstance(followed, Waits):
            opened.used_up()
        return followed


def _is_attempt(session: Session, group_id: bytes) -> bool:
    what = succession.due(session)
    return what is not None and succession.attempt_of(session.live, what, group_id) is not None


async def _take(session: Session, opened: OpenedWelcome, joined: Joined) -> bool | Waits:
    group, changes = joined.group, Changes()
    what, old = succession.due(session), session.live
    # 2.
    link = joined.link
    awaited = what is not None and link is not None and (link.psk_group_id, link.psk_epoch) == (old.group_id, old.epoch)
    if what is None and link is not None and _is_undecided(session, group, link.psk_epoch):
        return await _waits(session, joined)
    # 3.
    if what is not None and awaited:
        attempt = succession.attempt_of(old, what, group.group_id)
        if attempt is None or group.context.extensions != old.context.extensions:
            raise RoomkeyError("invalid-welcome", "expected the successor of our group, got another group")
        stays = None if what.absent is None else old.tree.leaf(what.absent)
        if stays is not None and named_client(stays) in {named_client(leaf) for _, leaf in group.tree.members()}:
            raise RoomkeyError("invalid-welcome", "expected a branch without who made it necessary, got one with them")
        # 4.
        if attempt > session.attempt:
            return await _waits(session, joined)
        attempts.check(session, attempt, group)
    # 5.
    strangers = session.record.status == records.INVITED or not awaited
    try:
        proved = await session.around.admission.admit(
            group, list(group.tree.members()), Changes() if strangers else changes
        )
    except RoomkeyError as error:
        if not awaited and withheld(error) and error.code != "storage-failed":
            return await _waits(session, joined)
        if not awaited or withheld(error):
            raise
        opened.use_up(changes, joined=False)
        await taking.abandon(session, group, error, changes)
        return True
    members = tuple(sorted(proved, key=lambda member: member.leaf))
    opened.use_up(changes, joined=awaited)
    if not awaited:
        await _decline(session, group, members, joined.signer, changes)
        return False
    reason: succession.Reason = "reinit" if link is not None and link.usage == USAGE_REINIT else "branch"
    await refusing.farewell(session, changes)
    await succession.take_up(
        session, group, members, reason, changes, inviter=joined.signer, renew=int(opened.last_resort)
    )
    session.around.outbox.wake()
    return True


def _is_undecided(session: Session, group: Group, epoch: int | None) -> bool:
    """Whether a group is by those who refused what is withheld here; or, once that is proved, follows on an epoch of
    which more is to be fetched.
    """
    doubt = succession.in_doubt(session)
    if doubt is not None:
        return succession.attempt_of(session.live, doubt, group.group_id) is not None
    return session.doubt is not None and epoch is not None and epoch > session.doubt.epoch


async def _waits(session: Session, joined: Joined) -> Waits:
    """Errors: "invalid-welcome" for a founder who names another member's client."""
    leaf = joined.group.tree.leaf(joined.signer)
    assert leaf is not None  # it signed
    if not all(await vouched(session.around.crypto, joined.group.suite, [leaf])):
        raise RoomkeyError("invalid-welcome", "expected a founder whose client signed for the leaf, got another")
    return Waits(named_client(leaf)[1])


async def _decline(session: Session, group: Group, members: tuple[Member, ...], signer: int, changes: Changes) -> None:
    """Tells a branch that we are not in it. Its founder, who signed for being unable to follow our group, leaves it by
    that.
    """
    around = session.around
    _, message = await committing.propose(around.crypto, group, proposal(Remove(group.own_leaf)))
    around.outbox.put(changes, list(commits.deliveries(group.group_id, records.PROPOSAL, message, members)))
    founder = next(member.client for member in members if member.leaf == signer)
    leaving = {member.leaf for member in session.members if member.client == founder and not member.own}
    record = session.record.replace(departing=tuple(sorted({*session.record.departing, *leaving})))
    changes.put(records.conference_name(session.key), record)
    await changes.write(around.store)
    session.record = record
    around.outbox.wake()
