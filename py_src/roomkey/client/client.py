"""One identity's client: opens its store, keeps its stock, reads its inbox, and holds its conferences."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from roomkey.client import account, creating, entering, routing
from roomkey.client.account import AccountRecord
from roomkey.client.contacts import Contacts, Fetched, InitKeys
from roomkey.client.devices import Device, Devices
from roomkey.client.entering import Entrance
from roomkey.client.events import Appeared, Event, Listener, StockChanged
from roomkey.client.gossiping import Gossip
from roomkey.client.heirs import Heirs
from roomkey.client.inbox import Inbox
from roomkey.client.log_view import LogView
from roomkey.client.logs import Evidence, Logs
from roomkey.client.outbox import Outbox
from roomkey.client.own_entry import Ask, OwnEntry
from roomkey.client.own_watch import OwnWatch
from roomkey.client.publishing import Publishing
from roomkey.client.roster import Roster
from roomkey.client.routing import Fanout
from roomkey.client.stock import DEFAULT_TARGET, MAX_TARGET, Pool
from roomkey.client.traffic import MeteredHost, Traffic
from roomkey.client.unreached import unreached
from roomkey.client.work import Work
from roomkey.conference import opening, records
from roomkey.conference.conference import Added, Conference
from roomkey.conference.events import Failed
from roomkey.conference.session import Surroundings
from roomkey.conference.upkeep import INBOX_FIRST
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService, Stock
from roomkey.federation.fanout import Routes
from roomkey.federation.identity import domain_of
from roomkey.federation.negotiation import choose, own_offer
from roomkey.federation.trust import TrustPolicy
from roomkey.host.interface import Host, Store
from roomkey.mls.policy import MEMBERS_ONLY
from roomkey.transparency.manifest import Manifest
from roomkey.transparency.verifier import Trust as LogTrust

NO_TRUSTS: Final[Mapping[str, LogTrust]] = MappingProxyType({})
# Seconds between looks for messages and keys that are too old: little beside the day or more for which they are kept.
HOUSE_INTERVAL = 600.0


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

    async def set_service(self, origin: str, domains: Sequence[str], fanout: Fanout = "client") -> None:
        """From now on these domains are served by the service at `origin`; remembered.

        Args:
            fanout: counts where our own domain is among them. With "server" that service is our home service and asks
                those of all other domains for us; what we knew of those is forgotten.
        """
        self._expect_open()
        own = domain_of(self.identity)
        at_home = own in domains
        relayed = at_home and fanout == "server"
        served = [own] if relayed else list(domains)
        await routing.remember(self._store, origin, served, fanout if at_home else None)
        before = self._routes.by_domain.get(own)
        moved = before is None or before.origin != origin
        service = self._service(origin)
        if relayed:
            self._routes = Routes({own: service}, service)
        else:
            kept = Routes(self._routes.by_domain) if at_home else self._routes
            self._routes = kept.with_service(service, domains)
        self._outbox.wake()
        for conference in self._conferences.values():
            if conference.status == records.ACTIVE and (relayed or conference.ordering in domains):
                conference.settle()
        self._entrance.go_on()
        if at_home and moved:
            self._inbox.read()
            self._watch.moved()

    async def set_trust(self, domain: str, trust: LogTrust) -> None:
        """From now on the people of this domain are believed by this log alone."""
        self._expect_open()
        await self._logs.set_trust(domain, trust)
        if domain == domain_of(self.identity):
            self._watch.moved()
        self._take_up()

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

    async def sent(self) -> frozenset[str]:
        """Waits until everything that was said has gone out or met a failure. Returns the domains whose service has
        not taken all of it; that is tried again, also by the next client that opens the identity.
        """
        self._expect_open()
        return await self._outbox.tried()

    # -- our devices --

    def devices(self) -> list[Device]:
        """This identity's devices; this one alone where there is no log."""
        return self._devices.known()

    @property
    def manifest_hash(self) -> bytes | None:
        """The hash of our newest manifest (32 bytes), which others compare if we began anew; None without a log."""
        newest = self._entry.own.newest
        return None if newest is None else newest.hash()

    async def admit_device(self, request: bytes) -> bytes:
        """Lists a further device, by what `prepare_device` gave there; its client id. See `Devices.admit`."""
        self._expect_open()
        return await self._devices.admit(request)

    async def remove_device(self, client: bytes) -> None:
        """Takes another device of ours (its client id) off the list (`Devices.remove`), and out of our conferences."""
        self._expect_open()
        await self._devices.remove(client)
        await self._roster.removed()

    async def take_recovery_key(self) -> bytes:
        """The recovery key, 32 bytes, for a person to keep: given once. See `Devices.take_recovery_key`."""
        self._expect_open()
        return await self._devices.take_recovery_key()

    # -- init keys --

    async def publish(self, count: int = DEFAULT_TARGET) -> Stock:
        """Publishes until `count` init-key sets wait at our service, and keeps them topped up from now on. Where there
        is a log, it must first say that we are ours (`Publishing.publish`).

        Errors: "bad-argument", "no-route", the service's, "storage-failed"; "log-unproven" and "manifest-unproven"
        while auditors are still to see our keys, which are published then; "identity-hijacked", "not-in-manifest".
        """
        self._expect_open()
        if not 1 <= count <= MAX_TARGET:
            raise RoomkeyError("bad-argument", f"count: expected 1 to {MAX_TARGET}, got {count}", field="count")
        record = self._record.replace(target=count)
        await self._store.write({account.ACCOUNT: record.encode()})
        self._record = record
        return await self._publishing.publish(count)

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
        """Lets the next fetch have these."""
        self._contacts.release(keys)

    async def knows(self, identity: str) -> bool:
        """Whether we have met this person (canonical): their next keys are held to those that we know."""
        self._expect_open()
        return await self._contacts.known(identity)

    async def forget_contact(self, identity: str) -> None:
        """Forgets which keys this person (canonical) had, after people agreed that they have new ones."""
        self._expect_open()
        await self._contacts.forget(identity)

    async def accept_reset(self, identity: str, manifest_hash: bytes) -> None:
        """Agrees that this person (canonical) begins anew, with exactly the manifest whose hash (32 bytes) an
        "identity-reset" named, after asking them by another way. What waited for it goes on. See `Logs.accept_reset`.
        """
        self._expect_open()
        await self._logs.accept_reset(identity, manifest_hash)
        self._take_up()

    async def waiting_resets(self) -> dict[str, bytes]:
        """Who began anew and waits for consent: the hash of the manifest to be agreed to, by identity (canonical)."""
        self._expect_open()
        return {identity: reset.manifest.hash() for identity, reset in (await self._logs.resets()).items()}

    async def fork_evidence(self) -> list[Evidence]:
        """What was kept of logs that showed two truths ("log-fork"), for people to hand on."""
        self._expect_open()
        return await self._logs.evidence()

    # -- conferences --

    async def create_conference(
        self, name: str, meant_for: Sequence[InitKeys] = (), policy: str = MEMBERS_ONLY
    ) -> Conference:
        """A new conference with us as its only member, registered with our home service, which orders it.

        Args:
            meant_for: who will be invited: the suite is the best that all of them and we offer.
            policy: the name of one in `mls.policy`: whether people can come in by tickets.
        Errors: "bad-argument", "no-common-suite", "no-route", the service's: then there is none.
        """
        self._expect_open()
        offers = [item.offer for keys in meant_for for item in keys.proved.sets]
        suite = choose([own_offer(self.identity, self._record.suites), *offers], host=self.identity)
        conference = await creating.create(
            self._around, self._keys, self._record.suites, suite, self.home, name, policy
        )
        self._conferences[conference.key] = conference
        self._emit(Appeared(conference))
        return conference

    async def join_conference(self, ticket: bytes) -> Conference:
        """Comes into a conference by a ticket that a member made (`Conference.ticket`); see `Entrance.enter`."""
        self._expect_open()
        return await self._entrance.enter(ticket)

    async def invite(self, conference: Conference, keys: Sequence[InitKeys]) -> Added:
        """Adds everyone of `keys`, which are used up by it; see `Conference.invite`."""
        await self._roster.before_inviting(conference)
        sets = [item for entry in keys for item in entry.proved.sets]
        return await conference.invite(sets, lambda changes: self._contacts.use(sets, changes))

    async def unreached(self, conference: Conference) -> tuple[str, ...]:
        """Other members who have devices that are not in it; see `unreached`. `fetch` and `invite` bring those in."""
        self._expect_open()
        return await unreached(self._logs, conference.members)

    def conferences(self) -> list[Conference]:
        """All conferences but invitations, also those that ended, oldest first."""
        shown = (records.ACTIVE, records.REMOVED, records.FAILED)
        known = [item for item in self._conferences.values() if item.status in shown and not item.gone]
        return sorted(known, key=lambda conference: conference.created)

    def invitations(self) -> list[Conference]:
        """Conferences that we were invited to, oldest first."""
        known = [item for item in self._conferences.values() if item.status == records.INVITED and not item.gone]
        return sorted(known, key=lambda conference: conference.created)

    async def accept(self, conference: Conference) -> None:
        """Accepts an invitation; see `Conference.accept`. If it calls us back to a conference that ended here, that one
        is `gone` then.
        """
        before = await entering.former(self._conferences.values(), conference)
        await conference.accept(before)
        for key in [key for key, item in self._conferences.items() if item.gone or item is conference]:
            del self._conferences[key]
        self._conferences[conference.key] = conference
        self._emit(Appeared(conference))

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
