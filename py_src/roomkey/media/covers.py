"""What stays readable of an encoded frame, so that packetisers and depacketisers who know nothing of us carry it
(wire.md section 7; the media worker's clear_bytes.ts has the codecs of browsers).

    wire = cover || body          body is the frame under SFrame; the cover is nothing that a receiver believes

    codec  cover                                why
    audio  none                                 RFC 7587 packets are the encoder's output, unread
    VP8    10 bytes of a key frame, else 3      RFC 7741 section 4.3: P bit and size (RFC 6386 section 9.1)
    VP9    none                                 RFC 9628 section 4.2: all that is needed is in the descriptor
"""

from __future__ import annotations

from typing import Final, Literal

from roomkey.media.frames import FrameRefused

Codec = Literal["audio", "VP8", "VP9"]

_NUMBERS: Final[dict[Codec, int]] = {"audio": 1, "VP8": 2, "VP9": 3}


def metadata(codec: Codec) -> bytes:
    """SFrame's metadata: struct { uint8 codec; } FrameMetadata."""
    return bytes([_NUMBERS[codec]])


def cover(codec: Codec, frame: bytes, sealed: bytes) -> bytes:
    """The frame as it travels: `sealed` is `frame` under SFrame."""
    if codec != "VP8":
        return sealed
    size = _vp8(frame)
    return frame[:size].ljust(size, b"\0") + sealed


def uncover(codec: Codec, wire: bytes) -> bytes:
    """The sealed frame in what came. Raises FrameRefused "malformed"."""
    if not wire:
        raise FrameRefused("malformed", "expected a frame, got nothing")
    return wire[_vp8(wire) :] if codec == "VP8" else wire


def _vp8(frame: bytes) -> int:
    """RFC 6386 section 9.1: the lowest bit is 0 on key frames, which go on with a start code and the size."""
    return 3 if frame[:1] and frame[0] & 1 else 10
