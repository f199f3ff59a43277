"""A transaction in the making: what must become durable together is gathered here and written once."""

from __future__ import annotations

from collections.abc import Iterable

from roomkey.crypto.provider import KeyHandle, KeyPair
from roomkey.host.interface import Store
from roomkey.tls import Struct


class Changes:
    """Records to put and delete, keys to keep and drop. What comes later wins, as in a sequence of single writes."""

    def __init__(self) -> None:
        self._records: dict[str, bytes | None] = {}
        self._keys: dict[KeyHandle, bool] = {}

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

    async def write(self, store: Store) -> None:
        """All of it or nothing. Errors: "storage-failed"."""
        await store.write(
            {name: record for name, record in self._records.items() if record is not None},
            [name for name, record in self._records.items() if record is None],
            keep_keys=[handle for handle, kept in self._keys.items() if kept],
            drop_keys=[handle for handle, kept in self._keys.items() if not kept],
        )
