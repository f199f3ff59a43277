"""Frames protected by SFrame under a group's keys, for members that are no browser (RFC 9605; wire.md section 7).

    frame  = header || ciphertext with its tag
    header = config byte || KID || CTR                   (RFC 9605 section 4.3; `encode_header`)

No clock and no transport: who calls says when an epoch begins and ends, and which context value a stream has, written
down before its first frame. The media worker's sframe.ts is the same for browsers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, Protocol

from roomkey.media.sframe import EPOCH_BITS, SFrameEpoch, SFrameKeys, SFrameSuite, derive_keys

# Frames under one key, and the end of the counters that are read: as many as SRTP allows packets under the same ciphers
# (RFC 7714 section 12).
MAX_FRAMES: Final = 1 << 48
# Places below the highest counter that are still read: a second of video at 10 Mbit/s, so reordering costs nothing.
WINDOW: Final = 1024
# Streams of one member in one epoch: each keeps a key and a window, so who makes up contexts costs bounded memory.
KEPT_CONTEXTS: Final = 64
_INSIDE: Final = 7  # the largest value that fits into the config byte
_EXTENDED: Final = 0x8

# As the media worker's `Refused` has them: what a tile says, and no codes of the API.
Reason = Literal["malformed", "unknown-key", "unknown-stream", "replayed", "too-old", "not-authentic", "key-exhausted"]


class FrameRefused(Exception):
    """A frame that is not to be shown. `reason` says why."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class FrameCipher(Protocol):
    """The AEADs of RFC 9605 section 4.5; no batches and no coroutines, because frames come one by one."""

    def seal(self, suite: SFrameSuite, key: bytes, nonce: bytes, aad: bytes, text: bytes) -> bytes:
        """The ciphertext with its tag of `suite.nt` bytes at the end."""
        ...

    def open(self, suite: SFrameSuite, key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes | None:
        """The plaintext; None where authentication fails."""
        ...


class Header(NamedTuple):
    """`size` in bytes, 1 to 17."""

    kid: int
    counter: int
    size: int


class OpenedFrame(NamedTuple):
    """A frame that is authentic: `leaf` is whose keys it was under."""

    frame: bytes
    epoch: int
    leaf: int
    context: int
    counter: int


def encode_header(kid: int, counter: int) -> bytes:
    """The header's bytes; both values below 2^64."""
    (high, kid_bytes), (low, counter_bytes) = _half(kid), _half(counter)
    return bytes([high << 4 | low]) + kid_bytes + counter_bytes


def decode_header(frame: bytes) -> Header:
    """The header that a frame begins with. Raises FrameRefused "malformed", also for a form that is not the shortest: a
    second form of the header would be a second form of the frame.
    """
    if not frame:
        raise FrameRefused("malformed", "expected an sframe header, got nothing")
    kid, after = _value(frame, frame[0] >> 4, 1)
    counter, size = _value(frame, frame[0] & 0xF, after)
    return Header(kid, counter, size)


def _half(value: int) -> tuple[int, bytes]:
    if value <= _INSIDE:
        return value, b""
    size = (value.bit_length() + 7) // 8
    return _EXTENDED | (size - 1), value.to_bytes(size, "big")


def _value(frame: bytes, half: int, start: int) -> tuple[int, int]:
    if not half & _EXTENDED:
        return half, start
    end = start + (half & 0x7) + 1
    if end > len(frame):
        raise FrameRefused("malformed", f"expected a header of {end} bytes or more, got {len(frame)}")
    value = int.from_bytes(frame[start:end], "big")
    if value <= _INSIDE or frame[start] == 0:
        raise FrameRefused("malformed", "expected the shortest form of a header's value")
    return value, end


def encrypt(
    cipher: FrameCipher, suite: SFrameSuite, keys: SFrameKeys, kid: int, counter: int, metadata: bytes, frame: bytes
) -> bytes:
    """Header and ciphertext (RFC 9605 section 4.4.3). The caller never gives a counter twice, as `FrameSender` does."""
    header = encode_header(kid, counter)
    return header + cipher.seal(suite, keys.key, _nonce(keys.salt, counter), header + metadata, frame)


def _nonce(salt: bytes, counter: int) -> bytes:
    return (int.from_bytes(salt, "big") ^ counter).to_bytes(len(salt), "big")


class FrameSender:
    """Protects the frames of one stream in one epoch. One of these per (epoch, context), ever: its counter starts at
    zero.
    """

    def __init__(self, cipher: FrameCipher, epoch: SFrameEpoch, leaf: int, context: int) -> None:
        """Errors: "bad-argument" for a leaf or a context that fits into no KID."""
        self._cipher, self._suite = cipher, epoch.suite
        self._kid = epoch.kid(leaf, context)
        self._keys = derive_keys(epoch.suite, epoch.base_key, self._kid)
        self._next = 0

    def protect(self, frame: bytes, metadata: bytes) -> bytes:
        """Raises FrameRefused "key-exhausted"."""
        if self._next >= MAX_FRAMES:
            raise FrameRefused("key-exhausted", f"expected at most {MAX_FRAMES} frames under one key")
        counter, self._next = self._next, self._next + 1
        return encrypt(self._cipher, self._suite, self._keys, self._kid, counter, metadata, frame)


class ReplayWindow:
    """Which counters came. Ask before a frame is authenticated, mark after it: a forged one must not move it."""

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0  # bit n: highest - n came

    def check(self, counter: int) -> None:
        """Raises FrameRefused "replayed", "too-old"."""
        below = self._highest - counter
        if below >= WINDOW:
            raise FrameRefused("too-old", "expected a place within the replay window")
        if below >= 0 and self._seen >> below & 1:
            raise FrameRefused("replayed", "expected a place that has not come before")

    def mark(self, counter: int) -> None:
        self.check(counter)
        ahead = counter - self._highest
        if ahead > 0:
            self._seen = (self._seen << ahead if ahead < WINDOW else 0) & ((1 << WINDOW) - 1)
            self._highest = counter
        self._seen |= 1 << (self._highest - counter)


class _Stream(NamedTuple):
    keys: SFrameKeys
    window: ReplayWindow


class _Held(NamedTuple):
    epoch: SFrameEpoch
    leaf_count: int
    streams: dict[int, _Stream]  # by KID, of which a frame was authentic
    dropped: set[int]  # leaves


class FrameReceiver:
    """Opens frames of every member in the epochs held. In this order it is proved of a frame that

    1. its header is well formed and as short as can be,
    2. its epoch is held, its sender a leaf of it, and not dropped; and whoever it claims to be of may be heard here, if
       the caller says who may (`claimed`): what another one forged must not move the windows of 3.,
    3. its counter has not come before under that KID,
    4. it is authentic with its header and metadata.

    The caller still owes: that the sender may send this kind of media, and how long epochs are held.
    """

    def __init__(self, cipher: FrameCipher) -> None:
        self._cipher = cipher
        self._epochs: dict[int, _Held] = {}  # by the low bits of the epoch's number

    def add_epoch(self, epoch: SFrameEpoch, leaf_count: int) -> None:
        """Holds an epoch from now on; an older one of the same low bits goes (RFC 9605 section 5.2). The same epoch
        again is no error: it does not forget what came.
        """
        held = self._epochs.get(epoch.epoch % (1 << EPOCH_BITS))
        if held is None or held.epoch.epoch < epoch.epoch:
            self._epochs[epoch.epoch % (1 << EPOCH_BITS)] = _Held(epoch, leaf_count, {}, set())

    def drop_epoch(self, number: int) -> None:
        """Lets go of an epoch's keys; one not held is no error."""
        held = self._held(number)
        if held is not None:
            del self._epochs[number % (1 << EPOCH_BITS)]

    def drop_sender(self, number: int, leaf: int) -> None:
        """Refuses a member's frames of an epoch from now on: who was removed, or has moved to newer keys."""
        held = self._held(number)
        if held is None:
            return
        held.dropped.add(leaf)
        for kid in [kid for kid in held.streams if _parts(kid, held.epoch)[1] == leaf]:
            del held.streams[kid]

    def open(self, sealed: bytes, metadata: bytes, claimed: Callable[[int, int], None] | None = None) -> OpenedFrame:
        """Raises FrameRefused, with any of its reasons.

        Args:
            claimed: gets (epoch, leaf), and raises what a frame of such a sender is refused with.
        """
        # 1.
        kid, counter, size = decode_header(sealed)
        if counter >= MAX_FRAMES:
            raise FrameRefused("key-exhausted", "expected a counter below 2^48")
        # 2.
        held = self._epochs.get(kid % (1 << EPOCH_BITS))
        if held is None:
            raise unknown_key()
        context, leaf = _parts(kid, held.epoch)
        if leaf >= held.leaf_count or leaf in held.dropped:
            raise unknown_key()
        if claimed is not None:
            claimed(held.epoch.epoch, leaf)
        # 3.
        known = held.streams.get(kid)
        if known is not None:
            known.window.check(counter)
        # 4.
        suite = held.epoch.suite
        stream = known or _Stream(derive_keys(suite, held.epoch.base_key, kid), ReplayWindow())
        nonce, aad = _nonce(stream.keys.salt, counter), sealed[:size] + metadata
        frame = self._cipher.open(suite, stream.keys.key, nonce, aad, sealed[size:])
        if frame is None:
            raise FrameRefused("not-authentic", "expected a frame protected with its sender's key")
        if known is None:
            if sum(_parts(other, held.epoch)[1] == leaf for other in held.streams) >= KEPT_CONTEXTS:
                text = f"expected at most {KEPT_CONTEXTS} streams of one member in an epoch"
                raise FrameRefused("key-exhausted", text)
            held.streams[kid] = stream
        stream.window.mark(counter)
        return OpenedFrame(frame, held.epoch.epoch, leaf, context, counter)

    def _held(self, number: int) -> _Held | None:
        held = self._epochs.get(number % (1 << EPOCH_BITS))
        return held if held is not None and held.epoch.epoch == number else None


def _parts(kid: int, epoch: SFrameEpoch) -> tuple[int, int]:
    """(context, leaf)"""
    return kid >> (epoch.index_bits + EPOCH_BITS), (kid >> EPOCH_BITS) % (1 << epoch.index_bits)


def unknown_key() -> FrameRefused:
    return FrameRefused("unknown-key", "expected a frame of an epoch and a member whose keys are held")
