"""A random differential run: our engine and ts-mls play the same seed in one mixed group and agree after each commit.

ROOMKEY_INTEROP_STEPS=10000 asks for a longer run than the few steps of a normal one, ROOMKEY_INTEROP_SEED for another.
A failure names seed and step: the same seed plays the same steps, with other keys.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.mls.group import Policy

from tests.interop.carriers import Delivery
from tests.interop.peer import Peer
from tests.interop.random_play import Play
from tests.interop.room import Room
from tests.interop.steps import Step

STEPS = int(os.environ.get("ROOMKEY_INTEROP_STEPS", "200"))
SEED = int(os.environ.get("ROOMKEY_INTEROP_SEED", "1"))

# Members at most, the share of the steps, and the suite: large groups cost the most, small ones change shape the most.
GROUPS = ((5, 0.6, 1), (9, 0.3, 3), (20, 0.1, 1))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("limit", "share", "suite"), GROUPS, ids=[f"up_to_{limit}" for limit, _, _ in GROUPS])
async def test_random_steps(ts_mls: Peer, delivery: Delivery, limit: int, share: float, suite: int) -> None:
    room = Room(SUITES[suite], ts_mls, policy=Policy(external_commits=True), carrier=delivery)
    play = Play(random.Random(f"{SEED} {limit}"), room, limit)
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
