"""The bridge: plain values in and out, errors as data.

Every call answers; none raises. What is no `RoomkeyError` becomes "internal-error", without the exception's text. What
there is to call stands in `methods`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from roomkey.bridge.arguments import Arguments
from roomkey.bridge.engine import Emit, Engine
from roomkey.bridge.media import MediaWorker
from roomkey.bridge.methods import METHODS
from roomkey.bridge.plain import Plain
from roomkey.client.client import Client
from roomkey.client.work import internal_error
from roomkey.errors import RoomkeyError
from roomkey.federation.trust import TrustPolicy
from roomkey.host.interface import Host


class Bridge(Engine):
    """An engine that JavaScript can call; see `Engine` for the arguments."""

    def __init__(
        self,
        host: Host,
        emit: Emit,
        *,
        export_keys: bool = False,
        policy: TrustPolicy | None = None,
        media: MediaWorker | None = None,
    ) -> None:
        super().__init__(host, emit, export_keys=export_keys, policy=policy, media=media)
        self._calls: dict[int, asyncio.Task[Any]] = {}
        self._closed = False

    async def call(self, call_id: int, method: str, args: Mapping[str, Any]) -> Plain:
        """`{"ok": True, "value": ...}` or `{"ok": False, "error": ...}`."""
        work = METHODS.get(method)
        try:
            if self._closed:
                raise RoomkeyError("closed", "expected a bridge that goes on")
            if work is None:
                raise RoomkeyError("no-such-method", "expected a method of the bridge")
            task = asyncio.ensure_future(work(self, Arguments(args)))
            self._calls[call_id] = task
            try:
                return {"ok": True, "value": await task}
            finally:
                self._calls.pop(call_id, None)
        except RoomkeyError as error:
            return _failure(error)
        except asyncio.CancelledError:
            return _failure(RoomkeyError("aborted", "expected a call that was not cancelled"))
        except Exception as error:
            return _failure(internal_error(error))

    def cancel(self, call_id: int) -> None:
        """Lets go of a call. What it has made durable goes on by itself."""
        task = self._calls.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Closes every identity; later calls answer "closed"."""
        self._closed = True
        for task in list(self._calls.values()):
            task.cancel()
        for client in self.handles.all(Client):
            await client.close()


def _failure(error: RoomkeyError) -> Plain:
    return {"ok": False, "error": error.as_plain()}
