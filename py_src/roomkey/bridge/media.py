"""Media keys on their way to the media worker: of the conferences whose media it handles, epoch by epoch.

They go by a port of its own, never by the page: the methods here that begin with "media." are not for pages, and
`conference.protect` and `conference.srtp`, which are, answer no key. What members say of their SRTP streams goes the
same way, both ways: a page neither hears it nor can say it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from roomkey.bridge import plain
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.plain import Plain
from roomkey.conference import signals
from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, EpochChanged, Event, SignalArrived
from roomkey.errors import RoomkeyError
from roomkey.media import srtp

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

    def srtp(self, value: Plain, keys: Sequence[tuple[bytes, bytes]]) -> None:
        """`value` is public; `keys` are the master key and salt of each of `value["senders"]`, in that order. Master
        keys become keys that nobody can export.
        """
        ...

    def srtp_end(self, session: int) -> None:
        """The keys of this session are to be forgotten at once."""
        ...

    def streams(self, conference: int, client: bytes, data: bytes) -> None:
        """What a member, proved to be this client, said of its SRTP streams (`srtp.SrtpStreams`)."""
        ...


@dataclass
class _SrtpSession:
    """A page's use of a conference's SRTP keys."""

    handle: int
    conference: Conference
    profile: srtp.SrtpProfile
    told: Plain | None = None


class MediaKeys:
    """The conferences whose media is protected, by what the media worker was last told of each."""

    def __init__(self, worker: MediaWorker) -> None:
        self._worker = worker
        self._told: dict[Conference, Plain] = {}
        self._sessions: dict[int, _SrtpSession] = {}  # by the page's number

    def tell(self, handle: int, conference: Conference) -> None:
        """Hands over the SFrame keys of the present epoch, unless they were. Errors: "not-a-member"."""
        keys, last = conference.keys, self._told.get(conference)
        if _is_told(last, conference):
            return
        sframe = keys.sframe()
        value = _epoch(handle, conference, last) | {
            "suite": sframe.suite.number,
            "leafCount": keys.leaf_count,
            "indexBits": sframe.index_bits,
        }
        self._told[conference] = value
        self._worker.epoch(value, sframe.base_key)

    def begin_srtp(self, session: int, handle: int, conference: Conference, profile: srtp.SrtpProfile) -> None:
        """Hands over the SRTP keys of the present epoch and of all that follow, until `end_srtp`. Errors: "bad-
        argument" for a session that there is, "not-a-member".
        """
        if session in self._sessions:
            raise RoomkeyError("bad-argument", "session: expected a new one", field="session")
        begun = _SrtpSession(handle, conference, profile)
        self._tell_srtp(session, begun)
        self._sessions[session] = begun

    def end_srtp(self, session: int) -> None:
        """Ends a session; one that is not there is no error."""
        if self._sessions.pop(session, None) is not None:
            self._worker.srtp_end(session)

    def on_event(self, handle: int, conference: Conference, event: Event) -> None:
        """Follows a conference's epochs, and what its members say of their streams."""
        if isinstance(event, Ended):
            self.end(conference)
        elif isinstance(event, EpochChanged):
            if conference in self._told:
                self.tell(handle, conference)
            for session, used in self._sessions_of(conference):
                self._tell_srtp(session, used)
        elif isinstance(event, SignalArrived) and event.kind == signals.STREAMS and self._sessions_of(conference):
            self._worker.streams(handle, event.sender.client, event.data)

    def end(self, conference: Conference) -> None:
        """Lets go of a conference, if it is one of these."""
        last = self._told.pop(conference, None)
        if last is not None:
            self._worker.end(last["conference"])
        for session, _ in self._sessions_of(conference):
            self.end_srtp(session)

    def _sessions_of(self, conference: Conference) -> list[tuple[int, _SrtpSession]]:
        return [(session, used) for session, used in self._sessions.items() if used.conference is conference]

    def _tell_srtp(self, session: int, used: _SrtpSession) -> None:
        if _is_told(used.told, used.conference):
            return
        senders = used.conference.keys.srtp(used.profile.name)
        value = _epoch(used.handle, used.conference, used.told) | {
            "session": session,
            "profile": used.profile.number,
            "mki": srtp.mki(used.conference.epoch),
            "senders": [member.leaf for member, _ in senders],
        }
        used.told = value
        self._worker.srtp(value, [(keys.master_key, keys.master_salt) for _, keys in senders])


def _is_told(last: Plain | None, conference: Conference) -> bool:
    return last is not None and (last["group"], last["epoch"]) == (conference.id, conference.epoch)


def _epoch(handle: int, conference: Conference, last: Plain | None) -> Plain:
    """What is public of the present epoch; `last`: that of the epoch that was told before."""
    group, members = conference.id, [plain.member(item) for item in conference.members]
    return {
        "conference": handle,
        "group": group,
        "epoch": conference.epoch,
        "reason": _reason(last, group, members, _removed(last, members)),
        "ownLeaf": conference.keys.own_leaf,
        "members": members,
    }


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
    """From now on the media worker has the conference's SFrame keys."""
    conference, media = engine.conference_of(args), _media(engine)
    await conference.prepare_media(fresh=conference not in engine.loaded)
    media.tell(args.number("handle"), conference)


async def begin_srtp(engine: Engine, args: Arguments) -> int:
    """From now on the media worker has the conference's SRTP keys for this session; answers the profile's number."""
    conference, media, profile = engine.conference_of(args), _media(engine), srtp.profile_by_name(args.text("profile"))
    await conference.prepare_media(fresh=conference not in engine.loaded)
    media.begin_srtp(args.number("session"), args.number("handle"), conference, profile)
    return profile.number


async def end_srtp(engine: Engine, args: Arguments) -> None:
    _media(engine).end_srtp(args.number("session"))


async def announce(engine: Engine, args: Arguments) -> None:
    """Tells all members, or one client, what SRTP streams we have."""
    data = srtp.SrtpStreams.decode(args.data("data")).encode()
    await engine.conference_of(args).signal(data, to=args.optional_data("to"), kind=signals.STREAMS)


def _media(engine: Engine) -> MediaKeys:
    if engine.media is None:
        raise RoomkeyError("bad-argument", "expected a bridge with a media worker")
    return engine.media


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
    "conference.srtp": begin_srtp,
    "conference.srtpStop": end_srtp,
    "media.announce": announce,
    "media.context": context,
    "media.resync": resync,
    "media.sframeKeys": sframe_keys,
}
