"""Runs the checks of tests/browser/media in Node and in Chromium: one bundle, the same functions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser as PlaywrightBrowser

from build_scripts import build
from tests.browser.support.server import Site, serving

CHECKS = Path(__file__).parent.parent / "media"
# (name of the exported function, its argument) -> its answer; raises where a check fails.
RunCheck = Callable[[str, Any], Any]


@contextmanager
def checks(name: str, host: str, chromium: PlaywrightBrowser, folder: Path) -> Iterator[RunCheck]:
    """The functions of media/NAME.mjs with the sources that they check, run in `host`: "node" or "chromium"."""
    module = bundled(name, folder)
    if host == "node":
        yield in_node(module)
        return
    site = Site(files={"/": b"<!doctype html>", "/checks.js": module.read_bytes()})
    with serving(site), chromium.new_context() as context:
        page = context.new_page()
        page.goto(site.address)
        code = "async ([name, argument]) => (await import('/checks.js'))[name](argument)"
        yield lambda check, argument: page.evaluate(code, [check, argument])


def node_checks(name: str, folder: Path) -> RunCheck:
    """The functions of media/NAME.mjs in Node alone: of rules that need no browser."""
    return in_node(bundled(name, folder))


def bundled(name: str, folder: Path) -> Path:
    module = folder / f"{name}.mjs"
    build.esbuild(CHECKS / f"{name}.mjs", module, source_map=False)
    return module


def in_node(module: Path) -> RunCheck:
    def run(name: str, argument: Any) -> Any:
        command = ["node", str(CHECKS / "run.mjs"), str(module), name]
        result = subprocess.run(command, input=json.dumps(argument), capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
