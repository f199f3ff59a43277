"""Our own entry in the log of our service: whether everybody is shown what is ours (wire.md section 6).

What the log says of us is looked at again and again (`own_watch`). The answer must be

1. the manifest that we know to be ours, or
2. one that follows from it, each version signed by a device of the version before or by our recovery key: then another
   of our devices changed something, and it is ours from now on.

Anything else is the alarm "identity-hijacked": nothing is published any more until an answer is ours again. What
proves nothing (a service that does not answer, a log that is not cosigned) is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from roomkey.client import manifests
from roomkey.client.account import AccountRecord
from roomkey.client.manifests import NOTHING, OWN, RECOVERY, OwnManifests, RecoverySeed
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.host.interface import Store
from roomkey.transparency.devices import RECOVERY_SEED_SIZE
from roomkey.transparency.manifest import Manifest, Reset, SignedManifest
from roomkey.transparency.verifier import Outcome, Proved, ProvedAbsent, Unproven, require_proved

# Seconds between looks while there is no answer that is ours; doubled each time.
FIRST_LOOK: Final = 0.25
# Seconds that a person waits for auditors before being told that it takes longer.
PATIENCE: Final = 10.0
# What a service answers to a manifest of ours where another of that version was first.
OVERTAKEN: Final = frozenset({"manifest-conflict", "manifest-refused", "identity-taken"})
# How an answer fails that is about our index and says something else there.
_UNFOLLOWED: Final = frozenset({"log-proof-invalid", "invalid-signature", "identity-mismatch"})

# Asks our log about an identity (canonical); the answer is to follow from the manifest given. Errors: what
# `verify_answer` rejects, the service's.
Ask = Callable[[str, Manifest | None], Awaitable[Outcome]]


class OwnEntry:
    """See the module.

    Args:
        ask: how to ask; None while no trust in a log of our domain is configured.
        now, sleep: the host's. proved: hears every answer that is ours. changed: hears that we said something new.
    """

    def __init__(
        self,
        store: Store,
        account: AccountRecord,
        home: Callable[[], DeliveryService],
        ask: Callable[[], Ask | None],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        proved: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.store = store
        self.account = account
        self.keys = account.client_keys()
        self.looking = asyncio.Lock()  # who reads, asks and writes what is stored holds this
        self.stored: OwnManifests | None = None
        self._home = home
        self._ask = ask
        self._now = now
        self._sleep = sleep
        self._proved = proved
        self._changed = changed
        self._sent = False  # whether what is pending was handed in since the start
        self._doubt: RoomkeyError | None = None

    async def open(self) -> None:
        """Loads what is stored."""
        self.stored = await manifests.load(self.store)

    # -- what is known --

    @property
    def own(self) -> OwnManifests:
        return NOTHING if self.stored is None else self.stored

    @property
    def manifest(self) -> Manifest | None:
        """What the log was proved to say of us; None while it was not."""
        return self.own.proved

    @property
    def trusted(self) -> bool:
        """Whether there is a log to ask."""
        return self._ask() is not None

    def expect_ours(self) -> None:
        """That nothing speaks against our entry. Errors: "identity-hijacked", "not-in-manifest" if another device of
        ours removed this one, whatever spoke against the last answer.
        """
        if self._doubt is not None:
            raise self._doubt
        if self.own.alarm:
            raise _hijacked("expected our own manifest in the log, got another")
        if self.manifest is not None and not self.manifest.has_client(manifests.own_key(self.keys)):
            raise _removed()

    async def ready(self) -> None:
        """That the log is proved to list us, so that others can prove what we publish.

        Errors: "log-unproven" and the service's, which pass; those of `expect_ours`.
        """
        if self.trusted and (self.manifest is None or self._doubt is not None or self.own.alarm):
            await self.look()
        self.expect_ours()

    async def settled(self, beyond: Manifest | None = None) -> Manifest:
        """The manifest to go on from: where there is a log to ask, one that is proved, with nothing pending, and not
        `beyond`, which another device's is known to follow. Waits up to PATIENCE seconds for auditors.

        Errors: "log-unproven" after that; those of `expect_ours`, the service's.
        """
        end, wait = self._now() + PATIENCE, FIRST_LOOK
        while self.trusted and (self.manifest in (None, beyond) or self.own.pending):
            try:
                await self.look()
                late = _unproven("expected another device's change in the log, got none yet")
            except RoomkeyError as error:
                if error.code != "log-unproven":
                    raise
                late = error
            if self.manifest not in (None, beyond) and not self.own.pending:
                break
            if self._now() + wait > end:
                raise late
            await self._sleep(wait)
            wait = min(2 * wait, PATIENCE / 4)
        self.expect_ours()
        if self.own.newest is None:
            raise _unproven("expected our manifest in the log, got none yet")
        return self.own.newest

    # -- what the log says --

    async def look(self) -> None:
        """Hands in what is not there yet, and holds what the log says of us against what we know.

        Errors: "log-unproven" while it does not say what we said last; "log-fork", what `verify_answer` rejects; the
        service's; those of `expect_ours`.
        """
        async with self.looking:
            failed = await self._hand_in()
            ask = self._ask()
            try:
                if ask is not None:
                    await self._compare(ask)
            except RoomkeyError as error:
                if not error.retryable:
                    self._doubt = error
                    raise
                raise failed or error from None
            self._doubt = None
            if failed is not None:
                raise failed
        self.expect_ours()
        self._proved()

    async def _compare(self, ask: Ask) -> None:
        own, identity = self.own, self.keys.identity
        try:
            outcome = await ask(identity, own.proved)
            if self.stored is None and isinstance(outcome, ProvedAbsent | Unproven):
                await self._begin()
            outcome = require_proved(outcome)
        except RoomkeyError as error:
            if own.proved is not None and error.code in _UNFOLLOWED:
                await self._unfollowed(ask)
            raise
        if isinstance(outcome, ProvedAbsent):
            raise _unproven("expected our manifest in the log, got none yet")
        logged = outcome.chain.manifest
        if isinstance(outcome.chain, Reset):
            got = f"version {outcome.chain.version} by others" if outcome.chain.version else "too many to follow"
            await self._alarm(f"expected versions by devices of ours, got {got}")
        if own.proved is not None:
            await self._adopt(logged)
        elif own.pending:
            await self._compare_first(ask, own.pending[-1].manifest, logged)
        elif logged.has_client(manifests.own_key(self.keys)):
            await self._adopt(logged)  # an older device listed us: what it knew before, it watches
        elif self.stored is not None:
            if logged.version >= own.since:
                raise _removed()
            raise _unproven("expected a manifest that lists this device, got an older one")
        else:
            await self._alarm("expected a first manifest of ours, got another's")
        if self.own.pending:
            raise _unproven(
                f"expected our version {self.own.pending[-1].manifest.version} in the log, got an older one"
            )

    async def _compare_first(self, ask: Ask, ours: Manifest, logged: Manifest) -> None:
        """What we said while enrolling is the pin, though nothing of it was proved before."""
        if logged.version < ours.version:
            raise _unproven(f"expected our version {ours.version} in the log, got {logged.version}")
        if logged.version > ours.version:
            try:
                outcome = require_proved(await ask(self.keys.identity, ours))
            except RoomkeyError as error:
                if error.code not in _UNFOLLOWED:
                    raise
            else:
                follows = isinstance(outcome, Proved) and not isinstance(outcome.chain, Reset)
                logged = outcome.chain.manifest if isinstance(outcome, Proved) and follows else logged
                ours = logged if follows else ours
        if logged != ours:
            await self._alarm(f"expected our version {ours.version} in the log, got another's")
        await self._adopt(logged)

    async def _unfollowed(self, ask: Ask) -> None:
        """The answer does not follow from what was proved. Either it proves nothing, or it proves something else of
        us: whoever logged that would rather not show how it came about.
        """
        try:
            outcome = require_proved(await ask(self.keys.identity, None))
        except RoomkeyError:
            return  # the first failure says it
        if isinstance(outcome, ProvedAbsent) or outcome.chain.manifest != self.manifest:
            await self._alarm("expected a manifest that follows from ours, got another")

    async def _adopt(self, manifest: Manifest) -> None:
        """This is ours, and proved. What is pending and does not follow from it is over."""
        pending = tuple(item for item in self.own.pending if item.manifest.previous == manifest.hash())
        adopted = self.own.replace(proved=manifest, pending=pending, alarm=0)
        if adopted != self.stored:
            await self.write(adopted)

    async def _alarm(self, text: str) -> None:
        if not self.own.alarm:
            await self.write(self.own.replace(alarm=1))
        raise _hijacked(text)

    # -- what we say --

    async def submit(self, signed: SignedManifest) -> None:
        """Writes a new version down and hands it in; hold `looking`. That it is proved, the watch sees to.

        Errors: those of `OVERTAKEN`, and then nothing has changed; the service's otherwise, and then the watch goes on
        trying (details `pending`).
        """
        before = self.own
        await self.write(before.replace(pending=(*before.pending[-1:], signed)))
        self._sent = False
        try:
            await self._home().submit_manifest(signed.encode())
        except RoomkeyError as error:
            if error.code in OVERTAKEN:
                await self.write(before)
            else:
                error.details["pending"] = True
            raise
        finally:
            self._changed()
        self._sent = True

    async def _hand_in(self) -> RoomkeyError | None:
        """Sends what is pending, once after each start; why it could not. If another version was first, ours is over,
        and the log tells what is there instead.
        """
        own = self.own
        if self._sent or not own.pending:
            return None
        try:
            await self._home().submit_manifest(own.pending[-1].encode())
        except RoomkeyError as error:
            if error.code not in OVERTAKEN:
                return error
            if own.proved is not None or len(own.pending) > 1:
                await self.write(own.replace(pending=own.pending[:-1]))
        self._sent = True
        return None

    async def _begin(self) -> None:
        """Version 1 of an identity that was enrolled before its service kept a log. If the log has one already and did
        not show it, then it says so now, or shows it at the next look.
        """
        crypto = self.store.crypto
        seed = crypto.random(RECOVERY_SEED_SIZE)
        signed = await manifests.signed_by_us(crypto, self.keys, manifests.first(crypto, self.account, seed))
        await self.write(NOTHING.replace(pending=(signed,)), RecoverySeed(seed))
        self._sent = False
        await self._hand_in()

    async def write(self, own: OwnManifests, seed: RecoverySeed | None = None) -> None:
        """Makes it durable, then known."""
        changes = Changes()
        changes.put(OWN, own)
        if seed is not None:
            changes.put(RECOVERY, seed)
        await changes.write(self.store)
        self.stored = own


def _unproven(text: str) -> RoomkeyError:
    return RoomkeyError("log-unproven", text)


def _removed() -> RoomkeyError:
    return RoomkeyError("not-in-manifest", "expected this device in our manifest; another of ours removed it")


def _hijacked(text: str) -> RoomkeyError:
    return RoomkeyError("identity-hijacked", text)
