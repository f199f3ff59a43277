"""How a client lives: it is put together, opened, keeps house in the background, and is closed.

What goes wrong in the background becomes a `Failed` event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from roomkey.client import account, routing
from roomkey.client.account import AccountRecord
from roomkey.client.contacts import Contacts
from roomkey.client.devices import Devices
from roomkey.client.entering import Entrance
from roomkey.client.events import Event, Listener, StockChanged
from roomkey.client.gossiping import Gossip
from roomkey.client.heirs import Heirs
from roomkey.client.inbox import Inbox
from roomkey.client.log_view import LogView
from roomkey.client.logs import Logs
from roomkey.client.outbox import Outbox
from roomkey.client.own_entry import Ask, OwnEntry
from roomkey.client.own_watch import OwnWatch
from roomkey.client.publishing import Publishing
from roomkey.client.roster import Roster
from roomkey.client.stock import Pool
from roomkey.client.traffic import MeteredHost, Traffic
from roomkey.client.work import Work
from roomkey.conference import opening, records
from roomkey.conference.conference import Conference
from roomkey.conference.events import Failed
from roomkey.conference.session import Surroundings
from roomkey.conference.upkeep import INBOX_FIRST
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService, Stock
from roomkey.federation.fanout import Routes
from roomkey.federation.identity import domain_of
from roomkey.federation.negotiation import own_offer
from roomkey.federation.trust import TrustPolicy
from roomkey.host.interface import Host, Store
from roomkey.transparency.manifest import Manifest
from roomkey.transparency.verifier import Trust as LogTrust

NO_TRUSTS: Final[Mapping[str, LogTrust]] = MappingProxyType({})
# Seconds between looks for messages and keys that are too old: little beside the day or more for which they are kept.
HOUSE_INTERVAL = 600.0


class Living:
    """See the module. `Client` is one."""

    def __init__(
        self,
        host: Host,
        store: Store,
        record: AccountRecord,
        services: Mapping[str, str],
        policy: TrustPolicy,
        listener: Listener,
        trusts: Mapping[str, LogTrust] = NO_TRUSTS,
    ) -> None:
        self._store = store
        self._record = record
        self._listener = listener
        self._host: Host = MeteredHost(host, self._emit)
        self._keys = record.client_keys()
        self._signer = account.request_key(store, self._keys)
        self._routes = Routes({domain: self._service(origin) for domain, origin in services.items()})
        self._work = Work(lambda error: self._emit(Failed(error)))
        self._conferences: dict[str, Conference] = {}  # by key
        self._logs = Logs(
            store,
            self._current_routes,
            host.now,
            trusts,
            self._failed,
            self._log_grew,
            lambda who: self._roster.moved(who),
        )
        self._roster = Roster(self._logs, lambda: list(self._conferences.values()), self.identity, self._work.spawn)
        self._closed = False
        own = own_offer(self.identity, record.suites)
        failed, home = self._failed, lambda: self.home
        self._watch = OwnWatch(lambda: self._entry.look(), host.now, failed)
        self._entry = OwnEntry(
            store, record, home, self._own_log, host.now, host.sleep, self._entry_proved, self._watch.moved
        )
        self._devices = Devices(self._entry, home)
        self._pool = Pool(store, self._keys, record.suites, host.now, self._stock_changed, self._stock_wanted)
        self._publishing = Publishing(self._pool, self._entry, home, host.now, host.sleep, failed)
        self._contacts = Contacts(
            store, self._current_routes, host.now, policy, own, self._logs, self._own_manifest,
            lambda: self._entry.own.newest, host.sleep,
        )  # fmt: skip
        self._outbox = Outbox(
            store, self._current_routes, host.now, self._work.spawn, self._undelivered, self._delivered
        )
        self._heirs = Heirs(host, store, self._keys, record.suites, self._contacts, self._pool)
        signing = {pair.public for pair in self._keys.pairs.values()}
        self._around = Surroundings(
            store,
            host.now,
            host.sleep,
            self._current_routes,
            self._work.spawn,
            self._contacts,
            self._outbox,
            self._heirs,
            Gossip(self._logs, self._work.spawn, host.sleep),
            self.client_id,
            lambda public: public in signing or self._pool.holds(public),
        )
        self._entrance = Entrance(self._around, self._keys, record.suites, self._conferences, self._emit)
        self._inbox = Inbox(
            self._around, self._pool, self._heirs, self._conferences, lambda: self.home, self._emit, self._connected
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
    def suites(self) -> tuple[int, ...]:
        """RFC 9420 numbers of the suites that we offer, as chosen when the identity was made."""
        return self._record.suites

    @property
    def home(self) -> DeliveryService:
        """Our own delivery service. Errors: "no-route"."""
        return self._routes.service_for(self.identity)

    @property
    def target(self) -> int:
        return self._record.target

    # -- opening and closing --

    async def start(self) -> None:
        """Loads what is stored, and takes up whatever an earlier run left undone."""
        if await routing.stored_fanout(self._store) == "server":
            self._routes = Routes(self._routes.by_domain, self._routes.by_domain.get(domain_of(self.identity)))
        await self._logs.open()
        await self._entry.open()
        await self._pool.open()
        await self._contacts.open()
        await self._outbox.open()
        await self._inbox.forget_strangers()
        for name, _ in await self._store.list("conference/"):
            stored = await opening.load(self._around, name.removeprefix("conference/"))
            if stored is not None:
                self._conferences[stored.key] = Conference(stored)
        self._outbox.wake()
        self._connected()
        self._work.spawn(self._watch.run)
        self._work.spawn(self._inbox.take_up_awaited)
        self._work.spawn(lambda: self._publishing.keep(lambda: self.target, self._inbox.forget_strangers))
        self._work.spawn(self._keep_house)
        self._inbox.read()

    async def close(self) -> None:
        """Lets go of the identity; its state stays."""
        if self._closed:
            return
        self._closed = True
        await self._inbox.close()
        await self._contacts.close()
        await self._entrance.close()
        for conference in self._conferences.values():
            await conference.stop()
        await self._work.close()
        await self._store.close()

    async def caught_up(self) -> None:
        """Waits until we know what waited for us: the inbox, what the log says of us, then each conference's register.

        Errors: "identity-hijacked", "not-in-manifest"; why one of them cannot be read. What could be read stands all
        the same.
        """
        self._expect_open()
        await self._inbox.shown()
        await self._watch.looked()
        active = [item for item in self._conferences.values() if item.status == records.ACTIVE]
        failures = [
            result
            for result in await asyncio.gather(*(item.catch_up() for item in active), return_exceptions=True)
            if isinstance(result, BaseException)
        ]
        self._entry.expect_ours()
        if failures:
            raise failures[0]

    # -- what goes on by itself --

    async def _keep_house(self) -> None:
        """Deletes what is over, and looks who members are: once the inbox has had its time to show what waited in it,
        and now and then.
        """
        await self._host.sleep(INBOX_FIRST)
        reported = ""
        while True:
            try:
                for conference in list(self._conferences.values()):
                    await conference.forget_old()
                await self._roster.look()
                reported = ""
            except RoomkeyError as error:
                if error.code != reported:
                    self._emit(Failed(error))
                reported = error.code
            await asyncio.sleep(HOUSE_INTERVAL)

    def _connected(self) -> None:
        """Our inbox is open (again): what did not come by it is fetched, and what was cut off goes on."""
        self._entrance.go_on()
        for conference in self._conferences.values():
            if conference.status == records.ACTIVE:
                conference.settle()

    def _own_log(self) -> Ask | None:
        """How to ask our own service's log about us; None if we know of none to believe."""
        return None if self._logs.trust_for(self.identity) is None else self._logs.ask

    async def _own_manifest(self, publics: Collection[bytes]) -> Manifest:
        """Our own manifest, which lists these keys. Errors: `Devices.expect`'s."""
        await self._devices.expect(publics)
        manifest = self._entry.manifest
        assert manifest is not None
        return manifest

    def _log_grew(self, view: LogView) -> None:
        """Our own log has a larger head: what it says of us may be new."""
        if view.trust == self._logs.trust_for(self.identity):
            self._watch.moved()

    def _take_up(self) -> None:
        """What waited for a proof, or for people, goes on."""
        self._inbox.take_up()
        for conference in self._conferences.values():
            if conference.status == records.ACTIVE:
                conference.settle()

    def _entry_proved(self) -> None:
        self._stock_wanted()
        self._roster.moved([self.identity])

    def _stock_wanted(self) -> None:
        self._publishing.wanted.set()

    def _failed(self, error: RoomkeyError) -> None:
        self._emit(Failed(error))

    def _stock_changed(self, stock: Stock) -> None:
        self._emit(StockChanged(stock, self.target))

    def _undelivered(self, group_id: bytes, error: RoomkeyError) -> None:
        known = [item for item in self._conferences.values() if item.answers_to(group_id) and not item.gone]
        if not known:
            self._emit(Failed(error))
        else:
            min(known, key=lambda item: item.status != records.ACTIVE).report(error)

    def _delivered(self, domain: str, kind: str, size: int) -> None:
        try:
            origin = self._routes.service_of(domain).origin
        except RoomkeyError:  # it was given up just now
            origin = domain
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
