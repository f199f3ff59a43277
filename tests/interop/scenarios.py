"""The fixed scenarios, as data. The names before the slash are those of the interop configurations of
mlswg/mls-implementations, whose scripts are the model of the first of each kind.

Members a1, a2, ... run one engine, b1, b2, ... the other, and each scenario is played twice, with the engines
exchanged: so each creates, adds, joins, commits, removes, updates, sends and receives in each of them.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.interop.steps import Commit, Create, Open, Propose, Reload, Say, Seal, Step

# Four to a side, in turn: neighbours in the tree run different engines.
EIGHT = ("b1", "a2", "b2", "a3", "b3", "a4", "b4")
NINETEEN = tuple(name for i in range(1, 11) for name in (f"b{i}", f"a{i + 1}"))[:19]


BOTH = ("a", "b")


class Scenario(NamedTuple):
    """`ours`: which side our engine can play. Both, unless a fault of ts-mls (`faults`) stands in the way."""

    name: str
    steps: tuple[Step, ...]
    ours: tuple[str, ...] = BOTH


def _s(name: str, *steps: Step, ours: tuple[str, ...] = BOTH) -> Scenario:
    return Scenario(name, steps, ours)


def _pair() -> tuple[Step, ...]:
    return (Create("a1"), Commit("a1", add=("b1",)))


def _eight() -> tuple[Step, ...]:
    return (Create("a1"), Commit("a1", add=EIGHT))


SCENARIOS = (
    # joining
    _s("welcome_join/no_path_secret", Create("a1"), Propose("a1", add="b1"), Commit("a1")),
    _s("welcome_join/with_path_secret", *_pair(), Propose("a1", add="b2"), Commit("a1", remove=("b1",), path=True)),
    _s("welcome_join/by_value", Create("a1"), Commit("a1", add=("b1", "a2", "b2", "a3"))),
    _s("welcome_join/with_psk", Create("a1"), Propose("a1", add="b1"), Propose("a1", psk=b"door"), Commit("a1")),
    _s("welcome_join/with_two_psks", Create("a1"), Commit("a1", add=("b1", "a2"), psk=(b"door", b"window"))),
    _s("welcome_join/with_external_tree", Create("a1"), Commit("a1", add=("b1", "a2", "b2"), tree_inside=False)),
    _s("welcome_join/one_after_another", *_pair(), Commit("b1", add=("a2",)), Commit("a2", add=("b2",)),
       Commit("b2", add=("a3",)), Commit("a3", add=("b3",)), Commit("b3", path=True)),
    _s("welcome_join/by_another_member", *_pair(), Commit("b1", path=True), Commit("b1", add=("a2", "b2"))),
    # application data
    _s("application/in_order", *_pair(), Seal("a1", "1"), Seal("a1", "2"), Seal("a1", "3"),
       Open("b1", "1"), Open("b1", "2"), Open("b1", "3")),
    _s("application/out_of_order_within_epoch", *_pair(), Seal("a1", "1"), Seal("a1", "2"), Seal("a1", "3"),
       Open("b1", "3"), Open("b1", "2"), Open("b1", "1")),
    _s("application/out_of_order_across_epochs", *_pair(), Seal("a1", "1"), Seal("a1", "2"), Commit("a1"),
       Seal("a1", "3"), Seal("a1", "4"), Open("b1", "4"), Open("b1", "3"), Open("b1", "2"), Open("b1", "1")),
    _s("application/two_epochs_late", *_pair(), Seal("a1", "1"), Commit("b1"), Seal("a1", "2"), Commit("a1"),
       Open("b1", "1"), Open("b1", "2")),
    _s("application/everybody_at_once", Create("a1"), Commit("a1", add=("b1", "a2", "b2")), Seal("a1", "1"),
       Seal("b1", "2"), Seal("a2", "3"), Seal("b2", "4"), Open("b2", "1"), Open("a1", "4"), Open("b1", "3"),
       Open("a2", "2"), Open("a1", "2"), Open("b1", "1")),
    _s("application/between_a_commit_and_its_epoch", *_pair(), Say("a1"), Commit("b1"), Say("a1"), Say("b1"),
       Commit("a1"), Say("b1"), Say("a1")),
    _s("application/after_storing", *_pair(), Seal("a1", "1"), Seal("a1", "2"), Open("b1", "2"), Reload("b1"),
       Reload("a1"), Open("b1", "1"), Commit("b1"), Reload("b1"), Reload("a1"), Say("a1"), Commit("a1")),
    # commits
    _s("commit/empty", *_pair(), Commit("a1"), Commit("b1"), Commit("a1")),
    _s("commit/add", *_pair(), Propose("a1", add="b2"), Propose("b1", add="a2"), Commit("a1", add=("b3",), path=True),
       Propose("a1", add="a3"), Propose("b1", add="b4"), Commit("a1", add=("a4",))),
    _s("commit/remove", *_pair(), Propose("a1", add="b2"), Propose("a1", add="a2"), Propose("a1", add="b3"),
       Commit("a1"), Propose("a1", remove="b2"), Propose("b1", remove="a2"), Commit("a1", remove=("b3",))),
    _s("commit/update", *_pair(), Propose("b1"), Commit("a1")),
    _s("commit/update_then_follow", *_pair(), Propose("b1"), Commit("a1"), Commit("a1"), Commit("b1"),
       Propose("a1"), Commit("b1"), Commit("b1")),
    _s("commit/update_of_several", *_eight(), Propose("b1"), Propose("a2"), Propose("b3"), Commit("a1"), Commit("b3")),
    _s("commit/update_not_committed", *_pair(), Propose("b1", public=True), Commit("a1"), Commit("b1"), Commit("a1")),
    _s("commit/external_psk", *_pair(), Propose("a1", psk=b"one"), Propose("b1", psk=b"two"),
       Commit("a1", psk=(b"three",), path=True), Propose("a1", psk=b"one"), Propose("b1", psk=b"two"),
       Commit("a1", psk=(b"three",))),
    _s("commit/resumption_psk", *_pair(), Commit("a1"), Commit("a1"), Propose("a1", resume=2),
       Propose("b1", resume=3), Commit("a1", resume=(1,)), Propose("b1", resume=4), Commit("a1", path=True)),
    _s("commit/all_kinds_of_psk", *_pair(), Commit("b1"), Commit("a1", psk=(b"door",), resume=(1, 2)),
       Commit("b1", psk=(b"door",), resume=(2, 3))),
    _s("commit/group_context_extensions", Create("a1", extension=b"first"), Commit("a1", add=("b1", "a2")),
       Commit("b1"), Propose("b1", extension=b"second"), Commit("a1"), Commit("b1"),
       Commit("a1", extension=b"third", remove=("a2",)), Commit("b1"), ours=("a",)),  # EXTENSIONS_NOT_IN_PATH
    _s("commit/all_together_committer_proposes", Create("a1"), Commit("a1", add=("b1", "b2", "a2")), Commit("b1"),
       Propose("a1", add="b3"), Propose("a1", remove="b2"), Propose("a1", psk=b"one"),
       Commit("a1", remove=("a2",), psk=(b"two",)), Commit("b1", resume=(3,))),
    _s("commit/all_together_another_proposes", Create("a1"), Commit("a1", add=("b1", "b2", "a2")), Commit("b1"),
       Propose("b1", add="b3"), Propose("b1", remove="b2"), Propose("b1", psk=b"one"), Propose("b1"),
       Commit("a1", remove=("a2",), psk=(b"two",)), Commit("b1", resume=(3,))),
    _s("commit/all_together_with_extensions", Create("a1"), Commit("a1", add=("b1", "b2", "a2")), Commit("b1"),
       Propose("b1", add="b3"), Propose("a1", remove="b2"), Propose("b1", extension=b"new"), Propose("b1", psk=b"one"),
       Propose("b1"), Commit("a1", add=("a3",), remove=("a2",)), ours=("a",)),  # EXTENSIONS_NOT_IN_PATH
    # handshakes in the clear
    _s("public/commit", *_pair(), Commit("b1", public=True), Commit("a1", public=True)),
    _s("public/add", Create("a1"), Propose("a1", add="b1", public=True), Commit("a1", public=True),
       Commit("b1", add=("a2", "b2"), public=True)),
    _s("public/proposals", *_eight(), Propose("b1", public=True), Propose("a2", remove="b4", public=True),
       Propose("b2", add="a5", public=True), Propose("b3", psk=b"door", public=True), Commit("a1", public=True)),
    _s("public/mixed_with_private", *_eight(), Propose("b1"), Propose("a2", remove="b4", public=True),
       Commit("a1", public=True), Propose("a2", public=True), Commit("b1")),
    # shapes of the tree
    _s("tree/remove_the_creator", *_eight(), Commit("b1", remove=("a1",)), Commit("a4"), Commit("b4")),
    _s("tree/remove_the_last", *_eight(), Commit("a1"), Commit("a1", remove=("b4",)), Commit("b1"),
       Commit("b1", remove=("a4", "b3")), Commit("a2"), Commit("a1", remove=("a3",))),
    _s("tree/fill_the_gaps", *_eight(), Commit("a3"), Commit("b1", remove=("a2", "b3")),
       Commit("b1", add=("a5",)), Commit("a5"), Commit("b1", add=("b5",)), Commit("b5")),  # UNMERGED_LEAVES
    _s("tree/shrink_and_grow", *_eight(), Commit("a1", remove=("b2", "a3", "b3", "a4", "b4")), Commit("b1"),
       Commit("b1", add=("b5", "a5", "b6", "a6")), Commit("a6")),
    _s("tree/unmerged_leaves_in_one_half", *_pair(), Commit("a1", add=("a2",)), Commit("a1"), Commit("b1", add=("b2",)),
       Commit("a2"), Commit("b2"), Commit("b1")),
    _s("tree/everybody_commits", *_eight(), *(Commit(name) for name in ("a1", *EIGHT))),
    _s("tree/come_and_go", *_eight(), Commit("a2", remove=("b2",), add=("b5",)),
       Commit("b5", remove=("a2",), add=("a5",)), Commit("a5", remove=("b5",), add=("b6",)),
       Commit("b6", remove=("a5",), add=("a6",)), Commit("a1")),
    _s("tree/down_to_two", *_eight(), Commit("a1"), Commit("b1", remove=("a2", "b2", "a3", "b3", "a4", "b4")),
       Commit("a1"), Commit("b1")),
    _s("tree/twenty", Create("a1"), Commit("a1", add=NINETEEN), Commit("b1"), Commit("a7"), Commit("b10"),
       Propose("b3"), Propose("a4"), Propose("b9", remove="a9"), Commit("a8"), Commit("b9")),
)  # fmt: skip
