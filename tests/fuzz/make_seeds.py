"""Writes the seeds that are checked in: `python -m tests.fuzz.make_seeds [TARGET...]`, from the root with py_src on the
path. Files named `found-...` are inputs that once failed; they stay.
"""

from __future__ import annotations

import sys

from tests.fuzz.registry import SEEDS, TARGETS, load


def main() -> None:
    for name in sys.argv[1:] or TARGETS:
        folder = SEEDS / name
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if not path.name.startswith("found-"):
                path.unlink()
        for seed, data in load(name).seeds().items():
            (folder / seed).write_bytes(data)


if __name__ == "__main__":
    main()
