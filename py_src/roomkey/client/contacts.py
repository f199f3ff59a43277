"""What we know of others: pins, sets claimed and not used yet, sets seen before (wire.md sections 3 and 4).

    pin/IDENTITY            ContactPin: kept with the first set or membership that was proved under it
    claimed/IDENTITY/SET    InitKeySetBundle: proved, not used; what an aborted call or a closed page leaves for the
                            next one
    seen/SET                SeenSet: used, so that it is not taken again

A set goes from `claimed` to `seen` in the transaction that writes the commit which uses it.

Where a log judges (`logs`) it is asked beside the service's stock, at the same time and place; its manifest then takes
the place of policy and pin. Sets without a proof are dropped, and the next call claims others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, TypeGuard

from roomkey.client.admitting import Admitting, OwnManifest
from roomkey.client.judging import ByManifest
from roomkey.client.log_records import PIN, ProvedManifest
from roomkey.client.logs import Logs, Proof
from roomkey.conference.changes import Changes
from roomkey.conference.events import Member
from roomkey.errors import RoomkeyError
from roomkey.federation import fanout
from roomkey.federation.fanout import Claimed, Missing, Routes
from roomkey.federation.identity import canonicalise
from roomkey.federation.init_keys import InitKeySetBundle
from roomkey.federation.negotiation import Offer
from roomkey.federation.proof import ProvedIdentity, Terms, UnverifiedInitKeySets, VerifiedInitKeySet, prove
from roomkey.federation.trust import ContactPin, TrustPolicy
from roomkey.host.interface import Store
from roomkey.mls.group import Group
from roomkey.mls.leaf_node import MAX_LIFETIME, LeafNode
from roomkey.tls import U64, Struct
from roomkey.transparency.manifest import Manifest

_CLAIMED = "claimed/"
_SEEN = "seen/"
# Proved sets are used soon or not at all: one that waits longer is left to its lifetime, and its owner makes new ones.
FRESH = 3600.0
# Seconds before a log that proves nothing is asked again, for somebody who waits: epochs are cosigned within one.
RETRIES = (0.5, 1.0)


class SeenSet(Struct):
    """A set that was used; forgotten after `until` (Unix seconds), when its lifetime refuses it anyway."""

    until: U64


class ClaimedSet(Struct):
    """A proved set that waits; `claimed` is Unix seconds."""

    claimed: U64
    bundle: InitKeySetBundle


class InitKeys(NamedTuple):
    """One identity's proved sets, ready to be used once; `origin` is the service that they came from."""

    proved: ProvedIdentity
    origin: str

    @property
    def identity(self) -> str:
        return self.proved.identity


class Fetched(NamedTuple):
    keys: list[InitKeys]
    missing: list[Missing]


class Contacts:
    """See the module. It is the `Admission` of our conferences.

    Args:
        own_manifest: proves that credential keys are of our own devices, where a log judges (`admitting`).
        own_newest: our own manifest as we said it last; None without a log.
    """

    def __init__(
        self,
        store: Store,
        routes: Callable[[], Routes],
        now: Callable[[], float],
        policy: TrustPolicy,
        own: Offer,
        logs: Logs,
        own_manifest: OwnManifest,
        own_newest: Callable[[], Manifest | None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._routes = routes
        self._now = now
        self._sleep = sleep
        self._logs = logs
        self._policy = policy
        self._own = own
        self._admitting = Admitting(store.crypto, logs, now, policy, own.who, own_manifest, own_newest, self._pin)
        self._taken: set[bytes] = set()  # ids of claimed sets that somebody holds
        self._claims: set[asyncio.Task[Fetched]] = set()

    async def open(self) -> None:
        """Forgets what is over."""
        now, changes = self._now(), Changes()
        changes.delete(name for name, data in await self._store.list(_SEEN) if SeenSet.decode(data).until < now)
        changes.delete(
            name for name, data in await self._store.list(_CLAIMED) if ClaimedSet.decode(data).claimed + FRESH < now
        )
        await changes.write(self._store)

    async def close(self) -> None:
        """Stops the claims whose callers have gone; what they proved is written."""
        for claim in list(self._claims):
            claim.cancel()
        await asyncio.gather(*self._claims, return_exceptions=True)
        await self._admitting.close()

    # -- fetching --

    async def fetch(self, typed: Sequence[str]) -> Fetched:
        """Claims and proves the sets of these people; each one's failure is theirs alone.

        If the caller is cancelled once a claim was sent, what it brings is proved and waits for the next call.
        Errors: the first person's if nothing could be tried, as "invalid-identity" or "no-route" for all.
        """
        missing: list[Missing] = []
        people: list[str] = []
        for name in dict.fromkeys(typed):
            try:
                people.append(canonicalise(name))
            except RoomkeyError as error:
                missing.append(Missing(name, error))
        people = list(dict.fromkeys(people))
        found: list[InitKeys] = []
        asked: list[str] = []
        for person in people:
            try:
                held = await self._held(person)
            except RoomkeyError as error:
                missing.append(Missing(person, error))
                continue
            if held is None:
                asked.append(person)
            else:
                found.append(held)
        if asked:
            claim = asyncio.ensure_future(self._claim(asked))
            self._claims.add(claim)
            claim.add_done_callback(self._claimed)
            try:
                fetched = await asyncio.shield(claim)
            except asyncio.CancelledError:
                claim.add_done_callback(self._left)
                raise
            found += fetched.keys
            missing += fetched.missing
        if not found and missing and all(item.error.code in ("invalid-identity", "no-route") for item in missing):
            raise missing[0].error
        order = {person: place for place, person in enumerate(people)}
        return Fetched(sorted(found, key=lambda keys: order[keys.identity]), missing)

    def release(self, keys: InitKeys) -> None:
        """Lets the next fetch have them."""
        self._taken.difference_update(item.set_id for item in keys.proved.sets)

    def use(self, sets: Iterable[VerifiedInitKeySet], changes: Changes) -> None:
        """Marks sets as used, in the transaction that uses them."""
        for item in sets:
            if not item.last_resort:
                changes.put(_SEEN + item.set_id.hex(), SeenSet(item.expires))
            changes.delete([_claimed_name(item.client.identity, item.set_id)])

    async def known(self, identity: str) -> bool:
        """Whether we hold keys of this contact (canonical) to compare others with."""
        return await self._pin(identity) is not None

    async def forget(self, identity: str) -> None:
        """Forgets what we know of a contact, and sets proved under it: the next keys are the first again."""
        changes = Changes()
        changes.delete([PIN + identity, *(name for name, _ in await self._store.list(f"{_CLAIMED}{identity}/"))])
        await self._logs.forget(identity, changes)
        await changes.write(self._store)

    def _claimed(self, claim: asyncio.Task[Fetched]) -> None:
        self._claims.discard(claim)
        if not claim.cancelled():
            claim.exception()  # the caller's, if it is still there; a claim that nobody waits for fails in silence

    def _left(self, claim: asyncio.Task[Fetched]) -> None:
        """The caller of a claim has gone: what it brings is for the next one."""
        if not claim.cancelled() and claim.exception() is None:
            for keys in claim.result().keys:
                self.release(keys)

    async def _claim(self, people: list[str]) -> Fetched:
        """Claims from all services, and asks their logs, at once; then proves everyone by themselves. What it brings is
        taken.
        """
        routes = self._routes()
        claimed, proofs = await asyncio.gather(fanout.claim(routes, people), self._asked(people))
        missing: list[Missing] = []
        found: list[InitKeys] = []
        for person in people:
            try:
                bundles = _claimed_of(person, claimed, proofs.get(person))
                proved = await self._prove(person, bundles, proofs.get(person))
                found.append(InitKeys(proved, routes.service_for(person).origin))
            except RoomkeyError as error:
                if error.code == "storage-failed":
                    for keys in found:
                        self.release(keys)
                    raise
                missing.append(Missing(person, error))
        return Fetched(found, missing)

    async def _asked(self, people: Iterable[str]) -> dict[str, Proof]:
        """What logs prove of those whom they judge; who is not proved is asked for a few times."""
        logged = [person for person in people if self._logs.judges(person)]
        proofs = await self._logs.prove(logged)
        for wait in RETRIES:
            late = [person for person in logged if _is_late(proofs[person])]
            if not late:
                break
            await self._sleep(wait)
            proofs |= await self._logs.prove(late)
        return proofs

    async def _prove(self, person: str, bundles: Sequence[InitKeySetBundle], proof: Proof | None) -> ProvedIdentity:
        """Proves fresh sets and writes them down with the pin that they were proved under."""
        seen = {bytes.fromhex(name.removeprefix(_SEEN)) for name, _ in await self._store.list(_SEEN)}
        proved = await self._proved(person, bundles, seen, proof)
        changes = Changes()
        changes.put(PIN + person, proved.trust.pin)
        for bundle in bundles:
            changes.put(_claimed_name(person, bundle.set.set_id), ClaimedSet(int(self._now()), bundle))
        ids = {item.set_id for item in proved.sets}
        self._taken |= ids  # before another claim sees them
        try:
            await changes.write(self._store)
        except BaseException:
            self._taken -= ids
            raise
        return proved

    async def _held(self, person: str) -> InitKeys | None:
        """What waits from an earlier call, proved once more; what does not pass any more is deleted. Errors: "log-
        unproven", and then it waits on.
        """
        waiting = [(name, ClaimedSet.decode(data)) for name, data in await self._store.list(f"{_CLAIMED}{person}/")]
        waiting = [(name, item) for name, item in waiting if item.bundle.set.set_id not in self._taken]
        if not waiting:
            return None
        newest = max(item.claimed for _, item in waiting)
        bundles = [item.bundle for _, item in waiting if item.claimed == newest]
        ids = {bundle.set.set_id for bundle in bundles}
        self._taken |= ids
        try:
            proofs = await self._asked([person])
        except BaseException:
            self._taken -= ids
            raise
        proof = proofs.get(person)
        if _is_unproven(proof):
            self._taken -= ids
            raise proof
        try:
            if newest + FRESH < self._now():
                raise RoomkeyError("keys-expired", "claimed sets: expected some of the last hour, got older ones")
            proved = await self._proved(person, bundles, frozenset(), proof)
            return InitKeys(proved, self._routes().service_for(person).origin)
        except RoomkeyError:  # then new ones are claimed, and if those fail the caller hears why
            await self._store.write({}, [name for name, _ in waiting])
            return None

    async def _proved(
        self,
        person: str,
        bundles: Sequence[InitKeySetBundle],
        seen: set[bytes] | frozenset[bytes],
        proof: Proof | None,
    ) -> ProvedIdentity:
        terms = Terms(self._now(), self._own, self._policy, await self._pin(person), seen)
        if isinstance(proof, RoomkeyError):
            raise proof
        if proof is None and self._logs.judges(person):
            raise RoomkeyError("log-unproven", "expected what the log says, got it not asked")
        if proof is not None:
            lifetime = min(MAX_LIFETIME, proof.manifest.maximum_lifetime)
            terms = terms._replace(policy=ByManifest(proof.manifest), max_lifetime=lifetime)
        return await prove(self._store.crypto, UnverifiedInitKeySets(person, tuple(bundles)), terms)

    # -- members (`Admission`) --

    async def admit(self, group: Group, leaves: Sequence[tuple[int, LeafNode]], changes: Changes) -> list[Member]:
        """Proves who these leaves are; see `Admission.admit`."""
        return await self._admitting.admit(group, leaves, changes)

    async def unlisted(self, members: Sequence[Member]) -> list[int]:
        """Whom their own manifest no longer lists; see `Admission.unlisted`."""
        return await self._admitting.unlisted(members)

    async def _pin(self, identity: str) -> ContactPin | None:
        data = await self._store.get(PIN + identity)
        return None if data is None else ContactPin.decode(data)


def _claimed_of(person: str, claimed: Claimed, proof: Proof | None) -> Sequence[InitKeySetBundle]:
    """What a service handed out for a person. Errors: why nothing; "keys-withheld" for who has devices in the log."""
    bundles = claimed.keys.get(person)
    if bundles is not None:
        return bundles
    failure = next(item.error for item in claimed.missing if item.identity == person)
    if isinstance(proof, ProvedManifest) and failure.code == "no-keys":
        count = len(proof.manifest.clients)
        raise RoomkeyError("keys-withheld", f"expected keys of some of {count} clients, got none", clients=count)
    if isinstance(proof, RoomkeyError) and not proof.retryable and proof.code != "not-in-manifest":
        raise proof
    raise failure


def _is_late(proof: Proof) -> bool:
    """Whether a log answered, and may prove it in a moment; a service without an answer, or a log in doubt, may not."""
    return _is_unproven(proof) and not proof.details


def _is_unproven(proof: Proof | None) -> TypeGuard[RoomkeyError]:
    return isinstance(proof, RoomkeyError) and proof.code == "log-unproven"


def _claimed_name(identity: str, set_id: bytes) -> str:
    return f"{_CLAIMED}{identity}/{set_id.hex()}"
