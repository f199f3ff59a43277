"""What tests of several kinds share: the browser, the built assets, the folder of vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import sync_playwright

from build_scripts import browser as browsers
from build_scripts import build, environment, locks, paths

VECTORS_VARIABLE = "ROOMKEY_VECTORS"

# So that `pytest` alone finds the same tools as `python3 build_scripts test`; Playwright needs its Node.
os.environ.update(environment.variables())

# The same examples in every run, and no clock: a failure is the change's, not the machine's.
settings.register_profile(
    "roomkey", deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile("roomkey")


class Vectors:
    """Finds vector files, as the README says: the named folder, else ../shared/vectors, else what assets.json locks."""

    def __init__(self) -> None:
        self.unreachable: str | None = None  # a first download that failed: the others would only wait as long

    def path(self, kind: str, name: str) -> Path:
        """The file `name` of the folder `kind` ("mls"). Fails or skips the test when it is not to be had."""
        named = os.environ.get(VECTORS_VARIABLE)
        if named is not None:
            found = Path(named) / kind / name
            if not found.is_file():
                pytest.fail(f"{VECTORS_VARIABLE} names a folder without {kind}/{name}")
            return found
        shared = paths.ROOT.parent / "shared" / "vectors"
        if (shared / kind).is_dir():
            if not (shared / kind / name).is_file():
                pytest.skip(f"../shared/vectors has no {kind}/{name}")
            return shared / kind / name
        if self.unreachable is not None:
            pytest.skip(f"{kind}/{name} not tried: {self.unreachable}")
        try:
            return locks.fetch_locked(kind, name)
        except locks.Unreachable as error:
            self.unreachable = str(error)
            pytest.skip(self.unreachable)


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    """Where test vectors are found."""
    return Vectors()


@pytest.fixture(scope="session")
def assets() -> Path:
    """The built asset folder, up to date."""
    try:
        build.build()
    except build.BuildError as error:
        pytest.fail(str(error))
    return paths.ASSETS


@pytest.fixture(scope="session")
def found_browser() -> browsers.Browser:
    """A browser that starts; a test that needs one fails where there is none."""
    try:
        return browsers.find_browser()
    except browsers.BrowserMissing as error:
        pytest.fail(str(error))


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[PlaywrightBrowser]:
    """A running headless Chromium, driven by Playwright's blocking API: one per module, and a context for each test.

    Not one per session: while it runs, its event loop counts as running, and asyncio tests of other modules would fail.
    So a module has blocking browser tests or asyncio tests, not both.
    """
    with sync_playwright() as playwright:
        running = browsers.launch(playwright, found_browser)
        yield running
        running.close()
