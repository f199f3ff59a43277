"""The relative links of README.md and web/docs/*.md: the file is there, the heading, the line; and so is each test that
web/docs/security.md names.

Links into the web are not asked: a check needs no network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from build_scripts import paths

LINK = re.compile(r"\]\(([^()\s]+)\)")
LINE = re.compile(r"L(\d+)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$")
TEST = re.compile(r"`([a-z0-9_/]*\.py)?(?:::(test_\w+)(…?))?`")  # one may stand for several with that beginning
NOT_IN_A_HEADING_ID = re.compile(r"[^\w\- ]")


def problems() -> Iterator[str]:
    """One line for each link, and each test named, that is not there."""
    for document in [paths.ROOT / "README.md", *sorted((paths.WEB / "docs").glob("*.md"))]:
        text = document.read_text()
        yield from (f"{document.relative_to(paths.ROOT)}:{reason}" for reason in dead_links(document, text))
    security = paths.WEB / "docs" / "security.md"
    missing = dead_tests(security.read_text(), paths.TESTS)
    yield from (f"{security.relative_to(paths.ROOT)}:{reason}" for reason in missing)


def dead_links(document: Path, text: str) -> Iterator[str]:
    """What is wrong with each relative link of `document`, whose text is `text`, as "LINE: reason"."""
    for number, line in _prose(text):
        for target in LINK.findall(line):
            if "://" in target or target.startswith("mailto:"):
                continue
            name, _, fragment = target.partition("#")
            file = document.parent / name if name else document
            if name and not file.exists():
                yield f"{number}: no file {target}"
            elif fragment and not _has(file, fragment, text if file == document else None):
                yield f"{number}: no place {target}"


def dead_tests(text: str, tests: Path) -> Iterator[str]:
    """What is wrong with each test that a text names: as `FILE::FUNCTION`, FILE below `tests`, or in the same line and
    file as `::FUNCTION`.
    """
    for number, line in enumerate(text.splitlines(), 1):
        file: Path | None = None
        for name, function, beginning in TEST.findall(line):
            file = tests / name if name else file
            if file is None or not file.is_file():
                yield f"{number}: no file {name or '::' + function}"
            elif function and not re.search(rf"def {function}" + ("" if beginning else r"\b"), file.read_text()):
                yield f"{number}: no test {file.name}::{function}"


def headings(text: str) -> set[str]:
    """The ids that a reader of Markdown gives to the headings of a text."""
    found: set[str] = set()
    for _, line in _prose(text):
        match = HEADING.match(line)
        if match is not None:
            plain = NOT_IN_A_HEADING_ID.sub("", match[1].lower()).replace(" ", "-")
            again = sum(1 for known in found if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", known))
            found.add(f"{plain}-{again}" if again else plain)
    return found


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines outside fenced code, with their numbers."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.lstrip().startswith("```")
        if not fence and not fenced:
            yield number, line
        fenced ^= fence


def _has(file: Path, fragment: str, text: str | None) -> bool:
    line = LINE.fullmatch(fragment)
    if line is not None:
        return 0 < int(line[1]) <= len(file.read_bytes().splitlines())
    text = file.read_text() if text is None else text
    return file.suffix == ".md" and (fragment in headings(text) or f'id="{fragment}"' in text)
