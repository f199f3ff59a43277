"""When our own entry in the log is looked at (`own_entry`): at the start, daily, whenever the log's head is seen to
move, and after each change of ours until that is proved.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from roomkey.client.own_entry import FIRST_LOOK, PATIENCE
from roomkey.errors import RoomkeyError

# Seconds between looks when nothing happens (wire.md section 6: daily).
LOOK_INTERVAL: Final = 86400.0
# The longest time between looks, in seconds, that doubling leads to while there is no answer that is ours.
LAST_LOOK: Final = 60.0
# Seconds at which a rest looks at the clock: timers stand still while a device sleeps.
_TICK: Final = 600.0


class OwnWatch:
    """See the module. `failed` hears each kind of failure once, until a look is good again; of auditors that take their
    time not before PATIENCE seconds.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[None]],
        now: Callable[[], float],
        failed: Callable[[RoomkeyError], None],
    ) -> None:
        self._look = look
        self._now = now
        self._failed = failed
        self._wanted = asyncio.Event()
        self._looked = asyncio.Event()

    async def looked(self) -> None:
        """Waits for the first look, whatever it finds."""
        await self._looked.wait()

    def moved(self) -> None:
        """The head of our log moved, or we changed something: look at once."""
        self._wanted.set()

    async def run(self) -> None:
        """Looks for as long as the client is open."""
        reported, wait, since = "", FIRST_LOOK, math.inf
        while True:
            self._wanted.clear()
            rest = LOOK_INTERVAL
            try:
                await self._look()
                reported, wait, since = "", FIRST_LOOK, math.inf
            except RoomkeyError as error:
                since = min(since, self._now())
                rest, wait = wait, min(2 * wait, LAST_LOOK)
                passing = error.code == "log-unproven" and self._now() < since + PATIENCE
                if error.code != reported and not passing:
                    reported = error.code
                    self._failed(error)
            self._looked.set()
            if await self._rest(rest):
                wait = FIRST_LOOK

    async def _rest(self, seconds: float) -> bool:
        """Waits; whether a look was wanted before the time was over."""
        until = self._now() + seconds
        while (left := until - self._now()) > 0:
            try:
                async with asyncio.timeout(min(left, _TICK)):
                    await self._wanted.wait()
                return True
            except TimeoutError:
                continue
        return False
