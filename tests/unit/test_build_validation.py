"""The table of MUSTs: what it must not lack, and that the document is made of it."""

from __future__ import annotations

import pytest
from roomkey.mls.validation import RULES

from build_scripts import validation_table
from tests.unit.validation_rules.musts import MUSTS, Must

GOOD = Must("7.3", "a leaf is signed", ("leaf-signature",))
PLACE = "py_src/roomkey/mls/creation.py::create_group"


def test_the_tables_lack_nothing() -> None:
    assert list(validation_table.faults(MUSTS, RULES)) == []


@pytest.mark.parametrize(
    ("must", "fault"),
    [
        (Must("7.3", "nothing keeps it"), "no rule, place or reason"),
        (Must("7.3", "no test", place=PLACE), "a place without a test"),
        (Must("7.3", "no such rule", ("leaf-colour",)), "no rule 'leaf-colour'"),
        (Must("7.3", "no such file", place="py_src/roomkey/mls/nothing.py::x", test=PLACE), "no file"),
        (Must("7.3", "no such name", place=PLACE.replace("create", "destroy"), test=PLACE), "no 'destroy_group'"),
        (Must("7.3", "no such test", place=PLACE, test="tests/unit/test_mls_group.py::test_all"), "no 'test_all'"),
    ],
    ids=lambda value: value.asks if isinstance(value, Must) else "",
)
def test_what_a_must_lacks_is_said(must: Must, fault: str) -> None:
    (found,) = validation_table.faults((*MUSTS, must), RULES)
    assert fault in found


def test_what_a_rule_lacks_is_said() -> None:
    rules = {**RULES, "leaf-colour": ("invalid-leaf-node", "7.3", "a leaf is green")}
    found = list(validation_table.faults(MUSTS, rules))
    assert [line.partition(": ")[2] for line in found] == [
        "no line raises it",
        "no case breaks it",
        "no MUST of 7.3 asks for it",
    ]


def test_a_must_that_is_taken_away_leaves_its_rule_alone() -> None:
    left = [must for must in MUSTS if "tree-node-kinds" not in must.rules]
    (found,) = validation_table.faults(left, RULES)
    assert found == "rule tree-node-kinds: no MUST of 12.4.3.3 asks for it"


def test_links_lead_to_lines() -> None:
    path, line = validation_table.line_of(PLACE)
    assert path.read_text().splitlines()[line - 1].startswith("async def create_group(")
    document = validation_table.make_document()
    assert f"[creation.py:{line}](../../py_src/roomkey/mls/creation.py#L{line})" in document
    for rule in RULES:
        assert f'<a id="{rule}"></a>' in document
