"""Our own init-key sets: made, published, kept topped up, and used up by Welcomes.

    made --publish--> published --Welcome--> used up, every private key of the set deleted but its leaf's
    last resort: published --Welcome--> still there until it expires; a new one takes its place at the service

A set is durable before it is published, so a Welcome never finds its keys missing; publishing the same set again
changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Annotated, NamedTuple

from roomkey.conference.changes import Changes
from roomkey.crypto.provider import KeyPair
from roomkey.crypto.suites import suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService, Stock
from roomkey.federation.init_keys import ClientKeys, PrivateSet, make_init_key_sets
from roomkey.host.interface import Store
from roomkey.mls.group import JoinKeys
from roomkey.tls import U8, U64, Struct, one_of, uint8

# Sets in the stock when nobody says otherwise: each new conference takes one of each invited client.
DEFAULT_TARGET = 20
MAX_TARGET = 200
# Sets published in one request: 1.5 kB each, or 5.4 kB with the post-quantum suite: under 300 kB.
BATCH = 50
# Seconds before its end at which a last resort is replaced, and after its end for which keys wait for a late Welcome.
RENEW_BEFORE = 7 * 86400
KEEP_AFTER = 86400

_PREFIX = "set/"
_SPENT = "spent/"

# SetRecord.status
MADE = 0
PUBLISHED = 1
WORN = 2  # a last resort that a Welcome came for: a new one must be published


class SetRecord(Struct):
    status: Annotated[int, one_of(uint8, MADE, PUBLISHED, WORN)]
    last_resort: U8
    private: PrivateSet


class SpentWelcome(Struct):
    """A Welcome that was taken by a last resort, so that it is not taken twice; kept until `until`, Unix seconds."""

    until: U64


class Found(NamedTuple):
    """What a Welcome asks for: the keys to join with, and the set that they are of."""

    keys: JoinKeys
    set_id: bytes


class Pool:
    """See the module; the records in memory are those on disk. `changed` hears what the service says of the
    stock, `used` of every set that a Welcome came for."""

    def __init__(
        self,
        store: Store,
        keys: ClientKeys,
        suites: tuple[int, ...],
        now: Callable[[], float],
        changed: Callable[[Stock], None],
        used: Callable[[], None],
    ) -> None:
        self._store = store
        self._keys = keys
        self._suites = suites
        self._now = now
        self._changed = changed
        self._used = used
        self._sets: dict[bytes, SetRecord] = {}
        self._by_ref: dict[bytes, tuple[bytes, int]] = {}
        self._encryption: set[bytes] = set()
        self._topping = asyncio.Lock()
        # Whoever changes records of sets holds this from reading them to having written them.
        self.writing = asyncio.Lock()

    async def open(self) -> None:
        """Loads the sets, and deletes those that are over."""
        changes, now = Changes(), self._now()
        for name, data in await self._store.list(_PREFIX):
            record = SetRecord.decode(data)
            if record.private.set.expires + KEEP_AFTER < now:
                changes.delete([name])
                changes.drop(_pairs(record.private))
            else:
                self._remember(record)
        for name, data in await self._store.list(_SPENT):
            if SpentWelcome.decode(data).until < now:
                changes.delete([name])
        await changes.write(self._store)

    def holds(self, public: bytes) -> bool:
        """Whether this encryption key is one of a set that can still be joined by."""
        return public in self._encryption

    async def top_up(self, service: DeliveryService, target: int) -> Stock:
        """Publishes until `target` sets and one last resort wait at the service. Errors: the service's, "storage-
        failed".
        """
        async with self._topping:
            made = self._made()
            stock = await self._publish(service, made) if made else await service.stock()
            missing = max(0, target - stock.sets)
            while missing > 0:
                fresh = await self._make(min(missing, BATCH), last_resort=False)
                before = stock.sets
                stock = await self._publish(service, fresh)
                if stock.sets <= before:
                    break  # claimed as fast as they come: the next round goes on
                missing = target - stock.sets
            if not stock.last_resort or self._last_resort_is_old():
                stock = await self._publish(service, await self._make(1, last_resort=True))
        self._changed(stock)
        return stock

    async def find(self, refs: list[bytes], welcome: bytes) -> Found:
        """The keys for a Welcome (MLSMessage bytes) that names these KeyPackageRefs.

        Errors: "welcome-not-for-us" if none is ours, or it was taken before.
        """
        place = next((self._by_ref[ref] for ref in refs if ref in self._by_ref), None)
        if place is None or await self._store.get(_spent_name(welcome)) is not None:
            raise RoomkeyError("welcome-not-for-us", "expected a KeyPackage of ours that is unused")
        return Found(self._sets[place[0]].private.join_keys()[place[1]], place[0])

    def is_last_resort(self, found: Found) -> bool:
        return bool(self._sets[found.set_id].last_resort)

    def use_up(self, found: Found, welcome: bytes, changes: Changes) -> None:
        """Adds to a transaction what a Welcome does to its set; hold `writing`, and call `used_up` once it stands."""
        record = self._sets[found.set_id]
        if record.last_resort:
            changes.put(_set_name(found.set_id), record.replace(status=WORN))
            changes.put(_spent_name(welcome), SpentWelcome(record.private.set.expires + KEEP_AFTER))
            return
        changes.delete([_set_name(found.set_id)])
        changes.drop(pair for pair in _pairs(record.private) if pair != found.keys.leaf.encryption)

    def used_up(self, found: Found) -> bool:
        """Follows `use_up` in memory; whether it was a last resort."""
        self._used()
        record = self._sets[found.set_id]
        if record.last_resort:
            self._sets[found.set_id] = record.replace(status=WORN)
            return True
        del self._sets[found.set_id]
        for keys in record.private.join_keys():
            self._encryption.discard(keys.leaf.encryption.public)
            self._by_ref.pop(_ref(keys), None)
        return False

    def _remember(self, record: SetRecord) -> None:
        set_id = record.private.set.set_id
        self._sets[set_id] = record
        for index, keys in enumerate(record.private.join_keys()):
            self._encryption.add(keys.leaf.encryption.public)
            self._by_ref[_ref(keys)] = (set_id, index)

    def _made(self) -> list[SetRecord]:
        """What is still to be published. Not what was made by a clock that was wrong, or too long ago: a service takes
        all of an upload or nothing, so one such set would hold up all others for good.
        """
        now = self._now()
        return [item for item in self._sets.values() if item.status == MADE and item.private.set.is_valid_at(now)]

    def _last_resort_is_old(self) -> bool:
        return not any(
            record.last_resort
            and record.status == PUBLISHED
            and record.private.set.expires > self._now() + RENEW_BEFORE
            for record in self._sets.values()
        )

    async def _make(self, count: int, *, last_resort: bool) -> list[SetRecord]:
        private = await make_init_key_sets(
            self._store.crypto, self._keys, self._suites, count, self._now(), last_resort=last_resort
        )
        fresh = [SetRecord(MADE, int(last_resort), item) for item in private]
        changes = Changes()
        for record in fresh:
            changes.put(_set_name(record.private.set.set_id), record)
            changes.keep(_pairs(record.private))
        await changes.write(self._store)
        for record in fresh:
            self._remember(record)
        return fresh

    async def _publish(self, service: DeliveryService, sets: list[SetRecord]) -> Stock:
        stock = await service.publish([record.private.set for record in sets])
        async with self.writing:
            # A set may have been claimed and used up before we heard that it is published.
            published = {record.private.set.set_id for record in sets} & self._sets.keys()
            changed = {set_id: self._sets[set_id].replace(status=PUBLISHED) for set_id in published}
            changes = Changes()
            for set_id, record in changed.items():
                changes.put(_set_name(set_id), record)
            await changes.write(self._store)
            self._sets.update(changed)
        return stock


def _ref(keys: JoinKeys) -> bytes:
    return keys.key_package.ref(suite_by_number(keys.key_package.cipher_suite))


def _pairs(private: PrivateSet) -> list[KeyPair]:
    """The init and encryption pairs of a set; the signature keys are the client's and live on."""
    return [pair for keys in private.join_keys() for pair in (keys.init, keys.leaf.encryption)]


def _set_name(set_id: bytes) -> str:
    return _PREFIX + set_id.hex()


def _spent_name(welcome: bytes) -> str:
    return _SPENT + hashlib.sha256(welcome).hexdigest()
