"""Who is in which room, and what goes to whom.

A room is there as long as somebody is in it. Its name is what lets people in: 16 random bytes or more, base64url, which
a conference's members tell each other by an encrypted message. Who learns it can listen to protected packets and send
such that nobody takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from roomkey.errors import RoomkeyError

MAX_ROOMS: Final = 1_000
MAX_IN_ROOM: Final = 64
# Bytes of a packet; the bundle's have 1,120 at most. A larger one may not fit into a QUIC packet of 1,280.
MAX_PACKET: Final = 1_150
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{22,86}")

# Takes a packet for one end of a room; it may drop it.
Sink = Callable[[bytes], None]


class Rooms:
    """See the module."""

    def __init__(self, *, rooms: int = MAX_ROOMS, in_room: int = MAX_IN_ROOM) -> None:
        self._limits = rooms, in_room
        self._rooms: dict[str, list[Sink]] = {}

    def enter(self, name: str, sink: Sink) -> Entered:
        """Comes in. Errors: "bad-argument" for what is no name; "service-unavailable" where no more fit."""
        if not _NAME.fullmatch(name):
            raise RoomkeyError("bad-argument", "room: expected 22 to 86 characters of base64url", field="room")
        rooms, in_room = self._limits
        if name not in self._rooms and len(self._rooms) >= rooms:
            raise RoomkeyError("service-unavailable", f"expected at most {rooms} rooms")
        inside = self._rooms.setdefault(name, [])
        if len(inside) >= in_room:
            raise RoomkeyError("service-unavailable", f"expected at most {in_room} in a room")
        inside.append(sink)
        return Entered(self, name, sink)

    def inside(self, name: str) -> int:
        """How many are in a room."""
        return len(self._rooms.get(name, ()))

    def _send(self, name: str, sink: Sink, packet: bytes) -> None:
        inside = self._rooms.get(name, [])
        if not 0 < len(packet) <= MAX_PACKET or sink not in inside:
            return
        for other in inside:
            if other is not sink:
                other(packet)

    def _leave(self, name: str, sink: Sink) -> None:
        inside = self._rooms.get(name, [])
        if sink in inside:
            inside.remove(sink)
        if not inside:
            self._rooms.pop(name, None)


class Entered:
    """One end's place in a room."""

    def __init__(self, rooms: Rooms, name: str, sink: Sink) -> None:
        self._rooms = rooms
        self._name = name
        self._sink = sink

    def send(self, packet: bytes) -> None:
        """Gives a packet to all others of the room; one of no or too many bytes to nobody."""
        self._rooms._send(self._name, self._sink, packet)

    def leave(self) -> None:
        """Gives the place up; more than once does no harm."""
        self._rooms._leave(self._name, self._sink)
