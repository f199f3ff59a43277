"""Media keys on their way to the media worker: of the conferences whose media it handles, epoch by epoch.

They go by a port of its own, never by the page: the methods here that begin with "media." are not for pages, and
`conference.protect`, which is, answers no key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from roomkey.bridge import plain
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.plain import Plain
from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, EpochChanged, Event
from roomkey.errors import RoomkeyError

if TYPE_CHECKING:
    from roomkey.bridge.engine import Engine

# Why an epoch began, as far as media keys are concerned: who must not hear any more decides how soon they change.
Reason = Literal["start", "add", "remove", "update", "successor"]


class MediaWorker(Protocol):
    """What hands keys to the media worker."""

    def epoch(self, value: Plain, base_key: bytes) -> None:
        """`value` is public; `base_key`, the SFrame base key, becomes a key that nobody can export."""
        ...

    def end(self, conference: int) -> None:
        """The conference's keys are to be forgotten at once."""
        ...


class MediaKeys:
    """The conferences whose media is protected, by what the media worker was last told of each."""

    def __init__(self, worker: MediaWorker) -> None:
        self._worker = worker
        self._told: dict[Conference, Plain] = {}

    def tell(self, handle: int, conference: Conference) -> None:
        """Hands over the keys of the present epoch, unless they were. Errors: "not-a-member"."""
        keys, last = conference.keys, self._told.get(conference)
        group, members = conference.id, [plain.member(item) for item in conference.members]
        if last is not None and (last["group"], last["epoch"]) == (group, conference.epoch):
            return
        removed = _removed(last, members)
        sframe = keys.sframe()
        value: Plain = {
            "conference": handle,
            "group": group,
            "epoch": sframe.epoch,
            "reason": _reason(last, group, members, removed),
            "suite": sframe.suite.number,
            "leafCount": keys.leaf_count,
            "indexBits": sframe.index_bits,
            "ownLeaf": keys.own_leaf,
            "members": members,
        }
        self._told[conference] = value
        self._worker.epoch(value, sframe.base_key)

    def on_event(self, handle: int, conference: Conference, event: Event) -> None:
        """Follows a conference's epochs."""
        if conference not in self._told:
            return
        if isinstance(event, EpochChanged):
            self.tell(handle, conference)
        elif isinstance(event, Ended):
            self.end(conference)

    def end(self, conference: Conference) -> None:
        """Lets go of a conference, if it is one of these."""
        last = self._told.pop(conference, None)
        if last is not None:
            self._worker.end(last["conference"])


def _removed(last: Plain | None, members: list[Plain]) -> list[int]:
    """Leaves whose member is there no more, or is another now."""
    present = {item["leafIndex"]: item["clientId"] for item in members}
    before = [] if last is None else last["members"]
    return [item["leafIndex"] for item in before if present.get(item["leafIndex"]) != item["clientId"]]


def _reason(last: Plain | None, group: bytes, members: list[Plain], removed: list[int]) -> Reason:
    if last is None:
        return "start"
    if last["group"] != group:
        return "successor"
    if removed:
        return "remove"
    return "add" if len(members) > len(last["members"]) else "update"


async def protect(engine: Engine, args: Arguments) -> None:
    """From now on the media worker has the conference's keys."""
    conference = engine.conference_of(args)
    if engine.media is None:
        raise RoomkeyError("bad-argument", "expected a bridge with a media worker")
    await conference.prepare_media(fresh=conference not in engine.loaded)
    engine.media.tell(args.number("handle"), conference)


async def context(engine: Engine, args: Arguments) -> int:
    """A context value for one stream, durable."""
    return await engine.conference_of(args).media_context()


async def resync(engine: Engine, args: Arguments) -> None:
    """A receiver lacks keys: perhaps a commit has not come."""
    await engine.conference_of(args).catch_up()


async def sframe_keys(engine: Engine, args: Arguments) -> Plain:
    conference = engine.conference_of(args)
    members = [member.leaf for member in conference.members]
    return plain.sframe_keys(conference.keys.sframe(), conference.keys.own_leaf, members)


METHODS: Mapping[str, Callable[[Engine, Arguments], Awaitable[Any]]] = {
    "conference.protect": protect,
    "media.context": context,
    "media.resync": resync,
    "media.sframeKeys": sframe_keys,
}
