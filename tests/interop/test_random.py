"""A random differential run: our engine and ts-mls play the same seed in one mixed group and agree after each commit.

ROOMKEY_INTEROP_STEPS=10000 asks for a longer run than the usual 1,000 steps, ROOMKEY_INTEROP_SEED for another one.
A failure names seed and step: the same seed plays the same steps, with other keys.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.mls.policy import EXTERNAL_JOINS, POLICIES

from tests.interop.carriers import Delivery, Memory
from tests.interop.peer import Peer
from tests.interop.random_play import Play
from tests.interop.room import Room
from tests.interop.steps import Step

STEPS = int(os.environ.get("ROOMKEY_INTEROP_STEPS", "1000"))
SEED = int(os.environ.get("ROOMKEY_INTEROP_SEED", "1"))

# Members at most, the share of the steps, the suite, and whether they go over the delivery service, which costs as much
# as the engines do. Large groups cost the most, small ones change shape the most.
GROUPS = ((5, 0.5, 1, False), (9, 0.2, 3, False), (5, 0.1, 2, True), (9, 0.1, 1, True), (20, 0.1, 1, True))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("limit", "share", "suite", "served"),
    GROUPS,
    ids=[f"up_to_{limit}-suite{suite}-{'delivery' if served else 'memory'}" for limit, _, suite, served in GROUPS],
)
async def test_random_steps(
    ts_mls: Peer, delivery: Delivery, limit: int, share: float, suite: int, served: bool
) -> None:
    carrier = delivery if served else Memory()
    room = Room(SUITES[suite], ts_mls, policy=POLICIES[EXTERNAL_JOINS], carrier=carrier)
    play = Play(random.Random(f"{SEED} {limit} {suite}"), room, limit)
    played: list[Step] = []
    for step in itertools.islice(play.steps(), max(10, int(STEPS * share))):
        played.append(step)
        try:
            await room.play(step)
        except Exception as error:
            last = "\n".join(map(str, played[-8:]))
            raise AssertionError(
                f"seed {SEED}, up to {limit}, step {len(played)}: {error}; the last steps:\n{last}"
            ) from error
