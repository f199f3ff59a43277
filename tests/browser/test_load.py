"""Every way in which `load` can fail has its code, names what failed, and leaves the page able to try again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.browser.support.server import Site, hang

MANIFEST = "assets-manifest.json"
WORKER = "worker.js"
SCRIPTS = (WORKER, "media-worker.js", "pyodide.mjs", "pyodide.asm.mjs")
DATA = ("pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json", "roomkey.zip")
ASSETS = (MANIFEST, *SCRIPTS, *DATA)
STALL_MILLISECONDS = 4000  # a busy machine makes no progress for a second or two now and then
INSECURE = "http://insecure.example/"
POLICY = "Content-Security-Policy"
STALE = """
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (new URL(event.request.url).pathname === "/roomkey/NAME") event.respondWith(fetch("/old/NAME"));
});
"""
SETTLE = """async (script) => {
  const { serviceWorker } = navigator;
  const controlled = new Promise((resolve) => serviceWorker.addEventListener("controllerchange", resolve));
  await serviceWorker.register(script);
  if (serviceWorker.controller === null) await controlled;
}"""
LOAD = """async (options) => {
  const { load, RoomkeyError } = await import("/roomkey/index.js");
  try {
    globalThis.roomkey = await load({ assets: "/roomkey/", ...options });
    return { code: "none" };
  } catch (error) {
    return RoomkeyError.is(error) ? { ...error.toJSON(), sentence: error.sentence } : { code: `not ours: ${error}` };
  }
}"""


def load(page: Page, address: str, **options: object) -> dict[str, Any]:
    """The error of a load in a fresh page, plain; its code is "none" when it worked."""
    page.goto(address)
    result: dict[str, Any] = page.evaluate(LOAD, options)
    return result


def replace_in_policy(site: Site, path: str, directive: str, value: str) -> None:
    """Changes one directive of the policy that `path` comes with; an empty value takes it away."""
    policy = site.headers_of(path)[POLICY]
    kept = [part for part in policy.split("; ") if part.split(" ")[0] != directive]
    changed = "; ".join([*kept, f"{directive} {value}"] if value else kept)
    site.headers[path] = {**site.headers.get(path, {}), POLICY: changed}


def serve_once(then: Callable[[BaseHTTPRequestHandler, bytes], None], site: Site, path: str) -> None:
    """Serves `path` well the first time and by the fault `then` from then on."""
    good = [True]

    def serve(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        if not good:
            then(handler, content)
            return
        good.clear()
        handler.send_response(200)
        for name, value in {**site.headers_of(path), "Content-Length": str(len(content))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    site.faults[path] = serve


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the test's end, so that hanging answers end."""
    event = threading.Event()
    yield event
    event.set()


def test_loads_and_reports_progress(site: Site, page: Page) -> None:
    asked: list[str] = []
    violations: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: violations.append(message.text))
    page.goto(site.address)
    steps = page.evaluate("""async () => {
      const { load } = await import("/roomkey/index.js");
      const steps = [];
      const options = { assets: "/roomkey/", onProgress: (step) => steps.push(step) };
      const [one, two] = await Promise.all([load(options), load({ assets: new URL("/roomkey", location.href) })]);
      if (one !== two || one !== (await load(options))) throw new Error("expected one worker");
      await one.close();
      const again = await load(options);
      if (again === one) throw new Error("expected a new worker after close");
      await again.close();
      return steps;
    }""")
    first = steps[: next(i for i, step in enumerate(steps) if step["asset"] == "roomkey") + 1]
    assert [step["loaded"] for step in first] == sorted(step["loaded"] for step in first)
    assert first[-1]["loaded"] == first[-1]["total"] == sum(len(site.files[f"/roomkey/{n}"]) for n in (*SCRIPTS, *DATA))
    assert [url for url in asked if not url.startswith(site.address)] == []
    assert violations == []


def test_an_insecure_page_is_refused(site: Site, page: Page) -> None:
    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(INSECURE.rstrip("/"))
        route.fulfill(body=site.files[path], headers=site.headers_of(path))

    page.route(f"{INSECURE}**", answer)
    assert load(page, INSECURE)["code"] == "insecure-context"


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        ("delete Navigator.prototype.locks", "Web Locks"),
        ("delete WebAssembly.Tag", "WebAssembly exceptions"),
        ("delete globalThis.Worker", "Worker"),
        (
            "const { prototype } = SubtleCrypto, make = prototype.generateKey; prototype.generateKey ="
            " function (kind, ...rest) { return kind.name === 'X25519' ? Promise.reject(new Error('no'))"
            " : make.call(this, kind, ...rest); }",
            "X25519",
        ),
    ],
)
def test_an_old_browser_is_told_what_is_missing(site: Site, page: Page, script: str, missing: str) -> None:
    page.add_init_script(script)
    error = load(page, site.address)
    assert (error["code"], error["details"]["missing"]) == ("browser-too-old", missing)


def test_assets_of_another_origin_are_refused(site: Site, page: Page) -> None:
    error = load(page, site.address, assets="https://cdn.example/roomkey/")
    assert (error["code"], error["details"]["origin"]) == ("assets-cross-origin", "https://cdn.example")


@pytest.mark.parametrize("name", ASSETS)
def test_a_missing_asset_is_named(site: Site, page: Page, name: str) -> None:
    del site.files[f"/roomkey/{name}"]
    error = load(page, site.address)
    assert (error["code"], error["details"]["asset"]) == ("asset-not-found", name)


@pytest.mark.parametrize("name", ASSETS)
def test_one_changed_byte_is_named(site: Site, page: Page, name: str) -> None:
    content = bytearray(site.files[f"/roomkey/{name}"])
    content[len(content) // 2] ^= 1
    site.files[f"/roomkey/{name}"] = bytes(content)
    error = load(page, site.address)
    assert (error["code"], error["details"]["asset"]) == ("asset-altered", name)


@pytest.mark.parametrize("name", [MANIFEST, WORKER, "roomkey.zip"])
def test_a_stale_service_worker_is_told(site: Site, page: Page, name: str) -> None:
    """The page's own origin has a service worker that goes on answering with a file of an earlier build."""
    content = bytearray(site.files[f"/roomkey/{name}"])
    content[len(content) // 2] ^= 1
    site.files[f"/old/{name}"] = bytes(content)
    site.headers[f"/old/{name}"] = site.headers_of(f"/roomkey/{name}")
    site.files["/stale.js"] = STALE.replace("NAME", name).encode()
    site.files["/before"] = b"<!doctype html><title>an earlier page, without a policy</title>"
    site.headers["/before"] = {POLICY: ""}
    page.goto(f"{site.address}before")
    page.evaluate(SETTLE, "/stale.js")
    error = load(page, site.address)
    assert (error["code"], error["details"]["asset"]) == ("asset-altered", name)
    assert f"/old/{name}" in site.asked
    page.evaluate("async () => { for (const it of await navigator.serviceWorker.getRegistrations()) it.unregister(); }")
    assert load(page, site.address)["code"] == "none"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_the_wrong_type_is_named(site: Site, page: Page, name: str) -> None:
    site.headers[f"/roomkey/{name}"] = {"Content-Type": "text/plain"}
    error = load(page, site.address)
    assert (error["code"], error["details"]["asset"]) == ("asset-wrong-type", name)


@pytest.mark.parametrize("name", ASSETS)
def test_a_hanging_asset_is_named(site: Site, page: Page, release: threading.Event, name: str) -> None:
    site.faults[f"/roomkey/{name}"] = hang(release)
    error = load(page, site.address, stallTimeout=STALL_MILLISECONDS)
    assert (error["code"], error["details"]["asset"]) == ("load-timeout", name)


@pytest.mark.parametrize(
    ("name", "told"), [(WORKER, WORKER), ("media-worker.js", "media-worker.js"), ("pyodide.mjs", "pyodide.mjs")]
)
def test_a_script_that_hangs_for_the_worker_is_named(
    site: Site, page: Page, release: threading.Event, name: str, told: str
) -> None:
    serve_once(hang(release), site, f"/roomkey/{name}")
    error = load(page, site.address, stallTimeout=STALL_MILLISECONDS)
    assert (error["code"], error["details"]["asset"]) == ("load-timeout", told)


def test_a_page_policy_that_blocks_fetches_is_told(site: Site, page: Page) -> None:
    replace_in_policy(site, "/", "connect-src", "'none'")
    error = load(page, site.address)
    assert (error["code"], error["details"]) == (
        "blocked-by-csp",
        {"origin": site.address.rstrip("/"), "directive": "connect-src"},
    )


@pytest.mark.parametrize(
    ("directive", "value", "blocked"),
    [("script-src", "'self'", "wasm-eval"), ("connect-src", "'none'", None)],
)
def test_a_worker_policy_that_blocks_too_much_is_told(
    site: Site, page: Page, directive: str, value: str, blocked: str | None
) -> None:
    replace_in_policy(site, f"/roomkey/{WORKER}", directive, value)
    error = load(page, site.address)
    assert (error["code"], error["details"]) == (
        "blocked-by-csp",
        {"origin": blocked or site.address.rstrip("/"), "directive": directive},
    )


def test_a_page_policy_that_forbids_workers_is_told(site: Site, page: Page) -> None:
    replace_in_policy(site, "/", "worker-src", "'none'")
    error = load(page, site.address)
    assert (error["code"], error["details"].get("directive")) == ("worker-blocked", "worker-src")


@pytest.mark.parametrize("name", [WORKER, "media-worker.js"])
def test_a_worker_without_policy_is_refused(site: Site, page: Page, name: str) -> None:
    site.headers[f"/roomkey/{name}"] = {**site.headers[f"/roomkey/{name}"], POLICY: ""}
    assert load(page, site.address)["code"] == "worker-not-protected"
    assert not page.workers


@pytest.mark.parametrize(
    ("directive", "value"),
    [("script-src", "'self' 'unsafe-eval'"), ("script-src", "* 'wasm-unsafe-eval'"), ("default-src", "")],
)
def test_a_worker_with_a_weak_policy_is_refused(site: Site, page: Page, directive: str, value: str) -> None:
    path = f"/roomkey/{WORKER}"
    replace_in_policy(site, path, directive, value)
    if directive == "default-src":
        replace_in_policy(site, path, "connect-src", "")
    assert load(page, site.address)["code"] == "worker-not-protected"


def test_a_page_policy_that_forbids_our_trusted_type_is_told(site: Site, page: Page) -> None:
    replace_in_policy(site, "/", "trusted-types", "another")
    assert load(page, site.address)["code"] == "trusted-types-blocked"


def test_a_page_without_trusted_types_needs_no_policy(site: Site, page: Page) -> None:
    replace_in_policy(site, "/", "trusted-types", "another")
    replace_in_policy(site, "/", "require-trusted-types-for", "")
    assert load(page, site.address)["code"] == "none"


def test_a_failed_load_can_be_tried_again(site: Site, page: Page) -> None:
    path = "/roomkey/roomkey.zip"
    content = site.files.pop(path)
    assert load(page, site.address)["code"] == "asset-not-found"
    site.files[path] = content
    assert page.evaluate(LOAD, {})["code"] == "none"


def test_an_aborted_load_ends_and_can_be_tried_again(site: Site, page: Page, release: threading.Event) -> None:
    path = "/roomkey/pyodide.asm.wasm"
    site.faults[path] = hang(release)
    page.goto(site.address)
    name = page.evaluate("""async () => {
      const { load } = await import("/roomkey/index.js");
      const controller = new AbortController();
      const loading = load({ assets: "/roomkey/", signal: controller.signal, onProgress: ({ asset }) => {
        if (asset === "pyodide.asm.wasm") controller.abort();
      } });
      return loading.then(() => "loaded", (error) => error.name);
    }""")
    assert name == "AbortError"
    del site.faults[path]
    assert page.evaluate(LOAD, {})["code"] == "none"


@pytest.mark.parametrize("name", [WORKER, "media-worker.js"])
def test_a_dead_worker_rejects_everything_pending(site: Site, page: Page, name: str) -> None:
    assert load(page, site.address)["code"] == "none"
    (worker,) = (worker for worker in page.workers if worker.url.endswith(f"/{name}"))
    page.evaluate("""() => {
      roomkey.addEventListener("error", (event) => { globalThis.lost = event.detail.code; });
      globalThis.waiting = roomkey.identities().then(() => "answered", (error) => error.code);
    }""")
    worker.evaluate("() => self.close()")
    page.wait_for_function("() => globalThis.lost === 'worker-lost'")
    later = "roomkey.identities().then(() => 'answered', (error) => error.code)"
    assert page.evaluate(later) == "worker-lost"
    assert page.evaluate(LOAD, {})["code"] == "none"
