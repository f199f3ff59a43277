"""What browser tests share: a served asset folder, and Python inside the browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Page

from build_scripts.firefox import FirefoxMissing, find_firefox
from build_scripts.pulseaudio import PulseAudioMissing, find_pulseaudio
from tests.browser.support.python import BrowserPython, add_python_page
from tests.browser.support.server import Site, asset_site, serving
from tests.support.firefox import Firefox, FirefoxError, firefox_running
from tests.support.sound import sound_device
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
def firefox() -> Iterator[Firefox]:
    """A running Firefox; its windows share one storage."""
    try:
        path = find_firefox()
    except FirefoxMissing as missing:
        pytest.skip(str(missing))
    try:
        with ExitStack() as stack:
            yield stack.enter_context(firefox_running(path, played_on(stack)))
    except FirefoxError as error:
        pytest.fail(f"{path} is installed and does not do: {error}")


def played_on(stack: ExitStack) -> dict[str, str]:
    """What a browser's environment says of a device to play on, where there can be one."""
    try:
        return stack.enter_context(sound_device(find_pulseaudio()))
    except PulseAudioMissing:
        return {}


@pytest.fixture(scope="module")
def hearing() -> None:
    """For tests of what Firefox hears, or is given by a track of sound."""
    try:
        find_pulseaudio()
    except PulseAudioMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def python(
    assets: Path, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserPython]:
    """Python in Chromium's Pyodide: booted once per module."""
    site = asset_site(assets)
    add_python_page(site, tmp_path_factory.mktemp("python"))
    with serving(site), chromium.new_context() as context:
        yield BrowserPython(context.new_page(), site)
