"""One identity's client: opens its store, keeps its stock, reads its inbox, and holds its conferences.

What comes from the inbox is processed one by one, in order: a Welcome becomes an invitation, everything else goes to
its conference. A message is acknowledged once its effect is durable; a bad one is reported and acknowledged, for it
would only come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from roomkey.client import account, invitations
from roomkey.client.account import AccountRecord, RouteRecord
from roomkey.client.contacts import Contacts, Fetched, InitKeys
from roomkey.client.outbox import Outbox
from roomkey.client.stock import DEFAULT_TARGET, MAX_TARGET, Pool
from roomkey.client.traffic import MeteredHost, Traffic
from roomkey.client.work import Work
from roomkey.conference import ordering, records, session
from roomkey.conference.changes import Changes
from roomkey.conference.conference import Added, Conference
from roomkey.conference.events import Failed
from roomkey.conference.session import Surroundings, digest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService, Stock
from roomkey.federation.fanout import Routes
from roomkey.federation.identity import domain_of
from roomkey.federation.init_keys import make_init_key_sets
from roomkey.federation.negotiation import own_offer
from roomkey.federation.trust import TrustPolicy
from roomkey.host.interface import Host, Store
from roomkey.mls.framing import MLSMessage, PrivateMessage, PublicMessage
from roomkey.mls.group import create_group
from roomkey.mls.welcome import Welcome

# Seconds between looks at the stock, beside those after each Welcome.
STOCK_INTERVAL = 600.0
# Seconds before an inbox that could not be read, or whose messages could not be stored, is opened again.
INBOX_RETRY = 5.0
# Messages of groups that we do not know (yet), and the seconds for which they wait for a Welcome.
MAX_STRANGERS = 256
STRANGER_SECONDS = 3600
GROUP_ID_BYTES = 32


@dataclass(frozen=True)
class Invited:
    """An invitation came, or a conference that was one is no more when its events say so."""

    conference: Conference


@dataclass(frozen=True)
class Appeared:
    """A conference was created, or an invitation accepted."""

    conference: Conference


@dataclass(frozen=True)
class StockChanged:
    stock: Stock
    target: int


Event: TypeAlias = Invited | Appeared | StockChanged | Failed | Traffic
Listener = Callable[[Event], None]


class Client:
    """See the module. Made by `create` and `open_client`."""

    def __init__(
        self,
        host: Host,
        store: Store,
        record: AccountRecord,
        services: Mapping[str, str],
        policy: TrustPolicy,
        listener: Listener,
    ) -> None:
        self._store = store
        self._record = record
        self._listener = listener
        self._host: Host = MeteredHost(host, self._emit)
        self._keys = record.client_keys()
        self._signer = account.request_key(store, self._keys)
        self._routes = Routes({domain: self._service(origin) for domain, origin in services.items()})
        self._work = Work(lambda error: self._emit(Failed(error)))
        self._conferences: dict[bytes, Conference] = {}
        self._stock_wanted = asyncio.Event()
        self._inbox: asyncio.Task[None] | None = None
        self._closed = False
        own = own_offer(self.identity, record.suites)
        self._pool = Pool(store, self._keys, record.suites, host.now, self._stock_changed)
        self._contacts = Contacts(store, self._current_routes, host.now, policy, own, self.client_id)
        self._outbox = Outbox(store, self._current_routes, self._work.spawn, self._undelivered, self._delivered)
        signing = {pair.public for pair in self._keys.pairs.values()}
        self._around = Surroundings(
            store,
            host.now,
            host.sleep,
            self._current_routes,
            self._work.spawn,
            self._contacts,
            self._outbox,
            self.client_id,
            lambda public: public in signing or self._pool.holds(public),
        )

    # -- who we are --

    @property
    def identity(self) -> str:
        return self._keys.identity

    @property
    def client_id(self) -> bytes:
        return self._keys.client_id

    @property
    def identity_key(self) -> bytes:
        """The credential's public key."""
        return self._signer.key.public

    @property
    def home(self) -> DeliveryService:
        """Our own delivery service. Errors: "no-route"."""
        return self._routes.service_for(self.identity)

    async def set_service(self, origin: str, domains: Sequence[str]) -> None:
        """From now on these domains are served by the service at `origin`; remembered."""
        self._expect_open()
        record = RouteRecord(origin.encode("ascii")).encode()
        await self._store.write({account.ROUTES + domain: record for domain in domains})
        self._routes = self._routes.with_service(self._service(origin), domains)
        self._outbox.wake()
        for conference in self._conferences.values():
            if conference.status == records.ACTIVE and conference.ordering in domains:
                conference.settle()
        if domain_of(self.identity) in domains:
            self._read_inbox()

    # -- opening and closing --

    async def start(self) -> None:
        """Loads what is stored, and takes up whatever an earlier run left undone."""
        await self._pool.open()
        await self._contacts.open()
        await self._outbox.open()
        await self._forget_strangers()
        for name, _ in await self._store.list("conference/"):
            stored = await session.load(self._around, bytes.fromhex(name.removeprefix("conference/")))
            if stored is not None:
                self._conferences[stored.group_id] = Conference(stored)
        self._outbox.wake()
        for conference in self._conferences.values():
            if conference.status == records.ACTIVE:
                conference.settle()
        self._work.spawn(self._keep_stock)
        self._read_inbox()

    async def close(self) -> None:
        """Lets go of the identity; its state stays."""
        if self._closed:
            return
        self._closed = True
        if self._inbox is not None:
            self._inbox.cancel()
            await asyncio.gather(self._inbox, return_exceptions=True)
        for conference in self._conferences.values():
            await conference.stop()
        await self._work.close()
        await self._store.close()

    # -- init keys --

    async def publish(self, count: int = DEFAULT_TARGET) -> Stock:
        """Publishes until `count` init-key sets wait at our service, and keeps them topped up from now on.

        Errors: "bad-argument", "no-route", the service's, "storage-failed".
        """
        self._expect_open()
        if not 1 <= count <= MAX_TARGET:
            raise RoomkeyError("bad-argument", f"count: expected 1 to {MAX_TARGET}, got {count}", field="count")
        record = self._record.replace(target=count)
        await self._store.write({account.ACCOUNT: record.encode()})
        self._record = record
        return await self._pool.top_up(self.home, count)

    async def stock(self) -> Stock:
        """What waits at our service."""
        self._expect_open()
        return await self.home.stock()

    @property
    def target(self) -> int:
        return self._record.target

    async def fetch(self, identities: Sequence[str]) -> Fetched:
        """Proved init-key sets of these people; see `Contacts.fetch`."""
        self._expect_open()
        return await self._contacts.fetch(identities)

    def release(self, keys: InitKeys) -> None:
        self._contacts.release(keys)

    # -- conferences --

    async def create_conference(self, name: str) -> Conference:
        """A new conference with us as its only member, registered with our home service, which orders it.

        Errors: "bad-argument", "no-route", the service's: then there is none.
        """
        self._expect_open()
        domain = domain_of(self.identity)
        suite = self._record.suites[0]
        extensions = ordering.group_extensions(domain, name)
        home, now, crypto = self.home, self._host.now(), self._store.crypto
        (made,) = await make_init_key_sets(crypto, self._keys, self._record.suites, 1, now)
        keys = next(item for item in made.join_keys() if item.key_package.cipher_suite == suite)
        group = await create_group(crypto, keys, crypto.random(GROUP_ID_BYTES), now, extensions=extensions)
        unneeded = [handle for handle in made.handles() if handle != keys.leaf.encryption.private]
        await crypto.forget_keys(unneeded)
        changes = Changes()
        members = tuple(await self._contacts.admit(group, list(group.tree.members()), changes))
        begun = await session.begin(self._around, group, members, records.CREATING, domain, group.own_leaf, changes)
        conference = Conference(begun)
        try:
            await home.register_group(group.group_id, ordering.token_hash(group))
            await conference.activate()
        except BaseException:
            await asyncio.shield(conference.discard())
            raise
        self._conferences[conference.id] = conference
        self._emit(Appeared(conference))
        return conference

    async def invite(self, conference: Conference, keys: Sequence[InitKeys]) -> Added:
        """Adds everyone of `keys`, which are used up by it; see `Conference.invite`."""
        sets = [item for entry in keys for item in entry.proved.sets]
        return await conference.invite(sets, lambda changes: self._contacts.use(sets, changes))

    def conferences(self) -> list[Conference]:
        """All conferences but invitations, also those that ended, oldest first."""
        known = [item for item in self._conferences.values() if item.status != records.INVITED and not item.gone]
        return sorted(known, key=lambda conference: conference.created)

    def invitations(self) -> list[Conference]:
        """Conferences that we were invited to, oldest first."""
        known = [item for item in self._conferences.values() if item.status == records.INVITED and not item.gone]
        return sorted(known, key=lambda conference: conference.created)

    async def accept(self, conference: Conference) -> None:
        """Accepts an invitation; see `Conference.accept`."""
        await conference.accept()
        self._emit(Appeared(conference))

    # -- the inbox --

    def _read_inbox(self) -> None:
        if self._inbox is not None:
            self._inbox.cancel()
        self._inbox = asyncio.ensure_future(self._inbox_loop())

    async def _inbox_loop(self) -> None:
        reported = ""
        while not self._closed:
            try:
                await self._read_once()
            except RoomkeyError as error:
                if error.code != reported:
                    self._emit(Failed(error))
                reported = error.code
            await self._host.sleep(INBOX_RETRY)

    async def _read_once(self) -> None:
        home = self.home
        stream = home.inbox(self._inbox_state)
        try:
            async for item in stream:
                self._emit(Traffic("in", home.origin, "message", len(item.message), self._host.now()))
                await self._take(item.message)
                try:
                    await home.acknowledge(item.sequence)
                except RoomkeyError as error:  # the next one covers it, or it comes again and is known
                    if not error.retryable:
                        raise
        finally:
            await stream.aclose()

    def _inbox_state(self, error: RoomkeyError | None) -> None:
        if error is not None:
            self._emit(Failed(error))
        else:
            for conference in self._conferences.values():
                if conference.status == records.ACTIVE:
                    conference.settle()

    async def _take(self, data: bytes) -> None:
        """Processes one message of the inbox; only "storage-failed" goes on to the caller."""
        try:
            body = MLSMessage.decode(data).body
            if isinstance(body, Welcome):
                await self._take_welcome(body, data)
            elif isinstance(body, PrivateMessage):
                await self._take_framed(body.group_id, data)
            elif isinstance(body, PublicMessage):
                await self._take_framed(body.content.group_id, data)
            else:
                raise RoomkeyError("invalid-message", "expected a Welcome or a framed message in an inbox")
        except RoomkeyError as error:
            if error.code == "storage-failed":
                raise
            self._emit(Failed(error))

    async def _take_welcome(self, welcome: Welcome, data: bytes) -> None:
        try:
            joined = await invitations.join(self._around, self._pool, welcome, data)
        finally:
            self._stock_wanted.set()
        conference = Conference(joined.session)
        self._conferences[conference.id] = conference
        self._emit(Invited(conference))
        prefix = records.stranger_name(conference.id)
        for name, item in await self._store.list(prefix):
            await self._take_framed(conference.id, records.Stranger.decode(item).message)
            await self._store.write({}, [name])

    async def _take_framed(self, group_id: bytes, data: bytes) -> None:
        conference = self._conferences.get(group_id)
        if conference is not None:
            await conference.receive(data)
            return
        if len(await self._store.list("stranger/")) >= MAX_STRANGERS:
            raise RoomkeyError("wrong-group", "expected a message of a conference that we are in")
        record = records.Stranger(int(self._host.now()), data)
        await self._store.write({records.stranger_name(group_id, digest(data)): record.encode()})

    async def _forget_strangers(self) -> None:
        now = self._host.now()
        old = [
            name for name, item in await self._store.list("stranger/")
            if records.Stranger.decode(item).received + STRANGER_SECONDS < now
        ]  # fmt: skip
        await self._store.write({}, old)

    # -- what goes on by itself --

    async def _keep_stock(self) -> None:
        """Tops the stock up: at the start, after each Welcome, and now and then."""
        reported = ""
        while True:
            self._stock_wanted.clear()
            if self.target:
                try:
                    await self._pool.top_up(self.home, self.target)
                    reported = ""
                except RoomkeyError as error:
                    if error.code != reported:
                        self._emit(Failed(error))
                    reported = error.code
            await self._forget_strangers()
            try:
                await asyncio.wait_for(self._stock_wanted.wait(), STOCK_INTERVAL)
            except TimeoutError:
                continue

    def _stock_changed(self, stock: Stock) -> None:
        self._emit(StockChanged(stock, self.target))

    def _undelivered(self, group_id: bytes, error: RoomkeyError) -> None:
        conference = self._conferences.get(group_id)
        if conference is None:
            self._emit(Failed(error))
        else:
            conference.report(error)

    def _delivered(self, domain: str, kind: str, size: int) -> None:
        service = self._routes.by_domain.get(domain)
        origin = domain if service is None else service.origin
        self._emit(Traffic("out", origin, kind, size, self._host.now()))

    def _emit(self, event: Event) -> None:
        self._listener(event)

    def _service(self, origin: str) -> DeliveryService:
        return DeliveryService(self._host, origin, self._signer)

    def _current_routes(self) -> Routes:
        return self._routes

    def _expect_open(self) -> None:
        if self._closed:
            raise RoomkeyError("closed", "expected an open identity")
