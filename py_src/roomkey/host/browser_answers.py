"""Awaiting JavaScript without a turn of the event loop.

To await a promise, Pyodide makes three callables, waits for them, and schedules the awaiting task for its loop's next
turn: 300 to 450 us, where the call itself takes 60 (web/docs/benchmarks.md). Here JavaScript calls one lasting function
with the question's number, and the task that awaits that answer goes on at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

from js import Error
from pyodide.ffi import JsException, create_proxy


class _Answer:
    """A future with one awaiter, in the form that asyncio's tasks take (`asyncio.isfuture`).

    It cannot be cancelled, since JavaScript's work cannot: the task that awaits it is, when the answer comes.
    """

    _asyncio_future_blocking = False

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._resume: Callable[[], object] | None = None

    def __await__(self) -> Generator[_Answer, None, Any]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Callable[[_Answer], object], *, context: Context) -> None:
        self._resume = lambda: context.run(callback, self)

    def cancel(self, msg: object = None) -> bool:
        return False

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def come(self, value: Any, error: BaseException | None) -> None:
        self._value, self._error, self._done = value, error, True
        if self._resume is not None:
            self._resume()


class Answers:
    """Questions to JavaScript that are under way, by number."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Answer] = {}
        self._last = 0
        self._deliver = create_proxy(self._come)  # lasts as long as the page: JavaScript may call at any time

    async def ask(self, function: Callable[..., None], *arguments: object) -> Any:
        """What JavaScript delivers. Raises JsException for what it throws.

        Args:
            function: takes the number, a function `deliver(number, answer, error?)` to call once, and `arguments`.
        """
        self._last += 1
        answer = self._waiting[self._last] = _Answer()
        function(self._last, self._deliver, *arguments)
        return await answer

    def _come(self, number: int, value: Any, error: Any = None) -> None:
        if error is not None and not isinstance(error, JsException):
            error = Error.new(str(error))  # JavaScript can throw anything
        self._waiting.pop(number).come(value, error)
