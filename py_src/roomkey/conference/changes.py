"""A transaction in the making: what must become durable together is gathered here and written once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from roomkey.crypto.provider import KeyHandle, KeyPair
from roomkey.host.interface import Store
from roomkey.tls import Struct


class Changes:
    """Records to put and delete, keys to keep and drop. What comes later wins, as in a sequence of single writes."""

    def __init__(self) -> None:
        self._records: dict[str, bytes | None] = {}
        self._keys: dict[KeyHandle, bool] = {}
        self._known: list[Callable[[], object]] = []

    def put(self, name: str, record: Struct | bytes) -> None:
        self._records[name] = record if isinstance(record, bytes) else record.encode()

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self._records[name] = None

    def keep(self, pairs: Iterable[KeyPair]) -> None:
        """Makes private keys last. Raw ones, which lie in records, are no business of the host's."""
        self._keys.update((pair.private, True) for pair in pairs if isinstance(pair.private, KeyHandle))

    def drop(self, pairs: Iterable[KeyPair]) -> None:
        """Deletes private keys for good."""
        self._keys.update((pair.private, False) for pair in pairs if isinstance(pair.private, KeyHandle))

    def then(self, known: Callable[[], object]) -> None:
        """What memory is to follow by, as soon as all of it is durable and not before."""
        self._known.append(known)

    async def write(self, store: Store) -> None:
        """All of it or nothing; with what memory follows by (`then`), also if whoever waits is cancelled meanwhile.

        Errors: "storage-failed".
        """
        if not self._known:
            return await self._write(store)
        writing = asyncio.ensure_future(self._write(store))
        try:
            await asyncio.shield(writing)
        finally:  # a store is asked for no more than it has begun, so that this ends
            while not writing.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([writing])

    async def _write(self, store: Store) -> None:
        await store.write(
            {name: record for name, record in self._records.items() if record is not None},
            [name for name, record in self._records.items() if record is None],
            keep_keys=[handle for handle, kept in self._keys.items() if kept],
            drop_keys=[handle for handle, kept in self._keys.items() if not kept],
        )
        for known in self._known:
            known()
