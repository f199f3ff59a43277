"""An auditor reads a log of ours as it serves itself, over several tiles."""

from __future__ import annotations

from pathlib import Path

import pytest
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MapUpdates
from roomkey_delivery.log.log import Log
from roomkey_delivery.log.store import LogStore

from tests.support.logged_services import LoggedLocals
from tests.support.services import DOMAINS

HOME, OTHER = DOMAINS


def add_epochs(store: LogStore, count: int) -> None:
    """Epochs in which nothing happens, as nobody but a test makes them."""
    for _ in range(count):
        with store.writing():
            last = store.epoch(store.head().size - 1)
            empty = MapUpdates(())
            store.append(EpochLeaf(last.number + 1, last.time, last.map_root, last.map_root, empty.hash()), empty, [])


@pytest.mark.parametrize("count", [255, 256, 257, 600, 1023])
async def test_an_auditor_that_comes_late(tmp_path: Path, count: int) -> None:
    logs = LoggedLocals(tmp_path)
    try:
        assert await logs.advance()
        log: Log = logs.log(HOME)
        add_epochs(log._store, count)
        assert await log.advance()
        auditor = logs.at[OTHER].service.auditor
        assert auditor is not None
        standing = auditor._store.read(log.config.keys.log_key.name)
        assert standing.tree.size == count + 1
    finally:
        await logs.close()
