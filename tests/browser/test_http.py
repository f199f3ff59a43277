"""Requests by fetch: what arrives, and each way of failing told apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser

from tests.browser.support.python import BrowserPython, add_python_page
from tests.browser.support.server import QuietServer, asset_site, free_port, serving

CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-Told", "X-Told": "yes"}
HTTP = """
from roomkey.errors import RoomkeyError
http = BrowserHost(host).http
async def refused(work):
    try:
        await work
    except RoomkeyError as error:
        return [error.code, error.details]
"""


class Service(BaseHTTPRequestHandler):
    """Answers by path; remembers nothing."""

    protocol_version = "HTTP/1.1"

    def do_OPTIONS(self) -> None:
        self.reply(204, b"", {"Access-Control-Allow-Methods": "*", "Access-Control-Allow-Headers": "*", **CORS})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = f"{self.headers['X-Asked']} {self.headers['Cookie']}".encode()
        self.reply(201, body[::-1] + told, CORS)

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(30)
        if self.path == "/moved":
            self.reply(302, b"", {"Location": "/", **CORS})
        elif self.path == "/huge":
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(40):
                self.wfile.write(bytes(1024 * 1024))
        elif self.path == "/stream":
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Connection", "close")
            self.end_headers()
            for piece in (b"one", b"two"):
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(0.3)
            time.sleep(3)
        elif self.path == "/broken":
            self.close_connection = True
        else:
            self.reply(200, self.path.encode(), CORS)

    def reply(self, status: int, content: bytes, fields: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The origin of a service that the worker's policy allows."""
    with QuietServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Closed(Service):
    """Runs, and lets no origin read."""

    def reply(self, status: int, content: bytes, fields: dict[str, str]) -> None:
        super().reply(status, content, {})


@pytest.fixture(scope="module")
def closed() -> Iterator[str]:
    """The origin of a service that allows no other origin."""
    with QuietServer(("127.0.0.1", 0), Closed) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def nobody() -> str:
    """An origin where nobody listens, allowed by the policy as well."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def python(
    assets: Path,
    chromium: PlaywrightBrowser,
    service: str,
    closed: str,
    nobody: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BrowserPython]:
    site = asset_site(assets, [service, closed, nobody])
    add_python_page(site, tmp_path_factory.mktemp("python"))
    # the worker's script is not among the assets: it gets their policy from the site's headers for every file
    with serving(site), chromium.new_context() as context:
        yield BrowserPython(context.new_page(), site)


def test_a_request_and_its_answer(python: BrowserPython, service: str) -> None:
    code = """
sent = {"X-Asked": "question"}
answer = await http.request("POST", values["url"], sent, b"abc", timeout=5)
json.dumps([answer.status, answer.headers["x-told"], "date" in answer.headers, answer.body.decode()])
"""
    assert python.run(HTTP + code, url=f"{service}/post") == [201, "yes", False, "cbaquestion None"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/broken", "service-unreachable"),  # the service runs and lets us in: whether it did the work is open
        ("/moved", "service-unreachable"),  # a redirect is refused without a reason
        ("/huge", "too-large"),
    ],
)
def test_refusals_are_told_apart(python: BrowserPython, service: str, path: str, code: str) -> None:
    work = "json.dumps(await refused(http.request('GET', values['url'], {}, None, timeout=10)))"
    assert python.run(HTTP + work, url=service + path) == [code, {"service": service}]


def test_an_origin_that_the_service_refuses(python: BrowserPython, closed: str) -> None:
    work = "json.dumps(await refused(http.request('GET', values['url'], {}, None, timeout=10)))"
    assert python.run(HTTP + work, url=f"{closed}/v1") == ["origin-not-allowed", {"service": closed}]


def test_nobody_there(python: BrowserPython, nobody: str) -> None:
    work = "json.dumps(await refused(http.request('GET', values['url'], {}, None, timeout=10)))"
    assert python.run(HTTP + work, url=nobody) == ["service-unreachable", {"service": nobody}]


def test_an_origin_that_the_policy_blocks_is_named(python: BrowserPython) -> None:
    work = "json.dumps(await refused(http.request('GET', 'https://ds.other.example/v1', {}, None, timeout=10)))"
    assert python.run(HTTP + work) == ["blocked-by-csp", {"origin": "https://ds.other.example"}]


def test_a_slow_answer_is_a_timeout(python: BrowserPython, service: str) -> None:
    work = "json.dumps((await refused(http.request('GET', values['url'], {}, None, timeout=0.5)))[0])"
    assert python.run(HTTP + work, url=f"{service}/slow") == "timeout"


def test_a_stream_comes_in_pieces_and_can_be_closed(python: BrowserPython, service: str) -> None:
    code = """
stream = await http.stream("GET", values["url"], {}, timeout=30)
pieces = []
async for piece in stream:
    pieces.append(piece.decode())
    if len(pieces) == 2:
        await stream.close()
json.dumps([stream.status, pieces])
"""
    assert python.run(HTTP + code, url=f"{service}/stream") == [200, ["one", "two"]]


def test_a_cancelled_request_is_aborted(python: BrowserPython, service: str) -> None:
    code = """
import asyncio
task = asyncio.create_task(http.request("GET", values["url"], {}, None, timeout=60))
await asyncio.sleep(0.2)
task.cancel()
try:
    await task
except asyncio.CancelledError:
    outcome = "cancelled"
json.dumps(outcome)
"""
    failed: list[str] = []
    python.page.on("requestfailed", lambda request: failed.append(str(request.failure)))
    assert python.run(HTTP + code, url=f"{service}/slow") == "cancelled"
    end = time.monotonic() + 60
    while not failed and time.monotonic() < end:
        python.page.wait_for_timeout(20)
    assert failed == ["net::ERR_ABORTED"]
