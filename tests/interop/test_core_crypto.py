"""OpenMLS by core-crypto in our groups and ours in its, as far as its API goes (`core_crypto_member`). Members a1, a2,
... run our engine, c1, c2, ... core-crypto, b1, ... ts-mls.
"""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.mls.commit import Commit as CommitContent
from roomkey.mls.external import propose_external
from roomkey.mls.framing import MLSMessage, PublicMessage
from roomkey.mls.policy import EXTERNAL_JOINS, POLICIES
from roomkey.mls.proposals import Remove, proposal

from tests.interop.core_crypto_member import CoreCryptoMember
from tests.interop.members import COMMIT, COMMON_SUITES, PROPOSAL, REMOVED, Refused
from tests.interop.peer import Peer
from tests.interop.room import Room
from tests.interop.roomkey_member import RoomkeyMember
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
    room = Room(suite, ts_mls, core_crypto=core_crypto, policy=POLICIES[EXTERNAL_JOINS])
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


async def _its_group(ts_mls: Peer, core_crypto: Peer) -> tuple[Room, CoreCryptoMember]:
    """Its group, with c2 and one of ours."""
    room = Room(SUITES[1], ts_mls, core_crypto=core_crypto, policy=POLICIES[EXTERNAL_JOINS])
    await room.play(Create("c1"))
    await room.play(Commit("c1", add=("a1", "c2")))
    creator = room.person("c1")
    assert isinstance(creator, CoreCryptoMember)
    return room, creator


async def _taken(room: Room, message: bytes, kind: str, *, but: str = "") -> None:
    for name in room.inside:
        if name != but:
            assert (await room.person(name).process(message, {})).kind == kind, name


async def test_ours_joins_its_group_from_outside(ts_mls: Peer, core_crypto: Peer) -> None:
    room, creator = await _its_group(ts_mls, core_crypto)
    newcomer = room.person("a2")
    assert isinstance(newcomer, RoomkeyMember)
    await _taken(room, await newcomer.join_from_outside(creator.info), COMMIT)
    room.inside.append("a2")
    room.epoch += 1
    await room.agree()
    await room.play(Commit("c2"))
    await room.play(Commit("a2"))
    await room.talk()


async def test_it_lets_ours_ask_to_be_added(ts_mls: Peer, core_crypto: Peer) -> None:
    room, creator = await _its_group(ts_mls, core_crypto)
    newcomer = room.person("a2")
    assert isinstance(newcomer, RoomkeyMember)
    await _taken(room, await newcomer.propose_own_add(creator.info), PROPOSAL)
    made = await creator.commit_proposals()
    assert made.welcome is not None
    await _taken(room, made.message, COMMIT, but="c1")
    await newcomer.join(made.welcome, None, {})
    room.inside.append("a2")
    room.epoch += 1
    await room.agree()
    await room.talk()


async def test_both_take_proposals_of_an_external_sender(ts_mls: Peer, core_crypto: Peer) -> None:
    room = Room(SUITES[1], ts_mls, core_crypto=core_crypto)
    creator, ours = room.person("c1"), room.person("a1")
    assert isinstance(creator, CoreCryptoMember)
    assert isinstance(ours, RoomkeyMember)
    (key,) = await ours.crypto.generate_keys(SUITES[1].scheme, 1)
    await creator.create(room.group_id, sender=key.public)
    room.inside, room.since["c1"] = ["c1"], 0
    await room.play(Commit("c1", add=("a1", "c2")))
    assert ours.group is not None
    gone = room.leaf("c2")
    await _taken(room, await propose_external(ours.crypto, ours.group.context, key, proposal(Remove(gone))), PROPOSAL)
    made = await creator.commit_proposals()
    assert (await ours.process(made.message, {})).kind == COMMIT
    assert (await room.person("c2").process(made.message, {})).kind == REMOVED
    room.inside.remove("c2")
    room.epoch += 1
    await room.agree()


async def test_nobody_follows_its_change_of_credential(ts_mls: Peer, core_crypto: Peer) -> None:
    """It signs that commit by the new key, while the leaf in it still has the old one; the signature is to be by the
    key of the sender's leaf (RFC 9420 section 6.1).
    """
    room, creator = await _its_group(ts_mls, core_crypto)
    tree = room.tree()
    assert tree is not None
    before = tree.leaf(room.leaf("c1"))
    made = await creator.renew()
    for name, words in (("a1", "message-signature"), ("c2", "signature is invalid")):
        with pytest.raises(Refused, match=words):
            await room.person(name).process(made.message, {})
    body = MLSMessage.decode(made.message).body
    assert isinstance(body, PublicMessage)
    assert isinstance(body.content.content, CommitContent)
    path = body.content.content.path
    assert before is not None
    assert path is not None
    assert path.leaf_node.signature_key == before.signature_key


async def test_it_takes_public_handshakes_only(ts_mls: Peer, core_crypto: Peer) -> None:
    """Its policy, not RFC 9420's: section 6 leaves the choice to the application."""
    room = Room(SUITES[1], ts_mls, core_crypto=core_crypto)
    await room.play(Create("a1"))
    await room.play(Commit("a1", add=("c1",)))
    made = await room.person("a1").commit([], path=True, public=False, psks={}, tree_inside=True)
    with pytest.raises(Refused, match="wire format policy"):
        await room.person("c1").process(made.message, {})


async def test_three_engines_in_one_group(ts_mls: Peer, core_crypto: Peer) -> None:
    room = Room(SUITES[1], ts_mls, core_crypto=core_crypto, policy=POLICIES[EXTERNAL_JOINS])
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
