"""Attacks by an ordering service on conferences whose epoch ended by a commit that nobody can follow."""

from __future__ import annotations

import asyncio

import pytest
from roomkey.conference import attempts, succession
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.delivery_messages import StoredCommit

from tests.attacks.test_s13_branch import junk
from tests.support.people import Person, call
from tests.support.simulator import until

ENOUGH = 1000  # questions, before anybody else asks anything


async def test_attempts_without_end(alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service says of every group that could follow that somebody opened its register with another token. Alice
    asks on and on, but not all the time: she speaks, and leaves when she likes.
    """
    conference = await call(alice, bob)
    before, asked = conference.id, 0
    read_commits = DeliveryService.read_commits

    async def read(self: DeliveryService, group_id: bytes, epoch: int, token: bytes) -> tuple[StoredCommit, ...]:
        nonlocal asked
        if group_id == before:
            return await read_commits(self, group_id, epoch, token)
        asked += 1
        await asyncio.sleep(0)
        raise RoomkeyError("wrong-token", status=403)

    async def register(*_: object) -> None:
        raise RoomkeyError("group-exists", status=409)

    monkeypatch.setattr(DeliveryService, "read_commits", read)
    monkeypatch.setattr(DeliveryService, "register_group", register)
    await bob.client.close()
    await junk(bob)
    conference.settle()
    await until(lambda: asked > 0, "a look for a successor")
    sending = asyncio.ensure_future(conference.send(b"are you there?"))
    await until(lambda: sending.done() or asked > ENOUGH, "a message to go")
    assert sending.done()
    await sending
    assert succession.due(conference._session) is not None
    assert conference._session.attempt >= attempts.MAX_PASSED
    assert conference._session.attempt >= attempts.MAX_PASSED
    await conference.leave()
    assert conference.gone
