"""What the build writes: the same bytes from the same content, hashes that hold, no machine's path, headers."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from build_scripts import archive, build, headers, modules, paths

UNCHECKED_HASH = b"\x01\x00\x00\x00"  # PEP 552: bit 0 hash-based, bit 1 check the source


def test_zip_is_reproducible(tmp_path: Path) -> None:
    archive.write_stored_zip(tmp_path / "a.zip", {"b": b"2", "a": b"1"})
    archive.write_stored_zip(tmp_path / "b.zip", {"a": b"1", "b": b"2"})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_manifest_names_every_file_with_its_hash(assets: Path) -> None:
    manifest = json.loads((assets / "assets-manifest.json").read_text())
    unlisted = {"assets-manifest.json", "index.js", "headers.json", "_headers"}
    served = {path.name for path in assets.iterdir() if path.suffix not in (".map", ".txt")}
    assert set(manifest["assets"]) == served - unlisted
    for name, entry in manifest["assets"].items():
        content = (assets / name).read_bytes()
        digest = hashlib.sha256(content).digest()
        assert entry["sha256"] == digest.hex()
        assert entry["integrity"] == f"sha256-{base64.b64encode(digest).decode()}"
        assert entry["bytes"] == len(content)
        assert entry["kind"] == ("script" if name.endswith("js") else "data")


def test_lock_names_the_wheel_and_nothing_else(assets: Path) -> None:
    lock = json.loads((assets / "pyodide-lock.json").read_text())
    assert list(lock["packages"]) == ["roomkey"]
    entry = lock["packages"]["roomkey"]
    assert entry["sha256"] == hashlib.sha256((assets / entry["file_name"]).read_bytes()).hexdigest()


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"depends": ["numpy"]}])
def test_a_lock_of_another_wheel_is_refused(assets: Path, change: dict[str, object]) -> None:
    lock = json.loads((assets / "pyodide-lock.json").read_text())
    lock["packages"]["roomkey"].update(change)
    with pytest.raises(build.BuildError, match="not of this wheel"):
        build.trimmed_lock(lock, next(assets.glob("*.whl")))


@pytest.mark.parametrize("name", ["python_stdlib.zip", "roomkey.zip"])
def test_zips_hold_pyc_files_that_are_not_compared(assets: Path, name: str) -> None:
    with zipfile.ZipFile(assets / name) as content:
        assert content.testzip() is None
        for entry in content.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert not entry.filename.endswith(".py")
            if entry.filename.endswith(".pyc"):
                assert content.read(entry)[4:8] == UNCHECKED_HASH


def test_the_browsers_zip_holds_no_native_host(assets: Path) -> None:
    with zipfile.ZipFile(assets / "roomkey.zip") as content:
        names = content.namelist()
    assert "roomkey/host/interface.pyc" in names
    assert [name for name in names if "native" in name] == []


def test_nothing_holds_a_path_of_this_machine(assets: Path) -> None:
    place = str(paths.ROOT).encode()
    assert [path.name for path in assets.iterdir() if place in path.read_bytes()] == []


def test_wheel_holds_sources(assets: Path) -> None:
    with zipfile.ZipFile(next(assets.glob("*.whl"))) as wheel:
        assert "roomkey/tls/struct.py" in wheel.namelist()
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert all("extra ==" in line for line in required), "the browser has the standard library only"


def test_imports_in_functions_are_found(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("import roomkey.tls\ndef f():\n    import xml.dom\n    from urllib.parse import quote\n")
    assert list(modules.imported_stdlib(file)) == ["xml.dom", "urllib.parse"]


def test_worker_scripts_carry_the_policy() -> None:
    fields = headers.asset_headers(["https://ds.example"])
    policy = dict(part.strip().split(" ", 1) for part in fields["*"]["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["connect-src"] == "'self' https://ds.example"
    assert policy["require-trusted-types-for"] == "'script'"
    assert set(headers.WORKER_SCRIPTS) == set(build.WORKERS)
    assert set(headers.WORKER_SCRIPTS) <= set(fields)
