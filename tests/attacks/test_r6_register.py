"""Attacks by an ordering service on conferences whose epoch ended by a commit that nobody can follow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from roomkey.conference import attempts, succession, upkeep
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Accepted, Conflict, DeliveryService
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


@pytest.mark.parametrize("spoilt", [False, True])
async def test_foundings_that_are_never_taken(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch, spoilt: bool
) -> None:
    """The service shows open registers, and refuses what is founded there: because of nothing, or of junk that it shows
    then. Each founding uses up keys of all others, which are not the service's to waste.
    """
    conference = await call(alice, bob)
    before, taken = conference.id, set[bytes]()
    read_commits, submit_commit = DeliveryService.read_commits, DeliveryService.submit_commit
    submitted = 0

    async def read(self: DeliveryService, group_id: bytes, epoch: int, token: bytes) -> tuple[StoredCommit, ...]:
        if group_id == before:
            return await read_commits(self, group_id, epoch, token)
        return (StoredCommit(0, b"junk", bytes(32)),) if group_id in taken else ()

    async def submit(self: DeliveryService, group_id: bytes, *arguments: Any) -> Accepted | Conflict:
        nonlocal submitted
        if group_id == before:
            return await submit_commit(self, group_id, *arguments)
        submitted += 1
        assert submitted < ENOUGH
        if spoilt:
            taken.add(group_id)
        await asyncio.sleep(0)
        return Conflict(())

    monkeypatch.setattr(DeliveryService, "read_commits", read)
    monkeypatch.setattr(DeliveryService, "submit_commit", submit)
    await bob.client.publish(100)
    await bob.client.close()
    await junk(bob)
    conference.settle()
    await until(lambda: "group-stuck" in alice.errors or submitted > 2 * upkeep.MAX_LOST, "an end")
    assert "group-stuck" in alice.errors
    assert 0 < submitted <= upkeep.MAX_LOST + upkeep.MAX_FAILURES
