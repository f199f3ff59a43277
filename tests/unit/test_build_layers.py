"""The import layers: what may import what, as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_scripts import layers, paths

ALLOWED = [
    ("bridge.py", "roomkey.client"),
    ("bridge.py", "roomkey.host.browser"),
    ("bridge.py", "js"),
    ("conference/group.py", "roomkey.media.srtp"),
    ("conference/group.py", "roomkey.conference.state"),
    ("conference/group.py", "roomkey.host.interface.Store"),
    ("mls/tree.py", "roomkey.crypto.labels"),
    ("host/browser.py", "pyodide.ffi"),
    ("host/browser_crypto.py", "js"),
    ("host/native.py", "roomkey.crypto.provider"),
    ("tls.py", "roomkey.errors"),
    ("errors.py", "dataclasses"),
]
REFUSED = [
    ("errors.py", "roomkey.tls", "errors is not above tls"),
    ("mls/tree.py", "roomkey.conference.state", "mls is not above conference"),
    ("media/srtp.py", "roomkey.federation.messages", "media is not above federation"),
    ("client.py", "roomkey.bridge", "client is not above bridge"),
    ("mls/tree.py", "roomkey.host.native", "mls is handed its host"),
    ("host/native.py", "roomkey.conference.state", "host does not import"),
    ("mls/tree.py", "js", "belongs to host/browser"),
    ("host/native.py", "pyodide.ffi", "belongs to host/browser"),
    ("mls/tree.py", "roomkey_delivery.app", "does not know the delivery service"),
    ("mls/tree.py", "roomkey.helpers", "is in no layer"),
    ("helpers.py", "roomkey.errors", "helpers is in no layer"),
]


@pytest.mark.parametrize(("file", "imported"), ALLOWED)
def test_allowed(file: str, imported: str) -> None:
    assert layers.refusal(Path(file), imported) is None


@pytest.mark.parametrize(("file", "imported", "reason"), REFUSED)
def test_refused(file: str, imported: str, reason: str) -> None:
    refusal = layers.refusal(Path(file), imported)
    assert refusal is not None
    assert reason in refusal


def test_finds_imports_in_functions_and_relative_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PY_SRC", tmp_path)
    file = tmp_path / "roomkey" / "mls" / "tree.py"
    file.parent.mkdir(parents=True)
    file.write_text("def f():\n    from roomkey import bridge\n    from .. import client\n    from .node import x\n")
    assert [name for _, name in layers.imports(file)] == ["roomkey.bridge", "roomkey.client", "roomkey.mls.node"]


def test_reports_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PY_SRC", tmp_path)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    file = tmp_path / "roomkey" / "tls.py"
    file.parent.mkdir()
    file.write_text("\nimport roomkey.mls.tree\n")
    assert list(layers.problems()) == ["roomkey/tls.py:2: tls is not above mls (imports roomkey.mls.tree)"]
