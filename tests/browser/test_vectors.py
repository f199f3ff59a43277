"""The vectors inside Pyodide in Chromium, on WebCrypto: what passes on CPython passes here, case by case."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from roomkey.host.native_crypto import NativeCrypto

from build_scripts import paths
from tests.browser.support.python import BrowserPython
from tests.conftest import Vectors
from tests.vectors import edge_cases, test_hpke, test_wycheproof
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


WYCHEPROOF = tuple(name.removesuffix(".json") for name in test_wycheproof.FILES)
MADE: dict[str, Callable[[], Any]] = {
    "hpke": lambda: json.loads(test_hpke.APPENDIX_A.read_text()),
    "edge_keys": edge_cases.key_cases,
    "edge_signatures": edge_cases.signature_cases,
}


def runner_of(name: str) -> str:
    return "passive_client" if name.startswith("passive-client-") else name.replace("-", "_")


def test_every_runner_runs_here() -> None:
    assert {runner_of(name) for name in NAMES} | {"wycheproof", *MADE} == {path.stem for path in RUNNERS.glob("*.py")}


@pytest.mark.parametrize("name", NAMES)
def test_vectors_pass_in_the_browser_as_on_cpython(python: BrowserPython, vectors: Vectors, name: str) -> None:
    path = vectors.path("mls", f"{name}.json")
    passes_as_on_cpython(python, path.name, runner_of(name), path.read_bytes())


@pytest.mark.parametrize("name", WYCHEPROOF)
def test_wycheproof_gets_the_same_verdicts(python: BrowserPython, vectors: Vectors, name: str) -> None:
    path = vectors.path("wycheproof", f"{name}.json")
    passes_as_on_cpython(python, path.name, "wycheproof", path.read_bytes())


@pytest.mark.parametrize("name", MADE)
def test_keys_signatures_and_hpke_get_the_same_verdicts(python: BrowserPython, name: str) -> None:
    passes_as_on_cpython(python, name, name, json.dumps(MADE[name]()).encode())


def passes_as_on_cpython(python: BrowserPython, name: str, runner: str, content: bytes) -> None:
    """Every case passes on both, and as many of each suite: at least one."""
    python.site.files[f"/vectors/{name}"] = content
    passed = python.run(
        CODE,
        runner=runner,
        source=(RUNNERS / f"{runner}.py").read_text(),
        address=f"{python.site.address}vectors/{name}",
    )
    module = importlib.import_module(f"tests.vectors.runners.{runner}")
    counts: dict[int, int] = finished(module.run(NativeCrypto(), json.loads(content)))
    assert sum(counts.values()) > 0, f"{name}: no case for our suites"
    assert dict(passed) == counts
    PASSED_IN_BROWSER[name] = dict(passed)


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of native work, which never suspends; a second event loop beside Playwright's could not run."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("expected a coroutine that does not suspend")
