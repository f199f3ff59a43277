"""Follows one log: its replay in memory, and the same in the store, up to a head that is proved.

The store is right, the memory is its copy: what another process stored is taken over, and what could not be stored is
dropped with the whole copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from typing import Final

from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.identity_map import MapLeaf
from roomkey.transparency.notes import VerifierKey

from roomkey_delivery.audit.reading import AT_ONCE, LogReader, several_updates
from roomkey_delivery.audit.replay import WRONG, Replay, read_entry
from roomkey_delivery.audit.store import AuditStore, Standing

# Leaves that are replayed before they are made durable: half a second of the file's one writer.
LEAVES_AT_ONCE: Final = 20_000

Pending = list[tuple[MapLeaf, int]]  # leaves that are not yet in the store, with their epochs


class Follower:
    """One log that we audit. Who uses it holds `lock`; `thread` runs one thing at a time."""

    def __init__(
        self, key: VerifierKey, reader: LogReader, store: AuditStore, thread: Executor, clock: Callable[[], float]
    ) -> None:
        self.key = key
        self.lock = asyncio.Lock()
        self.waiting = 0  # requests about this log
        self._reader = reader
        self._store = store
        self._thread = thread
        self._clock = clock
        self._replay: Replay | None = None
        self._stored = 0  # epochs of it that the store has

    async def load(self) -> Replay:
        """The log's state as the store has it."""
        found = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
        self._replay, self._stored = found, found.tree.size
        return found

    async def follow(self, head: Checkpoint) -> None:
        """Replays up to `head`, which is proved to continue what was followed before; durable when it returns.

        Errors: WRONG (the log's own doing), "service-unavailable" (and what was done by then is kept).
        """
        replay = await self.load()
        if replay.tree.size >= head.size:
            return
        pending: Pending = []
        try:
            async with aclosing(self._reader.entries(replay.tree, head)) as bundles:
                async for entries in bundles:
                    for at in range(0, len(entries), AT_ONCE):
                        await self._apply(replay, entries[at : at + AT_ONCE], pending)
                        if len(pending) >= LEAVES_AT_ONCE:
                            await self._keep(replay, pending)
                    await self._keep(replay, pending)
        except RoomkeyError as error:
            if error.code == WRONG:
                self._replay = None
            else:
                await self._keep(replay, pending)
            raise
        except BaseException:
            self._replay = None
            raise

    async def _apply(self, replay: Replay, entries: Sequence[bytes], pending: Pending) -> None:
        first = replay.tree.size
        epochs = [read_entry(first + place, entry) for place, entry in enumerate(entries)]
        updates = await several_updates(self._reader, [(epoch.number, epoch.updates_hash) for epoch in epochs])

        def run() -> None:
            for epoch, body in zip(epochs, updates, strict=True):
                pending.extend((leaf, epoch.number) for leaf in replay.apply(epoch, body, self._clock()))

        await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def _keep(self, replay: Replay, pending: Pending) -> None:
        """Makes durable what was replayed since the last time."""
        if replay.tree.size == self._stored:
            return
        pending.sort(key=lambda item: (item[0].index, item[1]))  # as the table lies
        arguments = (self.key.name, self._stored, replay.tree, replay.time, pending)
        loop = asyncio.get_running_loop()
        try:
            kept = await loop.run_in_executor(self._thread, self._store.replayed, *arguments)
        except BaseException:
            self._replay = None
            raise
        if not kept:
            self._replay = None
            raise RoomkeyError("service-unavailable", "expected nobody else to replay at the same time")
        self._stored = replay.tree.size
        pending.clear()

    def _load(self) -> Replay:
        replay, origin = self._replay, self.key.name
        if replay is not None and replay.tree == self._store.read(origin).tree:
            return replay
        self._replay = None

        def build(standing: Standing, leaves: Iterator[MapLeaf]) -> Replay:
            return Replay(standing.tree, standing.time, leaves)

        def go_on(standing: Standing, leaves: Iterator[MapLeaf]) -> Replay:
            assert replay is not None
            replay.catch_up(standing.tree, standing.time, leaves)
            return replay

        if replay is None:
            return self._store.load(origin, 0, build)
        return self._store.load(origin, replay.tree.size, go_on)
