"""web/src/codes.ts: the table of errors.py for TypeScript, which the page needs before Python runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from build_scripts import paths

TABLE = paths.WEB / "src" / "codes.ts"
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


def make_table() -> str:
    """The file's text."""
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


def problems() -> Iterator[str]:
    """A line when the file is stale."""
    if not TABLE.exists() or TABLE.read_text() != make_table():
        yield f"{TABLE.relative_to(paths.ROOT)} is stale: python3 build_scripts check --update"


def update() -> None:
    """Writes the file."""
    TABLE.write_text(make_table())
