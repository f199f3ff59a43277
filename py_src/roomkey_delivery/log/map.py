"""The log's identity map in memory, at the newest published head: what answers prove, and what epochs build on."""

from __future__ import annotations

from typing import Final

from roomkey.errors import RoomkeyError
from roomkey.transparency.exchange import MapUpdates
from roomkey.transparency.identity_map import MapLeaf
from roomkey.transparency.live_map import LiveMap

from roomkey_delivery.log.store import LogStore

LEAVES_AT_ONCE: Final = 200_000  # taken over together at the start, 60 MB


class LogMap:
    """The map after the first `size` epochs."""

    def __init__(self) -> None:
        self.size = 0
        self.live = LiveMap()

    def catch_up(self, store: LogStore, size: int) -> None:
        """Brings the map to `size` epochs, by whatever process they were made.

        Errors: "service-unavailable" for a map that is not what the last epoch says: the file is damaged.
        """
        if size == self.size:
            return
        changes: dict[bytes, MapLeaf] = {}
        for updates in store.updates(self.size, size):
            changes |= {leaf.index: leaf for leaf in MapUpdates.decode(updates).updates}
            if len(changes) >= LEAVES_AT_ONCE:
                self.live.update(changes.values())
                changes = {}
        self.live.update(changes.values())
        self.size = size
        if self.live.root() != store.epoch(size - 1).map_root:
            self.size, self.live = 0, LiveMap()
            raise RoomkeyError("service-unavailable", "expected a log whose epochs are whole")
