"""Groups of our engine and ts-mls in the post-quantum suite: our hybrid KEM beside the X-Wing of @noble/post-quantum.

ts-mls has no suite of the draft; its engine gets this one from `ts_mls_hybrid_peer`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.mls.group import Policy

from tests.interop.carriers import Memory
from tests.interop.peer import Peer
from tests.interop.room import Room
from tests.interop.scenarios import SCENARIOS, Scenario
from tests.interop.steps import Commit, Create, Enter, Say
from tests.interop.test_scenarios import SUITE_SCENARIOS

SUITE = SUITES[0xF0C1]
NAMES = SUITE_SCENARIOS | {"welcome_join/one_after_another"}
PLAYS = [
    pytest.param(scenario, ours, id=f"{scenario.name}-roomkey_is_{ours}")
    for scenario in SCENARIOS
    for ours in scenario.ours
    if scenario.name in NAMES
]


@pytest.fixture(scope="module")
def ts_mls_hybrid() -> Iterator[Peer]:
    with Peer("ts_mls_hybrid_peer.mjs") as peer:
        yield peer


@pytest.mark.asyncio
@pytest.mark.parametrize(("scenario", "ours"), PLAYS)
async def test_scenario(ts_mls_hybrid: Peer, scenario: Scenario, ours: str) -> None:
    room = Room(SUITE, ts_mls_hybrid, ours, carrier=Memory())
    for step in scenario.steps:
        await room.play(step)
    assert not room.refused
    await room.talk()


@pytest.mark.asyncio
async def test_external_commits(ts_mls_hybrid: Peer) -> None:
    """The epoch's own KEM key pair, derived from its secret, and the init secret that its exporter gives."""
    room = Room(SUITE, ts_mls_hybrid, policy=Policy(external_commits=True), carrier=Memory())
    steps = (Create("a1"), Commit("a1", add=("b1",)), Enter("b2", "a1"), Commit("a1"), Enter("b3", "b1"), Say("b3"))
    for step in steps:
        await room.play(step)
    await room.talk()
