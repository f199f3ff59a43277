"""A participant of calls that is no browser: Roomkey's own client on CPython, and aiortc, which knows nothing of us.

It says what `Conference.call` of a page says (web/src/call/call_signal.ts), and its frames pass by `Protection` before
aiortc cuts them into packets, and after it has put them together. aiortc has no place for that: a track may give
packets that are encoded already, and what goes to a decoder is changed on its way there.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from roomkey.client.client import Client
from roomkey.client.opening import create_client
from roomkey.conference import signals
from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, Event, Member, MembersChanged, SignalArrived
from roomkey.conference.protecting import Protection
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost
from roomkey.host.native_frames import NativeFrameCipher

from tests.support.native_peer import NativePeer
from tests.support.native_tracks import Colour

T = TypeVar("T")
CLOSING_SECONDS = 0.25  # in which sockets that were closed are gone: asyncio tells of it in a later turn
MEDIA = {"audio": True, "video": "camera"}


class NativeCaller:
    """One identity in one conference's call. Its loop runs in a thread of its own: Playwright's runs in the test's."""

    def __init__(self, folder: Path, identity: str, colour: Colour) -> None:
        self.identity, self.colour = identity, colour
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._host = NativeHost(folder)
        self.peers: dict[bytes, NativePeer] = {}
        self._meeting = asyncio.Lock()
        self.session = secrets.token_hex(16)
        self.failed: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.client: Client
        self.conference: Conference
        self.protection: Protection | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives that runs beside the test."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def enrol(self, code: str, services: dict[str, str]) -> NativeCaller:
        async def work() -> None:
            self.client = await create_client(self._host, self.identity, code, services, FirstUse(), lambda event: None)
            await self.client.publish(2)

        self.run(work())
        return self

    def accepts(self, name: str) -> bool:
        """Accepts an invitation of this name, if it has come."""

        async def work() -> bool:
            for found in self.client.invitations():
                if found.name == name:
                    self.conference = found
                    found.listen(self._on_event)
                    await self.client.accept(found)
                    return True
            return False

        return self.run(work())

    def join(self) -> None:
        """Joins the conference's call."""

        async def work() -> None:
            self.protection = await Protection.begin(self.conference, NativeFrameCipher(), time.monotonic, fresh=True)
            await self.say({"type": "join", "media": MEDIA})

        self.run(work())

    @property
    def protecting(self) -> Protection:
        """Its media's keys, from `join` on."""
        assert self.protection is not None
        return self.protection

    def update(self) -> None:
        self.run(self.conference.update())

    def close(self) -> None:
        async def work() -> None:
            for client in list(self.peers):
                await self._drop(client)
            while self._tasks:  # connections that were dropped before close, too
                await asyncio.wait(self._tasks)
            await self.client.close()
            await self._host.close()
            await asyncio.sleep(CLOSING_SECONDS)

        try:
            self.run(work())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # -- what is said --

    async def say(self, signal: dict[str, Any], to: bytes | None = None) -> None:
        data = json.dumps({"session": self.session, **signal}).encode()
        await self.conference.signal(data, to=to, kind=signals.CALL)

    def _on_event(self, event: Event) -> None:
        if self.protection is not None:
            self.protection.on_event(event)
        if isinstance(event, SignalArrived) and event.kind == signals.CALL:
            self.start(self._hear(event.sender, json.loads(event.data)))
        elif isinstance(event, MembersChanged):
            for member in event.removed:
                self.start(self._drop(member.client))
        elif isinstance(event, Ended):
            for client in list(self.peers):
                self.start(self._drop(client))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs beside everything else; an error is in `failed`."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: self.failed.extend(filter(None, [done.exception()])))

    async def _hear(self, member: Member, signal: dict[str, Any]) -> None:
        if signal.get("peer", self.session) != self.session:
            return
        kind, session = signal["type"], signal["session"]
        if kind == "leave":
            await self._drop(member.client)
        elif kind == "join":
            await self.say({"type": "here", "peer": session, "media": MEDIA}, member.client)
            await self._meet(member, session)
        elif kind == "here":
            await self._meet(member, session)
        elif kind in ("again", "description", "candidates"):
            peer = await self._meet(member, session, signal["attempt"])
            if signal["attempt"] < peer.attempt:
                return  # of a connection that was given up
            if kind == "description":
                await peer.described(signal["kind"], signal["sdp"])
            elif kind == "candidates":
                await peer.found(signal["candidates"])

    async def _meet(self, member: Member, session: str, attempt: int = 0) -> NativePeer:
        """The connection to a client's stay in the call: that of `attempt`, if it is newer."""
        async with self._meeting:
            present = self.peers.get(member.client)
            if present is not None and present.session == session and present.attempt >= attempt:
                return present
            await self._drop(member.client)
            peer = self.peers[member.client] = NativePeer(self, member, session, attempt)
            await peer.begin()
            return peer

    async def _drop(self, client: bytes) -> None:
        peer = self.peers.pop(client, None)
        if peer is not None:
            await peer.close()

    # -- what is seen --

    def seen(self, identity: str) -> dict[str, Any] | None:
        """What comes from somebody now: the colour in the middle, frames shown, the newest epoch, what was refused."""
        for peer in list(self.peers.values()):
            if peer.member.identity == identity:
                return dict(peer.seen) | {"refused": dict(peer.refused)}
        return None
