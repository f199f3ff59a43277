"""The campaigns of all targets that were selected run beside the other tests, one at a time, and are asked for last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from build_scripts import fuzz

RUNS_VARIABLE = "ROOMKEY_FUZZ_RUNS"
# The same mutations in every run of the tests: a failure is the change's.
SEED = 1
MUTATIONS = "test_mutations"

Campaigns = dict[str, Future[fuzz.Campaign]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: target_of(item) is not None)


def target_of(item: pytest.Item) -> str | None:
    """The target whose campaign a test asks for."""
    if isinstance(item, pytest.Function) and item.originalname == MUTATIONS:
        return str(item.callspec.params["name"])
    return None


@pytest.fixture(scope="session", autouse=True)
def campaigns(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaigns]:
    """The campaigns, begun."""
    runs = int(os.environ.get(RUNS_VARIABLE, fuzz.RUNS))
    folder = tmp_path_factory.mktemp("fuzz")
    wanted = [name for item in request.session.items if (name := target_of(item)) is not None]
    if not fuzz.available():
        wanted = []

    def work(name: str) -> fuzz.Campaign:
        found: Path = folder / name
        found.mkdir()
        return fuzz.campaign(name, runs, found, SEED, niceness=10)

    pool = ThreadPoolExecutor(1)
    yield {name: pool.submit(work, name) for name in wanted}
    pool.shutdown(cancel_futures=True)
