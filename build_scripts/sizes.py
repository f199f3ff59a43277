"""What a page downloads: bytes of the asset folder's files, raw and under brotli."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build_scripts import environment, paths

# Fetched at each start; the wheel, maps and header files are not.
AT_START = (
    *("index.js", "assets-manifest.json", "worker.js", "pyodide.mjs", "pyodide.asm.mjs"),
    *("pyodide.asm.wasm", "python_stdlib.zip", "roomkey.zip", "pyodide-lock.json"),
)


@dataclass(frozen=True)
class Size:
    """Bytes of one file."""

    name: str
    raw: int
    brotli: int


def measure(folder: Path) -> list[Size]:
    """The sizes of what a start fetches from `folder`; takes Node some 20 s of compression."""
    return measure_files([folder / name for name in AT_START if (folder / name).exists()])


def measure_files(files: Sequence[Path]) -> list[Size]:
    """The sizes of these files."""
    command = ["node", str(paths.SCRIPTS / "sizes.mjs"), *map(str, files)]
    output = subprocess.run(command, env=environment.variables(), capture_output=True, text=True, check=True).stdout
    return [Size(**json.loads(line)) for line in output.splitlines()]


def report(folder: Path) -> str:
    """A table of the sizes, with their sum."""
    found = measure(folder)
    found.append(Size("together", sum(size.raw for size in found), sum(size.brotli for size in found)))
    return "\n".join(f"{size.name:<22} {size.raw:>10} {size.brotli:>10} br" for size in found)
