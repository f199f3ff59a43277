"""Background work of one client: it ends with the client, and nothing of it goes unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from roomkey.errors import RoomkeyError

Job = Callable[[], Awaitable[None]]


class Work:
    """Runs jobs; `failed` hears what they raise."""

    def __init__(self, failed: Callable[[RoomkeyError], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def spawn(self, job: Job) -> None:
        """Starts a job, unless the client is closing."""
        if not self._closed:
            task = asyncio.ensure_future(self._run(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stops everything; what a job had under way, its records resume."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        try:
            await job()
        except RoomkeyError as error:
            self._failed(error)
        except Exception as error:
            self._failed(internal_error(error))


def internal_error(error: BaseException) -> RoomkeyError:
    """What becomes of an exception that is none of ours: its class and place, no text, which might hold data."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return RoomkeyError("internal-error", f"{type(error).__name__} in {place}")
