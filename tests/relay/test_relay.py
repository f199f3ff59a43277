"""A relay over real QUIC connections, spoken to by aioquic's own client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent
from roomkey_relay import sessions
from roomkey_relay.certificate import own_certificate
from roomkey_relay.relay import relaying
from roomkey_relay.rooms import MAX_PACKET, Rooms

from tests.support.simulator import until

ROOM, OTHER = "r" * 22, "o" * 22
HOST = "127.0.0.1"


class End(QuicConnectionProtocol):
    """One client of the relay; sessions are named by their streams."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.http = H3Connection(self._quic, enable_webtransport=True)
        self.answers: dict[int, asyncio.Future[str]] = {}
        self.heard: list[tuple[int, bytes]] = []

    def quic_event_received(self, event: QuicEvent) -> None:
        for item in self.http.handle_event(event):
            if isinstance(item, HeadersReceived):
                self.answers[item.stream_id].set_result(dict(item.headers)[b":status"].decode())
            elif isinstance(item, DatagramReceived):
                self.heard.append((item.stream_id, item.data))

    async def asked(self, path: str, **headers: str) -> tuple[int, str]:
        """Asks for a session: its stream, and the status."""
        stream = self._quic.get_next_available_stream_id()
        self.answers[stream] = asyncio.get_running_loop().create_future()
        all_headers = {":method": "CONNECT", ":scheme": "https", ":authority": HOST, ":path": path}
        all_headers |= {":protocol": "webtransport"} | {
            name.replace("_", ":", 1): text for name, text in headers.items()
        }
        self.http.send_headers(stream, [(name.encode(), text.encode()) for name, text in all_headers.items()])
        self.transmit()
        return stream, await self.answers[stream]

    async def session(self, room: str = ROOM) -> int:
        stream, status = await self.asked(sessions.PATH + room)
        assert status == "200"
        return stream

    def send(self, stream: int, packet: bytes) -> None:
        self.http.send_datagram(stream, packet)
        self.transmit()

    async def hears(self, *packets: tuple[int, bytes]) -> None:
        for _ in range(6_000):
            if len(self.heard) >= len(packets):
                break
            await asyncio.sleep(0.01)
        assert self.heard == [*packets]


@asynccontextmanager
async def end_of(port: int) -> AsyncIterator[End]:
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN, max_datagram_frame_size=65536, verify_mode=ssl.CERT_NONE
    )  # fmt: skip
    async with connect(HOST, port, configuration=configuration, create_protocol=End) as client:
        assert isinstance(client, End)
        yield client


@pytest.fixture
async def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def port(rooms: Rooms) -> AsyncIterator[int]:
    async with relaying(HOST, 0, own_certificate(HOST), rooms=rooms) as port:
        yield port


async def test_packets_reach_all_others_of_the_room(port: int) -> None:
    async with end_of(port) as alice, end_of(port) as bob, end_of(port) as carol, end_of(port) as dave:
        streams = [await end.session() for end in (alice, bob, carol)]
        await dave.session(OTHER)
        alice.send(streams[0], b"one")
        bob.send(streams[1], bytes(MAX_PACKET))
        await carol.hears((streams[2], b"one"), (streams[2], bytes(MAX_PACKET)))
        await bob.hears((streams[1], b"one"))
        await alice.hears((streams[0], bytes(MAX_PACKET)))
        assert dave.heard == []


async def test_two_sessions_of_one_connection(port: int) -> None:
    async with end_of(port) as alice, end_of(port) as bob:
        first, second = await alice.session(), await alice.session(OTHER)
        theirs = await bob.session(OTHER)
        bob.send(theirs, b"to the second")
        await alice.hears((second, b"to the second"))
        alice.send(first, b"to nobody")
        alice.send(second, b"to bob")
        await bob.hears((theirs, b"to bob"))


async def test_who_goes_is_out(port: int, rooms: Rooms) -> None:
    async with end_of(port) as alice:
        ours = await alice.session()
        async with end_of(port) as bob:
            await bob.session()
            assert rooms.inside(ROOM) == 2
            stream = await bob.session(OTHER)
            bob.http.send_data(stream, b"", end_stream=True)
            bob.transmit()
            for _ in range(6_000):
                if rooms.inside(OTHER) == 0:
                    break
                await asyncio.sleep(0.01)
            assert (rooms.inside(ROOM), rooms.inside(OTHER)) == (2, 0)
        for _ in range(6_000):
            if rooms.inside(ROOM) == 1:
                break
            await asyncio.sleep(0.01)
        assert rooms.inside(ROOM) == 1
        alice.send(ours, b"to nobody")


async def test_what_is_refused(port: int) -> None:
    async with end_of(port) as end:
        assert (await end.asked("/v1/rooms/short"))[1] == "400"
        assert (await end.asked("/elsewhere"))[1] == "404"
        assert (await end.asked(sessions.PATH + ROOM, _protocol="websocket"))[1] == "400"
        assert (await end.asked(sessions.PATH + ROOM, _method="GET"))[1] == "400"
        for _ in range(sessions.MAX_SESSIONS):
            await end.session()
        assert (await end.asked(sessions.PATH + ROOM))[1] == "503"


async def test_streams_bring_little(port: int, rooms: Rooms) -> None:
    """A stream whose first bytes never come costs the memory up to its last: no more than sessions need is allowed."""
    async with end_of(port) as bob, end_of(port) as alice:
        stream = await alice.session()
        await bob.session()
        allowed = alice._quic._remote_max_data, alice._quic._remote_max_stream_data_bidi_remote
        assert allowed == (2 * sessions.MAX_STREAM_BYTES,) * 2
        alice._quic.send_stream_data(stream, bytes(3 * sessions.MAX_STREAM_BYTES))
        alice.transmit()
        await asyncio.wait_for(alice.wait_closed(), 120)
        for _ in range(6_000):
            if rooms.inside(ROOM) == 1:
                break
            await asyncio.sleep(0.01)
        assert rooms.inside(ROOM) == 1


async def test_connections_are_bounded() -> None:
    async with relaying(HOST, 0, own_certificate(HOST), connections=2) as port, end_of(port) as alice:
        await alice.session()
        async with end_of(port) as bob:
            await bob.session()
            for _ in range(3):  # those that are refused take nobody's place
                with pytest.raises(ConnectionError):
                    async with end_of(port):
                        pass
        for _ in range(6_000):
            try:
                async with end_of(port) as carol:
                    await carol.session()
                break
            except ConnectionError:  # bob's is still closing
                await asyncio.sleep(0.01)
        else:
            raise AssertionError("expected room for another connection")


async def test_a_forged_address_costs_nothing(port: int) -> None:
    """Who has not shown that packets reach it gets less than it sent, and is not remembered."""
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=HOST)
    forged = [QuicConnection(configuration=configuration) for _ in range(20)]
    firsts = []
    for connection in forged:
        connection.connect((HOST, port), 0.0)
        [(first, _), *_] = connection.datagrams_to_send(0.0)
        firsts.append(first)
    heard: list[bytes] = []

    class Address(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            heard.append(data)

    made: list[sessions.SessionProtocol] = []
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Address, remote_addr=(HOST, port))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sessions.SessionProtocol, "connection_made", lambda protocol, _: made.append(protocol))
            for first in firsts:
                transport.sendto(first)
            for _ in range(6_000):
                if len(heard) >= len(firsts) or made:
                    break
                await asyncio.sleep(0.01)
    finally:
        transport.close()
    assert made == []
    assert len(heard) == len(firsts)
    assert sum(map(len, heard)) < sum(map(len, firsts))


async def test_websites_that_may_come() -> None:
    async with relaying(HOST, 0, own_certificate(HOST), origins=["https://page.example"]) as port, end_of(port) as end:
        assert (await end.asked(sessions.PATH + ROOM, origin="https://page.example"))[1] == "200"
        assert (await end.asked(sessions.PATH + ROOM, origin="https://other.example"))[1] == "403"
        assert (await end.asked(sessions.PATH + ROOM))[1] == "403"


async def test_what_waits_for_a_slow_connection_is_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets come faster than they can go on: those above the bound are dropped, and it goes on."""
    kept: list[QuicConnectionProtocol] = []
    async with end_of(port) as alice, end_of(port) as bob:
        streams = [await end.session() for end in (alice, bob)]
        waiting = 0

        def stuck(protocol: sessions.SessionProtocol) -> None:
            nonlocal waiting
            kept.append(protocol)
            protocol._sending = False
            waiting = max(waiting, len(protocol._quic._datagrams_pending))

        with monkeypatch.context() as patch:
            patch.setattr(sessions.SessionProtocol, "_send", stuck)
            patch.setattr(sessions.SessionProtocol, "transmit", lambda protocol: None)
            for _ in range(2 * sessions.MAX_WAITING):
                alice.send(streams[0], b"packet")
                await asyncio.sleep(0)
            await until(lambda: waiting >= sessions.MAX_WAITING, "as many to wait as may")
            await asyncio.sleep(0.2)  # for those above the bound to come
            assert waiting == sessions.MAX_WAITING
        for protocol in (kept[0], alice):  # hers, for the relay acknowledged nothing meanwhile
            protocol._quic._datagrams_pending.clear()
        kept[0].transmit()
        alice.send(streams[0], b"later")
        await bob.hears((streams[1], b"later"))
