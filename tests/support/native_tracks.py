"""What a participant without a browser sends: a drawn picture and a tone, encoded and protected before aiortc."""

from __future__ import annotations

import array
import asyncio
import math
import time
from fractions import Fraction
from typing import Any

from aiortc import MediaStreamTrack
from av import AudioFrame, CodecContext, Packet, VideoFrame
from av.video.frame import PictureType
from roomkey.conference.protecting import OutgoingStream

Colour = tuple[int, int, int]
WIDTH, HEIGHT = 320, 240
RATE = 20  # pictures a second
SOUND_RATE = 48_000
SAMPLES = 960  # 20 ms, a packet of Opus
FREQUENCY = 440.0


class _Encoded(MediaStreamTrack):
    """A track of frames that are encoded and protected already."""

    def __init__(self, stream: OutgoingStream, pause: float, time_base: Fraction) -> None:
        super().__init__()
        self._stream, self._pause, self._time_base = stream, pause, time_base
        self._begun = time.monotonic()
        self._count = 0

    def encode(self, number: int) -> tuple[bytes, int]:
        """The frame of this number, and its time in units of the time base."""
        raise NotImplementedError

    async def recv(self) -> Packet[Any]:
        while True:
            number, self._count = self._count, self._count + 1
            await asyncio.sleep(self._begun + number * self._pause - time.monotonic())
            frame, at = self.encode(number)
            wire = self._stream.protect(frame) if frame else None
            if wire is None:
                continue  # nothing to send, or nothing to send it with
            packet = Packet(wire)
            packet.pts, packet.time_base = at, self._time_base
            return packet


class Picture(_Encoded):
    """One colour, with a square that moves in a corner."""

    kind = "video"

    def __init__(self, stream: OutgoingStream, colour: Colour) -> None:
        super().__init__(stream, 1 / RATE, Fraction(1, 90_000))
        self._colour = colour
        self._wants_key = True
        self._encoder = CodecContext.create("libvpx", "w")
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        self._encoder.time_base = Fraction(1, RATE)
        self._encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}

    def ask(self) -> None:
        """Whoever sees it wants a key frame."""
        self._wants_key = True

    def encode(self, number: int) -> tuple[bytes, int]:
        rows = bytearray(bytes(self._colour) * (WIDTH * HEIGHT))
        for line in range(12):
            at = 3 * (line * WIDTH + 4 * number % (WIDTH - 12))
            rows[at : at + 36] = b"\xff" * 36
        picture = VideoFrame(WIDTH, HEIGHT, "rgb24")
        picture.planes[0].update(bytes(rows))
        frame = picture.reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        if self._wants_key:
            frame.pict_type = PictureType.I
            self._wants_key = False
        data = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
        return data, number * 90_000 // RATE


class Tone(_Encoded):
    """A sine."""

    kind = "audio"

    def __init__(self, stream: OutgoingStream) -> None:
        super().__init__(stream, SAMPLES / SOUND_RATE, Fraction(1, SOUND_RATE))
        self._encoder = CodecContext.create("libopus", "w")
        self._encoder.sample_rate, self._encoder.format, self._encoder.layout = SOUND_RATE, "s16", "stereo"
        self._encoder.time_base = Fraction(1, SOUND_RATE)

    def encode(self, number: int) -> tuple[bytes, int]:
        samples = array.array("h")
        for place in range(number * SAMPLES, (number + 1) * SAMPLES):
            level = int(12_000 * math.sin(2 * math.pi * FREQUENCY * place / SOUND_RATE))
            samples.extend((level, level))
        frame = AudioFrame("s16", "stereo", SAMPLES)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, number * SAMPLES, Fraction(1, SOUND_RATE)
        packets = [bytes(packet) for packet in self._encoder.encode(frame)]
        return (packets[0] if packets else b""), number * SAMPLES


def middle(frame: VideoFrame) -> list[int]:
    """The colour in the middle of a picture."""
    plane = frame.reformat(format="rgb24").planes[0]
    at = (frame.height // 2) * plane.line_size + 3 * (frame.width // 2)
    return list(bytes(plane)[at : at + 3])
