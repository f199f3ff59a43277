"""Where things lie in the clone. Everything generated is under `.roomkey`, `web/node_modules` and `web/dist`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "build_scripts"
PY_SRC = ROOT / "py_src"
WEB = ROOT / "web"
TESTS = ROOT / "tests"

ROOMKEY = ROOT / ".roomkey"
VENV = ROOMKEY / "venv"
VENV_PYTHON = VENV / "bin" / "python"
CACHE = ROOMKEY / "cache"
LOCKED_ASSETS = ROOMKEY / "assets"
BROWSERS = ROOMKEY / "browsers"

NODE_MODULES = WEB / "node_modules"
DIST = WEB / "dist"
ASSETS = DIST / "roomkey"
DEMO_DIST = DIST / "demo"

PYTHON_LOCK = SCRIPTS / "requirements.lock"
NODE_LOCK = SCRIPTS / "node.lock"
FREEZE_LOCK = SCRIPTS / "freeze.lock"
NPM_LOCK = WEB / "package-lock.json"
ASSETS_LOCK = SCRIPTS / "assets.json"
