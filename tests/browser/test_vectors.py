"""The official MLS vectors inside Pyodide in Chromium, on WebCrypto: what passes on CPython passes here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from roomkey.host.native_crypto import NativeCrypto

from build_scripts import paths
from tests.browser.support.python import BrowserPython
from tests.conftest import Vectors
from tests.vectors.support import PASSED_IN_BROWSER

RUNNERS = paths.ROOT / "tests" / "vectors" / "runners"
# By file name; each has the runner of its name, those of the passive client share one.
NAMES = (
    "crypto-basics",
    "deserialization",
    "key-schedule",
    "message-protection",
    "messages",
    "passive-client-handling-commit",
    "passive-client-random",
    "passive-client-welcome",
    "psk_secret",
    "secret-tree",
    "transcript-hashes",
    "tree-math",
    "tree-operations",
    "tree-validation",
    "treekem",
    "welcome",
)
CODE = """
import sys, types
import test_host
from js import fetch
from roomkey.host.browser import standalone_crypto
runner = sys.modules[values["runner"]] = types.ModuleType(values["runner"])
exec(compile(values["source"], values["runner"] + ".py", "exec"), runner.__dict__)
cases = json.loads(await (await fetch(values["address"])).text())
json.dumps(list((await runner.run(await standalone_crypto(test_host), cases)).items()))
"""


def runner_of(name: str) -> str:
    return "passive_client" if name.startswith("passive-client-") else name.replace("-", "_")


def test_every_runner_runs_here() -> None:
    assert {runner_of(name) for name in NAMES} == {path.stem for path in RUNNERS.glob("*.py")}


@pytest.mark.parametrize("name", NAMES)
def test_vectors_pass_in_the_browser_as_on_cpython(python: BrowserPython, vectors: Vectors, name: str) -> None:
    path, runner = vectors.path("mls", f"{name}.json"), runner_of(name)
    python.site.files[f"/vectors/{path.name}"] = path.read_bytes()
    passed = python.run(
        CODE,
        runner=runner,
        source=(RUNNERS / f"{runner}.py").read_text(),
        address=f"{python.site.address}vectors/{path.name}",
    )
    assert dict(passed) == on_cpython(runner, path)
    PASSED_IN_BROWSER[path.name] = dict(passed)


def on_cpython(runner: str, path: Path) -> dict[int, int]:
    """The cases that pass here, by suite: at least one."""
    module = importlib.import_module(f"tests.vectors.runners.{runner}")
    counts: dict[int, int] = finished(module.run(NativeCrypto(), json.loads(path.read_text())))
    assert sum(counts.values()) > 0, f"{path.name}: no case for our suites"
    return counts


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of native work, which never suspends; a second event loop beside Playwright's could not run."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("expected a coroutine that does not suspend")
