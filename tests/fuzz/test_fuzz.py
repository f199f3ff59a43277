"""Every target from its seeds: each seed as it is, then 50,000 mutations of them under libFuzzer.

`ROOMKEY_FUZZ_RUNS` sets another number of runs; `python3 build_scripts fuzz --runs 1000000` builds on what earlier runs
found. The campaigns run in the background of all other tests (`conftest`).
"""

from __future__ import annotations

import pytest

from build_scripts import fuzz
from tests.fuzz.conftest import Campaigns
from tests.fuzz.registry import SEEDS, TARGETS, load


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    target = load(name)
    taken = {path.name: target.run(path.read_bytes()) for path in (SEEDS / name).iterdir()}
    stale = sorted(seed for seed in target.seeds() if not taken.get(seed) and not seed.startswith("refused-"))
    assert stale == [], "expected seeds that are taken; where formats have changed: python -m tests.fuzz.make_seeds"


def test_every_target_has_seeds() -> None:
    assert fuzz.targets() == sorted(TARGETS)


@pytest.mark.slow
@pytest.mark.skipif(not fuzz.available(), reason=fuzz.MISSING)
@pytest.mark.parametrize("name", TARGETS)
def test_mutations(name: str, campaigns: Campaigns) -> None:
    result = campaigns[name].result()
    assert result.passed, result.sentence()
