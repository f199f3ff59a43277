"""What comes to us: one inbox, read as long as the client is open.

Messages are processed one by one, in order: a Welcome becomes an invitation, everything else goes to its conference. A
message is acknowledged once its effect is durable; a bad one is reported and acknowledged, for it would only come
again. One whose conference waits for its ordering service holds up no other's (`late_messages`). One of a group that we
do not know waits for a while, because its Welcome may come by another way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from roomkey.client import invitations
from roomkey.client.awaited import BACKOFF, AwaitedWelcomes
from roomkey.client.events import Event, Invited
from roomkey.client.heirs import Heirs
from roomkey.client.late_messages import LateMessages
from roomkey.client.stock import Pool
from roomkey.client.traffic import Traffic
from roomkey.client.work import internal_error
from roomkey.conference import records
from roomkey.conference.conference import Conference
from roomkey.conference.events import Failed
from roomkey.conference.reading import head, withheld
from roomkey.conference.session import Surroundings, digest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.mls.framing import MLSMessage, PrivateMessage, PublicMessage
from roomkey.mls.welcome import Welcome

# Seconds before an inbox that could not be read, or whose messages could not be stored, is opened again.
RETRY = 5.0
# Messages of groups that we do not know (yet), their bytes, and the seconds for which they wait for a Welcome.
MAX_STRANGERS = 256
MAX_STRANGER_BYTES = 16 << 20
STRANGER_SECONDS = 3600


class Inbox:
    """See the module. `conferences` is the client's own table, by key; `connected` hears of every connection."""

    def __init__(
        self,
        around: Surroundings,
        pool: Pool,
        heirs: Heirs,
        conferences: dict[str, Conference],
        home: Callable[[], DeliveryService],
        emit: Callable[[Event], None],
        connected: Callable[[], None],
    ) -> None:
        self._around = around
        self._pool = pool
        self._heirs = heirs
        self._conferences = conferences
        self._awaited = AwaitedWelcomes(around.store, self._take_awaited, lambda error: emit(Failed(error)))
        self._late = LateMessages(around.store, around.spawn, lambda error: emit(Failed(error)))
        self._waits = asyncio.Event()  # something may be taken up again
        self._home = home
        self._emit = emit
        self._connected = connected
        self._reader: asyncio.Task[None] | None = None
        self._taking = asyncio.Lock()
        self._failing = ""  # the code of the failure that was reported last
        self._shown = asyncio.Event()  # set: all that waited has been taken, or `_lost` says why that cannot be
        self._lost: RoomkeyError | None = None

    def read(self) -> None:
        """Starts reading, or starts anew where the home service has another address now."""
        if self._reader is not None:
            self._reader.cancel()
        self._shown.clear()
        self._reader = asyncio.ensure_future(self._read_on())

    async def close(self) -> None:
        """Stops reading; what is being processed comes to its end."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        async with self._taking:
            pass
        await self._late.close()

    async def shown(self) -> None:
        """Waits until everything that waited for us has been taken. Errors: why the inbox cannot be read."""
        await self._shown.wait()
        if self._lost is not None:
            raise RoomkeyError(self._lost.code, self._lost.text, retry_after=self._lost.retry_after)

    async def take(self, data: bytes) -> None:
        """Processes one message; only "storage-failed" goes on to the caller, everything else is told as an event."""
        async with self._taking:
            try:
                await self._process(data)
            except RoomkeyError as error:
                if error.code == "storage-failed":
                    raise
                self._emit(Failed(error))
            except Exception as error:  # a fault of ours; that message must not come again and again before all others
                self._emit(Failed(internal_error(error)))

    def take_up(self) -> None:
        """Something changed for Welcomes whose members could not be proved: they are taken up at once."""
        self._waits.set()

    async def take_up_awaited(self) -> None:
        """Takes up Welcomes that wait for proofs, again and again, for as long as the client is open."""
        tries = 0
        while True:
            self._waits.clear()
            left = await self._awaited.try_again()
            tries = tries + 1 if left else 0
            rests: list[asyncio.Future[object]] = [asyncio.ensure_future(self._waits.wait())]
            if left:
                rests.append(asyncio.ensure_future(self._around.sleep(BACKOFF[min(tries, len(BACKOFF)) - 1])))
            try:
                await asyncio.wait(rests, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for rest in rests:
                    rest.cancel()
                await asyncio.gather(*rests, return_exceptions=True)

    async def _take_awaited(self, data: bytes) -> None:
        body = MLSMessage.decode(data).body
        assert isinstance(body, Welcome)
        async with self._taking:
            await self._join(body, data)

    async def forget_strangers(self) -> None:
        """Deletes what waited too long for its Welcome."""
        store, now = self._around.store, self._around.now()
        waiting = await store.list("stranger/")
        old = [name for name, data in waiting if records.Stranger.decode(data).received + STRANGER_SECONDS < now]
        if old:
            await store.write({}, old)

    async def _read_on(self) -> None:
        took_up = False
        while True:
            try:
                if not took_up:
                    await self._late.take_up(self.take)
                    took_up = True
                await self._read_once()
            except RoomkeyError as error:
                self._told(error)
            except Exception as error:
                self._told(internal_error(error))
            await self._around.sleep(RETRY)

    async def _read_once(self) -> None:
        home = self._home()
        stream = home.inbox(self._told, self._shown.set)
        try:
            async for item in stream:
                self._emit(Traffic("in", home.origin, "message", len(item.message), self._around.now()))
                await asyncio.shield(
                    self.take(item.message)
                )  # what has begun is finished, whatever becomes of the stream
                try:
                    await home.acknowledge(item.sequence)
                except RoomkeyError as error:  # the next one covers it, or it comes again and is known
                    if not error.retryable:
                        raise
        finally:
            await stream.aclose()

    def _told(self, error: RoomkeyError | None) -> None:
        """Reports a failure once, until it is mended or another one takes its place."""
        self._lost = error
        if error is None:
            self._failing = ""
            self._shown.clear()
            self._connected()
            return
        self._shown.set()
        if error.code != self._failing:
            self._failing = error.code
            self._emit(Failed(error))

    async def _process(self, data: bytes) -> None:
        body = MLSMessage.decode(data).body
        if isinstance(body, Welcome):
            await self._process_welcome(body, data)
        elif isinstance(body, PrivateMessage):
            await self._process_framed(body.group_id, body.epoch, data)
        elif isinstance(body, PublicMessage):
            await self._process_framed(body.content.group_id, body.content.epoch, data)
        else:
            raise RoomkeyError("invalid-message", "expected a Welcome or a framed message in an inbox")

    async def _process_welcome(self, welcome: Welcome, data: bytes) -> None:
        if await self._process_successor(welcome, data):
            return
        try:
            await self._join(welcome, data)
        except RoomkeyError as error:
            if not withheld(error) or error.code == "storage-failed":
                raise
            found = await self._pool.find([item.new_member for item in welcome.secrets], data)
            if await self._awaited.hold(data, found.set_id, last_resort=self._pool.is_last_resort(found)):
                self._waits.set()
                self._emit(Failed(error))

    async def _join(self, welcome: Welcome, data: bytes) -> None:
        """Makes an invitation of a Welcome. Errors: `invitations.join`'s."""
        joined = await invitations.join(self._around, self._pool, welcome, data)
        conference = Conference(joined)
        self._conferences[conference.key] = conference
        self._emit(Invited(conference))
        for name, item in await self._around.store.list(records.stranger_name(conference.id)):
            message = records.Stranger.decode(item).message
            if head(MLSMessage.decode(message).body)[0] >= conference.epoch:
                try:
                    await self._late.take(conference.ordering, message, conference.receive(message))
                except RoomkeyError as error:
                    if error.code == "storage-failed":
                        raise
                    self._emit(Failed(error))
                    continue  # another invitation, to a true group of that id, may be on its way
            await self._around.store.write({}, [name])

    async def _process_successor(self, welcome: Welcome, data: bytes) -> bool:
        """Gives a Welcome to the conference on whose group its own follows, if there is one."""
        try:
            link = await self._heirs.follows(welcome, data)
        except RoomkeyError:
            return False  # it fails again as an invitation, and uses up its set
        if link is None:
            return False
        known = [item for item in self._conferences.values() if item.goes_on]
        known = [item for item in known if item.answers_to(link.psk_group_id or b"")]
        if not known:
            return False
        conference = min(known, key=lambda item: item.status != records.ACTIVE)
        await self._late.take(conference.ordering, data, conference.receive_successor(data))
        return True

    async def _process_framed(self, group_id: bytes, epoch: int, data: bytes) -> None:
        """Gives a message to the conference of its group: to all, where several have the id. Where that has ended here,
        it may still be for an invitation to come back.
        """
        having = [item for item in self._conferences.values() if item.answers_to(group_id)]
        known = [item for item in having if item.goes_on]
        failures: list[RoomkeyError] = []
        for conference in known:
            try:
                await self._late.take(conference.ordering, data, conference.receive(data))
            except RoomkeyError as error:
                if error.code == "storage-failed":
                    raise
                failures.append(error)
        if known:
            if len(failures) == len(known):
                raise failures[0]
            return
        if having and epoch <= max(item.epoch for item in having):
            return
        store, mark = self._around.store, digest(data)
        if any(name.endswith(mark.hex()) for name, _ in await store.list(records.stranger_name(group_id))):
            return
        waiting = [len(item) for _, item in await store.list("stranger/")]
        if len(waiting) >= MAX_STRANGERS or sum(waiting) + len(data) > MAX_STRANGER_BYTES:
            raise RoomkeyError("wrong-group", "expected a message of a conference that we are in")
        came = self._around.now()
        record = records.Stranger(int(came), data)
        await store.write({records.stranger_name(group_id, came, mark): record.encode()})
