"""Every target from its seeds: each seed as it is, then 50,000 mutations of them under libFuzzer.

`ROOMKEY_FUZZ_RUNS` sets another number of runs; `python3 build_scripts fuzz --runs 1000000` builds on what earlier runs
found. Two targets run at a time, those that were asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from build_scripts import fuzz
from tests.fuzz.registry import SEEDS, TARGETS, load

RUNS_VARIABLE = "ROOMKEY_FUZZ_RUNS"
# The same mutations in every run of the tests: a failure is the change's.
SEED = 1


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    target = load(name)
    taken = {path.name: target.run(path.read_bytes()) for path in (SEEDS / name).iterdir()}
    stale = sorted(seed for seed in target.seeds() if not taken.get(seed) and not seed.startswith("refused-"))
    assert stale == [], "expected seeds that are taken; where formats have changed: python -m tests.fuzz.make_seeds"


def test_every_target_has_seeds() -> None:
    assert fuzz.targets() == sorted(TARGETS)


Campaigns = dict[str, Future[fuzz.Campaign]]


@pytest.fixture(scope="module")
def campaigns(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaigns]:
    """The campaigns of all tests that were selected, begun."""
    runs = int(os.environ.get(RUNS_VARIABLE, fuzz.RUNS))
    folder = tmp_path_factory.mktemp("fuzz")
    wanted = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == test_mutations.__name__
    ]

    def work(name: str) -> fuzz.Campaign:
        found: Path = folder / name
        found.mkdir()
        return fuzz.campaign(name, runs, found, SEED)

    with ThreadPoolExecutor(fuzz.AT_ONCE) as pool:
        yield {name: pool.submit(work, name) for name in wanted}


@pytest.mark.slow
@pytest.mark.skipif(not fuzz.available(), reason=fuzz.MISSING)
@pytest.mark.parametrize("name", TARGETS)
def test_mutations(name: str, campaigns: Campaigns) -> None:
    result = campaigns[name].result()
    assert result.passed, result.sentence()
