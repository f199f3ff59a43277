"""What browser tests share: a served asset folder, and Python inside the browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Page

from tests.browser.support.python import BrowserPython, add_python_page
from tests.browser.support.server import Site, asset_site, serving
from tests.vectors.support import PASSED_IN_BROWSER, report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report(terminalreporter, "vectors in the browser: cases passed by cipher suite", PASSED_IN_BROWSER)


@pytest.fixture
def site(assets: Path) -> Iterator[Site]:
    """The asset folder and an empty page, served; to be broken at will."""
    with serving(asset_site(assets)) as running:
        yield running


@pytest.fixture
def page(chromium: PlaywrightBrowser) -> Iterator[Page]:
    """A page of a browser context of its own."""
    with chromium.new_context() as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def python(
    assets: Path, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserPython]:
    """Python in Chromium's Pyodide: booted once per module."""
    site = asset_site(assets)
    add_python_page(site, tmp_path_factory.mktemp("python"))
    with serving(site), chromium.new_context() as context:
        yield BrowserPython(context.new_page(), site)
