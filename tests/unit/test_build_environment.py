"""Set-up says in a sentence what a machine lacks, leaves nothing half made, and does nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from build_scripts import environment, paths


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for the environment; the locks are the project's."""
    for name, value in {"ROOMKEY": tmp_path, "VENV": tmp_path / "venv", "CACHE": tmp_path / "cache"}.items():
        monkeypatch.setattr(paths, name, value)
    monkeypatch.setattr(paths, "VENV_PYTHON", tmp_path / "venv" / "bin" / "python")
    return tmp_path


def python_that_says(folder: Path, text: str, code: int) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_a_missing_venv_module_is_named(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = python_that_says(clone, "ensurepip is not available", 1)
    monkeypatch.setattr(environment, "_base_python", lambda: broken)
    with pytest.raises(environment.SetupError, match="apt-get install python3-venv"):
        environment.ensure_environment()
    assert not paths.VENV.exists()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("Failed to establish: NewConnectionError('x')", "is this machine online"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one the lock file names"),
        ("disk full", "disk full"),
    ],
)
def test_a_failing_pip_is_explained(clone: Path, output: str, sentence: str) -> None:
    paths.VENV_PYTHON.parent.mkdir(parents=True)
    python_that_says(paths.VENV_PYTHON.parent, output.replace("'", ""), 1)
    with pytest.raises(environment.SetupError, match=sentence):
        environment.pip_download(paths.FREEZE_LOCK, clone, "3.14")


@pytest.mark.parametrize(("text", "version"), [("v24.1.0", (24, 1)), ("v20.9.1", (20, 9)), ("nonsense", (0, 0))])
def test_the_version_of_node_is_read(
    clone: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: tuple[int, int]
) -> None:
    paths.VENV_PYTHON.parent.mkdir(parents=True)
    Path(python_that_says(paths.VENV_PYTHON.parent, text, 0)).rename(paths.VENV_PYTHON.parent / "node")
    monkeypatch.setenv("PATH", "/nowhere")
    assert environment._node_version() == version


def test_a_fingerprint_tells_contents_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("ab")
    two.write_text("c")
    first = environment.fingerprint(one, two)
    one.write_text("a")
    two.write_text("bc")
    assert environment.fingerprint(one, two) != first


def test_commands_run_on_the_standard_library_until_the_environment_stands() -> None:
    """An isolated interpreter without site-packages knows the set-up's modules and the usage."""
    script = (
        "import sys; sys.path.insert(0, '.'); sys.argv = ['build_scripts', 'help'];"
        "import build_scripts.environment, build_scripts.paths, runpy;"
        "runpy.run_path('build_scripts', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-I", "-S", "-c", script], cwd=paths.ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "usage: python3 build_scripts COMMAND" in result.stdout


def test_an_unknown_command_is_refused() -> None:
    command = [sys.executable, "build_scripts", "frobnicate"]
    result = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, env={**os.environ})
    assert result.returncode == 2
    assert "no command 'frobnicate'" in result.stderr
