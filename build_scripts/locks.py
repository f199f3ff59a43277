"""The locks, and the check that nothing is downloaded but what they name.

| lock | names | read by |
|---|---|---|
| requirements.lock, node.lock, freeze.lock | Python packages with hashes | pip, --require-hashes --only-binary :all: |
| web/package-lock.json | npm packages with integrity | npm ci |
| assets.json | all else: URL, SHA-256, licence | `fetch_locked` below |

The Python locks are made from the .in files beside them, for every platform and Python from 3.11 on, by
`uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header`.
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from build_scripts import paths

TIMEOUT_SECONDS = 60
URL = re.compile(r"https?://[^\s\"'`)>]+")
# Calls that fetch. The commands of package managers are found by their words, in scripts as in Python lists.
DOWNLOADS = re.compile(r"urlopen|urlretrieve|\bcurl\b|\bwget\b|git clone|pip install|npm install|npm i\b|npx ")
PACKAGE_MANAGERS = {"environment.py": "pip and npm, by the locks", "browser.py": "the browser, as the README says"}


class LockError(Exception):
    """Something is not as the lock file says; the text names it."""


class Unreachable(LockError):
    """The place that the lock file names does not answer."""


@dataclass(frozen=True)
class LockedAsset:
    """One download of assets.json."""

    name: str  # the path under .roomkey/assets
    url: str
    sha256: str
    licence: str


def locked_assets() -> list[LockedAsset]:
    """What assets.json names. A source is many files of one place under one licence; some have another name there."""
    content = json.loads(paths.ASSETS_LOCK.read_text())
    return [
        LockedAsset(
            f"{source['folder']}/{name}",
            f"{source['url']}/{source.get('public_names', {}).get(name, name)}",
            sha256,
            source["licence"],
        )
        for source in content["sources"]
        for name, sha256 in source["files"].items()
    ]


def fetch_locked(folder: str, name: str) -> Path:
    """A locked file under .roomkey/assets, downloaded when missing. Raises LockError, Unreachable."""
    wanted = f"{folder}/{name}"
    asset = next((asset for asset in locked_assets() if asset.name == wanted), None)
    if asset is None:
        raise LockError("assets.json does not name it")
    target = paths.LOCKED_ASSETS / wanted
    if not (target.exists() and sha256_of(target) == asset.sha256):
        target.parent.mkdir(parents=True, exist_ok=True)
        download(asset, target)
    return target


def download(asset: LockedAsset, target: Path) -> None:
    try:
        with urllib.request.urlopen(asset.url, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
    except (OSError, urllib.error.URLError) as error:
        raise Unreachable(f"{asset.name} could not be downloaded: {error}") from error
    got = hashlib.sha256(content).hexdigest()
    if got != asset.sha256:
        raise LockError(f"{asset.name}: expected SHA-256 {asset.sha256}, got {got}")
    part = target.with_suffix(".part")
    part.write_bytes(content)
    part.rename(target)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def problems() -> Iterator[str]:
    """Everything wrong with the locks, one line each."""
    for lock in (paths.PYTHON_LOCK, paths.NODE_LOCK, paths.FREEZE_LOCK):
        yield from python_lock_problems(lock)
    yield from npm_lock_problems()
    yield from asset_lock_problems()
    yield from version_problems()
    yield from stray_downloads()


def python_lock_problems(lock: Path) -> Iterator[str]:
    """Each requirement is pinned and hashed, none comes from a URL, and each name of the .in file is there."""
    text = lock.read_text().replace("\\\n", " ")
    pinned = set()
    for line in text.splitlines():
        if not re.fullmatch(r"([a-z0-9-]+)==[^\s;]+( ;[^-]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", line):
            yield f"{lock.name}: expected NAME==VERSION with hashes, got {line[:60]!r}"
        pinned.add(line.split("==")[0])
    for line in lock.with_suffix(".in").read_text().splitlines():
        name = re.match("[a-z0-9-]+", line)
        if name and name[0] not in pinned:
            yield f"{lock.name}: lacks {name[0]}"


def npm_lock_problems() -> Iterator[str]:
    """Each package has an integrity value and no address: the lock names contents, not a registry."""
    lock = json.loads(paths.NPM_LOCK.read_text())
    for name, entry in lock["packages"].items():
        if name and "sha512-" not in entry.get("integrity", ""):
            yield f"package-lock.json: {name} has no sha512 integrity"
        if "resolved" in entry:
            yield f"package-lock.json: {name} names a registry's address"
    package = json.loads((paths.WEB / "package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        if lock["packages"][""].get(kind, {}) != package.get(kind, {}):
            yield f"package-lock.json: its {kind} are not those of package.json"


def asset_lock_problems() -> Iterator[str]:
    for asset in locked_assets():
        if not asset.url.startswith("https://") or not asset.licence or not re.fullmatch("[0-9a-f]{64}", asset.sha256):
            yield f"assets.json: {asset.name} lacks an https URL, a licence or a SHA-256"


def version_problems() -> Iterator[str]:
    """One version in three files."""
    places = {
        "pyproject.toml": re.search(r'^version = "(.*)"', (paths.ROOT / "pyproject.toml").read_text(), re.MULTILINE),
        "package.json": re.search(r'^  "version": "(.*)"', (paths.WEB / "package.json").read_text(), re.MULTILINE),
        "__init__.py": re.search(
            r'^__version__ = "(.*)"', (paths.PY_SRC / "roomkey" / "__init__.py").read_text(), re.MULTILINE
        ),
    }
    found = {name: match[1] if match else None for name, match in places.items()}
    if len(set(found.values())) != 1:
        yield f"the version differs: {found}"


def stray_downloads() -> Iterator[str]:
    """Code that runs on a builder's machine and fetches what no lock names."""
    files = [*paths.SCRIPTS.glob("*.py"), *paths.SCRIPTS.glob("*.mjs"), paths.ROOT / ".ci" / "run"]
    files += paths.TESTS.rglob("conftest.py")
    for file in files:
        if file.name == Path(__file__).name:
            continue  # the one place that downloads by assets.json
        for number, line in enumerate(file.read_text().splitlines(), 1):
            where = f"{file.relative_to(paths.ROOT)}:{number}"
            if DOWNLOADS.search(line) and file.name not in PACKAGE_MANAGERS and not local(line):
                yield f"{where}: a download that no lock names: {line.strip()[:80]}"
    for file in [*(paths.WEB / "src").rglob("*.ts"), *(paths.WEB / "demo").rglob("*.*")]:
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if re.search(r"""(?:import|from|src=|href=)\s*\(?["']https?://""", line):
                yield f"{file.relative_to(paths.ROOT)}:{number}: loads from another origin: {line.strip()[:80]}"


def local(line: str) -> bool:
    """Whether the line is about a server of this machine."""
    return "127.0.0.1" in line or "localhost" in line
