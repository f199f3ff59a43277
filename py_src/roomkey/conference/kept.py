"""A conference as its client keeps it: what comes for it, what is stored of it, how it begins here and ends."""

from __future__ import annotations

from roomkey.conference import answering, entering, following, leavers, receiving, records, upkeep
from roomkey.conference.changes import Changes
from roomkey.conference.events import Failed
from roomkey.conference.history import History
from roomkey.conference.reading import withheld
from roomkey.conference.running import Running
from roomkey.errors import RoomkeyError


class Kept(Running):
    """See the module. `Conference` is one."""

    # -- which it is --

    @property
    def id(self) -> bytes:
        """The id of its group; another one once a group has followed on it (`Succeeded`)."""
        return self._session.group_id

    @property
    def key(self) -> str:
        """The conference's own name here: several may have one id, of which one is true (`answering`)."""
        return self._session.key

    @property
    def status(self) -> int:
        """One of `records`: INVITED, ENTERING, ACTIVE, REMOVED, FAILED."""
        return self._session.record.status

    @property
    def history(self) -> History:
        """What was said."""
        return History(self._session.around.store, self._session.key, self._session.around.now)

    # -- what comes, and what is kept --

    async def receive(self, data: bytes) -> None:
        """Processes one message of an inbox. Errors: see `receiving.receive`."""
        departing = self._session.record.departing
        try:
            await self._run(lambda: receiving.receive(self._session, data))
        except RoomkeyError as error:
            if error.code == "storage-failed" or not (error.retryable or withheld(error)):
                raise
            self.settle()  # what it takes to go on did not answer: the message is held, and tried again once it does
        if self._session.record.departing != departing:
            self.see_off()
        self._go_on()

    async def receive_successor(self, data: bytes) -> None:
        """Takes a Welcome to a group that says it follows on ours. Errors: `following.hold`'s."""
        await self._run(lambda: following.hold(self._session, data))
        self._session.around.spawn(lambda: upkeep.settle(self._session, at_once=True))

    async def activate(self) -> None:
        """A created conference is registered."""
        record = self._session.record.replace(status=records.ACTIVE)
        await self._session.around.store.write({records.conference_name(self._session.key): record.encode()})
        self._session.record = record

    async def accept(self, before: Kept | None = None) -> None:
        """Accepts the invitation. The members are proved once more, now with effect on what we know of them.

        Args:
            before: the same conference, which has ended here; this one takes its place, and its messages.
        Errors: "not-a-member" if it was taken back; "invalid-welcome" if the ordering service knows of no such epoch;
        its other errors and `Admission.admit`'s, and then it stays an invitation.
        """

        async def accept() -> None:
            if before is None:
                await answering.accept(self._session, None)
                return
            async with before._session.lock:
                await answering.accept(self._session, before._session)

        await self._run(accept)
        self.settle()

    async def enter(self, before: Kept | None = None, *, fresh: bool) -> None:
        """Submits the external commit of a ticket; see `entering.resolve` for errors. `before` as for `accept`."""

        async def enter() -> None:
            if before is None:
                await entering.resolve(self._session, None, fresh=fresh)
            else:
                async with before._session.lock:
                    await entering.resolve(self._session, before._session, fresh=fresh)
            await receiving.release(self._session)

        await self._run(enter)
        self.settle()

    async def catch_up(self) -> None:
        """Takes what the ordering service's register holds. Errors: that service's."""
        await self._run(lambda: receiving.catch_up(self._session))

    async def forget_old(self) -> None:
        """Deletes messages, message keys and past epochs that are too old. Errors: "storage-failed"."""
        await self.history.forget_old()
        await upkeep.forget(self._session)

    def see_off(self, *, at_once: bool = False) -> None:
        """Removes, in the background, members who are to go (`leavers`)."""
        self._session.around.spawn(lambda: leavers.see_off(self._session, at_once=at_once))

    async def remove_unlisted(self) -> None:
        """Removes whom their own manifest no longer lists; what cannot be done now goes on in the background."""
        try:
            await self._run(lambda: leavers.note_unlisted(self._session))
            if self._session.record.departing:
                await self._change(lambda group: leavers.plan(self._session))
        except RoomkeyError as error:
            if not error.retryable and error.code != "group-succeeding":
                self.report(error)
            self.see_off(at_once=True)

    def report(self, error: RoomkeyError) -> None:
        """Tells of a failure in the background."""
        self._session.emit(Failed(error))

    @property
    def gone(self) -> bool:
        """Left: nothing of it is stored any more."""
        return self._session.left

    def answers_to(self, group_id: bytes) -> bool:
        """Whether it is the conference of this group: its own, or the one before."""
        former = self._session.former
        return group_id == self.id or (former is not None and group_id == former.group_id)

    @property
    def goes_on(self) -> bool:
        """Whether it takes messages: an invitation, or active."""
        return self._session.group is not None

    async def discard(self) -> None:
        """Deletes a conference that nobody else knows of."""
        await self._session.end("left", Changes())
