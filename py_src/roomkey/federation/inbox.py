"""The stream of one inbox: reconnects, notices silence, and hands on each message once and in order.

connecting --head--> open --item--> open        a heartbeat comes at once and every 15 s
open --second heartbeat--> open, and current    it comes when all that waited has been sent, or after 15 s without more
open --end, error, 40 s of silence--> waiting --backoff--> connecting
any --error that waiting cannot mend--> raised
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.federation.calls import ServiceCaller
from roomkey.federation.delivery_messages import INBOX, ITEM_HEAD, InboxItem
from roomkey.host.interface import HttpStream
from roomkey.tls import MAX_MESSAGE

# seconds without a byte after which a stream counts as dead: two heartbeats and a half (wire.md section 5)
SILENCE = 40.0
BACKOFF = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before each try, the last one again and again
# Messages that may wait for their acknowledgement when a stream breaks; of more, the first come again, which is seen.
_REMEMBERED = 256
# Neither a wait nor a new signature mends these.
_FINAL = frozenset(
    {
        "unknown-client", "not-yours", "request-refused", "clock-skew", "origin-not-allowed", "bad-argument",
        "key-not-found", "closed",
    }
)  # fmt: skip


class InboxMessage(NamedTuple):
    """One MLSMessage and its number in this inbox."""

    sequence: int
    message: bytes


async def messages(
    caller: ServiceCaller,
    on_state: Callable[[RoomkeyError | None], None] | None,
    on_current: Callable[[], None] | None = None,
) -> AsyncGenerator[InboxMessage, None]:
    """See `DeliveryService.inbox`."""
    handed: OrderedDict[int, bytes] = OrderedDict()  # what was handed on last: number -> SHA-256 of the message
    failures = 0
    while True:
        try:
            stream = await caller.stream("/v1/inbox", INBOX)
            try:
                if on_state is not None:
                    on_state(None)
                heartbeats = 0
                async for item in _items(stream):
                    failures = 0
                    heartbeats += item.sequence == 0
                    if item.sequence == 0 and heartbeats > 1 and on_current is not None:
                        on_current()
                    if item.sequence and _is_new(item, handed):  # heartbeats have 0
                        yield InboxMessage(item.sequence, item.message)
            finally:
                await stream.close()
            error = RoomkeyError("service-unreachable", "expected an inbox stream that goes on")
        except RoomkeyError as caught:
            if caught.code in _FINAL:
                raise
            error = caught
        if on_state is not None:
            on_state(error)
        backoff = BACKOFF[min(failures, len(BACKOFF) - 1)] * _spread(caller.host.now())
        failures += 1
        await caller.host.sleep(max(error.retry_after or 0.0, backoff))


async def _items(stream: HttpStream) -> AsyncIterator[InboxItem]:
    """The items of a stream, whatever pieces it comes in. Errors: "timeout" (silence), "service-error", the host's
    own.
    """
    pieces = stream.__aiter__()
    held = bytearray()
    while True:
        try:
            async with asyncio.timeout(SILENCE):
                piece = await pieces.__anext__()
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RoomkeyError("timeout", f"expected a heartbeat within {SILENCE:.0f} s") from None
        held += piece
        while len(held) >= ITEM_HEAD:
            size = int.from_bytes(held[ITEM_HEAD - 4 : ITEM_HEAD], "big")
            if size > MAX_MESSAGE:
                raise RoomkeyError("service-error", f"expected at most {MAX_MESSAGE} bytes in a message")
            if len(held) < ITEM_HEAD + size:
                break
            yield InboxItem.decode(bytes(held[: ITEM_HEAD + size]))
            del held[: ITEM_HEAD + size]


def _is_new(item: InboxItem, handed: OrderedDict[int, bytes]) -> bool:
    """Whether a message was not handed on yet: those not acknowledged come again with each stream. A number alone says
    nothing, for a service whose operator put an old copy of its database back gives out the same ones anew.
    """
    digest = hashlib.sha256(item.message).digest()
    if handed.get(item.sequence) == digest:
        return False
    handed[item.sequence] = digest
    handed.move_to_end(item.sequence)
    if len(handed) > _REMEMBERED:
        handed.popitem(last=False)
    return True


def _spread(now: float) -> float:
    """A factor of 0.5 to 1, so that clients of a restarted service do not all come back at once. Not a secret."""
    return 0.5 + hashlib.sha256(repr(now).encode()).digest()[0] / 510
