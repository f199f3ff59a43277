"""The service's side of a stream, driven without a socket: heartbeats, wake-ups, the end."""

from __future__ import annotations

import asyncio

import pytest
from roomkey.federation.delivery_messages import InboxItem
from roomkey_delivery import inbox

from tests.delivery.local import Local

HEARTBEAT = InboxItem(0, b"").encode()
SECONDS = 120.0  # for what comes at once, or not at all
NEVER = 3600.0  # seconds until a stream wakes by itself


async def test_heartbeats_come_at_once_and_after_silence(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "HEARTBEAT", 0.01)
    alice = await local.enrolled("alice")
    me = alice.signer.client_id
    stream = inbox._items(local.service, me)
    assert [await anext(stream) for _ in range(3)] == [HEARTBEAT] * 3
    await local.at(alice).send(b"m", [me])
    items = [await anext(stream) for _ in range(3)]
    assert InboxItem(1, b"m").encode() in items[:2]  # a heartbeat may have been on its way
    assert items[2] == HEARTBEAT


async def test_a_heartbeat_follows_what_waited(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "HEARTBEAT", NEVER)
    alice = await local.enrolled("alice")
    me = alice.signer.client_id
    for number in range(inbox.READ + 1):
        await local.at(alice).send(b"%d" % number, [me])
    stream = inbox._items(local.service, me)
    assert await anext(stream) == HEARTBEAT
    for number in range(inbox.READ + 1):
        assert await anext(stream) == InboxItem(number + 1, b"%d" % number).encode()
    async with asyncio.timeout(SECONDS):
        assert await anext(stream) == HEARTBEAT


async def test_a_message_wakes_the_stream(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "HEARTBEAT", NEVER)
    alice = await local.enrolled("alice")
    me = alice.signer.client_id
    stream = inbox._items(local.service, me)
    assert [await anext(stream) for _ in range(2)] == [HEARTBEAT] * 2
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await local.at(alice).send(b"m", [me])
    async with asyncio.timeout(SECONDS):
        assert await waiting == InboxItem(1, b"m").encode()


async def test_a_service_that_stops_ends_its_streams(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "HEARTBEAT", NEVER)
    alice = await local.enrolled("alice")
    stream = inbox._items(local.service, alice.signer.client_id)
    assert [await anext(stream) for _ in range(2)] == [HEARTBEAT] * 2
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    local.service.hub.close()
    async with asyncio.timeout(SECONDS):
        ended = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(ended[0], StopAsyncIteration)
    late = inbox._items(local.service, alice.signer.client_id)
    assert [item async for item in late] == [HEARTBEAT]
    assert local.service.hub._listeners == {}
