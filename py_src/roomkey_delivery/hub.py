"""Wakes inbox streams when messages come: at once for this process's own, within half a second for other processes'."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from roomkey.errors import RoomkeyError

from roomkey_delivery.config import MAX_STREAMS
from roomkey_delivery.store.interface import Store

POLL = 0.5  # seconds between looks for messages that other processes took; one indexed query

log = logging.getLogger("roomkey_delivery")


class Listener:
    """One stream's ear. `ended`: the service stops, or the client has opened newer streams."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.ended = False

    def wake(self) -> None:
        self._event.set()

    def end(self) -> None:
        self.ended = True
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Whether it was woken within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Hub:
    """The streams of this process, by client, oldest first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: dict[bytes, list[Listener]] = {}
        self._closed = False

    def open(self, client: bytes) -> Listener:
        """A listener of a new stream; beyond `MAX_STREAMS` the client's oldest one ends."""
        listener = Listener()
        if self._closed:
            listener.end()
        mine = self._listeners.setdefault(client, [])
        mine.append(listener)
        if len(mine) > MAX_STREAMS:
            mine.pop(0).end()
        return listener

    def drop(self, client: bytes, listener: Listener) -> None:
        """The stream is over."""
        mine = self._listeners.get(client, [])
        if listener in mine:
            mine.remove(listener)
        if not mine:
            self._listeners.pop(client, None)

    def wake(self, clients: Iterable[bytes]) -> None:
        for client in clients:
            for listener in self._listeners.get(client, ()):
                listener.wake()

    def close(self) -> None:
        """Ends all streams, those to come as well."""
        self._closed = True
        for mine in self._listeners.values():
            for listener in mine:
                listener.end()

    async def watch(self) -> None:
        """Looks for messages that other processes stored, for ever."""
        mark = (1 << 63) - 1
        while True:
            try:
                mark, clients = await self._store.recipients_since(mark)
                self.wake(clients)
            except RoomkeyError as error:
                log.warning("inboxes not watched: %s", error.text)
            await asyncio.sleep(POLL)
