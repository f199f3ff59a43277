"""The log of keys of one delivery service (wire.md section 6).

    submitted manifest --> epoch --> signed head --> cosigned by auditors --> published: answers are under it

1. A manifest that was submitted is durable, and waits for an epoch.
2. An epoch is made of all that wait, in one transaction (`epochs`), once the head before it is published.
3. The new head is decided by that; only then it is signed, and handed to the witnesses.
4. With the cosignatures of a quorum of auditors it is published. Witnesses that are no auditors are not waited for.
5. A published head is cosigned anew before RECOSIGN is over: clients take no cosignature older than a day.

A process that starts makes no epoch before a quorum has cosigned the head that it found (attack T16). If a witness
shows a larger one that our key signed, this disk is an old copy, or the log runs twice: it signs nothing more, and says
so.
Whatever ends a process between two of these steps, the next process, or another one on the same file, goes on there.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import httpx
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import merkle
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.exchange import Answers, AnswersRequest
from roomkey.transparency.manifest import SignedManifest
from roomkey.transparency.notes import Note, NoteSignature, sign_note

from roomkey_delivery.audit.witnesses import Collected, Refused, collect
from roomkey_delivery.log import answers, epochs, submitting, tiles
from roomkey_delivery.log.config import LogConfig
from roomkey_delivery.log.map import LogMap
from roomkey_delivery.log.store import Head, LogStore

P = ParamSpec("P")
R = TypeVar("R")

BATCH: Final = 0.1  # seconds that an epoch waits for further manifests
TICK: Final = 2.0  # seconds between looks for what another process left behind
RECOSIGN: Final = 2700.0  # seconds; with tries that fail, every hour
FRESH: Final = 600.0  # seconds that cosignatures of several tries, or of several processes, count together
FIRST_RETRY: Final = 0.25  # seconds, doubled up to
LAST_RETRY: Final = 10.0

log = logging.getLogger("roomkey_delivery")


class Log:
    """The log that `config` names, in the database `path`. `http`: for witnesses; `clock`: Unix seconds."""

    def __init__(self, config: LogConfig, path: Path, http: httpx.AsyncClient, clock: Callable[[], float]) -> None:
        self.config = config
        public = config.keys.public()
        # For people to compare; clients take these from their configuration, never from a service.
        self.description = {"key": public["log"], "vrfKey": public["vrfKey"], "auditor": public["auditor"]}
        self.refusal: str | None = None  # why nothing is signed
        self._http = http
        self._clock = clock
        self._crypto = NativeCrypto()
        self._thread = ThreadPoolExecutor(1, "roomkey-log")
        self._store = LogStore(path)
        self._proofs = LogStore(path)  # for what the event loop reads itself: a few tiles
        self._map = LogMap()
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._heard: frozenset[str] = frozenset()  # who cosigned since this process started: knows no larger head
        self._said: dict[str, str] = {}  # the last word about each witness, told once
        self._store.begin(config.keys)

    # -- what the service asks --

    async def submit(self, signed: SignedManifest, now: float, *, reset: bool = False) -> int:
        """Stores it as the next version of its identity, and returns that. It is in an epoch soon after.

        Errors: "manifest-conflict", "manifest-refused", "identity-taken", "too-many-requests" (see `submitting`);
        "service-unavailable" while the log must not sign.
        """
        if self.refusal is not None:
            raise RoomkeyError("service-unavailable", "the log of keys is stopped", retry_after=60)
        identity = await submitting.check_signed(self._crypto, signed, self.config.keys.domain)
        if await self._run(self._submit, identity, signed, now, reset):
            self._wake.set()
        return int(signed.manifest.version)

    async def newest(self, identity: str) -> SignedManifest | None:
        """The newest manifest that was submitted, perhaps not published yet."""
        return await self._run(self._newest, identity, False)

    async def cosigned(self, identity: str) -> SignedManifest | None:
        """The newest manifest under a checkpoint that a quorum of auditors cosigned."""
        return await self._run(self._newest, identity, True)

    async def answers(self, request: AnswersRequest, own: str | None = None) -> Answers:
        """Answers under the newest published checkpoint. `own`: the identity of who asks. Errors: "malformed"."""
        return await self._run(self._answers, request, own)

    async def checkpoint(self) -> bytes | None:
        """The newest published checkpoint, with its cosignatures."""
        published = (await self._run(self._head)).published
        return None if published is None else published.note

    async def tile(self, path: tiles.TilePath) -> bytes | None:
        """A tile, or a bundle of entries; None if there is not all of it."""
        return await self._run(self._tile, path)

    async def updates(self, number: int) -> bytes | None:
        """What an epoch set in the map."""
        return await self._run(self._updates, number)

    # -- its own work --

    async def run(self) -> None:
        """Brings the log forward for as long as the service runs."""
        with suppress(RoomkeyError):  # the first answer tries again, and fails by itself
            await self._run(self._load)
        retry = 0.0
        self._wake.set()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(retry or TICK):  # not wait_for, which until 3.12 may lose a cancellation
                    await self._wake.wait()
                await asyncio.sleep(BATCH)
            self._wake.clear()
            try:
                done = await self.advance()
            except RoomkeyError as error:
                log.warning("the log of keys: %s", error.text)
                done = False
            except Exception as error:  # a fault of ours, whose text may hold data of people, must not end the log
                log.error("bug: the log of keys: %s", type(error).__name__)
                done = False
            retry = 0.0 if done else min(max(2 * retry, FIRST_RETRY), LAST_RETRY)

    async def advance(self) -> bool:
        """Does all that can be done now; whether nothing is left."""
        async with self._turn:
            while True:
                head = await self._run(self._head)
                if self._needs_cosigning(head):
                    if not await self._cosign(head):
                        return False
                elif not await self._run(self._make_epoch):
                    return True

    async def close(self) -> None:
        """Closes the store."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        self._thread.shutdown()
        self._proofs.close()

    def _needs_cosigning(self, head: Head) -> bool:
        published = head.published
        if not self._is_confirmed() or published is None:
            return True
        age = self._clock() - published.at  # below zero after a clock was set back
        return not head.is_published or not 0 <= age < RECOSIGN

    async def _cosign(self, head: Head) -> bool:
        """Has the head cosigned and publishes it; whether that was enough."""
        checkpoint = Checkpoint(self.config.keys.origin, head.size, head.root)
        note = await sign_note(self._crypto, checkpoint.text(), self.config.keys.log_key, self.config.keys.log)
        known = await self._run(self._sizes)
        sizes = {witness.key.name: known.get(witness.key.encode(), 0) for witness in self.config.witnesses}
        collected = await collect(
            self._http, self._crypto, note, self.config.witnesses, sizes.__getitem__, self._consistency,
            now=self._clock, log_key=self.config.keys.log_key, enough=self.config.is_quorum,
        )  # fmt: skip
        if collected.ahead is not None:
            size = (await self._run(self._head)).size
            if size >= collected.ahead:  # another process of ours went on meanwhile
                return True
            self._stop(size, collected.ahead)
            return False
        self._say(collected)
        self._heard |= {line.name for line in collected.signatures}
        if not await self._run(self._keep, note, head.size, collected.signatures) or not self._is_confirmed():
            return False
        self.refusal = None
        return True

    def _is_confirmed(self) -> bool:
        return self.config.is_quorum(self._heard)

    def _consistency(self, old: int, new: int) -> list[bytes]:
        with self._proofs.reading():
            return merkle.consistency_proof(functools.partial(tiles.subtree, self._proofs.tile), old, new)

    def _stop(self, size: int, ahead: int) -> None:
        self._heard = frozenset()
        if self.refusal is None:
            log.error(
                "the log of keys is stopped: a witness has cosigned %d of its epochs, and this database has %d. It is "
                "an old copy, or another service runs the same log. Nothing is signed and no keys are accepted until "
                "the newest copy of the database is back",
                ahead,
                size,
            )
        self.refusal = f"a witness has cosigned {ahead} epochs, this database has {size}"

    def _say(self, collected: Collected) -> None:
        """Tells the operator when a witness begins to refuse, and when it is back."""
        auditors = {witness.key.name for witness in self.config.auditors}
        for name, outcome in collected.outcomes.items():
            word = outcome.reason if isinstance(outcome, Refused) else ""
            if word != self._said.get(name, ""):
                who = "auditor" if name in auditors else "witness"
                if word:
                    log.warning("the %s %s does not cosign: %s", who, name, word)
                else:
                    log.info("the %s %s cosigns", who, name)
            self._said[name] = word

    # -- in the log's thread --

    def _submit(self, identity: str, signed: SignedManifest, now: float, reset: bool) -> bool:
        with self._store.writing():
            secret = self.config.keys.vrf_secret
            return submitting.submit(self._store, self._crypto, secret, identity, signed, now, reset=reset)

    def _newest(self, identity: str, published: bool) -> SignedManifest | None:
        with self._store.reading():
            head = self._store.head().published
            size = None if not published else 0 if head is None else head.size
            found = self._store.newest(identity, size)
            return None if found is None else found.signed

    def _answers(self, request: AnswersRequest, own: str | None) -> Answers:
        with self._store.reading():
            secret = self.config.keys.vrf_secret
            return answers.answers(self._store, self._map, self._crypto, secret, request, own)

    def _head(self) -> Head:
        with self._store.reading():
            return self._store.head()

    def _sizes(self) -> dict[str, int]:
        with self._store.reading():
            return self._store.cosigned_sizes()

    def _make_epoch(self) -> bool:
        if not self._pending():  # so that looking does not keep other writers out
            return False
        with self._store.writing():
            return epochs.make_epoch(self._store, self._map, self._clock())

    def _pending(self) -> bool:
        with self._store.reading():
            return self._store.head().size == 0 or self._store.has_pending()

    def _keep(self, note: Note, size: int, lines: list[NoteSignature]) -> bool:
        """Stores cosignatures of the head of this size; publishes it if they are enough; whether they are."""
        now = self._clock()
        witnesses = {witness.key.name: witness.key.encode() for witness in self.config.witnesses}
        came = {
            witnesses[line.name]: (int.from_bytes(line.signature[:8], "big"), line.encode().encode()) for line in lines
        }
        with self._store.writing():
            self._store.add_cosignatures(size, came)
            stored = self._store.cosignatures(size, now - FRESH)
            fresh = {name: stored[key] for name, key in witnesses.items() if key in stored}
            enough = self.config.is_quorum(frozenset(fresh))
            if enough:
                self._store.publish(size, note.encode() + b"".join(fresh.values()), now)
        return enough

    def _load(self) -> None:
        with self._store.reading():
            published = self._store.head().published
            if published is not None:
                self._map.catch_up(self._store, published.size)

    def _tile(self, path: tiles.TilePath) -> bytes | None:
        start = path.number * tiles.WIDTH
        with self._store.reading():
            if path.level is not None:
                found = self._store.tile(path.level, path.number)[: path.width * merkle.HASH_SIZE]
                return found if len(found) == path.width * merkle.HASH_SIZE else None
            entries = self._store.entries(start, start + path.width)
        if len(entries) != path.width:
            return None
        return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)

    def _updates(self, number: int) -> bytes | None:
        with self._store.reading():
            return next(self._store.updates(number, number + 1), None)

    async def _run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, functools.partial(work, *args, **kwargs))
