"""How long judging members waits for logs: what is judged holds up whatever else our inbox brings, of other people too.

    asked --proved or refused in time--> that
    asked --the log owes an answer for too long--> unproven, and asked on: what it proves is there for the next try
    not asked, where a log that used up all patience still owes an answer--> unproven

Only seconds in which a log owes an answer count. Each domain has a few of them, which come back slowly: else whoever
runs a log, and writes to us, could have each message of everybody else wait as long as a request may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from roomkey.client.logs import Logs, Proof
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import domain_of

# Seconds that a domain may owe answers while others wait, beyond FREE of each; and how many come back in a second.
PATIENCE: Final = 3.0
COMES_BACK: Final = 0.05
# Seconds of each question that do not count: what a log takes at the other end of the world.
FREE: Final = 0.5
_LOOK: Final = 0.25  # seconds


class _Left(NamedTuple):
    """Seconds that a domain had at a time of the loop's clock."""

    seconds: float
    at: float


class Budget:
    """Seconds that each domain has left. Times are of the loop's clock."""

    def __init__(self) -> None:
        self._left: dict[str, _Left] = {}

    def left(self, domain: str, now: float) -> float:
        """0 or enough to be worth the waiting."""
        left = self._left.get(domain)
        if left is None:
            return PATIENCE
        seconds = min(PATIENCE, left.seconds + (now - left.at) * COMES_BACK)
        return seconds if seconds >= _LOOK else 0.0

    def spend(self, domain: str, seconds: float, now: float) -> None:
        """Of what was left; a negative amount is none."""
        if seconds > 0:
            self._left[domain] = _Left(max(0.0, self.left(domain, now) - seconds), now)


class Patience:
    """See the module."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._budget = Budget()
        self._asking: set[asyncio.Task[dict[str, Proof]]] = set()

    async def prove(
        self, identities: Iterable[str], *, within: float = 0.0, stands_in: float = 0.0
    ) -> dict[str, Proof]:
        """As `Logs.prove`, no longer than there is patience."""
        people: dict[str, list[str]] = {}
        for identity in dict.fromkeys(identities):
            people.setdefault(domain_of(identity), []).append(identity)
        proofs: dict[str, Proof] = {}
        for part in await asyncio.gather(
            *(self._prove_at(domain, who, within, stands_in) for domain, who in people.items())
        ):
            proofs |= part
        return proofs

    async def close(self) -> None:
        """Asks no further."""
        for asking in list(self._asking):
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _prove_at(self, domain: str, people: Sequence[str], within: float, stands_in: float) -> dict[str, Proof]:
        views, clock = await self._logs.views(people), asyncio.get_running_loop().time
        left, owed = self._budget.left(domain, clock()), 0.0
        if left == 0 and any(view.owes for view in views):
            return await self._late(people, within, stands_in)
        asking = asyncio.ensure_future(self._logs.prove(people, within=within, stands_in=stands_in))
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        allowed = left + FREE
        while not asking.done() and owed < allowed:
            begun = clock()
            await asyncio.wait([asking], timeout=min(_LOOK, allowed - owed))
            if any(view.owes for view in views):
                owed += clock() - begun
        self._budget.spend(domain, owed - FREE, clock())
        return asking.result() if asking.done() else await self._late(people, within, stands_in)

    async def _late(self, people: Sequence[str], within: float, stands_in: float) -> dict[str, Proof]:
        late = RoomkeyError("log-unproven", "expected an answer of the log soon, got none yet", reason="timeout")
        since = max(within, stands_in)
        return {identity: await self._logs.recent(identity, since) or late for identity in people}

    def _asked(self, asking: asyncio.Task[dict[str, Proof]]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever still waits for it hears of it
