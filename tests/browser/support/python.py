"""Python code run in Pyodide in a browser's worker, with the browser's host at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from build_scripts import build
from tests.browser.support.server import Site

HERE = Path(__file__).parent
WAIT_MILLISECONDS = 120_000
PREAMBLE = """
import json
from test_host import CryptoHost, host, supportedAlgorithms
from roomkey.host.browser import BrowserCrypto, BrowserHost
values = json.loads(VALUES)
def unhex(text): return bytes.fromhex(text)
"""


def add_python_page(site: Site, folder: Path) -> None:
    """Adds the page /python with its worker, bundled into `folder`."""
    bundle = folder / "python_worker.js"
    build.esbuild(HERE / "python_worker.ts", bundle, source_map=False)
    site.files["/python_worker.js"] = bundle.read_bytes()
    site.files["/python_page.js"] = (HERE / "python_page.js").read_bytes()
    site.files["/python"] = b'<!doctype html><title>python</title><script type="module" src="/python_page.js"></script>'


class BrowserPython:
    """Runs code in the worker of a page at /python of a running site; what else the site serves, code can fetch."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        page.set_default_timeout(WAIT_MILLISECONDS)
        page.goto(f"{site.address}python")
        page.wait_for_function("() => 'run' in globalThis")

    def run(self, code: str, **values: object) -> Any:
        """What the last expression gives, which must be JSON text; `values` are a dict of that name in the code."""
        source = f"VALUES = {json.dumps(values)!r}\n{PREAMBLE}\n{code}"
        return json.loads(self.page.evaluate("(code) => run(code)", source))
