"""The members of running conferences, held against what logs say of them now (wire.md section 6): whom their own
manifest no longer lists is removed (`conference.leavers`).

    we removed a device of ours           at once, before `remove_device` returns where the services answer
    another device of ours removed one    when our entry is looked at (`own_watch`)
    somebody else removed a device        when a proof of them is asked for: for a claim, for a member, before we invite
                                          somebody, and once an hour for as long as a conference goes on
    people agreed to a reset              at once
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from roomkey.client.admitting import about
from roomkey.client.log_records import ProvedManifest
from roomkey.client.logs import RECENT, Logs
from roomkey.conference import records
from roomkey.conference.conference import Conference

# Seconds for which a proof of a member is fresh enough to invite others: who is invited asks for one of their own.
BEFORE_INVITING: Final = 60.0
# Seconds that an invitation waits for logs: one that is slow costs only its own people.
PATIENCE: Final = 3.0
# What a log says of a member when it merely did not answer, or not yet.
_LATE: Final = "log-unproven"


class Roster:
    """See the module.

    Args:
        conferences: all that this client holds. own: our identity, which has its own watch.
        spawn: for background work, which ends with the client.
    """

    def __init__(
        self,
        logs: Logs,
        conferences: Callable[[], Iterable[Conference]],
        own: str,
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self._logs = logs
        self._spawn = spawn
        self._conferences = conferences
        self._own = own
        self._told: set[tuple[str, str, str]] = set()  # what was told of: conference, identity, what

    def moved(self, people: Collection[str]) -> None:
        """The manifests of these people are others now."""
        for conference in self._active():
            if any(member.identity in people for member in conference.members):
                conference.see_off()

    async def removed(self) -> None:
        """We removed a device of ours: takes it out of every conference. What cannot be done now is tried again in the
        background, and told of there.
        """
        await asyncio.gather(*(conference.remove_unlisted() for conference in self._active()))

    async def look(self) -> None:
        """Asks the logs about members of whom nothing was proved for an hour. Errors: "storage-failed"."""
        for conference in self._active():
            await self._ask(conference, RECENT)

    async def before_inviting(self, conference: Conference) -> None:
        """Asks the logs about the members, for so long as a person can wait; what comes later is taken all the same."""
        asked = asyncio.Event()

        async def ask() -> None:
            try:
                await self._ask(conference, BEFORE_INVITING)
            finally:
                asked.set()

        self._spawn(ask)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asked.wait()

    async def _ask(self, conference: Conference, within: float) -> None:
        people = sorted({member.identity for member in conference.members if member.identity != self._own})
        proofs = await self._logs.prove((who for who in people if self._logs.judges(who)), within=within)
        for who, proof in proofs.items():
            if isinstance(proof, ProvedManifest):
                continue
            what = str(proof.details.get("manifest", proof.code))
            if proof.code != _LATE and (conference.key, who, what) not in self._told:
                self._told.add((conference.key, who, what))
                conference.report(about(who, proof))

    def _active(self) -> list[Conference]:
        return [item for item in self._conferences() if item.status == records.ACTIVE]
