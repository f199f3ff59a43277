"""Keeps our stock of init-key sets at our service, from the time on at which the log says that we are ours.

A set that others cannot prove is of no use, and one that is published under a name with somebody else's entry would
vouch for that one; so nothing goes out before our own entry is proved, or after something spoke against it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from roomkey.client.own_entry import FIRST_LOOK, PATIENCE, OwnEntry
from roomkey.client.own_watch import LAST_LOOK
from roomkey.client.stock import Pool
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService, Stock

# Seconds between looks at the stock, beside those after each Welcome.
STOCK_INTERVAL: Final = 600.0
# What auditors mend who have not seen our manifest yet: as we see it, and as our service does.
_AWAITED: Final = frozenset({"log-unproven", "manifest-unproven"})
# What the watch of our entry tells already.
_TOLD: Final = frozenset({"log-unproven", "identity-hijacked", "not-in-manifest"})


class Publishing:
    """See the module. `wanted` is set when the stock is to be looked at."""

    def __init__(
        self,
        pool: Pool,
        entry: OwnEntry,
        home: Callable[[], DeliveryService],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        failed: Callable[[RoomkeyError], None],
    ) -> None:
        self.wanted = asyncio.Event()
        self._pool = pool
        self._entry = entry
        self._home = home
        self._now = now
        self._sleep = sleep
        self._failed = failed

    async def publish(self, target: int) -> Stock:
        """Publishes until `target` sets wait at our service. For a new entry that auditors are still to see it waits up
        to PATIENCE seconds.

        Errors: "log-unproven" and "manifest-unproven" after that, while `keep` goes on; "identity-hijacked", "not-in-
        manifest"; the service's, "storage-failed".
        """
        end, wait = self._now() + PATIENCE, FIRST_LOOK
        while True:
            try:
                return await self._top_up(target)
            except RoomkeyError as error:
                if error.code not in _AWAITED or self._now() + wait > end:
                    raise
            await self._sleep(wait)
            wait = min(2 * wait, PATIENCE / 4)

    async def keep(self, target: Callable[[], int], housekeeping: Callable[[], Awaitable[None]]) -> None:
        """Tops the stock up for as long as the client is open: at the start, when it is wanted, and now and then."""
        reported, wait, since = "", FIRST_LOOK, math.inf
        while True:
            self.wanted.clear()
            rest = STOCK_INTERVAL
            if target():
                try:
                    await self._top_up(target())
                    reported, wait, since = "", FIRST_LOOK, math.inf
                except RoomkeyError as error:
                    awaited = error.code == "manifest-unproven"
                    since = min(since, self._now())
                    if error.code not in (reported, *_TOLD) and not (awaited and self._now() < since + PATIENCE):
                        self._failed(error)
                        reported = error.code
                    if awaited:
                        rest, wait = wait, min(2 * wait, LAST_LOOK)
            await housekeeping()
            try:
                async with asyncio.timeout(rest):
                    await self.wanted.wait()
            except TimeoutError:
                continue

    async def _top_up(self, target: int) -> Stock:
        await self._entry.ready()
        return await self._pool.top_up(self._home(), target)
