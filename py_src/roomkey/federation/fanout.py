"""Which delivery service serves whom, and claims and sends through all of them side by side.

Client fanout (the draft's section 4.1.1): each service is asked by us. Server fanout (4.1.2): our home service asks the
others for us. It is a second way through the same functions: a claim, a message or a commit for another domain goes to
the same kind of object, and nothing that comes back is believed more. A service that is down or slow costs only its own
people, either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import MAX_CLAIM, DeliveryService
from roomkey.federation.identity import domain_of
from roomkey.federation.init_keys import InitKeySetBundle
from roomkey.federation.messages import GetUserInitKeyRequest


class Routes:
    """Which delivery service serves the people of which domain. A value: `with_service` makes a new one.

    Args:
        home: asked for the people of every domain without a service of its own here (server fanout); None: they
            cannot be reached.
    """

    def __init__(
        self, by_domain: Mapping[str, DeliveryService] | None = None, home: DeliveryService | None = None
    ) -> None:
        self.by_domain: dict[str, DeliveryService] = dict(by_domain or {})
        self.home = home
        self._relayed: dict[str, DeliveryService] = {}

    def with_service(self, service: DeliveryService, domains: Iterable[str]) -> Routes:
        """These routes and `service` for `domains`, in place of what served them before."""
        return Routes({**self.by_domain, **dict.fromkeys(domains, service)}, self.home)

    def service_for(self, identity: str) -> DeliveryService:
        """The service of a canonical identity's domain. Errors: "no-route"."""
        return self.service_of(domain_of(identity))

    def service_of(self, domain: str) -> DeliveryService:
        """The service of a domain, always the same object. Errors: "no-route"."""
        service = self.by_domain.get(domain) or self._relayed.get(domain)
        if service is None and self.home is not None:
            service = self._relayed[domain] = self.home.relaying(domain)
        if service is None:
            raise RoomkeyError("no-route", "expected a delivery service for the domain")
        return service


class Missing(NamedTuple):
    """An identity of which nothing came, and why."""

    identity: str
    error: RoomkeyError


class Claimed(NamedTuple):
    """`keys`: the unverified bundles of each identity, one for each client; `missing`: everyone else, in the order
    asked.
    """

    keys: dict[str, tuple[InitKeySetBundle, ...]]
    missing: tuple[Missing, ...]


class Recipient(NamedTuple):
    """One client, 32 bytes, of a canonical identity, whose domain says which service holds its inbox."""

    identity: str
    client: bytes


class Undelivered(NamedTuple):
    """A client that did not get the message, and why: the outbox keeps it if the error is retryable."""

    recipient: Recipient
    error: RoomkeyError


async def claim(routes: Routes, identities: Sequence[str], suites: Sequence[int] = ()) -> Claimed:
    """Claims one set of each client of each identity (canonical, each once), from all services at the same time.

    Args:
        suites: the draft's numbers of the suites that will do, best first; none means any. A set comes whole or not
            at all. What comes is held to it, because whoever passes the request on could ask for less.
    Errors: none; each identity's own stands in `missing`: "no-keys" for an empty answer, "identity-mismatch" where the
    service sent bundles of people who were not asked for instead, "suite-withheld" for sets of other suites alone.
    """
    keys: dict[str, tuple[InitKeySetBundle, ...]] = {}
    failed: dict[str, RoomkeyError] = {}
    batches: dict[DeliveryService, list[str]] = {}
    for identity in dict.fromkeys(identities):
        try:
            batches.setdefault(routes.service_for(identity), []).append(identity)
        except RoomkeyError as error:
            failed[identity] = error

    async def ask(service: DeliveryService, people: list[str]) -> None:
        try:
            bundles = await service.claim([GetUserInitKeyRequest(p.encode("ascii"), tuple(suites)) for p in people])
        except RoomkeyError as error:
            failed.update(dict.fromkeys(people, error))
            return
        asked = {p.encode("ascii") for p in people}
        strangers = any(bundle.identity not in asked for bundle in bundles)
        for person in people:
            found = tuple(bundle for bundle in bundles if bundle.identity == person.encode("ascii"))
            if any(_of_other_suites(bundle, suites) for bundle in found):
                failed[person] = RoomkeyError("suite-withheld", "sets: expected one of the suites asked for in each")
            elif found:
                keys[person] = found  # each is proved by itself, so what else the service said does no harm
            elif strangers:
                text = "bundle: expected an identity asked for, got another"
                failed[person] = RoomkeyError("identity-mismatch", text)
            else:
                failed[person] = RoomkeyError("no-keys", "expected a set of at least one client, got none")

    await asyncio.gather(
        *(
            ask(service, people[start : start + MAX_CLAIM])
            for service, people in batches.items()
            for start in range(0, len(people), MAX_CLAIM)
        )
    )
    missing = tuple(Missing(person, failed[person]) for person in dict.fromkeys(identities) if person in failed)
    return Claimed(keys, missing)


def _of_other_suites(bundle: InitKeySetBundle, suites: Sequence[int]) -> bool:
    return bool(suites) and set(suites).isdisjoint(bundle.set.user_init_key.cipher_suites)


async def send(routes: Routes, message: bytes, recipients: Sequence[Recipient]) -> tuple[Undelivered, ...]:
    """Puts one MLSMessage into the inboxes of all recipients, through all their services at the same time.

    Returns: who did not get it; the same message may be sent to them again, each inbox keeps it once.
    "unknown-client" for a client that its service does not know. Errors: none besides.
    """
    undelivered: list[Undelivered] = []
    batches: dict[DeliveryService, list[Recipient]] = {}
    for recipient in dict.fromkeys(recipients):
        try:
            batches.setdefault(routes.service_for(recipient.identity), []).append(recipient)
        except RoomkeyError as error:
            undelivered.append(Undelivered(recipient, error))

    async def put(service: DeliveryService, people: list[Recipient]) -> None:
        try:
            unknown = set(await service.send(message, [person.client for person in people]))
        except RoomkeyError as error:
            undelivered.extend(Undelivered(person, error) for person in people)
            return
        for person in people:
            if person.client in unknown:
                refusal = RoomkeyError("unknown-client", "expected a client that its service knows")
                undelivered.append(Undelivered(person, refusal))

    await asyncio.gather(*(put(service, people) for service, people in batches.items()))
    return tuple(undelivered)
