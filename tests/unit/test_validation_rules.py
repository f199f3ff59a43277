"""Every rule of `roomkey.mls.validation`, broken: each by messages that are right but for one field.

A refusal names the rule, leaves the group as it was, and the group goes on.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from roomkey import mls
from roomkey.errors import CODES, RoomkeyError
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.extensions import GREASE, Extension
from roomkey.mls.group import Psks
from roomkey.mls.joining import join
from roomkey.mls.policy import POLICIES
from roomkey.mls.processing import process
from roomkey.mls.proposals import Add, PreSharedKey, Proposal, Remove, proposal
from roomkey.mls.psk import external_psk
from roomkey.mls.state import encode_group
from roomkey.mls.validation import RULES, violation

from tests.support.mls_forge import CUSTOM, CUSTOM_PROPOSAL, OPTIONAL_PROPOSAL, Scene
from tests.unit.validation_rules import commits, joining, leaves, messages, outsiders, proposals, successors, trees
from tests.unit.validation_rules.registry import CASES, OPEN, Case

MODULES = (
    messages,
    leaves,
    trees,
    proposals,
    commits,
    joining,
    outsiders,
    successors,
)  # importing them registers their cases
SOURCES = [Path(path) for folder in mls.__path__ for path in sorted(Path(folder).glob("*.py"))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.make.__name__}")
async def test_a_broken_rule_is_refused_and_the_group_goes_on(case: Case) -> None:
    attempt = await case.make(await Scene.create())
    groups = attempt.scene.world.groups
    before = {name: encode_group(group) for name, group in groups.items()}
    with pytest.raises(RoomkeyError) as refused:
        await attempt.run()
    assert (refused.value.details.get("rule"), refused.value.code) == (case.rule, case.code)
    assert {name: encode_group(group) for name, group in groups.items()} == before
    await goes_on(attempt.scene)


async def goes_on(scene: Scene) -> None:
    """Somebody joins, by an invitation like the one that may have been refused; commits and messages work."""
    world = scene.world
    inviter = next(iter(world.groups))
    await world.add(inviter, "dave", referenced=False)
    await world.commit("dave", path=True, referenced=False)
    await world.say(inviter, b"still here")
    world.agree()


# -- the forgeries are valid but for what a case alters --


async def test_unaltered_messages_are_taken() -> None:
    scene = await Scene.create()
    psks = Psks({b"door": b"k" * 32})
    dave = await scene.package("dave", lambda package: package)
    items = [
        proposal(Add(dave)), proposal(Remove(2)), proposal(PreSharedKey(external_psk(b"door", bytes(32)))),
        Proposal(CUSTOM_PROPOSAL, b""),
    ]  # fmt: skip
    data = await scene.commit("bob", *items, psks=psks)
    done = await process(scene.crypto("alice"), scene.group("alice"), data, psks=psks, policy=CUSTOM)
    assert isinstance(done.event, CommitProcessed)
    assert (done.event.added, [index for index, _ in done.event.removed]) == ((2,), [2])


async def test_unaltered_external_commits_are_taken_where_the_policy_says() -> None:
    scene = await Scene.create()
    done = await process(scene.crypto("alice"), scene.group("alice"), await scene.external("dave"), policy=OPEN)
    assert isinstance(done.event, CommitProcessed)
    assert (done.event.external, done.event.added) == (True, (3,))
    carol = scene.group("carol").leaf.credential
    back = await scene.external("carol again", removed=2, credential=carol)
    done = await process(scene.crypto("alice"), scene.group("alice"), back, policy=OPEN)
    assert isinstance(done.event, CommitProcessed)
    assert (done.event.added, [index for index, _ in done.event.removed]) == ((2,), [2])


async def test_unaltered_welcomes_are_taken() -> None:
    scene = await Scene.create()
    keys = await scene.world.client("dave")
    grease = (Extension(GREASE[3], b"ignored"),)  # as RFC 9420 section 12.4.3 asks
    joined = await join(scene.crypto("dave"), await scene.welcome(keys, extensions=grease), [keys])
    assert (joined.group.own_leaf, joined.signer, joined.group.epoch) == (3, 1, 3)


async def test_who_leaves_need_not_support_a_custom_proposal() -> None:
    scene = await Scene.create()
    scene.world.capabilities = scene.world.capabilities.replace(proposals=(CUSTOM_PROPOSAL,))
    await scene.world.add("alice", "erin")
    data = (await scene.honest("bob", proposal(Remove(3)), Proposal(OPTIONAL_PROPOSAL, b""))).message
    done = await process(scene.crypto("alice"), scene.group("alice"), data, policy=CUSTOM)
    assert isinstance(done.event, CommitProcessed)
    assert [index for index, _ in done.event.removed] == [3]


# -- the table, the sources and the cases name the same rules --

_RULE = re.compile(rf"({'|'.join(sorted({rule.partition('-')[0] for rule in RULES}))})(-[a-z]+)+")


def named_in(path: Path) -> Iterator[str]:
    """The strings of a module that look like rules, and whatever `violation` is called with."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _RULE.fullmatch(node.value):
            yield node.value
        match node:
            case ast.Call(func=ast.Name(id="violation"), args=[ast.Constant(value=str(rule)), *_]):
                yield rule


def test_sources_and_table_name_the_same_rules() -> None:
    table = next(path for path in SOURCES if path.name == "validation.py")
    used = {rule for path in SOURCES if path != table for rule in named_in(path)}
    assert used - set(CODES) - set(RULES) - set(POLICIES) == set(), "used, not in the table"
    assert set(RULES) - used == set(), "in the table, not used"


def test_errors_with_a_rule_come_from_the_table() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if path.name != "validation.py" and isinstance(node, ast.Call):
                assert "rule" not in {keyword.arg for keyword in node.keywords}, f"{path.name}:{node.lineno}"


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(RULES)
    assert {case.make.__module__ for case in CASES} == {module.__name__ for module in MODULES}


@pytest.mark.parametrize("rule", RULES)
def test_rules_say_what_they_want(rule: str) -> None:
    error = violation(rule, "got something else")
    assert error.code in CODES
    assert error.details["rule"] == rule
    assert error.text.startswith(f"{rule}: expected that ")
    assert error.text.endswith("; got something else")
    assert re.fullmatch(r"\d+(\.\d+)*(, \d+(\.\d+)*)*", RULES[rule].clause)
