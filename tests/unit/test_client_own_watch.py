"""When one's own entry is looked at, on a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from roomkey.client import own_watch
from roomkey.client.own_watch import LOOK_INTERVAL, OwnWatch
from roomkey.errors import RoomkeyError

from tests.support.simulator import until


class Clock:
    """Counts looks; each ends as `outcome` says."""

    def __init__(self) -> None:
        self.time = 1_795_000_000.0
        self.looks = 0
        self.outcome: RoomkeyError | None = None
        self.failed: list[str] = []
        self.watch = OwnWatch(self.look, lambda: self.time, lambda error: self.failed.append(error.code))

    async def look(self) -> None:
        self.looks += 1
        if self.outcome is not None:
            raise self.outcome

    async def looked(self, times: int) -> None:
        await until(lambda: self.looks >= times, f"{times} looks")

    async def rests(self) -> None:
        """Gives the watch many turns, and sees that it takes none."""
        before = self.looks
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert self.looks == before


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clock]:
    monkeypatch.setattr(own_watch, "_TICK", 0.001)
    made = Clock()
    running: asyncio.Task[Any] = asyncio.ensure_future(made.watch.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_at_the_start_and_daily(clock: Clock) -> None:
    await clock.looked(1)
    await clock.rests()
    clock.time += LOOK_INTERVAL - 1
    await clock.rests()
    clock.time += 1
    await clock.looked(2)
    await clock.rests()


async def test_when_the_head_moves(clock: Clock) -> None:
    await clock.looked(1)
    clock.watch.moved()
    await clock.looked(2)
    await clock.rests()


async def test_what_is_not_proved_is_asked_for_again_and_told_once_patience_ends(clock: Clock) -> None:
    clock.outcome = RoomkeyError("log-unproven")
    clock.watch.moved()
    await clock.looked(2)
    assert clock.failed == []
    for _ in range(20):
        before = clock.looks
        clock.time += 120
        await clock.looked(before + 1)
    assert clock.failed == ["log-unproven"]
    clock.outcome = None
    clock.time += 120
    await clock.looked(clock.looks + 1)
    clock.outcome = RoomkeyError("identity-hijacked")
    clock.time += LOOK_INTERVAL
    await until(lambda: len(clock.failed) == 2, "the alarm")
    assert clock.failed == ["log-unproven", "identity-hijacked"]
