"""A log's side of c2sp.org/tlog-witness: hands a checkpoint to witnesses and brings their cosignatures home.

What one of them answers, or does not answer, touches none of the others:

1. All are asked at the same time, each within WITNESS_TIME; an answer is read up to MAX_NOTE bytes.
2. 409 names the size that the witness cosigned last. Up to ours, the proof from there is sent. Beyond ours, which
   anybody can say, the witness must show a checkpoint with our own signature over a larger size than ours: then the
   log was started from an old disk or is run twice (attack T16): `Collected.ahead`, and it must not sign any more.
3. 200 counts if a line of the witness's own key holds over this checkpoint, to the letter, with a time that clients
   will take.
   Lines of other keys are dropped.
4. Everything else is `Refused`, with the status for the operator.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import httpx
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import cosignatures, open_checkpoint, read_checkpoint
from roomkey.transparency.notes import MAX_NOTE, Note, NoteSignature, VerifierKey

from roomkey_delivery.audit.fetching import exchange, fetch
from roomkey_delivery.audit.protocol import PATH, SHOWN, TEXT_TYPE, AddCheckpoint, read_size

# Seconds for one witness, in all. An auditor that has fallen behind goes on replaying after we have hung up.
WITNESS_TIME: Final = 10.0
# Seconds that the others still get once enough have cosigned: what comes later is brought by the next checkpoint.
GRACE: Final = 0.5
# Requests to one witness about one checkpoint: our guess of its size, the right one, and another process of ours.
TRIES: Final = 3
# Seconds that a witness's clock may differ from ours. Clients allow 300 towards the future, and refuse an answer whole
# for one cosignature beyond it, so a witness whose clock is wrong must not get into it.
CLOCK_DIFFERENCE: Final = 60


class WitnessAddress(Protocol):
    """A witness: its key (type 4), and the URL to which /add-checkpoint is appended."""

    @property
    def key(self) -> VerifierKey: ...

    @property
    def url(self) -> str: ...


class Cosigned(NamedTuple):
    """The witness cosigned; `line` holds."""

    line: NoteSignature


class Ahead(NamedTuple):
    """The witness showed that the log signed `size` before, which is larger than the checkpoint's."""

    size: int


class Refused(NamedTuple):
    """No cosignature. `status` of HTTP, None without an answer; `reason` for the operator."""

    status: int | None
    reason: str


Outcome = Cosigned | Ahead | Refused


class Collected(NamedTuple):
    """What became of one checkpoint: each witness's outcome by its key's name."""

    outcomes: dict[str, Outcome]

    @property
    def signatures(self) -> list[NoteSignature]:
        """The cosignatures, each verified, at most one of each witness."""
        return [outcome.line for outcome in self.outcomes.values() if isinstance(outcome, Cosigned)]

    @property
    def ahead(self) -> int | None:
        """The largest size, larger than ours, that a witness showed our own signature over (T16)."""
        return max((outcome.size for outcome in self.outcomes.values() if isinstance(outcome, Ahead)), default=None)


async def collect(
    http: httpx.AsyncClient,
    crypto: CryptoProvider,
    note: Note,
    witnesses: Sequence[WitnessAddress],
    old_size_of: Callable[[str], int],
    consistency: Callable[[int, int], Sequence[bytes]],
    *,
    now: Callable[[], float],
    log_key: VerifierKey,
    enough: Callable[[frozenset[str]], bool] = lambda _: False,
) -> Collected:
    """Asks all witnesses to cosign a checkpoint that the log has signed, and has stored before.

    Args:
        old_size_of: the size that the witness of this name cosigned last, as far as known; 0 is always right.
        consistency: the hashes that prove the log of the first size to begin that of the second (RFC 6962 2.1.2).
        now: Unix seconds.
        log_key: the log's own, by which it knows what it signed before.
        enough: told the names of those who cosigned so far; when it says yes, the rest get GRACE seconds more.
    Errors: none of a witness's. "malformed" if the note is no checkpoint.
    """
    size = read_checkpoint(note.text).size
    tasks = {
        asyncio.create_task(
            _ask(http, crypto, note, size, witness, old_size_of(witness.key.name), consistency, now, log_key)
        ): witness.key.name
        for witness in witnesses
    }
    outcomes: dict[str, Outcome] = {name: Refused(None, "not waited for") for name in tasks.values()}
    waiting, patience = set(tasks), None
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            outcomes |= {tasks[task]: task.result() for task in done}
            names = frozenset(name for name, outcome in outcomes.items() if isinstance(outcome, Cosigned))
            patience = GRACE if enough(names) else None
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return Collected(outcomes)


async def _ask(
    http: httpx.AsyncClient,
    crypto: CryptoProvider,
    note: Note,
    size: int,
    witness: WitnessAddress,
    old: int,
    consistency: Callable[[int, int], Sequence[bytes]],
    now: Callable[[], float],
    log_key: VerifierKey,
) -> Outcome:
    outcome: Outcome = Refused(None, "not asked")
    try:
        async with asyncio.timeout(WITNESS_TIME):  # 1.
            for _ in range(TRIES):
                old = min(old, size)
                request = AddCheckpoint(old, tuple(consistency(old, size)) if old else (), note)
                status, body = await exchange(
                    http,
                    "POST",
                    witness.url.rstrip("/") + PATH,
                    limit=MAX_NOTE,
                    seconds=WITNESS_TIME,
                    content=request.encode(),
                    headers={"Content-Type": TEXT_TYPE},
                )
                if status == 200:
                    return Cosigned(await _own_line(crypto, note, witness.key, body, now()))
                outcome = Refused(status, f"expected a cosignature, got status {status}")
                if status != 409:
                    break
                old = read_size(body.removesuffix(b"\n"))  # 2.
                if old > size:
                    return await _ahead(http, crypto, witness, log_key, size)
    except TimeoutError:
        return Refused(None, f"expected an answer within {WITNESS_TIME:.0f} s")
    except RoomkeyError as error:
        return Refused(None, error.text)
    return outcome


async def _ahead(
    http: httpx.AsyncClient, crypto: CryptoProvider, witness: WitnessAddress, log_key: VerifierKey, size: int
) -> Outcome:
    """2. Whether the witness has our own signature over more than `size`."""
    place = f"{witness.url.rstrip('/')}/{hashlib.sha256(log_key.name.encode()).hexdigest()}"
    for path in SHOWN:
        with suppress(RoomkeyError):
            data = await fetch(http, place + path, limit=MAX_NOTE, seconds=WITNESS_TIME)
            shown = (await open_checkpoint(crypto, data, log_key)).checkpoint.size
            if shown > size:
                return Ahead(shown)
    return Refused(409, "names a larger size than ours, and shows no such checkpoint of ours")


async def _own_line(crypto: CryptoProvider, note: Note, key: VerifierKey, body: bytes, now: float) -> NoteSignature:
    """3. Errors: "malformed", "too-large", "invalid-signature", "log-unproven" (a time that clients do not take)."""
    answered = Note.decode(note.text.encode() + b"\n" + body)
    if answered.text != note.text:  # an empty line in the body would make what stands before it part of the text
        raise RoomkeyError("malformed", "expected cosignatures alone")
    await cosignatures(crypto, answered, [key])
    lines = answered.by(key)
    if not lines:
        raise RoomkeyError("invalid-signature", "expected a cosignature of the witness's key, got others")
    newest = max(lines, key=lambda line: line.signature[:8])
    ahead = int.from_bytes(newest.signature[:8], "big") - now
    if abs(ahead) > CLOCK_DIFFERENCE:
        text = f"expected a clock within {CLOCK_DIFFERENCE} s of ours, got {ahead:+.0f} s"
        raise RoomkeyError("log-unproven", text)
    return newest
