"""Into conferences by tickets (`conference.entering`): one way in at a time, each to its end once it has begun.

An entrance whose commit may or may not have won goes on in the background, also after a restart, until the ordering
service has said which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from roomkey.client.events import Appeared, Event
from roomkey.conference import entering, records, tickets
from roomkey.conference.conference import Conference
from roomkey.conference.events import Failed
from roomkey.conference.leavers import BACKOFF
from roomkey.conference.session import Session, Surroundings
from roomkey.conference.tickets import Ticket
from roomkey.errors import RoomkeyError
from roomkey.federation.init_keys import ClientKeys, make_init_key_sets


class Entrance:
    """See the module. `conferences` is the client's own table, by key."""

    def __init__(
        self,
        around: Surroundings,
        keys: ClientKeys,
        suites: tuple[int, ...],
        conferences: dict[str, Conference],
        emit: Callable[[Event], None],
    ) -> None:
        self._around = around
        self._keys = keys
        self._suites = suites
        self._conferences = conferences
        self._emit = emit
        self._one = asyncio.Lock()
        self._under_way: set[asyncio.Task[Conference]] = set()
        self._going_on = False

    async def enter(self, data: bytes) -> Conference:
        """Comes into a conference by a ticket. A caller who is cancelled does not call back what has begun: it ends
        with `Appeared` or `Failed`.

        Errors: "invalid-ticket"; "ticket-not-allowed" for one of a conference that takes only who is invited;
        "ticket-expired" if the epoch has ended since, which asks for another ticket; "already-member";
        "unsupported-suite", "unsupported-policy"; "no-route" to the ordering service; `Admission.admit`'s for the
        members; the service's: where those leave open whether we are in, their details hold `pending` True.
        """
        task = asyncio.ensure_future(self._enter(data))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._report)
            raise

    def go_on(self) -> None:
        """Finds out, in the background, how entrances came out that were cut off."""
        if self._open() and not self._going_on:
            self._going_on = True
            self._around.spawn(self._go_on)

    async def close(self) -> None:
        """Cuts off what is under way; its records resume it."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _enter(self, data: bytes) -> Conference:
        ticket = tickets.read_ticket(data)
        if ticket.suite.number not in self._suites:
            raise RoomkeyError("unsupported-suite", f"expected a suite that we offer, got {ticket.suite.number:#06x}")
        group_id = ticket.context.group_id
        async with self._one:
            for waiting in self._open():
                if (waiting.id, waiting.ordering) == (group_id, ticket.domain):
                    try:
                        return await self._resolve(waiting, fresh=False)
                    except RoomkeyError as error:
                        if error.code != "ticket-expired":
                            raise
            await expect_outside(self._conferences.values(), group_id, ticket.domain)
            session = await self._begin(ticket)
            conference = Conference(session)
            self._conferences[conference.key] = conference
            return await self._resolve(conference, fresh=True)

    async def _begin(self, ticket: Ticket) -> Session:
        crypto, now = self._around.crypto, self._around.now()
        (made,) = await make_init_key_sets(crypto, self._keys, self._suites, 1, now)
        try:
            ours = next(item for item in made.join_keys() if item.key_package.cipher_suite == ticket.suite.number)
            return await entering.begin(self._around, ours, ticket)
        finally:
            await crypto.forget_keys(made.handles())  # the commit has an encryption key of its own

    async def _resolve(self, conference: Conference, *, fresh: bool) -> Conference:
        """In, or not, or the error that leaves it open."""
        before = _ended(self._conferences.values(), conference)
        try:
            await conference.enter(before, fresh=fresh)
        except RoomkeyError as error:
            if error.details.get("pending"):
                self.go_on()
            raise
        finally:
            for key in [key for key, item in self._conferences.items() if item.gone or item is conference]:
                del self._conferences[key]
            if not conference.gone:
                self._conferences[conference.key] = conference
        self._emit(Appeared(conference))
        return conference

    async def _go_on(self) -> None:
        failures, reported = 0, ""
        try:
            while self._open():
                await self._around.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1
                async with self._one:
                    for conference in self._open():
                        try:
                            await self._resolve(conference, fresh=False)
                        except RoomkeyError as error:
                            if error.code != reported:
                                self._emit(Failed(error))
                            reported = error.code
                            if error.code == "no-route":
                                return  # until its address is set
        finally:
            self._going_on = False

    def _open(self) -> list[Conference]:
        return [item for item in self._conferences.values() if item.status == records.ENTERING and not item.gone]

    def _report(self, task: asyncio.Task[Conference]) -> None:
        """What goes wrong after the caller has gone is an event."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, RoomkeyError):
            self._emit(Failed(error))
        elif error is not None:
            task.get_loop().call_exception_handler({"message": "an entrance failed", "exception": error})


async def expect_outside(known: Iterable[Conference], group_id: bytes, ordering: str) -> None:
    """Errors: "already-member" for a group that we are in; the ordering service's."""
    for conference in list(known):
        if (conference.id, conference.ordering) == (group_id, ordering) and conference.status == records.ACTIVE:
            await conference.catch_up()  # who was removed while away has not heard of it yet
            if conference.status == records.ACTIVE:
                raise RoomkeyError("already-member", "expected a conference that we are not in")


async def former(known: Iterable[Conference], called: Conference) -> Conference | None:
    """The conference that `called` calls us back to, as it ended here: of the same id, at the same ordering service,
    and by somebody who was in it as we last knew it. Others who have seen the id can open a register for it, too.

    Errors: "already-member" if it goes on; the ordering service's.
    """
    same = [item for item in known if item is not called and _calls_back_to(called, item)]
    await expect_outside(same, called.id, called.ordering)
    return _ended(same, called)


def _ended(known: Iterable[Conference], called: Conference) -> Conference | None:
    for conference in known:
        over = conference.status in (records.REMOVED, records.FAILED) and not conference.gone
        if over and _calls_back_to(called, conference):
            return conference
    return None


def _calls_back_to(called: Conference, conference: Conference) -> bool:
    inviter = None if called.inviter is None else called.inviter.client
    same = (conference.id, conference.ordering) == (called.id, called.ordering)
    return same and inviter in {member.client for member in conference.members}
