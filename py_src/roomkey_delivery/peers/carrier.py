"""Carries what waits in the queue to the services that it is for.

    waiting --taken--> delivered, deleted
    waiting --refused for good (`HOPELESS`)--> deleted, counted in the log
    waiting --the service does not answer, or not now--> the domain rests: 1 s, at last a minute
    waiting --"too-many-requests"--> its sender rests, for as long as the service says
    waiting --30 days--> deleted, counted in the log

A domain that is down holds up nobody else's. Senders take turns, a few at a time, each in order: a message goes out
once the one before it is there. A resting domain is tried at once when its service was heard of: it passed on a request
of its own, or answered one of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import DELIVERY, JSON

from roomkey_delivery.config import MAX_RECIPIENTS
from roomkey_delivery.peers.passing import Passer, problem_in, unavailable
from roomkey_delivery.peers.queue import Queued, RelayQueue
from roomkey_delivery.peers.reaching import Answer

BACKOFF: Final = (1.0, 2.0, 5.0, 15.0, 60.0)  # seconds after each failure in turn, the last again and again
LOOK: Final = 0.5  # seconds between looks at the queue, for what other processes took and for rests that end
SENDERS: Final = 8  # whose messages go to one domain at the same time, under what may wait for one (`MAX_IN_FLIGHT`)
MESSAGES: Final = 32  # of one sender, before others have their turn
BYTES: Final = 4 << 20  # likewise; one message may have 8 MB
SEND_TIME: Final = 30.0  # seconds: 8 MB at 2 Mbit/s, as for any body
MESSAGES_PATH: Final = "/v1/messages"
MAX_ANSWER: Final = 64 * MAX_RECIPIENTS  # bytes: ids of unknown clients
# What no wait mends. All inboxes but the full one have the message; its owner alone misses it.
HOPELESS: Final = frozenset({"malformed-request", "request-too-large", "inbox-full"})

log = logging.getLogger("roomkey_delivery")


class Rest(NamedTuple):
    """How often in turn a domain failed, and until when (Unix seconds) it is left alone."""

    failures: int
    until: float


class Carrier:
    """See the module. `clock`: Unix seconds."""

    def __init__(self, queue: RelayQueue, passer: Passer, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._passer = passer
        self._clock = clock
        self._rests: dict[str, Rest] = {}
        self._slow: dict[tuple[str, bytes], float] = {}  # (domain, sender) that rests -> until
        self._carrying: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()

    def heard(self, domain: str) -> None:
        """The service of a domain proved to be there."""
        if self._rests.pop(domain, None) is not None:
            self.wake()

    def wake(self) -> None:
        """Something new waits."""
        self._woken.set()

    async def run(self) -> None:
        """Delivers, for ever."""
        try:
            while True:
                self._woken.clear()
                await self._guarded(self.look)
                try:
                    async with asyncio.timeout(LOOK):
                        await self._woken.wait()
                except TimeoutError:
                    continue
        finally:
            for task in self._carrying.values():
                task.cancel()
            await asyncio.gather(*self._carrying.values(), return_exceptions=True)

    async def look(self) -> None:
        """Begins to carry for every domain that something waits for, and that does not rest."""
        if not await self._queue.take_turn():
            return
        for domain in await self._queue.domains():
            rest = self._rests.get(domain)
            if domain not in self._carrying and (rest is None or rest.until <= self._clock()):
                task = asyncio.create_task(self._guarded(lambda domain=domain: self._carry(domain)))  # type: ignore[misc]
                self._carrying[domain] = task
                task.add_done_callback(lambda _, domain=domain: self._carrying.pop(domain))  # type: ignore[misc]

    async def settled(self) -> None:
        """Waits until nothing is being carried."""
        while self._carrying:
            await asyncio.wait(self._carrying.values())

    async def expire(self) -> None:
        """Gives up what waited too long."""
        if gone := await self._queue.expire(self._clock()):
            log.warning("%d messages for other domains expired", gone)

    async def _carry(self, domain: str) -> None:
        """Until nothing more waits, or the domain must rest."""
        while True:
            now = self._clock()
            self._slow = {key: until for key, until in self._slow.items() if until > now}
            resting = [sender for slow, sender in self._slow if slow == domain]
            batches = await self._queue.heads(domain, resting, SENDERS, MESSAGES, BYTES)
            if not batches:
                return
            sent: list[int] = []
            results = await asyncio.gather(
                *(self._in_order(domain, batch, sent) for batch in batches), return_exceptions=True
            )
            await self._queue.delivered(sent)
            if sent:
                self._rests.pop(domain, None)
            for error in results:
                if isinstance(error, RoomkeyError):
                    failures = self._rests.get(domain, Rest(0, 0.0)).failures
                    wait = max(BACKOFF[min(failures, len(BACKOFF) - 1)], 0.0)
                    self._rests[domain] = Rest(failures + 1, self._clock() + wait)
                    return
                if error is not None:
                    raise error

    async def _in_order(self, domain: str, batch: list[Queued], sent: list[int]) -> None:
        """Sends one sender's messages; notes in `sent` which are done with. Errors: why the domain must rest."""
        for item in batch:
            answer = await self._passer.post(
                domain, item.sender, item.identity, MESSAGES_PATH, DELIVERY, JSON, item.body,
                limit=MAX_ANSWER, seconds=SEND_TIME, asker=domain,
            )  # fmt: skip
            code = str(problem_in(answer).get("code"))
            if answer.status == 429:
                self._slow[domain, item.sender] = self._clock() + _retry_after(answer)
                return
            if answer.status != 200:
                if code not in HOPELESS or answer.status == 404:
                    raise unavailable(domain, f"expected it to take a message, got status {answer.status}")
                log.warning("a message that another domain's service does not take: %s", code)
            sent.append(item.number)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """A store that fails is tried again at the next look."""
        try:
            await work()
        except RoomkeyError as error:
            log.warning("not relayed: %s", error.text)


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), BACKOFF[-1]) if text.isascii() and text.isdigit() and len(text) < 7 else BACKOFF[0]
