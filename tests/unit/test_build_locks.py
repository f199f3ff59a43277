"""The lock check finds what is not pinned, not hashed, or fetched beside the locks; downloads must match hashes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from build_scripts import locks, paths

HASH = "a" * 64


def write_lock(folder: Path, lock: str, names: str = "one\n") -> Path:
    (folder / "x.in").write_text(names)
    path = folder / "x.lock"
    path.write_text(lock)
    return path


def test_the_projects_locks_are_in_order() -> None:
    assert list(locks.problems()) == []


def test_a_pinned_and_hashed_requirement_passes(tmp_path: Path) -> None:
    text = f"one==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{HASH}\n"
    assert list(locks.python_lock_problems(write_lock(tmp_path, text))) == []


@pytest.mark.parametrize(
    "lock",
    [
        "one==1.0\n",
        f"one>=1.0 \\\n    --hash=sha256:{HASH}\n",
        f"one @ https://example.org/one.whl \\\n    --hash=sha256:{HASH}\n",
        f"one==1.0 \\\n    --hash=md5:{HASH[:32]}\n",
        f"--index-url https://example.org\none==1.0 \\\n    --hash=sha256:{HASH}\n",
    ],
)
def test_a_loose_requirement_is_found(tmp_path: Path, lock: str) -> None:
    assert "expected NAME==VERSION with hashes" in next(iter(locks.python_lock_problems(write_lock(tmp_path, lock))))


def test_a_name_that_the_lock_lacks_is_found(tmp_path: Path) -> None:
    lock = write_lock(tmp_path, f"one==1.0 --hash=sha256:{HASH}\n", "one\ntwo\n")
    assert list(locks.python_lock_problems(lock)) == ["x.lock: lacks two"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"version": "1.0.0"}, "no sha512 integrity"),
        ({"integrity": "sha1-abc"}, "no sha512 integrity"),
        ({"integrity": "sha512-abc", "resolved": "https://registry.example/x.tgz"}, "registry's address"),
    ],
)
def test_npm_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: dict[str, str], problem: str) -> None:
    lock: dict[str, Any] = {"packages": {"": {"devDependencies": {"x": "1.0.0"}}, "node_modules/x": entry}}
    monkeypatch.setattr(paths, "WEB", tmp_path)
    monkeypatch.setattr(paths, "NPM_LOCK", tmp_path / "package-lock.json")
    paths.NPM_LOCK.write_text(json.dumps(lock))
    (tmp_path / "package.json").write_text(json.dumps({"devDependencies": {"x": "1.0.0"}}))
    assert [problem in line for line in locks.npm_lock_problems()] == [True]


def test_a_stray_download_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("build_scripts", ".ci", "tests", "web/src"):
        (tmp_path / folder).mkdir(parents=True)
    for name, folder in (("ROOT", "."), ("SCRIPTS", "build_scripts"), ("TESTS", "tests"), ("WEB", "web")):
        monkeypatch.setattr(paths, name, tmp_path / folder)
    (tmp_path / ".ci" / "run").write_text("set -e\ncurl -O https://example.org/tool\n")
    (tmp_path / "build_scripts" / "more.py").write_text(
        "urlopen('http://127.0.0.1:1/')\nurlopen('https://example.org')\n"
    )
    (tmp_path / "web" / "src" / "index.ts").write_text('import x from "https://cdn.example/x.js";\n')
    found = [line.partition(": ")[0] for line in locks.stray_downloads()]
    assert found == ["build_scripts/more.py:2", ".ci/run:2", "web/src/index.ts:1"]


@pytest.fixture
def one_asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock that names one file, and the file at its place."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "v.json").write_bytes(b"content")
    lock = tmp_path / "assets.json"
    files = {"v.json": hashlib.sha256(b"content").hexdigest()}
    lock.write_text(
        json.dumps({"sources": [{"folder": "mls", "url": source.as_uri(), "licence": "none", "files": files}]})
    )
    monkeypatch.setattr(paths, "ASSETS_LOCK", lock)
    monkeypatch.setattr(paths, "LOCKED_ASSETS", tmp_path / "assets")
    return source / "v.json"


def test_a_locked_file_is_downloaded_once(one_asset: Path) -> None:
    assert locks.fetch_locked("mls", "v.json").read_bytes() == b"content"
    one_asset.unlink()
    assert locks.fetch_locked("mls", "v.json").read_bytes() == b"content"


def test_a_damaged_copy_is_downloaded_again(one_asset: Path) -> None:
    locks.fetch_locked("mls", "v.json").write_bytes(b"damaged")
    assert locks.fetch_locked("mls", "v.json").read_bytes() == b"content"


def test_another_content_is_refused_and_not_kept(one_asset: Path) -> None:
    one_asset.write_bytes(b"other")
    with pytest.raises(locks.LockError, match="expected SHA-256"):
        locks.fetch_locked("mls", "v.json")
    assert list(paths.LOCKED_ASSETS.rglob("*.json")) == []


def test_a_silent_place_is_unreachable(one_asset: Path) -> None:
    one_asset.unlink()
    with pytest.raises(locks.Unreachable):
        locks.fetch_locked("mls", "v.json")


def test_an_unnamed_file_is_refused(one_asset: Path) -> None:
    with pytest.raises(locks.LockError, match="does not name it"):
        locks.fetch_locked("mls", "w.json")
