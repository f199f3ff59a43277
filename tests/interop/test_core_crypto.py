"""OpenMLS by core-crypto in our groups and ours in its, as far as its API goes (`core_crypto_member`). Members a1, a2,
... run our engine, c1, c2, ... core-crypto, b1, ... ts-mls.
"""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.mls.group import Policy
from roomkey.mls.proposals import Remove, proposal

from tests.interop.core_crypto_member import CoreCryptoMember
from tests.interop.members import COMMIT, COMMON_SUITES, PROPOSAL, REMOVED, Refused
from tests.interop.peer import Peer
from tests.interop.room import Room
from tests.interop.scenarios import Scenario
from tests.interop.steps import Commit, Create, Enter, Open, Say, Seal

SEVEN = ("c1", "a2", "c2", "a3", "c3", "a4", "c4")
NINETEEN = tuple(name for i in range(1, 11) for name in (f"c{i}", f"a{i + 1}"))[:19]

SCENARIOS = (
    Scenario("we_create", (Create("a1"), Commit("a1", add=("c1",)), Commit("c1"), Commit("a1"), Commit("c1"))),
    Scenario("it_creates", (Create("c1"), Commit("c1", add=("a1",)), Commit("a1"), Commit("c1"), Commit("a1"))),
    Scenario("each_adds", (
        Create("c1"), Commit("c1", add=("a1",)), Commit("a1", add=("c2",)), Commit("c2", add=("a2", "c3")),
        Commit("a2"),
    )),
    Scenario("each_removes", (
        Create("a1"), Commit("a1", add=SEVEN), Commit("c2", remove=("a2", "c3")), Commit("a3", remove=("c1",)),
        Commit("c4"), Commit("a4"),
    )),
    Scenario("the_creator_goes", (
        Create("a1"), Commit("a1", add=SEVEN), Commit("c4", remove=("a1",)), Commit("a2"), Commit("c1"),
    )),
    Scenario("gaps_are_filled", (  # leaves unmerged in different halves
        Create("a1"), Commit("a1", add=SEVEN), Commit("c1"), Commit("a4"), Commit("a4", remove=("c1", "c3")),
        Commit("c2", add=("c5", "a5")), Commit("a1", add=("c6",)), Commit("c6"), Commit("a5"), Commit("c5"),
    )),
    Scenario("the_left_half_goes", (  # a commit whose filtered direct path ends below the root
        Create("a1"), Commit("a1", add=SEVEN), Commit("a4", remove=("a1", "c1", "a2", "c2")), Commit("c4"),
        Commit("a3"), Commit("c3", add=("c5",)), Commit("c5"),
    )),
    Scenario("late_and_out_of_order", (
        Create("a1"), Commit("a1", add=("c1",)), Seal("a1", "1"), Seal("a1", "2"), Seal("c1", "3"), Seal("c1", "4"),
        Open("c1", "2"), Open("a1", "4"), Commit("c1"), Open("a1", "3"), Open("c1", "1"), Say("c1"), Say("a1"),
    )),
    Scenario("from_outside", (
        Create("a1"), Commit("a1", add=("c1", "a2")), Enter("c2", "a1"), Commit("c2"), Commit("a2"), Enter("c3", "a2"),
        Commit("a1", remove=("c2",)), Commit("c3"),
    )),
    Scenario("twenty", (
        Create("a1"), Commit("a1", add=NINETEEN), Commit("c1"), Commit("a7"), Commit("c10", remove=("a3", "c5")),
    )),
)  # fmt: skip

# The others touch each cryptographic operation once.
SUITE_SCENARIOS = frozenset({"each_removes", "late_and_out_of_order"})


@pytest.mark.parametrize(
    ("suite", "scenario"),
    [
        pytest.param(suite, scenario, id=f"{scenario.name}-suite{suite.number}")
        for suite in COMMON_SUITES
        for scenario in SCENARIOS
        if suite.number == 1 or scenario.name in SUITE_SCENARIOS
    ],
)
async def test_scenario(ts_mls: Peer, core_crypto: Peer, suite: CipherSuite, scenario: Scenario) -> None:
    room = Room(suite, ts_mls, core_crypto=core_crypto, policy=Policy(external_commits=True))
    for step in scenario.steps:
        await room.play(step)
    await room.talk()


async def test_it_commits_what_we_propose(ts_mls: Peer, core_crypto: Peer) -> None:
    room = Room(SUITES[1], ts_mls, core_crypto=core_crypto)
    await room.play(Create("a1"))
    await room.play(Commit("a1", add=("c1", "a2", "c2")))
    for item in (proposal(Remove(room.leaf("c2"))), await room.add("a3", "a2"), None):  # None: an Update of our leaf
        message = await room.person("a2").propose(item, public=True)
        for name in room.others("a2"):
            assert (await room.person(name).process(message, {})).kind == PROPOSAL, name
    committer = room.person("c1")
    assert isinstance(committer, CoreCryptoMember)
    made = await committer.commit_proposals()
    for name in room.others("c1"):
        kind = (await room.person(name).process(made.message, {})).kind
        assert kind == (REMOVED if name == "c2" else COMMIT), name
    assert made.welcome is not None
    await room.person("a3").join(made.welcome, None, {})
    room.inside = ["a1", "c1", "a2", "a3"]
    room.epoch += 1
    await room.agree()
    await room.play(Commit("a2"))
    await room.talk()


async def test_it_takes_public_handshakes_only(ts_mls: Peer, core_crypto: Peer) -> None:
    """Its policy, not RFC 9420's: section 6 leaves the choice to the application."""
    room = Room(SUITES[1], ts_mls, core_crypto=core_crypto)
    await room.play(Create("a1"))
    await room.play(Commit("a1", add=("c1",)))
    made = await room.person("a1").commit([], path=True, public=False, psks={}, tree_inside=True)
    with pytest.raises(Refused, match="wire format policy"):
        await room.person("c1").process(made.message, {})


async def test_three_engines_in_one_group(ts_mls: Peer, core_crypto: Peer) -> None:
    room = Room(SUITES[1], ts_mls, core_crypto=core_crypto, policy=Policy(external_commits=True))
    await room.play(Create("a1"))
    await room.play(Commit("a1", add=("b1", "c1", "a2", "b2", "c2")))
    for name in ("b1", "c2", "a2", "b2", "c1"):
        await room.play(Commit(name))
    await room.play(Commit("c1", remove=("b2",)))
    await room.play(Commit("b1", remove=("c2",)))
    await room.play(Commit("b1", add=("c3",)))
    await room.play(Commit("c3", add=("b3",)))
    await room.play(Enter("c4", "a2"))
    await room.talk()
