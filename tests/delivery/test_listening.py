"""The socket that the service listens at."""

from __future__ import annotations

import asyncio
import socket

from roomkey_delivery.cli import _listen


async def test_answers_do_not_wait_for_acknowledgements() -> None:
    """An answer is written in two pieces; with Nagle's algorithm the second waits up to 40 ms for the client."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = _listen("127.0.0.1", 0)
    async with await asyncio.start_server(serve, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert await accepted
        writer.close()
        await writer.wait_closed()
