"""WebTransport over HTTP/3 (draft-ietf-webtrans-http3) as far as a relay of datagrams needs it: sessions that are
opened by CONNECT at `/v1/rooms/NAME`, and their datagrams. Streams inside a session are not used, and not answered.

    200 in; 400 no WebTransport, or no room's name; 403 a website that may not; 404 another path; 503 no more fit
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DatagramReceived, DataReceived, H3Event, HeadersReceived
from aioquic.quic.connection import NetworkAddress, QuicConnection
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent, StreamReset
from aioquic.quic.packet import QuicFrameType
from roomkey.errors import RoomkeyError

from roomkey_relay.rooms import Entered, Rooms

PATH: Final = "/v1/rooms/"
# Packets that wait for one connection: some 300 KB, a quarter of a second at 10 Mbit/s. What comes later is dropped.
MAX_WAITING: Final = 256
MAX_SESSIONS: Final = 16  # of one connection
# Bytes that all streams of a connection bring in its life: the heads of its sessions are a few hundred each. aioquic
# doubles what it takes without an end, and makes room for what is skipped.
MAX_STREAM_BYTES: Final = 65_536
# At once, of all clients: each takes some 100 kB.
MAX_CONNECTIONS: Final = 2_000
_REFUSED: Final = 0x02  # CONNECTION_REFUSED (RFC 9000 section 20.1)
_EXCESSIVE_LOAD: Final = 0x107  # H3_EXCESSIVE_LOAD (RFC 9114 section 8.1)
_STATUS: Final = {"bad-argument": 400, "service-unavailable": 503}  # what rooms say


class _Refused(Exception):
    """What is answered instead of a session."""

    def __init__(self, status: int) -> None:
        self.status = status


class Connections:
    """How many more there may be."""

    def __init__(self, most: int) -> None:
        self.free = most


class SessionProtocol(QuicConnectionProtocol):
    """One connection.

    Args:
        origins: websites that may come; None for all.
    """

    def __init__(
        self, quic: QuicConnection, connections: Connections, rooms: Rooms, origins: Collection[str] | None
    ) -> None:
        super().__init__(quic)
        self._connections = connections
        self._is_taken = connections.free > 0
        connections.free -= self._is_taken
        self._rooms = rooms
        self._origins = origins
        self._http: H3Connection | None = None
        self._sessions: dict[int, Entered] = {}  # by the stream of their CONNECT
        self._sending = False

    def datagram_received(self, data: bytes | str, addr: NetworkAddress) -> None:
        """Takes a packet; ends a connection that is one too many, or whose streams bring more than sessions need."""
        assert isinstance(data, bytes)  # what sockets bring
        if not self._is_taken:
            self._quic.receive_datagram(data, addr, now=self._loop.time())
            self._quic.close(error_code=_REFUSED, frame_type=QuicFrameType.CRYPTO)
            self.transmit()
            return
        super().datagram_received(data, addr)
        if self._quic._local_max_data.used > MAX_STREAM_BYTES:
            self.close(error_code=_EXCESSIVE_LOAD)

    def quic_event_received(self, event: QuicEvent) -> None:
        """Takes what the connection brings."""
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic, enable_webtransport=True)
        elif isinstance(event, ConnectionTerminated):
            self._connections.free += self._is_taken
            self._is_taken = False
            for session in list(self._sessions):
                self._end(session)
        elif isinstance(event, StreamReset):
            self._end(event.stream_id)
        if self._http is not None:
            for item in self._http.handle_event(event):
                self._take(item)

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            if event.stream_id not in self._sessions:
                self._open(event.stream_id, dict(event.headers))
        elif isinstance(event, DatagramReceived):
            session = self._sessions.get(event.stream_id)
            if session is not None:
                session.send(event.data)
        elif isinstance(event, DataReceived) and event.stream_ended:
            self._end(event.stream_id)

    def _open(self, stream: int, headers: dict[bytes, bytes]) -> None:
        assert self._http is not None
        status = 200
        try:
            self._sessions[stream] = self._rooms.enter(self._room(headers), self._sink(stream))
        except _Refused as refused:
            status = refused.status
        except RoomkeyError as error:
            status = _STATUS[error.code]
        answer = [(b":status", str(status).encode()), (b"sec-webtransport-http3-draft", b"draft02")]
        self._http.send_headers(stream, answer, end_stream=status != 200)
        self._send_soon()

    def _room(self, headers: dict[bytes, bytes]) -> str:
        """The name of the room that is asked for, if a session may be had there."""
        asked = headers.get(b":method"), headers.get(b":protocol")
        if asked != (b"CONNECT", b"webtransport"):
            raise _Refused(400)
        path = headers.get(b":path", b"").decode("latin-1")
        if not path.startswith(PATH):
            raise _Refused(404)
        if self._origins is not None and headers.get(b"origin", b"").decode("latin-1") not in self._origins:
            raise _Refused(403)
        if len(self._sessions) >= MAX_SESSIONS:
            raise _Refused(503)
        return path.removeprefix(PATH)

    def _sink(self, stream: int) -> Callable[[bytes], None]:
        def take(packet: bytes) -> None:
            # aioquic has no bound of its own for datagrams that wait, and no public way to count them.
            if self._http is None or len(self._quic._datagrams_pending) >= MAX_WAITING:
                return
            self._http.send_datagram(stream, packet)
            self._send_soon()

        return take

    def _end(self, stream: int) -> None:
        session = self._sessions.pop(stream, None)
        if session is not None:
            session.leave()

    def _send_soon(self) -> None:
        """Sends once for all packets that one turn of the loop brings."""
        if not self._sending:
            self._sending = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._sending = False
        self.transmit()
