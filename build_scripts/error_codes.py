"""The table of errors.py for the page, which needs it before Python runs (codes.ts), and for people (errors.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from build_scripts import paths

TABLE = paths.WEB / "src" / "codes.ts"
DOCUMENT = paths.WEB / "docs" / "errors.md"
HEAD = """\
// Made from py_src/roomkey/errors.py by `python3 build_scripts check --update`; a check fails when stale.

/** Who can mend it. */
export type Fault = "caller" | "peer" | "service" | "environment";

/** What a code means: whose fault, whether trying again can help, and one sentence for people. */
export interface CodeEntry {
  readonly fault: Fault;
  readonly retryable: boolean;
  readonly sentence: string;
}

"""

DOCUMENT_HEAD = """\
# Error codes

Made from `py_src/roomkey/errors.py` by `python3 build_scripts check --update`; a check fails when stale.

Every failure of the library is a `RoomkeyError`. Switch on `code`, show `sentence`; `message` is for you and says
what was expected. `fault` is who can mend it: the *caller* (your page, or what was typed into it), the *peer*
(another person or their page), the *service* (a delivery service), the *environment* (this browser, device or
website's files). Where `retryable`, trying again later can help, after `retryAfter` seconds if that is set. Cancelled
work is no failure: it rejects with the signal's reason. A call that lacks a required argument altogether is a
`TypeError`, as everywhere in JavaScript.

| code | fault | retryable | sentence |
|---|---|---|---|
"""


def make_table() -> str:
    """The text of codes.ts."""
    from roomkey.errors import CODES

    lines = [
        f"  {json.dumps(name)}: {{ fault: {json.dumps(code.fault)}, retryable: {json.dumps(code.retryable)}, "
        f"sentence: {json.dumps(code.sentence, ensure_ascii=False)} }},"
        for name, code in CODES.items()
    ]
    names = "\n".join(f"  | {json.dumps(name)}" for name in CODES)
    return (
        f"{HEAD}/** Every stable error code. */\nexport type RoomkeyErrorCode =\n{names};\n\n"
        "/** @internal */\nexport const CODES: Readonly<Record<RoomkeyErrorCode, CodeEntry>> = {\n"
        + "\n".join(lines)
        + "\n};\n"
    )


def make_document() -> str:
    """The text of errors.md."""
    from roomkey.errors import CODES

    return DOCUMENT_HEAD + "".join(
        f"| `{name}` | {code.fault} | {'yes' if code.retryable else ''} | {code.sentence} |\n"
        for name, code in CODES.items()
    )


def wanted() -> dict[Path, str]:
    """The files and their texts."""
    return {TABLE: make_table(), DOCUMENT: make_document()}


def problems() -> Iterator[str]:
    """A line for each file that is stale."""
    for path, text in wanted().items():
        if not path.exists() or path.read_text() != text:
            yield f"{path.relative_to(paths.ROOT)} is stale: python3 build_scripts check --update"


def update() -> None:
    """Writes the files."""
    for path, text in wanted().items():
        path.write_text(text)
