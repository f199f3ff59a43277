"""The log of one service: takes manifests, makes epochs of them, and has its auditors cosign every head.

    submitted --epoch--> in the map of our newest head --quorum--> in the cosigned map, which answers show

1. A manifest is durable, and follows on the one before, before anything is said of it.
2. An epoch, and its place in the tree, are one transaction; the map's new root is computed inside it, so that several
   processes on one database make one log.
3. A checkpoint is signed only after what it signs for is durable. The same size therefore always has the same root, as
   long as the disk is not an older one:
4. Before the first epoch after each start a quorum of auditors must have cosigned the head that we have. One that knows
   a larger one shows that the disk went back, or that the log runs twice: from then on nothing is signed (attack T16).
5. Answers are given under the cosigned head alone, which is cosigned anew every hour.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import httpx
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle, vrf
from roomkey.transparency.answer import Answer, Presence
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest, MapUpdates
from roomkey.transparency.live_map import LiveMap
from roomkey.transparency.manifest import OPENING_SIZE, Reset, SignedManifest, check_chain, commitment
from roomkey.transparency.notes import Note, sign_note

from roomkey_delivery.audit.witnesses import Cosigned, Refused, collect
from roomkey_delivery.log.config import LogConfig
from roomkey_delivery.log.store import Head, LoggedManifest, LogStore

P = ParamSpec("P")
R = TypeVar("R")

BATCH: Final = 0.2  # seconds that an epoch waits for further manifests
RECOSIGN: Final = 3600.0  # seconds after which a head is cosigned anew: clients take a day
RETRY: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # seconds before each new try to have a head cosigned
REMEMBERED: Final = 10_000  # VRF proofs in memory, 2 MB: one takes some milliseconds

log = logging.getLogger("roomkey_delivery")


class Log:
    """See the module. `clock` gives Unix seconds. All of the store is used in one thread."""

    def __init__(
        self,
        config: LogConfig,
        store: LogStore,
        crypto: CryptoProvider,
        http: httpx.AsyncClient,
        clock: Callable[[], float],
    ) -> None:
        self.config = config
        self._store = store
        self._crypto = crypto
        self._http = http
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "roomkey-log")
        self._tip: _Map = _Map(store)
        self._shown: _Map = _Map(store)
        self._proofs: OrderedDict[bytes, bytes] = OrderedDict()
        self._wake = asyncio.Event()
        self._sizes: dict[str, int] = {}  # what each witness cosigned last, as far as we saw
        self._reported: dict[str, str] = {}
        self._confirmed = False
        self._stopped = ""

    # -- manifests --

    async def submit(self, signed: SignedManifest, now: float, *, reset: bool = False) -> int:
        """Stores a manifest, durably, as the next version of its identity, whose number it gives. The same bytes again
        are fine. Without `reset` it must be version 1 of a new identity, or signed by who the version before lets.

        Errors: "identity-taken" (version 1 of an identity that is logged), "manifest-conflict" (not the next version),
        "manifest-refused" (not signed by who may), "service-unavailable".
        """
        if self._stopped:
            raise RoomkeyError("service-unavailable", self._stopped)
        manifest, body = signed.manifest, signed.encode()
        for _ in range(3):  # another may come between reading and writing
            newest = await self._run(self._store.newest, manifest.identity)
            if newest is not None and newest.body == body:
                return manifest.version
            await self._check(signed, newest, reset=reset)
            opening = os.urandom(OPENING_SIZE)
            place = vrf.index_of(vrf.proof_to_hash(await self._run(self._vrf_proof, manifest.identity)))
            added = LoggedManifest(
                manifest.identity, manifest.version, place, opening, commitment(opening, manifest), body
            )
            if await self._run(self._add, added, 0 if newest is None else newest.version):
                self._wake.set()
                return manifest.version
        raise RoomkeyError("manifest-conflict", "expected the next version, and nobody else's at the same time")

    async def newest(self, identity: str) -> SignedManifest | None:
        """The newest manifest that was submitted, perhaps not cosigned yet."""
        return _opened(await self._run(self._store.newest, identity.encode("ascii")))

    async def cosigned(self, identity: str) -> SignedManifest | None:
        """The newest manifest under a checkpoint that a quorum of auditors cosigned."""
        return _opened(await self._run(self._cosigned, identity.encode("ascii")))

    # -- answers --

    async def answers(self, request: AnswersRequest, own: str | None = None) -> Answers:
        """What the cosigned head says of the identities asked for; None of those that are not logged, but for `own`,
        whose absence is proved. None for all while there is no cosigned head.
        """
        return await self._run(self._answers, request, None if own is None else own.encode("ascii"))

    def _answers(self, request: AnswersRequest, own: bytes | None) -> Answers:
        head = self._store.head()
        if head is None:
            return Answers((), tuple(None for _ in request.requests))
        shown = self._shown.at(head.size)
        subtree = self._store.subtree
        inclusion = tuple(merkle.inclusion_proof(subtree, head.size - 1, head.size))
        epoch = self._store.epoch(head.size - 1)

        def answer(asked: AnswerRequest) -> Answer | None:
            logged = self._store.newest(asked.identity, head.size)
            if logged is None and asked.identity != own:
                return None
            proof = self._vrf_proof(asked.identity)
            place = vrf.index_of(vrf.proof_to_hash(proof))
            presence = None if logged is None else self._presence(asked, logged, head.size)
            return Answer(head.note, epoch, inclusion, proof, shown.proof(place), presence)

        known = min(request.known_size, head.size)
        consistency = tuple(merkle.consistency_proof(subtree, known, head.size))
        return Answers(consistency, tuple(answer(asked) for asked in request.requests))

    def _presence(self, asked: AnswerRequest, logged: LoggedManifest, size: int) -> Presence:
        pinned = asked.pinned if asked.pinned else logged.version - 1
        chain = self._store.since(asked.identity, pinned, size)
        return Presence(logged.opening, tuple(SignedManifest.decode(body) for body in chain))

    # -- what everybody may read --

    async def checkpoint(self) -> bytes | None:
        """The cosigned checkpoint; None while there is none."""
        head = await self._run(self._store.head)
        return None if head is None else head.note

    async def read(self, work: Callable[[LogStore], R]) -> R:
        """What `work` reads of the store, in its thread."""
        return await self._run(work, self._store)

    # -- at work --

    async def run(self) -> None:
        """Makes epochs and has heads cosigned, for ever."""
        failures = 0
        while True:
            try:
                done = await self._step()
            except RoomkeyError as error:
                log.warning("the log waits: %s", error.text)
                done = False
            failures = 0 if done else failures + 1
            if self._stopped:
                return
            wait = RECOSIGN if done else RETRY[min(failures, len(RETRY)) - 1]
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
                if done:
                    await asyncio.sleep(BATCH)
            except TimeoutError:
                pass

    async def close(self) -> None:
        """Closes the store."""
        await self._run(self._store.close)
        self._thread.shutdown()

    async def _step(self) -> bool:
        """Confirms the head that we have, makes the epochs that wait, and has the newest head cosigned; whether
        nothing is left to do.
        """
        self._wake.clear()
        if not self._confirmed and not await self._publish():  # 4.
            return False
        self._confirmed = True
        made = False
        while await self._run(self._make):
            made = True
        fresh = await self._run(self._store.head)
        due = fresh is not None and fresh.time + RECOSIGN <= self._clock()
        behind = (0 if fresh is None else fresh.size) < await self._run(self._store.size)
        return await self._publish() if made or due or behind else True

    async def _publish(self) -> bool:
        """Has our newest head cosigned; whether a quorum did."""
        size = await self._run(self._store.size)
        root = await self._run(self._store.subtree, 0, size)
        keys = self.config.keys
        note = await sign_note(self._crypto, Checkpoint(keys.log_key.name, size, root).text(), keys.log_key, keys.log)
        proofs = await self._run(self._consistency, size)
        answered = await collect(
            self._http, self._crypto, note, self.config.witnesses,
            lambda name: min(self._sizes.get(name, 0), size), lambda old, new: proofs(old),
            now=self._clock, enough=self.config.is_quorum,
        )  # fmt: skip
        if answered.ahead is not None:
            self._stopped = f"expected a head of {answered.ahead} epochs, as an auditor has seen, got {size}"
            log.error(
                "the log is stopped and signs nothing any more: %s. Its database is older than what it has signed, or"
                " another service runs with its keys. Restore the newest database and start again.", self._stopped,
            )  # fmt: skip
            return False
        cosigners = {name for name, outcome in answered.outcomes.items() if isinstance(outcome, Cosigned)}
        self._sizes |= dict.fromkeys(cosigners, size)
        self._report({name: item.reason for name, item in answered.outcomes.items() if isinstance(item, Refused)})
        if not self.config.is_quorum(frozenset(cosigners)):
            return False
        if size:
            signed = Note(note.text, (*note.signatures, *answered.signatures)).encode()
            await self._run(self._store.put_head, Head(size, signed, int(self._clock())))
        return True

    def _consistency(self, size: int) -> Callable[[int], list[bytes]]:
        """The proofs from every size that a witness may have: made when asked for, from hashes read beforehand."""
        return lambda old: merkle.consistency_proof(self._store.subtree, old, size)

    def _report(self, refused: dict[str, str]) -> None:
        for name, reason in refused.items():
            if self._reported.get(name) != reason:
                log.warning("the witness %s does not cosign: %s", name, reason)
        self._reported = refused

    def _make(self) -> bool:
        def make(number: int, last: EpochLeaf | None, changes: MapUpdates) -> EpochLeaf:  # 2.
            live = self._tip.at(number)
            before = live.root()
            live.update(changes.updates)
            self._tip.size = number + 1
            time = max(int(self._clock()), 0 if last is None else last.time)
            return EpochLeaf(number, time, live.root(), before, changes.hash())

        try:
            return self._store.make_epoch(make)
        except BaseException:
            self._tip = _Map(self._store)  # it may hold what was not stored
            raise

    def _add(self, added: LoggedManifest, after: int) -> bool:
        done = False

        def check(newest: LoggedManifest | None) -> LoggedManifest | None:
            nonlocal done
            done = (0 if newest is None else newest.version) == after
            return added if done else None

        self._store.submit(check, added.identity)
        return done

    async def _check(self, signed: SignedManifest, newest: LoggedManifest | None, *, reset: bool) -> None:
        manifest = signed.manifest
        before = None if newest is None else SignedManifest.decode(newest.body).manifest
        if before is not None and manifest.version == 1:
            raise RoomkeyError("identity-taken", "expected a name that is not logged yet")
        expected = 1 if before is None else before.version + 1
        if manifest.version != expected or (before is not None and manifest.previous != before.hash()):
            raise RoomkeyError(
                "manifest-conflict", f"expected version {expected}, which names the one before by its hash"
            )
        try:
            chain = await check_chain(self._crypto, manifest.identity, before, [signed])
        except RoomkeyError as error:
            raise RoomkeyError("manifest-refused", error.text) from error
        if isinstance(chain, Reset) and not reset:
            raise RoomkeyError("manifest-refused", "expected a signer that the version before lets sign")

    def _cosigned(self, identity: bytes) -> LoggedManifest | None:
        head = self._store.head()
        return None if head is None else self._store.newest(identity, head.size)

    def _vrf_proof(self, identity: bytes) -> bytes:
        proof = self._proofs.pop(identity, None)
        if proof is None:
            proof = vrf.prove(self._crypto, self.config.keys.vrf_secret, identity)
        self._proofs[identity] = proof
        if len(self._proofs) > REMEMBERED:
            self._proofs.popitem(last=False)
        return proof

    async def _run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, functools.partial(work, *args, **kwargs))


class _Map:
    """A map in memory that follows the store: `at(size)` is the map after so many epochs, which never goes back."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._live: LiveMap | None = None
        self.size = 0

    def at(self, size: int) -> LiveMap:
        if self._live is None or size < self.size:
            self._live = LiveMap(self._store.leaves(size))
        else:
            for number in range(self.size, size):
                updates = self._store.updates(number)
                assert updates is not None  # an epoch that there is has them
                self._live.update(MapUpdates.decode(updates).updates)
        self.size = size
        return self._live


def _opened(logged: LoggedManifest | None) -> SignedManifest | None:
    return None if logged is None else SignedManifest.decode(logged.body)
