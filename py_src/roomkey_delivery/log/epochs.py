"""How an epoch is made: one writing transaction, so that of all processes one makes the next."""

from __future__ import annotations

from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MAX_UPDATES, MapUpdates
from roomkey.transparency.identity_map import MISSING

from roomkey_delivery.log.map import LogMap
from roomkey_delivery.log.store import LogStore


def make_epoch(store: LogStore, current: LogMap, now: float) -> bool:
    """Makes the next epoch of what is pending; inside a writing transaction. Whether there was something to do.

    1. The head is published: so at most one epoch at a time is unproved, and answers need one map alone.
    2. The oldest pending manifest of each identity goes into the map, as far as one epoch takes; the first epoch of a
       log may be empty, so that a log without people has a head that proves so.
    3. Its time is not before the last one's, even if a clock was set back.
    """
    head = store.head()
    if head.size and not head.is_published:  # 1.
        return False
    taken = store.pending(MAX_UPDATES)  # 2.
    if head.size and not taken:
        return False
    current.catch_up(store, head.size)
    updates = MapUpdates(tuple(item.leaf for item in taken))
    before, time = (store.epoch(head.size - 1).map_root, store.epoch(head.size - 1).time) if head.size else (MISSING, 0)
    root = current.live.root_with(updates.updates)
    epoch = EpochLeaf(head.size, max(time, int(now)), root, before, updates.hash())  # 3.
    store.append(epoch, updates, taken)
    return True
