"""`python3 build_scripts build [--connect ORIGIN ...] [--sizes]`: makes `web/dist`.

`web/dist/roomkey` is the asset folder: any static server can serve it, and it needs nothing else at run time. The order
follows the hashes: data and workers, then the manifest with their hashes, then index.js, which carries the manifest's.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from build_scripts import archive, environment, headers, modules, paths, sizes

PYODIDE_SCRIPTS = ("pyodide.mjs", "pyodide.asm.mjs")
PYODIDE_DATA = ("pyodide.asm.wasm",)
WORKERS = {"worker.js": "worker/main.ts", "media-worker.js": "media/worker.ts"}
LATER = {"ml-kem.js": "worker/ml_kem_library.ts"}  # scripts that a worker fetches when it needs them
LIBRARY_LICENCES = {"ml-kem.js": "@noble/post-quantum/LICENSE"}  # served beside what is made of them
CRYPTO_HELPER = paths.PY_SRC / "roomkey" / "host" / "browser_crypto.js"  # package data of the wheel
MANIFEST = "assets-manifest.json"
MANIFEST_FORMAT = 1


class BuildError(Exception):
    """The build cannot go on; the text says which step and why."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 build_scripts build")
    parser.add_argument(
        "--connect", nargs="+", default=[], metavar="ORIGIN", help="delivery services for the header file"
    )
    parser.add_argument("--sizes", action="store_true", help="print raw and brotli sizes")
    options = parser.parse_args(arguments)
    try:
        fresh = build(options.connect)
    except BuildError as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return 1
    if options.sizes:
        print(sizes.report(paths.ASSETS))
    total = sum(file.stat().st_size for file in paths.ASSETS.iterdir() if file.suffix != ".map")
    print(f"{paths.ASSETS.relative_to(paths.ROOT)}: {total / 1e6:.2f} MB, {'made' if fresh else 'up to date'}")
    return 0


def build(connect: list[str] | None = None) -> bool:
    """Makes `web/dist` unless it is up to date; says whether it did. Raises BuildError."""
    with environment.exclusive("build"):
        stamp = paths.DIST / "stamp"
        wanted = inputs_fingerprint(connect or [])
        if stamp.is_file() and stamp.read_text() == wanted:
            return False
        staging = paths.ROOMKEY / "dist"
        shutil.rmtree(staging, ignore_errors=True)
        (staging / "roomkey").mkdir(parents=True)
        make_asset_folder(staging / "roomkey", connect or [])
        make_demo(staging / "demo")
        make_types(staging / "types")
        (staging / "stamp").write_text(wanted)
        shutil.rmtree(paths.DIST, ignore_errors=True)
        staging.rename(paths.DIST)
    return True


def inputs_fingerprint(connect: list[str]) -> str:
    """SHA-256 over the name and content of everything that the build reads."""
    folders = [paths.PY_SRC, paths.WEB / "src", paths.WEB / "demo", paths.SCRIPTS]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts and path != CRYPTO_HELPER]
    files += [
        paths.NPM_LOCK,
        paths.ROOT / "pyproject.toml",
        paths.WEB / "constants.d.ts",
        *paths.WEB.glob("tsconfig*.json"),
    ]
    return environment.fingerprint(
        *files, extra=json.dumps([connect, [str(path.relative_to(paths.ROOT)) for path in files]])
    )


def version() -> str:
    """The project's version, from pyproject.toml; package.json says the same, and a check holds that."""
    return str(tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]["version"])


def make_asset_folder(folder: Path, connect: list[str]) -> None:
    pyodide = paths.NODE_MODULES / "pyodide"
    for name in (*PYODIDE_SCRIPTS, *PYODIDE_DATA):
        shutil.copyfile(pyodide / name, folder / name)
    source = paths.WEB / "src"
    helper = source / "worker" / "crypto.ts"
    if helper.exists():
        esbuild(helper, CRYPTO_HELPER, source_map=False)
    wheel = make_wheel(folder)
    frozen = freeze(wheel)
    archive.write_stored_zip(folder / "python_stdlib.zip", decoded(frozen["stdlib"]))
    archive.write_stored_zip(folder / "roomkey.zip", decoded(frozen["roomkey"]))
    (folder / "pyodide-lock.json").write_text(json.dumps(trimmed_lock(frozen["lock"], wheel), indent=1, sort_keys=True))
    for name, entry in {**WORKERS, **LATER}.items():
        if (source / entry).exists():
            esbuild(source / entry, folder / name)
    for name, licence in LIBRARY_LICENCES.items():
        shutil.copyfile(paths.NODE_MODULES / licence, folder / f"{name}.LEGAL.txt")
    manifest = make_manifest(folder, str(frozen["python"]))
    if (source / "index.ts").exists():
        esbuild(source / "index.ts", folder / "index.js", {"__ROOMKEY_MANIFEST_INTEGRITY__": integrity(manifest)})
    fields = headers.asset_headers(connect)
    (folder / "headers.json").write_text(json.dumps(fields, indent=2) + "\n")
    (folder / "_headers").write_text(headers.netlify_style(fields))


def make_wheel(folder: Path) -> Path:
    """The wheel of sources, for pip, micropip and other people's Pyodide. Reproducible; needs no network."""
    run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        "building the wheel",
        SOURCE_DATE_EPOCH="315532800",
    )
    return next(folder.glob("*.whl"))


def freeze(wheel: Path) -> dict[str, Any]:
    """What freeze.mjs answers, from the cache when nothing it reads has changed."""
    try:
        names = modules.needed_stdlib()
    except SyntaxError as error:
        raise BuildError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    sources = modules.browser_sources()
    scripts = [paths.SCRIPTS / "freeze.mjs", paths.SCRIPTS / "frozen.py", paths.FREEZE_LOCK, paths.NPM_LOCK]
    key = environment.fingerprint(*scripts, *sources.values(), wheel, extra=json.dumps([names, list(sources)]))
    output = paths.CACHE / "freeze" / f"{key}.json"
    if not output.exists():
        shutil.rmtree(output.parent, ignore_errors=True)
        output.parent.mkdir(parents=True)
        request = output.with_suffix(".request")
        request.write_text(
            json.dumps(
                {
                    "pyodide": str(paths.NODE_MODULES / "pyodide"),
                    "script": str(paths.SCRIPTS / "frozen.py"),
                    "sources": {name: str(path) for name, path in sources.items()},
                    "names": names,
                    "wheels": [str(path) for path in micropip_wheels()],
                    "wheel": str(wheel),
                    "output": str(output.with_suffix(".part")),
                }
            )
        )
        run(["node", str(paths.SCRIPTS / "freeze.mjs"), str(request)], "compiling for Pyodide")
        output.with_suffix(".part").rename(output)
    answer: dict[str, Any] = json.loads(output.read_text())
    return answer


def micropip_wheels() -> list[Path]:
    """The wheels that freezing needs, downloaded once by freeze.lock for Pyodide's Python, not for ours."""
    folder = paths.CACHE / f"micropip-{environment.fingerprint(paths.FREEZE_LOCK)[:16]}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        environment.pip_download(paths.FREEZE_LOCK, part, "3.14")
        part.rename(folder)
    return sorted(folder.glob("*.whl"))


def trimmed_lock(lock: Mapping[str, Any], wheel: Path) -> dict[str, Any]:
    """The frozen lock with roomkey alone: bare file name, no machine's paths, the hash proved against the wheel."""
    entry = lock["packages"]["roomkey"]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if entry["sha256"] != digest or entry["depends"]:
        raise BuildError(f"the frozen lock is not of this wheel: expected {digest} and no dependencies, got {entry}")
    package = {**entry, "file_name": wheel.name, "imports": ["roomkey"]}
    return {"info": lock["info"], "packages": {"roomkey": package}}


def make_manifest(folder: Path, python: str) -> bytes:
    """Writes the manifest of all files made so far, and returns its bytes."""
    scripts = {*PYODIDE_SCRIPTS, *WORKERS, *LATER}
    assets = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".map", ".txt"):
            continue
        content = path.read_bytes()
        assets[path.name] = {
            "kind": "script" if path.name in scripts else "data",
            "sha256": hashlib.sha256(content).hexdigest(),
            "integrity": integrity(content),
            "bytes": len(content),
        }
    pyodide = json.loads((paths.NODE_MODULES / "pyodide" / "package.json").read_text())["version"]
    manifest = {"format": MANIFEST_FORMAT, "version": version(), "pyodide": pyodide, "python": python, "assets": assets}
    encoded = (json.dumps(manifest, indent=1) + "\n").encode()
    (folder / MANIFEST).write_bytes(encoded)
    return encoded


def make_demo(folder: Path) -> None:
    """The demo's pages: TypeScript entries bundled, other files copied; the library stays at its own address."""
    source = paths.WEB / "demo"
    if not source.is_dir():
        return
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.ts", "__pycache__"))
    for entry in sorted(source.glob("*.ts")):
        esbuild(entry, folder / f"{entry.stem}.js", {}, "--alias:roomkey=/roomkey/index.js", "--external:/roomkey/*")


def make_types(folder: Path) -> None:
    """The declarations of the public surface."""
    if (paths.WEB / "src" / "index.ts").exists():
        tsc = str(paths.NODE_MODULES / ".bin" / "tsc")
        run([tsc, "-p", str(paths.WEB / "tsconfig.types.json"), "--outDir", str(folder)], "emitting declarations")


def esbuild(
    entry: Path, output: Path, constants: Mapping[str, str] | None = None, *more: str, source_map: bool = True
) -> None:
    """Bundles one entry into one ES module, with the constants of web/constants.d.ts replaced."""
    values = {"__ROOMKEY_VERSION__": version(), **(constants or {})}
    command = [str(paths.NODE_MODULES / ".bin" / "esbuild"), str(entry), f"--outfile={output}"]
    command += [
        "--bundle",
        "--format=esm",
        "--target=es2022",
        "--minify",
        "--legal-comments=linked",
        "--log-level=warning",
    ]
    command += ["--sourcemap=linked"] if source_map else []
    command += [f"--define:{name}={json.dumps(value)}" for name, value in values.items()]
    run([*command, *more], f"bundling {entry.relative_to(paths.ROOT)}")


def integrity(content: bytes) -> str:
    """The subresource integrity value of `content`."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()


def decoded(entries: Mapping[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in entries.items()}


def run(command: list[str], step: str, **variables: str) -> None:
    """Runs a command from the root, quiet unless it fails. Raises BuildError with all it said."""
    result = subprocess.run(
        command, cwd=paths.ROOT, env={**environment.variables(), **variables}, capture_output=True, text=True
    )
    if result.returncode != 0:
        said = (result.stdout + result.stderr).strip()
        raise BuildError(f"{step} failed ({Path(command[0]).name}, exit {result.returncode})\n{said}")
