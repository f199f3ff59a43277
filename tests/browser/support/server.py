"""A static server for tests: the asset folder with its headers, a test's own pages, and faults that a test orders."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from build_scripts import headers

TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
}


@dataclass
class Site:
    """What the server serves; a test may change it at any time.

    `files` by path ("/roomkey/worker.js"). `faults` by path: called with handler and content instead.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    everywhere: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Callable[[BaseHTTPRequestHandler, bytes], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add_folder(self, folder: Path, prefix: str) -> None:
        for path in folder.iterdir():
            self.files[prefix + path.name] = path.read_bytes()

    def headers_of(self, path: str) -> dict[str, str]:
        """Header fields of one path; a field given as "" is left out."""
        suffix = Path(path).suffix or ".html"
        fields = {"Content-Type": TYPES.get(suffix, "application/octet-stream"), **self.everywhere}
        fields.update(self.headers.get(path, {}))
        return {name: value for name, value in fields.items() if value}


def asset_site(assets: Path, connect: list[str] | None = None) -> Site:
    """The asset folder under /roomkey/ and an empty page at /, with the headers that the build writes."""
    site = Site()
    site.add_folder(assets, "/roomkey/")
    fields = headers.asset_headers(connect or [])
    site.everywhere = fields.pop("*")
    site.headers = {f"/roomkey/{name}": value for name, value in fields.items()}
    site.files["/"] = b'<!doctype html><title>test</title><link rel="icon" href="data:,">'
    site.headers["/"] = headers.page_headers(connect or [])
    return site


def handler_of(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            site.asked.append(path)
            content = site.files.get(path)
            if path in site.faults:
                site.faults[path](self, content or b"")
                return
            if content is None:
                self.reply(404, b"not here", {"Content-Type": "text/plain"})
                return
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            fields = {**site.headers_of(path), "ETag": tag}
            if self.headers.get("If-None-Match") == tag:
                self.reply(304, b"", fields)
            else:
                self.reply(200, content, fields)

        def reply(self, status: int, content: bytes, fields: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True  # a fault may hang on purpose

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is nothing to tell."""


@contextmanager
def serving(site: Site, host: str = "127.0.0.1") -> Iterator[Site]:
    """Serves the site on a free port; sets its address, with a slash at its end."""
    with QuietServer((host, 0), handler_of(site)) as server:
        site.address = f"http://{host}:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port on which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hang(release: threading.Event) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    """A fault: the head and half of the body, then nothing until `release`."""

    def serve(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", TYPES.get(Path(handler.path).suffix, "application/octet-stream"))
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        release.wait(60)
        handler.close_connection = True

    return serve
