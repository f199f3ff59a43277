"""Work on the database in a thread of its own, so that the event loop never waits for the disk."""

from __future__ import annotations

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from roomkey_delivery.store.files import storing

S = TypeVar("S", bound="Threaded")
P = ParamSpec("P")
R = TypeVar("R")


class Threaded(ABC):
    """Something with one thread, in which its methods marked `in_thread` run one after another."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    async def close(self) -> None:
        """Ends the thread, after what has begun and what `_close` does."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    @abstractmethod
    def _close(self) -> None:
        """Closes what the thread used."""


def in_thread(work: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Runs a method in its object's thread. Errors beside its own: "service-unavailable"."""

    def guarded(owner: S, *args: P.args, **kwargs: P.kwargs) -> R:
        with storing():
            return work(owner, *args, **kwargs)

    async def run(owner: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        call = functools.partial(guarded, owner, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(owner._thread, call)

    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return run
