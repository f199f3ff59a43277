"""The register of commits: one for each epoch, for members only (attacks S12 and S13)."""

from __future__ import annotations

import hashlib

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Accepted, Conflict, DeliveryService
from roomkey.federation.delivery_messages import StoredCommit
from roomkey.mls.framing import APPLICATION, COMMIT, PrivateMessage, message
from roomkey_delivery.store.sqlite import COMMITS_KEPT

from tests.delivery.local import Local

GROUP = b"g" * 32


def token(epoch: int) -> bytes:
    return hashlib.sha256(b"token %d" % epoch).digest()


def hashed(epoch: int) -> bytes:
    return hashlib.sha256(token(epoch)).digest()


def commit(epoch: int, mark: bytes = b"", group: bytes = GROUP, kind: int = COMMIT) -> bytes:
    """A commit as the service sees it: it cannot decrypt, so any bytes will do inside."""
    return message(PrivateMessage(group, epoch, kind, b"", b"sender data", b"ciphertext" + mark)).encode()


def stored(epoch: int, mark: bytes = b"") -> StoredCommit:
    return StoredCommit(epoch, commit(epoch, mark), hashed(epoch + 1))


async def submit(at: DeliveryService, epoch: int, mark: bytes = b"") -> Accepted | Conflict:
    return await at.submit_commit(GROUP, epoch, commit(epoch, mark), token(epoch), token(epoch + 1))


@pytest.fixture
async def at(local: Local) -> DeliveryService:
    service = local.at(await local.enrolled("alice"))
    await service.register_group(GROUP, hashed(0))
    return service


async def test_one_commit_for_each_epoch(local: Local, at: DeliveryService) -> None:
    bob = local.at(await local.enrolled("bob"))
    assert await submit(at, 0) == Accepted(0)
    assert await submit(at, 0) == Accepted(0)  # the answer was lost
    assert await submit(bob, 0, b"late") == Conflict((stored(0),))
    assert await submit(bob, 1, b"bob") == Accepted(1)
    assert await submit(at, 1) == Conflict((stored(1, b"bob"),))
    both = (stored(0), stored(1, b"bob"))
    assert await submit(bob, 0, b"very late") == Conflict(both)
    assert await at.read_commits(GROUP, 0, token(0)) == both
    assert await at.read_commits(GROUP, 1, token(1)) == both[1:]
    assert await at.read_commits(GROUP, 2, token(2)) == ()


async def test_the_winner_s_next_token_stands(at: DeliveryService) -> None:
    assert await submit(at, 0) == Accepted(0)
    again = await at.submit_commit(
        GROUP, 0, commit(0), token(0), b"x" * 32
    )  # same bytes, another next token: changes nothing
    assert again == Accepted(0)
    assert await at.read_commits(GROUP, 0, token(0)) == (stored(0),)
    assert await submit(at, 1) == Accepted(1)


async def test_without_the_epoch_s_token(local: Local, at: DeliveryService) -> None:
    removed = local.at(await local.enrolled("mallory"))
    await submit(at, 0)
    for attempt in (
        removed.submit_commit(GROUP, 1, commit(1), token(0), token(2)),  # a removed member knows older tokens only
        removed.submit_commit(GROUP, 0, commit(0, b"x"), bytes(32), token(1)),
        removed.submit_commit(GROUP, 2, commit(2), token(2), token(3)),  # not there yet
        removed.submit_commit(b"h", 0, commit(0, group=b"h"), token(0), token(1)),  # no such group
        removed.read_commits(GROUP, 0, bytes(32)),
        removed.read_commits(GROUP, 1 << 63, token(0)),
        removed.read_commits(b"h", 0, token(0)),
    ):
        with pytest.raises(RoomkeyError) as caught:
            await attempt
        assert caught.value.code == "wrong-token"
    assert await submit(at, 1) == Accepted(1)


async def test_what_is_no_commit_of_this_epoch(at: DeliveryService) -> None:
    for body in (
        b"",
        b"no message",
        commit(0)[:-1],
        commit(0) + b"\0",
        commit(1),  # another epoch
        commit(0, group=b"h" * 32),  # another group
        commit(0, kind=APPLICATION),
    ):
        with pytest.raises(RoomkeyError) as caught:
            await at.submit_commit(GROUP, 0, body, token(0), token(1))
        assert caught.value.code == "malformed-request"
    assert await submit(at, 0) == Accepted(0)


async def test_registration_happens_once(local: Local, at: DeliveryService) -> None:
    await at.register_group(GROUP, hashed(0))
    await submit(at, 0)
    await at.register_group(GROUP, hashed(0))
    mallory = local.at(await local.enrolled("mallory"))
    with pytest.raises(RoomkeyError) as caught:
        await mallory.register_group(GROUP, bytes(32))
    assert caught.value.code == "group-exists"
    await mallory.register_group(b"another", bytes(32), 7)  # a group that comes from another ordering service
    with pytest.raises(RoomkeyError):
        await mallory.register_group(b"", bytes(32))
    with pytest.raises(RoomkeyError):
        await mallory.register_group(b"late", bytes(32), 1 << 62)


async def test_commits_are_kept_for_30_days(local: Local, at: DeliveryService) -> None:
    await submit(at, 0)
    local.time += COMMITS_KEPT - 1
    await submit(at, 1)
    await local.service.store.prune(local.time)
    assert len(await at.read_commits(GROUP, 0, token(0))) == 2
    local.time += 1
    await local.service.store.prune(local.time)
    with pytest.raises(RoomkeyError):
        await at.read_commits(GROUP, 0, token(0))
    assert len(await at.read_commits(GROUP, 1, token(1))) == 1
    local.time += 10 * COMMITS_KEPT
    await local.service.store.prune(local.time)
    assert await submit(at, 2) == Accepted(2)  # a group that slept goes on


async def test_long_histories_come_in_parts(at: DeliveryService, monkeypatch: pytest.MonkeyPatch) -> None:
    for epoch in range(5):
        await submit(at, epoch)
    monkeypatch.setattr("roomkey_delivery.store.queries.COMMITS_PER_ANSWER", 2 * len(commit(0)))
    seen: list[int] = []
    while part := await at.read_commits(GROUP, len(seen), token(len(seen))):
        assert len(part) <= 2
        seen += [item.epoch for item in part]
    assert seen == [0, 1, 2, 3, 4]
    monkeypatch.setattr("roomkey_delivery.store.queries.COMMITS_PER_ANSWER", 1)
    assert len(await at.read_commits(GROUP, 0, token(0))) == 1  # never none
