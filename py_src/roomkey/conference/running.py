"""How a conference works: one change at a time, in the group that is its own when its turn comes.

Every change runs to its end once it has begun, also when its caller is cancelled: a commit that was submitted cannot be
called back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from roomkey.conference import commits, receiving, succession, upkeep
from roomkey.conference.commits import Plan
from roomkey.conference.events import Failed
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.mls.group import Group

T = TypeVar("T")

# Looks for a successor, and seconds between them, for which a caller waits: founding one takes a few seconds and the
# turns of those before us.
SUCCESSOR_LOOKS = 30
SUCCESSOR_LOOK = 1.0


class Running:
    """See the module. `Conference` is one."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tasks: set[asyncio.Task[Any]] = set()

    def settle(self) -> None:
        """Finds out, in the background, what was missed."""
        if self._session.group is not None:
            self._session.around.spawn(lambda: upkeep.settle(self._session))

    async def stop(self) -> None:
        """Cuts off what is under way; its records resume it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _change(self, plan: Callable[[Group], Plan | None]) -> None:
        async def commit() -> None:
            try:
                await commits.commit(self._session, plan, receiving.process_commits)
            finally:
                if self._session.pending is not None:
                    self.settle()

        await self._carry(commit)

    async def _carry(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Does the work in the group that is ours then: if another one is about to follow on it, in that one."""
        try:
            return await self._run(work)
        except RoomkeyError as error:
            if error.code != "group-succeeding":
                raise
        await self._succeeded()
        return await self._run(work)

    async def _succeeded(self) -> None:
        """Waits for a successor, if one is due. Errors: "group-succeeding"."""
        self._go_on()
        for _ in range(SUCCESSOR_LOOKS):
            if succession.due(self._session) is None:
                return
            await self._session.around.sleep(SUCCESSOR_LOOK)
        succession.expect_none_due(self._session)

    def _go_on(self) -> None:
        """Sees to a successor in the background, if one is due."""
        if succession.due(self._session) is not None and not self._session.succeeding:
            self._session.around.spawn(lambda: upkeep.settle(self._session, at_once=True))

    async def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Waits for the lock as the caller's own, then works on whatever becomes of the caller."""
        await self._session.lock.acquire()
        task = asyncio.ensure_future(self._locked(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._report)
            raise

    def _report(self, task: asyncio.Task[Any]) -> None:
        """What goes wrong after the caller has gone is an event."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, RoomkeyError):
            self._session.emit(Failed(error))
        elif error is not None:
            task.get_loop().call_exception_handler({"message": "a change of a conference failed", "exception": error})

    async def _locked(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return await work()
        finally:
            self._session.lock.release()
