"""The asset folder alone is enough: copied to an empty place and served as it is, it starts Python with roomkey."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from build_scripts import headers, modules

START_SECONDS = 60
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}
PAGE = '<!doctype html><title>bundle</title><script type="module" src="/page.js"></script>'
PAGE_SCRIPT = """
const policy = trustedTypes.createPolicy("roomkey", { createScriptURL: (url) => url });
const worker = new Worker(policy.createScriptURL("/worker.js"), { type: "module" });
worker.onmessage = (event) => { globalThis.answer = event.data; };
worker.onerror = (event) => { globalThis.answer = { error: event.message }; };
"""
WORKER_SCRIPT = """
const FORGET = `
sys.path.remove("/lib/roomkey.zip")
for name in [name for name in sys.modules if name.startswith("roomkey")]:
    del sys.modules[name]
`;
const base = new URL("/roomkey/", location.href).href;
const refused = [];
try {
  const manifest = await (await fetch(base + "assets-manifest.json")).json();
  const plain = fetch;
  globalThis.fetch = (url, options) => {
    const asset = manifest.assets[String(url).slice(base.length)];
    return plain(url, asset ? { ...options, integrity: asset.integrity } : options).catch((error) => {
      refused.push(String(url));
      throw error;
    });
  };
  const { loadPyodide } = await import(base + "pyodide.mjs");
  const python = await loadPyodide({
    indexURL: base, packageBaseUrl: base, checkAPIVersion: true,
    stdLibURL: base + "python_stdlib.zip", lockFileURL: base + "pyodide-lock.json",
  });
  python.FS.writeFile("/lib/roomkey.zip", new Uint8Array(await (await fetch(base + "roomkey.zip")).arrayBuffer()));
  python.runPython("import sys; sys.path.insert(0, '/lib/roomkey.zip')");
  const run = await (await fetch("/script.py")).text();
  const result = JSON.parse(python.runPython(run));
  python.runPython(FORGET);
  const failures = [];  // loadPackage does not throw
  await python.loadPackage("roomkey", { errorCallback: (text) => failures.push(text) });
  if (failures.length > 0) throw new Error(failures.join("\\n"));
  result.wheel = python.runPython("import roomkey; roomkey.__file__");
  postMessage(result);
} catch (error) {
  postMessage({ error: error instanceof Error ? String(error) : JSON.stringify(error), refused });
}
"""
# Imports everything, then does what imports the standard library's late modules.
PYTHON = """
import datetime, importlib, json, sys, traceback
imported = [importlib.import_module(name).__name__ for name in NAMES]
try:
    1 / 0
except ZeroDivisionError:
    text = traceback.format_exc()
datetime.datetime.strptime("2026-01-02", "%Y-%m-%d")
"bücher.example".encode("idna")
json.dumps({"imported": imported, "text": text, "version": importlib.import_module("roomkey").__version__})
"""


def handler(files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    """Serves `files` (path -> content) with the headers that the build writes."""
    fields = headers.asset_headers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            suffix = Path(self.path).suffix
            name = self.path.rsplit("/", 1)[-1]
            for field, value in {**fields["*"], **fields.get(name, {})}.items():
                self.send_header(field, value)
            self.send_header("Content-Type", TYPES.get(suffix or ".html", "application/octet-stream"))
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(files)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def site(folder: Path) -> dict[str, bytes]:
    """What a server of the asset folder in `folder` serves, with a page and a worker of this test's own."""
    names = modules.browser_modules()
    return {
        "/": PAGE.encode(),
        "/page.js": PAGE_SCRIPT.encode(),
        "/worker.js": WORKER_SCRIPT.encode(),
        "/script.py": f"NAMES = {names!r}\n{PYTHON}".encode(),
        **{f"/roomkey/{path.name}": path.read_bytes() for path in folder.iterdir()},
    }


def answer(page: Page, address: str) -> dict[str, Any]:
    """What the worker says in the end."""
    page.goto(address)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = page.evaluate("globalThis.answer")
        if found is not None:
            result: dict[str, Any] = found
            return result
        time.sleep(0.05)
    pytest.fail(f"no answer from the worker within {START_SECONDS} s")


def test_starts_from_an_empty_folder(assets: Path, chromium: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "roomkey"
    shutil.copytree(assets, folder)
    with served(site(folder)) as address, chromium.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        result = answer(page, address)
    assert "error" not in result, result["error"]
    assert result["version"] == json.loads((assets / "assets-manifest.json").read_text())["version"]
    assert "roomkey.tls" in result["imported"]
    assert "ZeroDivisionError" in result["text"]
    assert result["wheel"].endswith("site-packages/roomkey/__init__.py"), "the source wheel loads by the frozen lock"
    assert [url for url in asked if not url.startswith(address)] == []


def test_a_changed_byte_stops_the_start(assets: Path, chromium: Browser) -> None:
    files = site(assets)
    damaged = bytearray(files["/roomkey/python_stdlib.zip"])
    damaged[len(damaged) // 2] ^= 1
    files["/roomkey/python_stdlib.zip"] = bytes(damaged)
    with served(files) as address, chromium.new_context() as context:
        result = answer(context.new_page(), address)
        assert result["refused"] == [f"{address}roomkey/python_stdlib.zip"], result["error"]
