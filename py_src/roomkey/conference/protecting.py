"""A conference's media for a program that handles encoded frames itself: what browsers do in their media worker.

    protection = await Protection.begin(conference, NativeFrameCipher(), time.monotonic)
    protection.on_event(event)                      for every event that the conference's listener hears
    stream = await protection.stream("VP8")
    wire = stream.protect(frame)                    to be cut into packets as if it were the frame
    opened = protection.open("VP8", wire, client)

It knows no packets and no codec: what makes and shows frames stays the program's own.
"""

from __future__ import annotations

from collections.abc import Callable

from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, EpochChanged, Event
from roomkey.media import covers
from roomkey.media.covers import Codec
from roomkey.media.frame_keys import FrameKeys, MediaEpoch, MemberFrame, Reason
from roomkey.media.frames import FrameCipher, FrameRefused, FrameSender


class Protection:
    """The keys of a conference's epochs, for as long as it lasts."""

    def __init__(self, conference: Conference, cipher: FrameCipher, now: Callable[[], float]) -> None:
        """See `begin`."""
        self.cipher, self.now = cipher, now
        self.keys = FrameKeys(cipher)
        self._conference = conference
        self._last: MediaEpoch | None = None
        self._tell()

    @classmethod
    async def begin(
        cls, conference: Conference, cipher: FrameCipher, now: Callable[[], float], *, fresh: bool = False
    ) -> Protection:
        """The keys of a conference's media.

        Args:
            now: seconds of a clock that only goes forward.
            fresh: whether the conference came to us since this program started, so that nothing was sent before.
        Errors: `Conference.prepare_media`'s.
        """
        await conference.prepare_media(fresh=fresh)
        return cls(conference, cipher, now)

    async def stream(self, codec: Codec) -> OutgoingStream:
        """A stream of ours, under a context that none had before. Errors: `Conference.media_context`'s."""
        return OutgoingStream(self, codec, await self._conference.media_context())

    def open(self, codec: Codec, wire: bytes, client: bytes | None = None) -> MemberFrame:
        """The frame in what came, if it is a member's and, where `client` says whose, of that one.

        Raises FrameRefused; one whose keys may still come (`may_come`) is to be tried again for a second.
        """
        sealed = covers.uncover(codec, wire)
        return self.keys.open(sealed, covers.metadata(codec), self.now(), client)

    def may_come(self, codec: Codec, wire: bytes) -> bool:
        """Whether the keys of a frame that was refused as "unknown-key" may still come."""
        try:
            return self.keys.may_come(covers.uncover(codec, wire))
        except FrameRefused:
            return False

    def on_event(self, event: Event) -> None:
        """Follows the conference: a conference has one listener, which passes on every event."""
        if isinstance(event, Ended):
            self.keys.end()
        elif isinstance(event, EpochChanged):
            self._tell()

    def _tell(self) -> None:
        keys = self._conference.keys
        members = {member.leaf: member.client for member in self._conference.members}
        group = self._conference.id
        self._last = MediaEpoch(
            group, _reason(self._last, group, members), keys.sframe(), keys.leaf_count, keys.own_leaf, members
        )
        self.keys.add(self._last, self.now())


class OutgoingStream:
    """One stream of ours: its frames, each under the keys of the epoch that is sent with when it comes."""

    def __init__(self, protection: Protection, codec: Codec, context: int) -> None:
        """`context`: one that no other stream, and no earlier start of this one, was given."""
        self._protection, self._codec, self._context = protection, codec, context
        self._epoch: MediaEpoch | None = None
        self._sender: FrameSender | None = None

    def protect(self, frame: bytes) -> bytes | None:
        """The frame as it travels; None where there are no keys to send with. Raises FrameRefused "key-exhausted"."""
        protection = self._protection
        epoch = protection.keys.sending(protection.now())
        if epoch is None:
            return None
        if self._sender is None or epoch is not self._epoch:
            # Keys go forward only, so an epoch that was left does not come back with its counter at zero.
            self._sender = FrameSender(protection.cipher, epoch.sframe, epoch.own_leaf, self._context)
            self._epoch = epoch
        return covers.cover(self._codec, frame, self._sender.protect(frame, covers.metadata(self._codec)))


def _reason(last: MediaEpoch | None, group: bytes, members: dict[int, bytes]) -> Reason:
    if last is None:
        return "start"
    if last.group != group:
        return "successor"
    if any(members.get(leaf) != client for leaf, client in last.members.items()):
        return "remove"
    return "add" if len(members) > len(last.members) else "update"
