"""The report of the TypeScript surface: web/docs/api-report.md, all declarations that `index.d.ts` reaches.

A change of the public API shows as a change of this file, so it cannot happen unseen.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from build_scripts import environment, paths

REPORT = paths.WEB / "docs" / "api-report.md"
HEAD = """# API report

The public surface of the npm package, as its declarations say it.
Made by `python3 build_scripts check --update`; a check fails when it is stale.
"""
RELATIVE = re.compile(r"""(?:from|import)\s*\(?['"](\./[^'"]+|\.\./[^'"]+)['"]""")


class ReportError(Exception):
    """The declarations could not be made."""


def make_report() -> str | None:
    """The report's text, or None while the package has no index.ts. Raises ReportError."""
    if not (paths.WEB / "src" / "index.ts").exists():
        return None
    paths.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.CACHE) as folder:
        command = [
            str(paths.NODE_MODULES / ".bin" / "tsc"),
            "-p",
            str(paths.WEB / "tsconfig.types.json"),
            "--outDir",
            folder,
        ]
        result = subprocess.run(command, capture_output=True, text=True, env=environment.variables())
        if result.returncode != 0:
            raise ReportError(result.stdout + result.stderr)
        parts = [HEAD]
        for path in reached(Path(folder) / "index.d.ts"):
            lines = [line for line in path.read_text().splitlines() if line.strip() not in ("", "export {};")]
            parts.append(f"## {path.relative_to(folder)}\n\n```ts\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def reached(start: Path) -> Iterator[Path]:
    """`start` and every declaration file that it imports or exports from, each once."""
    queue, seen = [start], {start}
    while queue:
        path = queue.pop(0)
        yield path
        for name in RELATIVE.findall(path.read_text()):
            module = os.path.normpath(path.parent / name.removesuffix(".js").removesuffix(".ts"))
            target = Path(module).with_suffix(".d.ts")
            if target.exists() and target not in seen:
                seen.add(target)
                queue.append(target)


def problems() -> Iterator[str]:
    """A line when the report is stale or cannot be made."""
    try:
        wanted = make_report()
    except ReportError as error:
        yield f"no declarations: {error}"
        return
    if wanted is not None and (not REPORT.exists() or REPORT.read_text() != wanted):
        yield f"{REPORT.relative_to(paths.ROOT)} is stale: python3 build_scripts check --update"


def update() -> None:
    """Writes the report."""
    wanted = make_report()
    if wanted is not None:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(wanted)
