"""ffmpeg plays RTP or SRTP from a UDP port: keys by SDP (RFC 4568), frames out as raw pixels."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from roomkey.media.srtp import SrtpKeys

WIDTH, HEIGHT = 320, 240
FRAME_SIZE = 3 * WIDTH * HEIGHT
# Seconds that ffmpeg gets for what takes one.
DEADLINE = 60.0
# In which ffmpeg is through with what it was sent.
PLAYED_SECONDS = 0.5
# RFC 3711's only profile that ffmpeg 5 has with tags of 80 bits; it knows no MKI.
SUITE = "AES_CM_128_HMAC_SHA1_80"


def session_description(port: int, codec: str, payload_type: int, keys: SrtpKeys | None) -> str:
    """What the stream is and what opens it, if it is sealed. It holds keys: it goes to the one who plays, and nobody
    else.
    """
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=roomkey",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m=video {port} {'RTP/AVP' if keys is None else 'RTP/SAVP'} {payload_type}",
        f"a=rtpmap:{payload_type} {codec}/90000",
    ]
    if keys is not None:
        inline = base64.b64encode(keys.master_key + keys.master_salt).decode()
        lines.append(f"a=crypto:1 {SUITE} inline:{inline}")
    return "\r\n".join(lines) + "\r\n"


class Player:
    """A running ffmpeg that writes what it sees to a file."""

    def __init__(self, ffmpeg: Path, folder: Path, codec: str, payload_type: int, keys: SrtpKeys | None) -> None:
        self._port = free_port()
        description, self._out = folder / "stream.sdp", folder / "frames.rgb"
        description.write_text(session_description(self._port, codec, payload_type, keys))
        self._log = (folder / "ffmpeg.log").open("w")
        command = [
            *(str(ffmpeg), "-nostdin", "-loglevel", "warning", "-protocol_whitelist", "file,udp,rtp,srtp,crypto"),
            *("-analyzeduration", "500000", "-i", str(description), "-fps_mode", "passthrough"),
            *("-vf", f"scale={WIDTH}:{HEIGHT}"),
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-flush_packets", "1", str(self._out)),
        ]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self) -> Player:
        deadline = time.monotonic() + DEADLINE
        while is_free(self._port):
            assert self._process.poll() is None, "ffmpeg ended"
            assert time.monotonic() < deadline, "ffmpeg listens to no port"
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.close()
        self._log.close()

    def send(self, frames: Sequence[Sequence[bytes]], rate: float) -> None:
        """Sends the packets of each frame to the port, `rate` frames a second."""
        send(self._port, frames, rate)

    def pass_on(self, packet: bytes) -> None:
        """Sends one packet to the port."""
        self._socket.sendto(packet, ("127.0.0.1", self._port))

    def written(self) -> int:
        """How many frames it has written so far."""
        return self._out.stat().st_size // FRAME_SIZE if self._out.exists() else 0

    def wait(self, count: int) -> list[bytes]:
        """Waits until that many frames are written; all there are."""
        deadline = time.monotonic() + DEADLINE
        while self.written() < count:
            assert time.monotonic() < deadline, f"{self.written()} frames written"
            time.sleep(0.05)
        return self._frames()

    def end(self) -> list[bytes]:
        """Has it end as by a person's Ctrl-C, so that it writes what it still holds; all frames there are."""
        time.sleep(PLAYED_SECONDS)
        for _ in range(2):  # the first one asks, the second one ends its wait for another packet
            self._process.send_signal(signal.SIGINT)
            time.sleep(PLAYED_SECONDS)
        self._process.wait(DEADLINE)
        return self._frames()

    def _frames(self) -> list[bytes]:
        data = self._out.read_bytes() if self._out.exists() else b""
        return [data[at : at + FRAME_SIZE] for at in range(0, len(data) - FRAME_SIZE + 1, FRAME_SIZE)]


def send(port: int, frames: Sequence[Sequence[bytes]], rate: float) -> None:
    """Sends the packets of each frame to a port of this machine, `rate` frames a second."""
    begin = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for number, packets in enumerate(frames):
            time.sleep(max(0.0, begin + number / rate - time.monotonic()))
            for packet in packets:
                out.sendto(packet, ("127.0.0.1", port))


def quarters(frame: bytes) -> list[tuple[int, int, int]]:
    """The colours in the middle of a picture's four quarters, each the mean of 20 by 20 pixels."""
    found = []
    for place in range(4):
        left, top = WIDTH // 4 + place % 2 * (WIDTH // 2), HEIGHT // 4 + place // 2 * (HEIGHT // 2)
        rows = [frame[3 * (y * WIDTH + left - 10) : 3 * (y * WIDTH + left + 10)] for y in range(top - 10, top + 10)]
        red, green, blue = (sum(sum(row[part::3]) for row in rows) // 400 for part in range(3))
        found.append((red, green, blue))
    return found


def free_port() -> int:
    """A UDP port whose neighbour is free as well, for RTCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            tried.bind(("127.0.0.1", 0))
            port: int = tried.getsockname()[1]
        if port % 2 == 0 and is_free(port) and is_free(port + 1):
            return port


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
