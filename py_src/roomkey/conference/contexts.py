"""Context values of our media streams (wire.md section 7): the part of a KID that tells one member's streams apart.

A counter starts at zero for every (epoch, leaf, context), so a context that was used twice in an epoch would use a
nonce twice. Here they are counted for as long as the conference lives here, across its epochs, groups and starts of the
browser, and each one is durable before it is given out: none comes again.
"""

from __future__ import annotations

from roomkey.conference import records
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError

# Streams of one conference on this device, ever: what fits into a KID beside 8 bits of the epoch and 24 of the leaf.
MAX_CONTEXTS = 1 << 32


async def known(session: Session) -> bool:
    """Whether it is on record which contexts were given out."""
    return await session.around.store.get(records.contexts_name(session.key)) is not None


async def begin(session: Session) -> None:
    """From now on the contexts are on record. Only where none was used in this epoch, or nobody can tell: after a
    commit. Errors: "storage-failed".
    """
    if not await known(session):
        await _write(session, 0)


async def reserve(session: Session) -> int:
    """A context that was never given out. Errors: "commit-first" without a record (`begin`), "bad-argument" after
    `MAX_CONTEXTS`, "storage-failed".
    """
    data = await session.around.store.get(records.contexts_name(session.key))
    if data is None:
        raise RoomkeyError("commit-first", "expected a record of the contexts that were used")
    context = records.ContextsRecord.decode(data).next
    if context >= MAX_CONTEXTS:
        raise RoomkeyError("bad-argument", f"context: expected at most {MAX_CONTEXTS} streams of one conference")
    await _write(session, context + 1)
    return context


async def _write(session: Session, following: int) -> None:
    record = records.ContextsRecord(following).encode()
    await session.around.store.write({records.contexts_name(session.key): record})
