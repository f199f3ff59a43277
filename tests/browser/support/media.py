"""Runs the checks of tests/browser/media in Node and in Chromium: one bundle, the same functions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from build_scripts import build

CHECKS = Path(__file__).parent.parent / "media"
# (name of the exported function, its argument) -> its answer; raises where a check fails.
RunCheck = Callable[[str, Any], Any]


def bundle(name: str, folder: Path) -> Path:
    """The checks of media/NAME.mjs with the sources that they check, as one module."""
    output = folder / f"{name}.mjs"
    build.esbuild(CHECKS / f"{name}.mjs", output, source_map=False)
    return output


def in_node(module: Path) -> RunCheck:
    def run(name: str, argument: Any) -> Any:
        command = ["node", str(CHECKS / "run.mjs"), str(module), name]
        result = subprocess.run(command, input=json.dumps(argument), capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run


def in_page(page: Page, address: str) -> RunCheck:
    """`address`: of the module, on the origin of the page, which is a secure context."""

    def run(name: str, argument: Any) -> Any:
        code = "async ([address, name, argument]) => (await import(address))[name](argument)"
        return page.evaluate(code, [address, name, argument])

    return run
