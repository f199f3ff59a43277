"""web/docs/validation.md: every MUST of RFC 9420 that binds who receives, with the line that keeps it and its tests.

Made of three tables: the MUSTs (tests/unit/validation_rules/musts.py), the rules (roomkey/mls/validation.py) and the
cases that break them (tests/unit/validation_rules). A MUST without rule, place or reason, a rule without a line or a
case, and a link to what is not there are problems.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from build_scripts import paths

if TYPE_CHECKING:
    from tests.unit.validation_rules.musts import Must

DOCUMENT = paths.WEB / "docs" / "validation.md"
ENGINE = paths.PY_SRC / "roomkey" / "mls"
CASES = paths.TESTS / "unit" / "validation_rules"
# Rules of these sections must each be asked for by a MUST; the others have rules of framing, PSKs and extensions.
SECTIONS = ("7", "10", "11", "12", "16")
# A MUST that more rules keep than this does not repeat their cases, which stand with the rules.
FEW = 2

HEAD = """\
# Validation: every MUST on the receiving side

Made by `python3 build_scripts check --update` from `tests/unit/validation_rules/musts.py` (the MUSTs of RFC 9420),
`py_src/roomkey/mls/validation.py` (the rules) and `tests/unit/validation_rules` (the cases); a check fails when stale.

A broken rule is a `RoomkeyError` with the rule's id in `details.rule`. Each case is a valid message with one field
altered, signed, tagged and sealed again as the insider who sends it could. `tests/unit/test_validation_rules.py` plays
them all: a refusal names the rule, leaves the group as it was, and the group goes on. `tests/attacks/test_m2_rules.py`
plays them again in PrivateMessages, and sees that nothing is sent.

Bytes that do not parse are no rules (`malformed`, `too-large`), nor are ciphertexts that do not open
(`decryption-failed`) and message keys that were used or are too far ahead (`key-consumed`, `generation-too-far`).
"""


class Broken(Exception):
    """A table names something that is not there."""


def _load() -> tuple[Sequence[Must], Mapping[str, tuple[str, str, str]]]:
    """The MUSTs, and the rules as (code, clause, text)."""
    if str(paths.ROOT) not in sys.path:
        sys.path.insert(0, str(paths.ROOT))
    from roomkey.mls.validation import RULES

    from tests.unit.validation_rules.musts import MUSTS

    return MUSTS, RULES


@cache
def _parsed(path: Path, modified: int) -> ast.Module:
    del modified  # a part of the key: a file that changed is read again
    return ast.parse(path.read_text())


def _module(path: Path) -> ast.Module:
    if not path.is_file():
        raise Broken(f"no file {path.relative_to(paths.ROOT)}")
    return _parsed(path, path.stat().st_mtime_ns)


def lines_of_rules(rules: Mapping[str, object]) -> dict[str, list[tuple[Path, int]]]:
    """Where the engine's sources name each rule."""
    found: dict[str, list[tuple[Path, int]]] = {}
    for path in sorted(ENGINE.glob("*.py")):
        if path.name == "validation.py":
            continue
        for node in ast.walk(_module(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in rules:
                place = (path, node.lineno)
                if place not in found.setdefault(node.value, []):
                    found[node.value].append(place)
    return {rule: sorted(places) for rule, places in found.items()}


def cases_of_rules() -> dict[str, list[tuple[Path, str]]]:
    """The functions that break each rule, as their decorators say."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for path in sorted(CASES.glob("*.py")):
        for node in ast.walk(_module(path)):
            if not isinstance(node, ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                match decorator:
                    case ast.Call(func=ast.Name(id="breaks"), args=[ast.Constant(value=str(rule)), *_]):
                        found.setdefault(rule, []).append((path, node.name))
    return found


def line_of(link: str) -> tuple[Path, int]:
    """The file and line of a `path::name` that names a function, method or class."""
    where, _, name = link.partition("::")
    path = paths.ROOT / where
    for node in ast.walk(_module(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            return path, node.lineno
    raise Broken(f"no {name!r} in {where}")


def _link(path: Path, line: int = 0, text: str = "") -> str:
    target = f"../../{path.relative_to(paths.ROOT).as_posix()}"
    return f"[{text or f'{path.name}:{line}'}]({target}{f'#L{line}' if line else ''})"


def _case(path: Path, name: str) -> str:
    return _link(path, text=f"{path.stem}::{name}")


def faults(musts: Sequence[Must], rules: Mapping[str, tuple[str, str, str]]) -> Iterator[str]:
    """What the tables lack."""
    lines, cases = lines_of_rules(rules), cases_of_rules()
    for must in musts:
        who = f"{must.clause} ({must.asks})"
        if not (must.rules or must.place or must.note):
            yield f"{who}: no rule, place or reason"
        if must.place and not must.test:
            yield f"{who}: a place without a test"
        for rule in must.rules:
            if rule not in rules:
                yield f"{who}: no rule {rule!r}"
        for link in (must.place, must.test):
            try:
                if link:
                    line_of(link)
            except Broken as error:
                yield f"{who}: {error}"
    asked = {rule for must in musts for rule in must.rules}
    for rule, (_, clause, _) in rules.items():
        if rule not in lines:
            yield f"rule {rule}: no line raises it"
        if rule not in cases:
            yield f"rule {rule}: no case breaks it"
        sections = {part.strip().partition(".")[0] for part in clause.split(",")}
        if sections <= set(SECTIONS) and rule not in asked:
            yield f"rule {rule}: no MUST of {clause} asks for it"


def make_document() -> str:
    """The text of validation.md."""
    musts, rules = _load()
    lines, cases = lines_of_rules(rules), cases_of_rules()
    out = [HEAD]
    section = ""
    counts: Counter[str] = Counter()
    for must in musts:
        top = must.clause.partition(".")[0]
        if top != section:
            section = top
            out.append(f"\n## Section {top}\n\n| id | what is asked | kept by | test |\n|---|---|---|---|\n")
        counts[must.clause] += 1
        kept = [
            " ".join([f"[`{rule}`](#{rule})", *(_link(path, line) for path, line in lines[rule])])
            for rule in must.rules
        ]
        kept += [_link(*line_of(must.place))] if must.place else []
        tests = [_case(path, name) for rule in must.rules for path, name in cases[rule]]
        if len(must.rules) > FEW:
            tests = ["all cases of these rules"]
        if must.test:
            path, _ = line_of(must.test)
            tests.append(_case(path, must.test.partition("::")[2]))
        said = f"{must.asks}. {must.note}" if must.note else must.asks
        out.append(
            f"| {must.clause}-{counts[must.clause]} | {said} | {', '.join(kept) or 'nobody here'} "
            f"| {', '.join(tests) or 'none'} |\n"
        )
    out.append("\n## The rules\n\n| id | clause | what is asked | code | line | cases |\n|---|---|---|---|---|---|\n")
    for rule, (code, clause, text) in rules.items():
        at = ", ".join(_link(path, line) for path, line in lines[rule])
        broken = ", ".join(_case(path, name) for path, name in cases[rule])
        out.append(f'| <a id="{rule}"></a>`{rule}` | {clause} | {text} | `{code}` | {at} | {broken} |\n')
    number = sum(map(len, cases.values()))
    out.append(f"\n{len(musts)} MUSTs, {len(rules)} rules, {number} cases.\n")
    return "".join(out)


def problems() -> Iterator[str]:
    """A line for each thing that the tables lack, and one if the document is stale."""
    found = list(faults(*_load()))
    yield from found
    if not found and (not DOCUMENT.exists() or DOCUMENT.read_text() != make_document()):
        yield f"{DOCUMENT.relative_to(paths.ROOT)} is stale: python3 build_scripts check --update"


def update() -> None:
    """Writes the document, unless the tables lack something: then `problems` says what."""
    if not list(faults(*_load())):
        DOCUMENT.write_text(make_document())
