"""Bounds on what one requester may cost: requests in time, and bytes and seconds of a body."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Hashable

from roomkey.errors import RoomkeyError
from starlette.requests import ClientDisconnect, Request

from roomkey_delivery.config import BODY_TIME, Rate

# buckets of one limiter in memory, about 10 MB; the ones not used for longest go first, when they are full again
BUCKETS = 50_000


class Limiter:
    """Token buckets of one rate, one for each key, in this process."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now: float, amount: int = 1) -> None:
        """Takes `amount` tokens of the key's bucket. Errors: "too-many-requests" with the seconds until they are
        there.
        """
        tokens, since = self._buckets.pop(key, (float(self.rate.burst), now))
        tokens = min(self.rate.burst, tokens + max(0.0, now - since) * self.rate.per_second)
        enough = tokens >= amount
        self._buckets[key] = (tokens - amount if enough else tokens, now)
        if len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        if not enough:
            wait = math.ceil((min(amount, self.rate.burst) - tokens) / self.rate.per_second)
            raise RoomkeyError("too-many-requests", f"expected at most {self.rate.burst} at once", retry_after=wait)


def address_of(request: Request) -> str:
    """Whom an unsigned request counts for."""
    return "" if request.client is None else request.client.host


async def read_body(request: Request, limit: int) -> bytes:
    """The body, never holding more than `limit` bytes and for `BODY_TIME` at most.

    Errors: "request-too-large", "malformed-request" (too slow, cut off).
    """
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdigit()):
        raise RoomkeyError("malformed-request", "expected a content length in digits")
    if len(declared) > 12 or int(declared) > limit:
        raise RoomkeyError("request-too-large", f"expected at most {limit} bytes of body")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for piece in request.stream():
                body += piece
                if len(body) > limit:
                    raise RoomkeyError("request-too-large", f"expected at most {limit} bytes of body")
    except TimeoutError:
        raise RoomkeyError("malformed-request", f"expected the body within {BODY_TIME:.0f} s") from None
    except ClientDisconnect:
        raise RoomkeyError("malformed-request", "expected the whole body") from None
    return bytes(body)
