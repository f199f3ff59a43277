"""The audit of a log: its identity map, made again from what each epoch says to have changed (wire.md section 6).

An epoch is taken if all of this holds; `entry` and `updates` are what the log signed for, so what does not hold is the
log's own doing:

1. the entry is an EpochLeaf; its number is its place in the log.
2. its time is not before the last epoch's.
3. previous_root is the map's root before it.
4. the updates are MapUpdates, in rising order, each index once, and updates_hash is their hash.
5. each takes the version one up from what the map says, or is version 1 of a new index: nothing is left out, taken
   back or removed; a reset, too, is one version more.
6. the map with them, and with nothing else, has map_root.

An epoch that takes the log beyond MAX_LEAVES identities is not taken, though nothing is wrong with it.

What no auditor can see is left to owners: whether a new version was theirs. A time ahead of our clock is not taken, and
may be later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from roomkey.errors import RoomkeyError
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MapUpdates
from roomkey.transparency.identity_map import MapLeaf
from roomkey.transparency.live_map import LiveMap
from roomkey.transparency.verifier import CLOCK_ALLOWANCE

from roomkey_delivery.audit.frontier import Frontier

WRONG: Final = "log-proof-invalid"  # the log did what no log may do
UNTIMELY: Final = "service-unavailable"  # may be taken later
# Identities of one log that an auditor keeps: 750 MB of memory, 500 MB of disk. Whoever runs the log can make them up.
MAX_LEAVES: Final = 5_000_000


class Replay:
    """A log's state after `tree.size` epochs: the tree, the last epoch's time, and the map."""

    def __init__(self, tree: Frontier, time: int, leaves: Iterable[MapLeaf]) -> None:
        self.tree = tree
        self.time = time
        self._map = LiveMap(leaves)
        self.root = self._map.root()

    def apply(self, epoch: EpochLeaf, updates: bytes, now: float) -> tuple[MapLeaf, ...]:
        """Takes the next epoch, which `read_entry` read; returns the leaves that it set.

        Errors: UNTIMELY, and nothing has changed; WRONG, and this state is to be thrown away.
        """
        number = self.tree.size
        if epoch.time < self.time:  # 2.
            raise _wrong(number, f"expected a time of at least {self.time}, got {epoch.time}")
        if epoch.time > now + CLOCK_ALLOWANCE:
            raise RoomkeyError(UNTIMELY, f"epoch {number}: expected a time of the past, got {epoch.time}")
        if epoch.previous_root != self.root:  # 3.
            raise _wrong(number, "expected the root of the epoch before")
        try:
            changes = MapUpdates.decode(updates)  # 4.
        except RoomkeyError as error:
            raise _wrong(number, error.text) from None
        if hashlib.sha256(updates).digest() != epoch.updates_hash:
            raise _wrong(number, "expected the hash of the updates")
        for leaf in changes.updates:  # 5.
            known = self._map.get(leaf.index)
            expected = 1 if known is None else known.version + 1
            if leaf.version != expected:
                raise _wrong(number, f"expected version {expected} of an index, got {leaf.version}")
        if len(self._map) + sum(leaf.version == 1 for leaf in changes.updates) > MAX_LEAVES:
            raise RoomkeyError(UNTIMELY, f"epoch {number}: expected at most {MAX_LEAVES} identities of a log")
        self._map.update(changes.updates)  # 6.
        if self._map.root() != epoch.map_root:
            raise _wrong(number, "expected the root of the map with these updates, got another")
        self.tree = self.tree.append(epoch.leaf_hash())
        self.time, self.root = epoch.time, epoch.map_root
        return changes.updates

    def catch_up(self, tree: Frontier, time: int, leaves: Iterable[MapLeaf]) -> None:
        """Takes what another process replayed since: the newest leaves of all epochs up to `tree`."""
        self._map.update(leaves)
        self.tree, self.time, self.root = tree, time, self._map.root()


def read_entry(number: int, entry: bytes) -> EpochLeaf:
    """1. Errors: WRONG."""
    try:
        epoch = EpochLeaf.decode(entry)
    except RoomkeyError as error:
        raise _wrong(number, error.text) from None
    if epoch.number != number:
        raise _wrong(number, f"expected its number, got {epoch.number}")
    return epoch


def _wrong(number: int, text: str) -> RoomkeyError:
    return RoomkeyError(WRONG, f"epoch {number}: {text}")
