"""Welcomes that wait until the members of their groups can be proved.

    awaited/SET/HASH        a Welcome (MLSMessage): SET is the init-key set that it came for, HASH its own

A log that does not answer, or a reset that nobody has agreed to yet, is no reason to refuse an invitation: it is taken
up again, and its set is not used up until then. Who holds one of our sets can make any number of Welcomes for it, so
few of each set wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

from roomkey.conference.reading import withheld
from roomkey.errors import RoomkeyError
from roomkey.host.interface import Store

# A service may give one set to two people (attack K2), and each invite us; everybody may have a last resort.
PER_SET: Final = 2
PER_LAST_RESORT: Final = 16
MAX_BYTES: Final = 64 << 20  # of all that wait
# Seconds before each further try, the last one again and again.
BACKOFF: Final = (2.0, 5.0, 15.0, 60.0, 300.0)

_PREFIX: Final = "awaited/"


class AwaitedWelcomes:
    """See the module. `take` processes a Welcome; `failed` hears what becomes of those that are refused after all."""

    def __init__(
        self, store: Store, take: Callable[[bytes], Awaitable[None]], failed: Callable[[RoomkeyError], None]
    ) -> None:
        self._store = store
        self._take = take
        self._failed = failed

    async def hold(self, data: bytes, set_id: bytes, *, last_resort: bool) -> bool:
        """Keeps a Welcome; False if it waits already. Errors: "too-large" if too many wait."""
        waiting = dict(await self._store.list(_PREFIX))
        name = f"{_PREFIX}{set_id.hex()}/{hashlib.sha256(data).hexdigest()}"
        if name in waiting:
            return False
        count = sum(other.startswith(f"{_PREFIX}{set_id.hex()}/") for other in waiting)
        size = sum(map(len, waiting.values())) + len(data)
        if count >= (PER_LAST_RESORT if last_resort else PER_SET) or size > MAX_BYTES:
            raise RoomkeyError("too-large", "expected fewer invitations that cannot be proved yet")
        await self._store.write({name: data})
        return True

    async def try_again(self) -> bool:
        """Takes up all that wait; whether any still do."""
        left = False
        for name, data in await self._store.list(_PREFIX):
            try:
                await self._take(data)
            except RoomkeyError as error:
                if withheld(error):
                    left = True
                    continue
                self._failed(error)
            await self._store.write({}, [name])
        return left
