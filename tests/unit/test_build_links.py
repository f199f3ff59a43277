"""The link check: what it finds dead, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_scripts import links

THERE = ["other.md", "other.md#two-words", "#here", "other.md#rule-id", "code.py#L2", "https://other.example/x#y", "."]
GONE = [
    ("none.md", "3: no file none.md"),
    ("other.md#two", "3: no place other.md#two"),
    ("#two-words", "3: no place #two-words"),
    ("code.py#L3", "3: no place code.py#L3"),
    ("code.py#two-words", "3: no place code.py#two-words"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text('# Two, `words`\n\n<a id="rule-id"></a>\n')
    (tmp_path / "code.py").write_text("# two words\ndef test_one() -> None: ...\n")
    return tmp_path


def found(folder: Path, target: str) -> list[str]:
    return list(links.dead_links(folder / "page.md", f"# Here\n\nSee [it]({target}).\n"))


@pytest.mark.parametrize("target", THERE)
def test_what_is_there(folder: Path, target: str) -> None:
    assert found(folder, target) == []


@pytest.mark.parametrize(("target", "reason"), GONE)
def test_what_is_not_there(folder: Path, target: str, reason: str) -> None:
    assert found(folder, target) == [reason]


def test_code_is_no_link_and_no_heading(folder: Path) -> None:
    text = "```sh\n# two words\n[it](none.md)\n```\n[it](#two-words)\n"
    assert list(links.dead_links(folder / "page.md", text)) == ["5: no place #two-words"]


def test_headings_that_are_equal() -> None:
    assert links.headings("# One\n## One\n### One\n") == {"one", "one-1", "one-2"}


@pytest.mark.parametrize(
    ("named", "reasons"),
    [
        ("`code.py`, `code.py::test_one`, `::test_one`, `code.py::test_o…`", []),
        ("`code.py::test_o`", ["1: no test code.py::test_o"]),
        ("`code.py::test_one`, `::test_two…`", ["1: no test code.py::test_two"]),
        ("`none.py::test_one`", ["1: no file none.py"]),
        ("`::test_one`", ["1: no file ::test_one"]),
    ],
)
def test_tests_that_are_named(folder: Path, named: str, reasons: list[str]) -> None:
    assert list(links.dead_tests(named, folder)) == reasons


def test_this_project() -> None:
    assert list(links.problems()) == []
