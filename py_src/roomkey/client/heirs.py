"""What our conferences need of us to go on in another group: everybody's fresh keys, our own, our Welcomes to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from roomkey.client.contacts import Contacts, InitKeys
from roomkey.client.stock import Found, Pool
from roomkey.conference.changes import Changes
from roomkey.conference.events import Member
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import named_client
from roomkey.federation.init_keys import ClientKeys, make_init_key_sets
from roomkey.federation.proof import VerifiedInitKeySet
from roomkey.host.interface import Host, Store
from roomkey.mls import joining
from roomkey.mls.framing import MLSMessage
from roomkey.mls.group import Group, JoinKeys
from roomkey.mls.joining import Joined
from roomkey.mls.psk import PreSharedKeyID
from roomkey.mls.successor import Agreed
from roomkey.mls.welcome import Welcome


class Heirs:
    """See the module. It is the `Heirs` of our conferences (conference/surroundings.py)."""

    def __init__(
        self, host: Host, store: Store, keys: ClientKeys, suites: Sequence[int], contacts: Contacts, pool: Pool
    ) -> None:
        self._host = host
        self._store = store
        self._keys = keys
        self._suites = suites
        self._contacts = contacts
        self._pool = pool
        self._fetched: list[InitKeys] = []

    async def keys(
        self, people: Sequence[Member], suite: int
    ) -> tuple[dict[bytes, VerifiedInitKeySet], RoomkeyError | None]:
        """Claims and proves sets of these people afresh, and finds those of the clients named."""
        if not people:
            return {}, None
        fetched = await self._contacts.fetch([member.identity for member in people])
        self._fetched += fetched.keys
        wanted = {member.client for member in people}
        offered = [item for keys in fetched.keys for item in keys.proved.sets if item.client.client_id in wanted]
        found = {item.client.client_id: item for item in offered if suite in item.packages}
        if len(found) == len(wanted):
            return found, None
        failed = [missing.error for missing in fetched.missing]
        return found, failed[0] if failed else RoomkeyError("no-keys", "expected keys of every client for the suite")

    def use(self, sets: Iterable[VerifiedInitKeySet], changes: Changes) -> None:
        """Marks sets as used, in the transaction that uses them."""
        self._contacts.use(sets, changes)

    def release(self) -> None:
        """Lets others have the sets that were not used."""
        for keys in self._fetched:
            self._contacts.release(keys)
        self._fetched.clear()

    async def own(self, suite: int) -> JoinKeys:
        """A KeyPackage of ours that nobody else sees; only its leaf's keys are kept."""
        crypto = self._store.crypto
        (made,) = await make_init_key_sets(crypto, self._keys, self._suites, 1, self._host.now())
        package = next(item for item in made.join_keys() if item.key_package.cipher_suite == suite)
        await crypto.forget_keys([handle for handle in made.handles() if handle != package.leaf.encryption.private])
        return package

    async def follows(self, welcome: Welcome, data: bytes) -> PreSharedKeyID | None:
        """Which group of ours a Welcome (`data`: its MLSMessage) says that it follows on. Errors: see
        `joining.link_of`.
        """
        found = await self._pool.find([item.new_member for item in welcome.secrets], data)
        return await joining.link_of(self._store.crypto, welcome, found.keys)

    @asynccontextmanager
    async def welcome(self, data: bytes) -> AsyncIterator[Opened]:
        """Opens a Welcome; no other uses up a set meanwhile."""
        body = MLSMessage.decode(data).body
        if not isinstance(body, Welcome):
            raise RoomkeyError("invalid-message", "expected a Welcome, got another message")
        async with self._pool.writing:
            found = await self._pool.find([item.new_member for item in body.secrets], data)
            yield Opened(self._store.crypto, self._pool, found, data)


class Opened:
    """A Welcome and the KeyPackage of ours that it names."""

    def __init__(self, crypto: CryptoProvider, pool: Pool, found: Found, data: bytes) -> None:
        self._crypto = crypto
        self._pool = pool
        self._found = found
        self._data = data

    @property
    def last_resort(self) -> bool:
        return self._pool.is_last_resort(self._found)

    async def join(self, former: Sequence[Group], again: Agreed) -> Joined:
        """The group, proved, as one that follows on one of these."""
        return await joining.join(
            self._crypto, self._data, [self._found.keys], former=former, who=named_client, again=again
        )

    def use_up(self, changes: Changes, *, joined: bool) -> None:
        """Adds to a transaction that the KeyPackage is used up, with its leaf key unless we joined."""
        self._pool.use_up(self._found, self._data, changes)
        if not joined and not self.last_resort:
            changes.drop([self._found.keys.leaf.encryption])

    def used_up(self) -> None:
        self._pool.used_up(self._found)
