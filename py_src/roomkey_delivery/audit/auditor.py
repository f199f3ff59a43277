"""An auditor: cosigns the checkpoints of other logs, after it has made their maps again (c2sp.org/tlog-witness).

What a cosignature says: this log only appended, up to this checkpoint, which is its newest as far as this auditor
knows, and each epoch of it did what epochs may do (`replay`). A checkpoint is taken in this order:

1. its origin is a log that the operator told us to audit, and the log's own signature holds.
2. its size never had another root here. Else both notes are kept as evidence, and the log is never cosigned again.
3. the log is not refused since before.
4. the request starts from our head's size; else it learns that size.
5. the proof of consistency from our head to it holds.
6. it becomes our head, if our head is still the one of 4 and 5: of two that race, here or in another process, one.
   That is durable before anything else happens, so that no kill and no restart brings an older head back.
7. the epochs up to it are fetched, proved under it and replayed, and the map's changes are durable. What they do wrong
   is the log's own doing: it is never cosigned again. What does not come is asked for at the next request.
8. it is cosigned if it is still our head. So a head that could not be replayed is not cosigned, and blocks nothing.

A long replay goes on after the request has ended, and is durable piece by piece. One checkpoint at a time is taken that
is beyond it, and few wait; the others, which anybody can have from the log, wait for nobody and keep nobody waiting.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, ParamSpec, Protocol, TypeVar

import httpx
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import Checkpoint, cosign, read_checkpoint
from roomkey.transparency.evidence import ForkEvidence
from roomkey.transparency.merkle import EMPTY_ROOT, verify_consistency
from roomkey.transparency.notes import Note, NoteSignature, VerifierKey, verify_note

from roomkey_delivery.audit.following import Follower
from roomkey_delivery.audit.protocol import AddCheckpoint
from roomkey_delivery.audit.reading import LogReader
from roomkey_delivery.audit.replay import WRONG
from roomkey_delivery.audit.store import AuditStore, Standing

P = ParamSpec("P")
R = TypeVar("R")

REQUEST_TIME: Final = 8.0  # seconds until a request is told to come again: before the log's own limit (10 s)
REPLAY_TIME: Final = 600.0  # seconds of one replay; what it did by then is kept
RETRY_AFTER: Final = 5.0  # seconds
MAX_WAITING: Final = 8  # requests about one log at a time; a log of ours sends one

log = logging.getLogger("roomkey_delivery")


class LogAddress(Protocol):
    """A log to audit: its key (type 1), and the URL below which its tiles are."""

    @property
    def key(self) -> VerifierKey: ...

    @property
    def url(self) -> str: ...


class Conflict(NamedTuple):
    """The request starts from another size than ours, which this is."""

    size: int


class Auditor:
    """Audits logs, and cosigns with a key that is used for nothing else (type 4). `clock`: Unix seconds."""

    def __init__(
        self,
        logs: Sequence[LogAddress],
        key: VerifierKey,
        pair: KeyPair,
        store: AuditStore,
        crypto: CryptoProvider,
        http: httpx.AsyncClient,
        clock: Callable[[], float],
    ) -> None:
        self.key = key
        self._pair = pair
        self._crypto = crypto
        self._store = store
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "roomkey-audit")
        self._logs = {
            item.key.name: Follower(item.key, LogReader(http, item.url), store, self._thread, clock) for item in logs
        }
        self._tasks: set[asyncio.Task[NoteSignature | Conflict]] = set()

    async def load(self) -> None:
        """Rebuilds the maps from the store, so that the first request does not wait for it."""
        for origin, item in self._logs.items():
            try:
                async with item.lock:
                    await item.load()
            except RoomkeyError as error:  # each request tries again
                log.warning("the audit of %s is not loaded: %s", origin, error.text)

    async def close(self) -> None:
        """Ends what is under way, and closes the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._run(self._store.close)
        self._thread.shutdown()

    async def add_checkpoint(self, request: AddCheckpoint) -> NoteSignature | Conflict:
        """The cosignature of the request's checkpoint, or the size to start from.

        Errors: "malformed", "wrong-log" (not one that we audit), "invalid-signature", "log-proof-invalid", "log-fork"
        (refused for good), "service-unavailable" (to be asked again).
        """
        head = read_checkpoint(request.note.text)
        item = self._logs.get(head.origin)
        if item is None:
            raise RoomkeyError("wrong-log", "expected a checkpoint of a log that is audited here")
        await verify_note(self._crypto, request.note, item.key)  # 1.
        if request.old > head.size:
            raise RoomkeyError("malformed", f"expected an old size of at most {head.size}, got {request.old}")
        note = Note(request.note.text, tuple(request.note.by(item.key)))
        standing = await self._run(self._store.read, head.origin)
        if standing.head is not None and head.size <= standing.tree.size:
            return await self._known(item, standing, request, head, note)
        if item.waiting >= MAX_WAITING:
            raise _later("expected the checkpoints before to be done")
        item.waiting += 1
        task = asyncio.create_task(self._take(item, request, head, note))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._done, item))
        try:
            async with asyncio.timeout(REQUEST_TIME):
                return await asyncio.shield(task)
        except TimeoutError:
            raise _later("expected the epochs to be replayed, which goes on") from None

    async def cosigned(self, origin_hash: str) -> Note | None:
        """The head of the log whose origin has this SHA-256 (hex), with the log's signature and ours; None if it is
        not cosigned, or not of a log that we audit.
        """
        standing = await self._standing(origin_hash)
        if standing is None or standing.head is None:
            return None
        note = Note.decode(standing.note)
        line = await self._cosign(standing.head, note)
        return None if isinstance(line, Conflict) else note._replace(signatures=(*note.signatures, line))

    async def head(self, origin_hash: str) -> bytes | None:
        """The note of that log's newest head here, replayed or not, as the log signed it; None if there is none."""
        standing = await self._standing(origin_hash)
        return None if standing is None or standing.head is None else standing.note

    async def _standing(self, origin_hash: str) -> Standing | None:
        for origin in self._logs:
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                return await self._run(self._store.read, origin)
        return None

    async def _take(
        self, item: Follower, request: AddCheckpoint, head: Checkpoint, note: Note
    ) -> NoteSignature | Conflict:
        async with item.lock:
            standing = await self._run(self._store.read, head.origin)
            await self._check_history(item, standing, head, note)  # 2. and 3.
            if request.old != standing.size:
                return Conflict(standing.size)  # 4.
            _check_growth(standing, head, request.proof)  # 5.
            if head != standing.head and not await self._run(self._store.advance, standing, head, note.encode()):
                return Conflict((await self._run(self._store.read, head.origin)).size)  # 6.
            await self._replay(item, head)  # 7.
            return await self._cosign(head, note)  # 8.

    async def _known(
        self, item: Follower, standing: Standing, request: AddCheckpoint, head: Checkpoint, note: Note
    ) -> NoteSignature | Conflict:
        """What is not beyond our replay, as anybody can send it: 2. to 5. and 8., without waiting for others."""
        await self._check_history(item, standing, head, note)
        if request.old != standing.size:
            return Conflict(standing.size)
        _check_growth(standing, head, request.proof)
        return await self._cosign(head, note)

    async def _replay(self, item: Follower, head: Checkpoint) -> None:
        try:
            async with asyncio.timeout(REPLAY_TIME):
                await item.follow(head)
        except TimeoutError:
            raise _later(f"expected to replay in {REPLAY_TIME:.0f} s") from None
        except RoomkeyError as error:
            if error.code == WRONG:
                await self._refuse(head.origin, error.text)
            raise

    async def _check_history(self, item: Follower, standing: Standing, head: Checkpoint, note: Note) -> None:
        known = await self._run(self._store.head_at, head.origin, head.size)
        if known is not None and known[0] != head.root:
            reason = f"two roots of size {head.size}, both signed by the log"
            await self._refuse(head.origin, reason, ForkEvidence(item.key, Note.decode(known[1]), note))
            raise RoomkeyError("log-fork", reason)
        if standing.refused is not None:
            raise RoomkeyError("log-proof-invalid", standing.refused)

    async def _refuse(self, origin: str, reason: str, evidence: ForkEvidence | None = None) -> None:
        if await self._run(self._store.refuse, origin, reason, None if evidence is None else evidence.encode()):
            log.error("the log %s is not cosigned any more: %s", origin, reason)

    async def _cosign(self, head: Checkpoint, note: Note) -> NoteSignature | Conflict:
        """8. The time is taken before we look: at that time nothing newer was here."""
        time = int(self._clock())
        standing = await self._run(self._store.read, head.origin)
        if standing.refused is not None or standing.head != head or standing.tree.size != head.size:
            return Conflict(standing.size)
        return await cosign(self._crypto, note, self.key, self._pair, time)

    async def _run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, functools.partial(work, *args, **kwargs))

    def _done(self, item: Follower, task: asyncio.Task[NoteSignature | Conflict]) -> None:
        item.waiting -= 1
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.info("not cosigned: %s", task.exception())  # told to who asked, if they still waited


def _check_growth(standing: Standing, head: Checkpoint, proof: Sequence[bytes]) -> None:
    """5. Errors: "log-proof-invalid"."""
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise RoomkeyError("log-proof-invalid", "expected the root of an empty tree")
    if standing.size > 0 and standing.head is not None:
        verify_consistency(standing.size, head.size, proof, standing.head.root, head.root)
    elif proof:
        raise RoomkeyError("log-proof-invalid", f"expected no hashes from an empty tree, got {len(proof)}")


def _later(text: str) -> RoomkeyError:
    return RoomkeyError("service-unavailable", text, retry_after=RETRY_AFTER)
