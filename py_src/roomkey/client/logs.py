"""What logs of keys say about others (wire.md section 6): asked, proved, and remembered.

A domain with a trust is judged by its log and by nothing else; one that ever had a trust here and has none now is
unproven, and never goes back to first use.

    asked --proved--> manifest of now, kept as the pin that the next answer must follow from
    asked --does not follow from the pin--> reset, kept until people agree to exactly that manifest
    asked for the first time, of somebody known, whose keys vouch for no other that it lists --> likewise
    asked for the first time, of whom another log proved fewer keys than it lists --> likewise
    asked --more versions since the pin than are followed (`following`)--> likewise
    asked --no proof--> unproven: a proof of the last day serves for members meanwhile, for nobody else
    asked --two truths--> fork: nothing of the log is believed any more (`log_view`)

What is proved is durable before anything follows from it. It is written by itself, one log at a time, so that no later
transaction can put an older head or manifest in the place of a newer one. Of two questions at once the second was put
with a pin that is over by then: it is put again, for a log may show each of them what follows from that pin alone.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from roomkey.client import following
from roomkey.client.learning import Before, awaits_consent, is_same, learn
from roomkey.client.learning import Proof as Proof
from roomkey.client.log_records import (
    FORKS,
    MANIFESTS,
    PIN,
    RESETS,
    TRUSTED,
    AwaitedReset,
    LogFork,
    ProvedManifest,
    TrustedDomain,
    log_id,
)
from roomkey.client.log_view import Finding, LogView, Question
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.federation.fanout import Routes
from roomkey.federation.identity import domain_of
from roomkey.federation.trust import ContactPin
from roomkey.host.interface import Store
from roomkey.transparency.evidence import ForkEvidence
from roomkey.transparency.exchange import MAX_REQUESTS
from roomkey.transparency.manifest import Manifest
from roomkey.transparency.notes import Note, VerifierKey
from roomkey.transparency.verifier import CLOCK_ALLOWANCE, Outcome, Trust

# Seconds for which a proof is not asked for again where members are judged: who comes into a conference, and whoever
# was in it, are judged in one go.
RECENT: Final = 3600.0
# Seconds for which a proof serves for members while the log does not answer: no older than a cosignature may be.
STANDS_IN: Final = 86400.0
# Questions about one person in a row that others overtook: each is an answer that was proved, or people's consent.
_TRIES: Final = 3


class Evidence(NamedTuple):
    """Of a fork: the log's name, and the file's text (`transparency.evidence`)."""

    origin: str
    text: str


class Logs:
    """See the module.

    Args:
        trusts: domain -> whom we believe about its log.
        told: hears of forks and doubts. grew: hears that a log has a larger head.
        moved: hears of people whose proved manifest is another one now.
    """

    def __init__(
        self,
        store: Store,
        routes: Callable[[], Routes],
        now: Callable[[], float],
        trusts: Mapping[str, Trust],
        told: Callable[[RoomkeyError], None],
        grew: Callable[[LogView], None],
        moved: Callable[[Collection[str]], None] = lambda people: None,
    ) -> None:
        self._store = store
        self._routes = routes
        self._now = now
        self._trusts = dict(trusts)
        self._told = told
        self._grew = grew
        self._moved = moved
        self._views: dict[str, LogView] = {}  # by verifier key
        self._pins: dict[str, ProvedManifest] = {}  # as they are stored
        self._once: set[str] = set()  # domains that have or had a trust

    async def open(self) -> None:
        """Loads what is stored, and writes down which domains have a log."""
        self._once = {name.removeprefix(TRUSTED) for name, _ in await self._store.list(TRUSTED)}
        await self._mark(self._trusts)

    async def set_trust(self, domain: str, trust: Trust) -> None:
        """From now on this domain's people are believed by this log alone."""
        await self._mark([domain])
        self._trusts[domain] = trust

    async def _mark(self, domains: Iterable[str]) -> None:
        changes, now = Changes(), max(0, int(self._now()))
        fresh = [domain for domain in domains if domain not in self._once]
        for domain in fresh:
            changes.put(TRUSTED + domain, TrustedDomain(now))
        await changes.write(self._store)
        self._once.update(fresh)

    def trust_for(self, identity: str) -> Trust | None:
        """Whom we believe about an identity's log."""
        return self._trusts.get(domain_of(identity))

    def judges(self, identity: str) -> bool:
        """Whether an identity is believed by a log and by nothing else."""
        domain = domain_of(identity)
        return domain in self._trusts or domain in self._once

    async def views(self, identities: Iterable[str]) -> list[LogView]:
        """The logs of these people, each once."""
        trusts = {trust.log: trust for name in identities if (trust := self.trust_for(name)) is not None}
        views = [self._view(trusts[log]) for log in sorted(trusts)]
        for view in views:
            await view.open()
        return views

    # -- asking --

    async def prove(
        self, identities: Iterable[str], *, within: float = 0.0, stands_in: float = 0.0
    ) -> dict[str, Proof]:
        """What the logs say of these people, each by themselves.

        Args:
            within: a proof of the last so many seconds is not asked for again.
            stands_in: one of the last so many seconds serves where the log gives no new one.
        Errors of each: "log-unproven", "log-fork", "identity-reset" (details version: as in AwaitedReset; manifest: the
        hash, hex), "not-in-manifest" for who is proved not to be logged, what is rejected ("log-proof-invalid" and
        more). Errors: "storage-failed".
        """
        proofs: dict[str, Proof] = {}
        asked: dict[str, list[str]] = {}
        for identity in dict.fromkeys(identities):
            known = await self.recent(identity, within) if within else None
            if isinstance(known, ProvedManifest):
                proofs[identity] = known
            else:
                asked.setdefault(domain_of(identity), []).append(identity)
        for part in await asyncio.gather(*(self._prove_at(domain, people) for domain, people in asked.items())):
            proofs |= part
        for identity, proof in proofs.items():
            # A log in doubt has not merely failed to answer: what it proved before may be what is in doubt.
            if isinstance(proof, RoomkeyError) and proof.code == "log-unproven":
                proofs[identity] = await self.recent(identity, stands_in) or proof
        return proofs

    async def recent(self, identity: str, seconds: float) -> Proof | None:
        """What a log proved of an identity in the last so many seconds, if nothing speaks against the log by now."""
        return await self._known(identity, seconds) if await self._is_whole(identity) else None

    async def ask(self, identity: str, pin: Manifest | None) -> Outcome:
        """What the log says of an identity, held against `pin`; nothing but the head is kept.

        Errors: "log-fork", "log-unproven", what is rejected, the service's.
        """
        trust = self.trust_for(identity)
        if trust is None:
            raise RoomkeyError("log-unproven", "expected a log to believe for the domain, got none")
        service = self._routes().service_for(identity)
        view, questions = self._view(trust), [Question(identity, pin)]
        finding = (await following.ask(view, service, questions, self._now))[identity]
        if isinstance(finding, RoomkeyError):
            raise finding
        return finding

    async def _prove_at(self, domain: str, people: Sequence[str]) -> dict[str, Proof]:
        proofs: dict[str, Proof] = {}
        for start in range(0, len(people), MAX_REQUESTS):
            batch = people[start : start + MAX_REQUESTS]
            try:
                proofs |= await self._prove_batch(domain, batch)
            except RoomkeyError as error:
                if error.code == "storage-failed":
                    raise
                proofs |= dict.fromkeys(batch, following.said(error))
        return proofs

    async def _prove_batch(self, domain: str, people: Sequence[str]) -> dict[str, Proof]:
        proofs: dict[str, Proof] = {}
        left = people
        for _ in range(_TRIES):
            proofs |= await self._prove_once(domain, left)
            left = [who for who in left if who not in proofs]
            if not left:
                return proofs
        late = RoomkeyError("log-unproven", "expected an answer that follows from what is known, got overtaken ones")
        return proofs | dict.fromkeys(left, late)

    async def _prove_once(self, domain: str, people: Sequence[str]) -> dict[str, Proof]:
        """The same, without those of whom another answer, or people, said something else meanwhile."""
        trust = self._trusts.get(domain)
        if trust is None:
            raise RoomkeyError("log-unproven", "expected a log to believe for the domain, got none any more")
        service, log, questions = self._routes().service_of(domain), log_id(trust), []
        before: dict[str, Before] = {}  # whom we have known since before this log
        pins: dict[str, ProvedManifest | None] = {}
        for identity in people:
            pin = pins[identity] = await self._pin(identity)
            if pin is not None and pin.log == log:
                questions.append(Question(identity, pin.manifest, pin.place))
                continue
            questions.append(Question(identity))
            if pin is not None:
                before[identity] = pin.manifest
            elif (known := await self._store.get(PIN + identity)) is not None:
                before[identity] = ContactPin.decode(known)
        proofs: dict[str, Proof] = {}

        moved: list[str] = []

        def keep(identity: str, proof: ProvedManifest) -> None:
            held, self._pins[identity] = self._pins.get(identity), proof
            if held is None or held.manifest != proof.manifest:
                moved.append(identity)

        def take(identity: str, finding: Finding, changes: Changes) -> None:
            if not is_same(pins[identity], self._pins.get(identity)):
                return
            proof = proofs[identity] = learn(identity, finding, log, before.get(identity), self._now(), changes)
            if isinstance(proof, ProvedManifest):
                changes.then(partial(keep, identity, proof))

        await following.ask(self._view(trust), service, questions, self._now, take)
        if moved:
            self._moved(moved)
        return proofs

    # -- what is kept --

    async def _pin(self, identity: str) -> ProvedManifest | None:
        if identity not in self._pins:
            data = await self._store.get(MANIFESTS + identity)
            if data is None:
                return None
            self._pins.setdefault(identity, ProvedManifest.decode(data))
        return self._pins[identity]

    async def _known(self, identity: str, seconds: float) -> Proof | None:
        """A proof of the last so many seconds; a reset that waits for consent instead, whenever it was seen."""
        trust, pin, now = self.trust_for(identity), await self._pin(identity), self._now()
        waiting = await self._store.get(RESETS + identity)
        if waiting is not None:
            return awaits_consent(AwaitedReset.decode(waiting))
        if pin is None or trust is None or pin.log != log_id(trust):
            return None
        view = self._view(trust)
        await view.open()
        if view.fork is not None:  # nothing that it ever proved is believed any more
            return None
        return pin if now - seconds < pin.proved <= now + CLOCK_ALLOWANCE else None

    async def _is_whole(self, identity: str) -> bool:
        """Whether nothing speaks against an identity's log that was not settled."""
        views = await self.views([identity])
        return not any(view.fork or view.doubts or view.pending for view in views)

    async def proved(self, identity: str) -> Manifest | None:
        """The newest manifest that an identity's log proved, or that we agreed to; None if nothing of it counts now."""
        pin, trust = await self._pin(identity), self.trust_for(identity)
        if pin is None or trust is None or pin.log != log_id(trust) or not await self._is_whole(identity):
            return None
        return pin.manifest

    async def knows(self, identity: str) -> bool:
        """Whether a manifest of this identity was proved here."""
        return await self._pin(identity) is not None

    async def forget(self, identity: str, changes: Changes) -> None:
        """Forgets what was proved of an identity: the next manifest is the first."""
        changes.delete([MANIFESTS + identity, RESETS + identity])
        changes.then(lambda: self._pins.pop(identity, None))

    async def accept_reset(self, identity: str, manifest_hash: bytes) -> None:
        """Agrees that an identity (canonical) begins anew, with exactly the manifest of this hash (32 bytes).

        Errors: "bad-argument" if no reset waits; "identity-reset" if another does by now (its details say which).
        """
        data = await self._store.get(RESETS + identity)
        if data is None:
            raise RoomkeyError("bad-argument", "expected an identity whose reset waits for consent", field="identity")
        reset = AwaitedReset.decode(data)
        if not hmac.compare_digest(reset.manifest.hash(), manifest_hash):
            raise awaits_consent(reset)
        agreed = ProvedManifest(reset.log, reset.place, 0, reset.manifest)
        changes = Changes()
        changes.put(MANIFESTS + identity, agreed)
        changes.delete([RESETS + identity])
        changes.then(lambda: self._pins.update({identity: agreed}))
        await changes.write(self._store)
        self._moved([identity])

    async def resets(self) -> dict[str, AwaitedReset]:
        """Who began anew and waits for consent."""
        return {name.removeprefix(RESETS): AwaitedReset.decode(data) for name, data in await self._store.list(RESETS)}

    async def evidence(self) -> list[Evidence]:
        """The forks that were seen, as files for people to hand on."""
        found = []
        for name, data in await self._store.list(FORKS):
            log, fork = VerifierKey.decode(name.removeprefix(FORKS)), LogFork.decode(data)
            text = ForkEvidence(log, Note.decode(fork.ours), Note.decode(fork.theirs)).encode()
            found.append(Evidence(log.name, text))
        return found

    def _view(self, trust: Trust) -> LogView:
        name = trust.log.encode()
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = LogView(self._store, trust, self._now, self._told, self._grew)
        view.trust = trust
        return view
