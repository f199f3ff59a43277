"""Finds a Chromium that starts, for the tests, the headless demo and the bench.

In this order: the one ROOMKEY_BROWSER names; an installed Chrome, Chromium or Edge that passes a headless smoke run
(a name on the path proves nothing: Ubuntu's `chromium` is a stub where snaps do not run); Playwright's download; as
root on Debian the package `chromium`. Else BrowserMissing, whose text tells the person what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build_scripts import environment, paths

if TYPE_CHECKING:
    from playwright.async_api import Browser as AsyncPlaywrightBrowser
    from playwright.async_api import Playwright as AsyncPlaywright
    from playwright.sync_api import Browser as PlaywrightBrowser
    from playwright.sync_api import Playwright

VARIABLE = "ROOMKEY_BROWSER"
ON_PATH = (
    *("google-chrome", "google-chrome-stable", "chrome", "chromium", "chromium-browser"),
    *("microsoft-edge", "microsoft-edge-stable"),
)
ELSEWHERE = (
    "/opt/google/chrome/chrome",
    "/opt/microsoft/msedge/msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
SMOKE_SECONDS = 60  # a cold start from a slow disk; a browser that hangs longer is of no use
DOWNLOAD_SECONDS = 600
SMOKE_PAGE = "data:text/html,<title>roomkey</title><p>smoke"


class BrowserMissing(Exception):
    """No browser could be found or fetched; the text is a sentence that says what to do."""


@dataclass(frozen=True)
class Browser:
    """A Chromium that has just shown that it starts."""

    path: Path
    version: str  # as it says itself: "Chromium 156.0.1 ..."
    arguments: tuple[str, ...]  # the flags it needs here


def find_browser() -> Browser:
    """The first browser that starts, in the order above. Raises BrowserMissing."""
    named = os.environ.get(VARIABLE)
    if named:
        browser = smoke_run(Path(shutil.which(named) or named))
        if browser is None:
            raise BrowserMissing(f"{VARIABLE} names {named}, which does not start headless. Name another or unset it.")
        return browser
    for find in (installed, downloaded_before, download, install_on_debian):
        browser = first_that_starts(find())
        if browser is not None:
            return browser
    raise BrowserMissing(
        "No Chrome, Chromium or Edge starts here, and none could be downloaded. Install one "
        f"(Debian: apt-get install chromium), or set {VARIABLE} to the path of one."
    )


def installed() -> Iterator[Path]:
    """Browsers that the system has."""
    for name in ON_PATH:
        found = shutil.which(name)
        if found is not None:
            yield Path(found)
    yield from (Path(path) for path in ELSEWHERE if Path(path).exists())


def downloaded_before() -> Iterator[Path]:
    """Browsers that Playwright has downloaded: here, or for this user."""
    user_cache = Path.home() / ".cache" / "ms-playwright"
    for folder in (paths.BROWSERS, user_cache):
        for pattern in ("chromium-*/chrome-linux*/chrome", "chromium_headless_shell-*/chrome-linux*/headless_shell"):
            yield from sorted(folder.glob(pattern), reverse=True)


def download() -> Iterator[Path]:
    """Has Playwright download the build that it was made for, into the clone."""
    print("roomkey: no installed browser starts: trying Playwright's download", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    variables = {**environment.variables(), "PLAYWRIGHT_BROWSERS_PATH": str(paths.BROWSERS)}
    if attempt(command, DOWNLOAD_SECONDS, variables):
        yield from downloaded_before()


def install_on_debian() -> Iterator[Path]:
    """As root on Debian, its package `chromium`. (Ubuntu's package of that name is a snap stub.)"""
    if apt_install("chromium"):
        yield from installed()


def apt_install(package: str) -> bool:
    """Installs a Debian package, where that can be done; whether it worked."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None or not is_debian():
        return False
    print(f"roomkey: installing Debian's package {package}", file=sys.stderr, flush=True)
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    attempt(["apt-get", "update", "-q"], DOWNLOAD_SECONDS, variables)
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", package]
    return attempt(install, DOWNLOAD_SECONDS, variables)


def is_debian() -> bool:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return False
    return "ID=debian" in lines


def attempt(command: list[str], seconds: float, variables: dict[str, str]) -> bool:
    """Runs a command that may fail: then one line says why, and the next way is tried."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=variables)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"roomkey: {command[0]}: {error}", file=sys.stderr)
        return False
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines() or ["without a word"]
        why = next((line for line in said if "error" in line.lower()), said[-1])
        print(f"roomkey: that failed: {why.strip()}", file=sys.stderr)
    return result.returncode == 0


def first_that_starts(candidates: Iterable[Path]) -> Browser | None:
    for path in candidates:
        browser = smoke_run(path)
        if browser is not None:
            return browser
    return None


def smoke_run(path: Path) -> Browser | None:
    """Starts the browser headless on a small page; None when it does not show it."""
    arguments: tuple[str, ...] = FLAGS
    if os.geteuid() == 0:
        arguments = ("--no-sandbox", *arguments)  # Chromium refuses its sandbox to root
    for tried in dict.fromkeys([arguments, ("--no-sandbox", *FLAGS)]):
        # where user namespaces are forbidden (containers), an ordinary user has no sandbox either
        if shows_page(path, tried):
            return Browser(path, version_of(path), tried)
    return None


def shows_page(path: Path, arguments: tuple[str, ...]) -> bool:
    with tempfile.TemporaryDirectory(prefix="roomkey-smoke-") as profile:
        command = [str(path), "--headless=new", *arguments, f"--user-data-dir={profile}", "--dump-dom", SMOKE_PAGE]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=SMOKE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return False
    return result.returncode == 0 and "smoke" in result.stdout


def version_of(path: Path) -> str:
    try:
        return subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=SMOKE_SECONDS
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"


def launch(playwright: Playwright, browser: Browser, **options: Any) -> PlaywrightBrowser:
    """Starts the browser by Playwright's blocking API; `options` are those of `BrowserType.launch`."""
    return playwright.chromium.launch(**launch_options(browser, options))


async def launch_async(playwright: AsyncPlaywright, browser: Browser, **options: Any) -> AsyncPlaywrightBrowser:
    """Starts the browser by Playwright's asyncio API; `options` are those of `BrowserType.launch`."""
    return await playwright.chromium.launch(**launch_options(browser, options))


def launch_options(browser: Browser, options: dict[str, Any]) -> dict[str, Any]:
    arguments = [*browser.arguments, *options.pop("args", [])]
    return {"executable_path": str(browser.path), "args": arguments, "headless": True, **options}
