"""Deliveries that must arrive: written in the transaction that makes them necessary, sent afterwards, also after a
restart.

    written --send--> delivered, deleted        inboxes keep each message once, so a repeated send does no harm
    written --the service does not take it now--> written, tried again later
    written --the service never will--> deleted, reported
    written --a signal, and nobody waits for it any more--> deleted

One queue per domain, in order; a domain whose service is down holds up nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from roomkey.conference import records
from roomkey.conference.changes import Changes
from roomkey.conference.signals import MAX_AGE
from roomkey.errors import RoomkeyError
from roomkey.federation.fanout import Routes
from roomkey.host.interface import Store

# Seconds before each new try, the last one again and again.
BACKOFF = (1.0, 2.0, 5.0, 15.0, 60.0)
# What no wait and no other setting of ours mends. A full inbox is one of a person who does not read: to wait for them
# would hold up everybody else of their domain, and fill our storage.
_HOPELESS = frozenset({"request-too-large", "too-large", "malformed-request", "inbox-full"})

# Hears (group id, error) of a delivery that did not go out.
Report = Callable[[bytes, RoomkeyError], None]
# Hears (domain, kind, bytes of the message) of each that did.
Delivered = Callable[[str, str, int], None]


class Outbox:
    """See the module. `spawn` runs background work until the client closes."""

    def __init__(
        self,
        store: Store,
        routes: Callable[[], Routes],
        now: Callable[[], float],
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
        report: Report,
        delivered: Delivered,
    ) -> None:
        self._store = store
        self._routes = routes
        self._now = now
        self._spawn = spawn
        self._report = report
        self._delivered = delivered
        self._next = 0
        self._expire: dict[str, float] = {}  # signals, by name; those of an earlier run are of no use
        self._domains: set[str] = set()
        self._draining: dict[str, asyncio.Event] = {}
        self._resting: set[str] = set()  # of those, the ones that sit out a failure
        self._moved = asyncio.Event()  # one of the two sets changed

    async def open(self) -> None:
        """Takes up what an earlier run left."""
        for name, _ in await self._store.list("out/"):
            _, domain, place = name.split("/")
            self._domains.add(domain)
            self._next = max(self._next, int(place, 16) + 1)

    def put(self, changes: Changes, deliveries: Sequence[records.Delivery]) -> None:
        """Adds deliveries to a transaction; call `wake` once it stands."""
        for delivery in deliveries:
            domain = delivery.domain.decode("ascii")
            self._domains.add(domain)
            name = records.out_name(domain, self._next)
            if delivery.kind == records.SIGNAL:
                self._expire[name] = self._now() + MAX_AGE
            changes.put(name, delivery)
            self._next += 1

    def wake(self) -> None:
        """Sends what is waiting, at once also where a failure was being sat out."""
        for domain in self._domains:
            if domain in self._draining:
                self._resting.discard(domain)
                self._draining[domain].set()
            else:
                self._draining[domain] = asyncio.Event()
                self._spawn(lambda domain=domain: self._drain(domain))  # type: ignore[misc]

    async def tried(self) -> frozenset[str]:
        """Waits until every delivery has been made or has met a failure. Returns the domains for which some wait."""
        while self._draining.keys() - self._resting:
            self._moved.clear()
            await self._moved.wait()
        return frozenset(self._draining)

    async def _drain(self, domain: str) -> None:
        wake = self._draining[domain]
        failures = 0
        try:
            while True:
                wake.clear()
                waiting = await self._store.list(f"out/{domain}/")
                if not waiting and not wake.is_set():
                    return
                for name, data in waiting:
                    delivery = records.Delivery.decode(data)
                    error = await self._send(domain, name, delivery)
                    if error is None:
                        failures = 0
                        continue
                    if failures == 0:
                        self._report(delivery.group_id, error)
                    wait = max(error.retry_after or 0.0, BACKOFF[min(failures, len(BACKOFF) - 1)])
                    failures += 1
                    self._resting.add(domain)
                    self._moved.set()
                    # not `wait_for`: before Python 3.12 it loses a cancellation that comes with its result
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await wake.wait()
                    self._resting.discard(domain)
                    break
        finally:
            del self._draining[domain]
            self._resting.discard(domain)
            self._moved.set()

    async def _send(self, domain: str, name: str, delivery: records.Delivery) -> RoomkeyError | None:
        """Sends one delivery and deletes it; the error if it must wait."""
        kind = records.KINDS[delivery.kind]
        if delivery.kind == records.SIGNAL and self._expire.get(name, 0.0) < self._now():
            await self._forget(name)
            return None
        try:
            unknown = await self._routes().service_of(domain).send(delivery.message, delivery.clients)
        except RoomkeyError as error:
            if error.code not in _HOPELESS:
                return error
            self._report(delivery.group_id, error)
        else:
            self._delivered(domain, kind, len(delivery.message))
            if unknown:
                self._report(
                    delivery.group_id,
                    RoomkeyError("unknown-client", "expected clients that their service knows", count=len(unknown)),
                )
        await self._forget(name)
        return None

    async def _forget(self, name: str) -> None:
        await self._store.write({}, [name])
        self._expire.pop(name, None)
