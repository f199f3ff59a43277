"""Members of a group show each other which heads of logs they proved (`transparency.gossip`), and hold them against
theirs. What is shown is worth what its log signed: a member who shows nonsense is passed over, at the price of a
signature check for each head.

A head of another size than ours is compared by asking the log; the one who shows us something waits for none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from roomkey.client.log_view import LogView, ShownBy
from roomkey.client.logs import Logs
from roomkey.client.work import Job
from roomkey.errors import RoomkeyError
from roomkey.transparency import gossip

# People who showed something that we have not looked at: of each the last thing counts, and each takes milliseconds.
MAX_WAITING: Final = 64
# Seconds before each try to hold a head against ours; the next answer of that log tries again.
TRIES: Final = (0.0, 2.0, 15.0, 60.0)


class Gossip:
    """See the module. It is the `Gossip` of our conferences (conference/surroundings.py)."""

    def __init__(self, logs: Logs, spawn: Callable[[Job], None], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._logs = logs
        self._spawn = spawn
        self._sleep = sleep
        self._waiting: dict[ShownBy, tuple[bytes, Sequence[str]]] = {}
        self._looking = False
        self._comparing: set[LogView] = set()

    async def heads(self, identities: Sequence[str]) -> bytes:
        """The authenticated data that show our heads of these people's logs; empty if we have none."""
        views = await self._logs.views(identities)
        return gossip.show((view.trust.log, view.head) for view in views if view.head is not None)

    def heard(self, data: bytes, by: str, identities: Sequence[str], *, accepted: bool) -> None:
        """Takes the authenticated data of a member's message, in the background.

        Args:
            by: the member's identity.
            identities: the members, about one of whom a log can be asked.
            accepted: whether we accepted the invitation to the conference.
        """
        who = ShownBy(by, accepted)
        if not data or sum(other.accepted == accepted for other in self._waiting if other != who) >= MAX_WAITING:
            return
        self._waiting[who] = (data, identities)
        if not self._looking:
            self._looking = True
            self._spawn(self._look)

    async def _look(self) -> None:
        try:
            while self._waiting:
                by = next(iter(self._waiting))
                data, identities = self._waiting.pop(by)
                notes = {note.text.partition("\n")[0]: note for note in gossip.read(data)}  # one of each log
                views = await self._logs.views(identities) if notes else []
                for view in views:
                    note = notes.get(view.trust.log.name)
                    if note is not None and await view.shown(note, by):
                        self._compare(view, identities)
        finally:
            self._looking = False

    def _compare(self, view: LogView, identities: Sequence[str]) -> None:
        about = next((name for name in identities if self._logs.trust_for(name) == view.trust), None)
        if about is not None and view not in self._comparing:
            self._comparing.add(view)
            self._spawn(partial(self._ask, view, about))

    async def _ask(self, view: LogView, about: str) -> None:
        try:
            for wait in TRIES:
                await self._sleep(wait)
                if not (view.pending or view.doubts):
                    break
                proof = (await self._logs.prove([about]))[about]
                if isinstance(proof, RoomkeyError) and proof.code == "log-fork":
                    break
        finally:
            self._comparing.discard(view)
