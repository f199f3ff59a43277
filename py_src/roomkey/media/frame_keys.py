"""Which keys a conference's frames are sent and read with, and for how long (wire.md section 7). A value machine: times
are arguments, in seconds of any clock that only goes forward. The media worker's conference_keys.ts has the same rules.

    sending: moves to a new epoch   at once after "start", "remove", "successor"; MOVE_AFTER later after "add",
                                    "update", so that receivers have the commit before the first frame under it
    reading: an epoch's keys are    held from its coming; of who is a member no more, dropped at once in all older
                                    epochs; of a sender, dropped in older epochs OLD_KEY after its first frame under a
                                    newer one; all dropped OLD_EPOCH after a newer epoch came
    the end: everything is dropped at once, and nothing is sent or read any more
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, NamedTuple

from roomkey.media.frames import FrameCipher, FrameReceiver, FrameRefused, OpenedFrame, decode_header, unknown_key
from roomkey.media.sframe import EPOCH_BITS, SFrameEpoch

MOVE_AFTER: Final = 0.5  # the longest that wire.md allows is a second
OLD_KEY: Final = 1.0
OLD_EPOCH: Final = 10.0
# Commits that may be on their way at once; frames of epochs further off are not waited for.
EPOCHS_AHEAD: Final = 16

# Why an epoch began: who must not hear any more decides how soon keys change.
Reason = Literal["start", "add", "remove", "update", "successor"]


class MediaEpoch(NamedTuple):
    """One epoch of a conference. Its text form shows no secret, because its base key's holder's does not."""

    group: bytes
    reason: Reason
    sframe: SFrameEpoch
    leaf_count: int
    own_leaf: int
    members: Mapping[int, bytes]  # leaf -> client id


class MemberFrame(NamedTuple):
    """A frame that is authentic, and the client whose keys it was protected with."""

    client: bytes
    opened: OpenedFrame


@dataclass
class _Held:
    epoch: MediaEpoch
    send_from: float
    ends: float = math.inf  # when its last keys go
    leaving: dict[int, float] = field(default_factory=dict)  # leaf -> when that sender's keys go


@dataclass
class _Generation:
    """A group and its epochs, oldest first; a conference that goes on in a successor has a second one."""

    group: bytes
    receiver: FrameReceiver
    epochs: list[_Held] = field(default_factory=list)


class FrameKeys:
    """The epochs of one conference."""

    def __init__(self, cipher: FrameCipher) -> None:
        self._cipher = cipher
        self._generations: list[_Generation] = []  # newest first
        self._ended = False

    def add(self, epoch: MediaEpoch, now: float) -> None:
        """A new epoch's keys. One that is not newer than those held is no error, and changes nothing."""
        current = self._generations[0] if self._generations else None
        if self._ended or any(former.group == epoch.group for former in self._generations[1:]):
            return
        if current is not None and current.group == epoch.group:
            if current.epochs[-1].epoch.sframe.epoch >= epoch.sframe.epoch:
                return
        else:
            current = None
        for held in self._held():
            held.ends = min(held.ends, now + OLD_EPOCH)
        self._drop_absent(frozenset(epoch.members.values()))
        if current is None:
            current = _Generation(epoch.group, FrameReceiver(self._cipher))
            self._generations.insert(0, current)
        patient = epoch.reason in ("add", "update")
        current.receiver.add_epoch(epoch.sframe, epoch.leaf_count)
        current.epochs.append(_Held(epoch, now + MOVE_AFTER if patient else now))
        self.tick(now)

    def end(self) -> None:
        """Nothing is sent or read any more."""
        self._ended, self._generations = True, []

    def sending(self, now: float) -> MediaEpoch | None:
        """The epoch to send under; None before the first one and after the end."""
        epochs = self._generations[0].epochs if self._generations else []
        return next((held.epoch for held in reversed(epochs) if held.send_from <= now), None)

    def tick(self, now: float) -> None:
        """Lets go of what is old."""
        for generation in self._generations:
            for held in generation.epochs:
                for leaf in [leaf for leaf, at in held.leaving.items() if at <= now]:
                    generation.receiver.drop_sender(held.epoch.sframe.epoch, leaf)
                    del held.leaving[leaf]
                if held.ends <= now:
                    generation.receiver.drop_epoch(held.epoch.sframe.epoch)
            generation.epochs = [held for held in generation.epochs if held.ends > now]
        self._generations = [generation for generation in self._generations if generation.epochs]

    def may_come(self, sealed: bytes) -> bool:
        """Whether a frame of unknown keys may be of an epoch that is on its way: one soon after the newest. Raises
        FrameRefused "malformed".
        """
        if self._ended:
            return False
        low = decode_header(sealed).kid % (1 << EPOCH_BITS)
        if not self._generations:
            return True
        newest = self._generations[0].epochs[-1].epoch.sframe.epoch
        return 0 < (low - newest) % (1 << EPOCH_BITS) <= EPOCHS_AHEAD

    def open(self, sealed: bytes, metadata: bytes, now: float, client: bytes | None = None) -> MemberFrame:
        """Opens a frame of `client`, or of any member. Raises FrameRefused, as `FrameReceiver.open` does, and
        "unknown-stream" for one of somebody else, which changes nothing of that member's streams.
        """
        self.tick(now)
        first: FrameRefused | None = None
        for place, generation in enumerate(self._generations):
            try:
                opened = generation.receiver.open(sealed, metadata, partial(_expect, generation, client))
            except FrameRefused as refused:
                # A successor's epochs begin low again: a number in a KID may mean an epoch of either group.
                if refused.reason not in ("unknown-key", "unknown-stream", "not-authentic"):
                    raise
                first = first or refused
            else:
                return self._of_member(place, opened, now)
        raise first or unknown_key()

    def _of_member(self, place: int, opened: OpenedFrame, now: float) -> MemberFrame:
        epochs = self._generations[place].epochs
        at = next(index for index, held in enumerate(epochs) if held.epoch.sframe.epoch == opened.epoch)
        client = epochs[at].epoch.members.get(opened.leaf)
        if client is None:
            raise unknown_key()  # a blank leaf's keys, which any member can compute
        older = [held for generation in self._generations[place + 1 :] for held in generation.epochs]
        for held in [*older, *epochs[:at]]:
            for leaf, other in held.epoch.members.items():
                if other == client:
                    held.leaving.setdefault(leaf, now + OLD_KEY)
        return MemberFrame(client, opened)

    def _drop_absent(self, present: frozenset[bytes]) -> None:
        for generation in self._generations:
            for held in generation.epochs:
                for leaf, client in held.epoch.members.items():
                    if client not in present:
                        generation.receiver.drop_sender(held.epoch.sframe.epoch, leaf)

    def _held(self) -> list[_Held]:
        return [held for generation in self._generations for held in generation.epochs]


def _expect(generation: _Generation, client: bytes | None, number: int, leaf: int) -> None:
    held = next(held for held in generation.epochs if held.epoch.sframe.epoch == number)
    found = held.epoch.members.get(leaf)
    if found is None:
        raise unknown_key()  # a blank leaf's keys, which any member can compute
    if client is not None and found != client:
        raise FrameRefused("unknown-stream", "expected frames of the client at the other end")
