"""Messages that their conference cannot take at once, because its ordering service owes an answer: nobody else's wait.

    taken --in time--> done
    taken --patience is over--> kept, while what has begun goes on --done--> deleted
    kept --restart--> taken once more

    late/NUMBER     the message (MLSMessage), by when it came

What comes for a conference is still taken one by one and in order, for its lock is handed on so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from roomkey.client.patience import FREE, Budget
from roomkey.client.work import Job, internal_error
from roomkey.errors import RoomkeyError
from roomkey.host.interface import Store

# Messages that are kept, and their bytes, for each domain whose service does not answer: a flood costs its own people.
MAX_LATE: Final = 256
MAX_LATE_BYTES: Final = 16 << 20

_PREFIX: Final = "late/"


class LateMessages:
    """See the module. `spawn`: for background work. `failed` hears what becomes of messages that are refused late."""

    def __init__(self, store: Store, spawn: Callable[[Job], None], failed: Callable[[RoomkeyError], None]) -> None:
        self._store = store
        self._spawn = spawn
        self._failed = failed
        self._budget = Budget()
        self._next = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._count: Counter[str] = Counter()  # by domain
        self._bytes: Counter[str] = Counter()

    async def take_up(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        """What an earlier run left is taken as if it came now. Errors: "storage-failed"."""
        waiting = sorted(await self._store.list(_PREFIX))
        if waiting:
            self._next = int(waiting[-1][0].removeprefix(_PREFIX), 16) + 1
        for name, data in waiting:
            await asyncio.shield(take(data))  # what has begun is finished
            await self._store.write({}, [name])

    async def take(self, domain: str, data: bytes, work: Coroutine[Any, Any, None]) -> None:
        """Does the work that a message asks for, or has it go on in the background, and then the message is durable.

        Args:
            domain: of the ordering service.
        Errors: those of the work; "too-large" if too many wait for the domain.
        """
        clock = asyncio.get_running_loop().time
        begun, task = clock(), asyncio.ensure_future(work)
        free = 0.0 if self._count[domain] else FREE  # else each would wait behind those that wait
        await asyncio.wait([task], timeout=self._budget.left(domain, begun) + free)
        self._budget.spend(domain, clock() - begun - free, clock())
        if task.done():
            task.result()
            return
        if self._count[domain] >= MAX_LATE or self._bytes[domain] + len(data) > MAX_LATE_BYTES:
            task.cancel()
            raise RoomkeyError("too-large", "expected fewer messages while their ordering service does not answer")
        name = f"{_PREFIX}{self._next:016x}"
        self._next += 1
        self._count[domain] += 1
        self._bytes[domain] += len(data)
        self._under_way.add(task)
        await self._store.write({name: data})
        task.add_done_callback(lambda _: self._ended(domain, name, len(data), task))

    async def close(self) -> None:
        """Cuts off what is under way; what is kept resumes it."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _ended(self, domain: str, name: str, size: int, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._count[domain] -= 1
        self._bytes[domain] -= size
        if not task.cancelled():
            self._spawn(partial(self._forget, name, task.exception()))

    async def _forget(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            failure = error if isinstance(error, RoomkeyError) else internal_error(error)
            self._failed(failure)
            if failure.code == "storage-failed":
                return
        await self._store.write({}, [name])
