"""Fixed scenarios in groups of our engine and ts-mls, each played in both roles, over the delivery service."""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import CipherSuite

from tests.interop.carriers import Delivery, Memory
from tests.interop.members import COMMON_SUITES
from tests.interop.peer import Peer
from tests.interop.room import Room
from tests.interop.scenarios import SCENARIOS, Scenario

# Suite 1 plays them all; the others those that touch each cryptographic operation once.
SUITE_SCENARIOS = frozenset(
    {
        *("welcome_join/with_path_secret", "welcome_join/with_psk", "application/out_of_order_across_epochs"),
        *("commit/add", "commit/remove", "commit/update_then_follow", "commit/all_kinds_of_psk", "public/proposals"),
    }
)

PLAYS = [
    pytest.param(suite, scenario, ours, id=f"{scenario.name}-suite{suite.number}-roomkey_is_{ours}")
    for suite in COMMON_SUITES
    for scenario in SCENARIOS
    for ours in scenario.ours
    if suite.number == 1 or scenario.name in SUITE_SCENARIOS
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("suite", "scenario", "ours"), PLAYS)
async def test_scenario(ts_mls: Peer, delivery: Delivery, suite: CipherSuite, scenario: Scenario, ours: str) -> None:
    carrier = delivery if suite.number == 1 else Memory()  # the services know nothing of suites
    room = Room(suite, ts_mls, ours, carrier=carrier)
    for step in scenario.steps:
        await room.play(step)
    assert not room.refused
    await room.talk()


def test_there_are_forty_scenarios() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) >= 40
    assert {scenario.name for scenario in SCENARIOS} >= SUITE_SCENARIOS
