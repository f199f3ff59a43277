"""Runs one target under libFuzzer: `python -m tests.fuzz.run TARGET [libFuzzer options] [corpus folders]`.

The first folder takes what is found, the others are read. `tests/fuzz/seeds/TARGET` holds the seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["roomkey", "roomkey_delivery"]):
    from tests.fuzz.registry import SEEDS, load
    from tests.fuzz.shapes import Shaper


def main() -> None:
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["roomkey", "roomkey_delivery"]):
        target = load(name)
    mutators = {}
    if target.shape is not None:
        seeds = [path.read_bytes() for path in sorted((SEEDS / name).iterdir())]
        shaper = Shaper(target.shape, target.inside, seeds)
        mutators = {
            "custom_mutator": lambda data, limit, seed: shaper.mutate(data, limit, seed, atheris.Mutate),
            "custom_crossover": shaper.cross,
        }
    atheris.Setup([sys.argv[0], f"-max_len={target.max_input}", *options], target.run, **mutators)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
    main()
