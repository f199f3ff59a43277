"""One identity's client, as its user has it: who it is, what it publishes and fetches, its devices and conferences."""

from __future__ import annotations

from collections.abc import Sequence

from roomkey.client import account, creating, entering, routing
from roomkey.client.contacts import Fetched, InitKeys
from roomkey.client.devices import Device
from roomkey.client.events import Appeared
from roomkey.client.living import Living
from roomkey.client.log_records import AwaitedReset
from roomkey.client.logs import Evidence
from roomkey.client.routing import Fanout
from roomkey.client.stock import DEFAULT_TARGET, MAX_TARGET
from roomkey.client.unreached import unreached
from roomkey.conference import records
from roomkey.conference.conference import Added, Conference
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Stock
from roomkey.federation.fanout import Routes
from roomkey.federation.identity import domain_of
from roomkey.federation.negotiation import choose, own_offer
from roomkey.mls.policy import MEMBERS_ONLY
from roomkey.transparency.verifier import Trust as LogTrust


class Client(Living):
    """See the module. Made by `opening.create_client` and `open_client`."""

    # -- services and logs --

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

    async def recovery_key(self) -> bytes:
        """The recovery key, 32 bytes, for a person to keep (`Devices.recovery_key`)."""
        self._expect_open()
        return await self._devices.recovery_key()

    async def forget_recovery_key(self) -> None:
        """The person has it written down (`Devices.forget_recovery_key`)."""
        self._expect_open()
        await self._devices.forget_recovery_key()

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

    async def waiting_resets(self) -> dict[str, AwaitedReset]:
        """Who began anew and waits for consent, by identity (canonical); people agree to the hash of the manifest."""
        self._expect_open()
        return await self._logs.resets()

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
