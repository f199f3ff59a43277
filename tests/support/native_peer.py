"""One connection of a native participant (`native_caller`): frames are protected before aiortc cuts them into packets,
and opened after it has put them together.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, VideoFrame
from roomkey.conference.events import Member
from roomkey.media.covers import Codec
from roomkey.media.frames import FrameRefused

from tests.support.native_tracks import Picture, Tone, middle

if TYPE_CHECKING:
    from tests.support.native_caller import NativeCaller

HOLD_SECONDS = 1.0  # for which a frame waits for the keys of its epoch (wire.md section 7)
KEY_FRAME_PAUSE_SECONDS = 0.5  # between two requests for a key frame
CODECS: dict[str, Codec] = {"audio": "audio", "video": "VP8"}


class NativePeer:
    """The connection to one client."""

    def __init__(self, caller: NativeCaller, member: Member, session: str, attempt: int) -> None:
        self._caller, self.member, self.session, self.attempt = caller, member, session, attempt
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._ready = asyncio.Event()
        self._described = asyncio.Event()
        self._asked = 0.0
        self._closed = False
        self._pc.on("track", self._take)
        self.refused: Counter[str] = Counter()
        self.seen: dict[str, Any] = {"colour": None, "frames": 0, "sounds": 0, "epoch": None}

    async def begin(self) -> None:
        """Whoever's client id is smaller makes the offer."""
        protection = self._caller.protecting
        tracks = (
            Tone(await protection.stream("audio")),
            Picture(await protection.stream("VP8"), self._caller.colour),
        )
        for track in tracks:
            sender = self._pc.addTrack(track)
            if isinstance(track, Picture):
                vars(sender)["_send_keyframe"] = track.ask  # called when the other side asks for one
        for transceiver in self._pc.getTransceivers():
            transceiver.setCodecPreferences([PREFERRED[transceiver.kind]])
            self._open_frames(transceiver.receiver, CODECS[transceiver.kind])
        own = next(member for member in self._caller.conference.members if member.own)
        self._ready.set()
        if own.client < self.member.client:
            await self._pc.setLocalDescription(await self._pc.createOffer())
            await self._send_local()

    async def described(self, kind: str, sdp: str) -> None:
        await self._ready.wait()
        if self._closed:
            return
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, kind))
        self._described.set()
        if kind == "offer":
            await self._pc.setLocalDescription(await self._pc.createAnswer())
            await self._send_local()

    async def found(self, candidates: list[dict[str, Any]]) -> None:
        await self._described.wait()
        if self._closed:
            return
        for item in candidates:
            if not item["candidate"]:
                continue  # their end
            candidate = candidate_from_sdp(item["candidate"].partition(":")[2])
            candidate.sdpMid = item["mid"]
            await self._pc.addIceCandidate(candidate)

    async def close(self) -> None:
        self._closed = True
        for awaited in (self._ready, self._described):  # what waits for them has nothing to wait for
            awaited.set()
        await self._pc.close()

    async def _send_local(self) -> None:
        local = self._pc.localDescription
        place = {"peer": self.session, "attempt": self.attempt}
        signal = {"type": "description", **place, "kind": local.type, "sdp": local.sdp}
        await self._caller.say(signal, self.member.client)

    # -- frames that come --

    def _open_frames(self, receiver: RTCRtpReceiver, codec: Codec) -> None:
        """From now on the decoder gets nothing but what the member at the other end protected."""
        queue = vars(receiver)["_RTCRtpReceiver__decoder_queue"]
        put = queue.put
        held: list[tuple[float, Any]] = []

        def take(task: Any) -> None:
            if task is None:  # the end
                put(task)
                return
            held.append((time.monotonic(), task))
            while held and self._opened(receiver, codec, *held[0], put):
                held.pop(0)

        queue.put = take

    def _opened(self, receiver: RTCRtpReceiver, codec: Codec, came: float, task: Any, put: Any) -> bool:
        """Passes a frame on, or drops it; False while its keys may still come."""
        frame, protection = task[1], self._caller.protecting
        try:
            found = protection.open(codec, frame.data, self.member.client)
        except FrameRefused as refused:
            patient = refused.reason == "unknown-key" and time.monotonic() < came + HOLD_SECONDS
            if patient and protection.may_come(codec, frame.data):
                return False
            self.refused[refused.reason] += 1
            if codec == "VP8":
                self._ask_for_key_frame(receiver)
            return True
        frame.data = found.opened.frame
        if codec == "VP8":
            self.seen["epoch"] = found.opened.epoch
        put(task)
        return True

    def _ask_for_key_frame(self, receiver: RTCRtpReceiver) -> None:
        now = time.monotonic()
        if now < self._asked + KEY_FRAME_PAUSE_SECONDS:
            return
        self._asked = now
        for ssrc in vars(receiver)["_RTCRtpReceiver__remote_streams"]:
            self._caller.start(receiver._send_rtcp_pli(ssrc))

    def _take(self, track: MediaStreamTrack) -> None:
        self._caller.start(self._show(track) if track.kind == "video" else self._listen(track))

    async def _show(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, VideoFrame)
                self.seen |= {"colour": middle(frame), "frames": self.seen["frames"] + 1}
        except MediaStreamError:
            return  # it has ended

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                if any(bytes(frame.planes[0])):
                    self.seen["sounds"] += 1
        except MediaStreamError:
            return


PREFERRED = {
    "audio": RTCRtpCodecCapability(mimeType="audio/opus", clockRate=48000, channels=2),
    "video": RTCRtpCodecCapability(mimeType="video/VP8", clockRate=90000),
}
