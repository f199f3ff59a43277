"""A liar before a delivery service: passes requests on as they are, and alters or loses answers when a test says so.

A request keeps its `Host`, because its signature covers it; the service must know the proxy's address as one of its own
(`--public-url`). Faults are by path; a request without one, an inbox stream too, passes through unharmed.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from roomkey.federation.delivery_messages import ITEM_HEAD, InboxItem, init_key_bundles
from roomkey.federation.init_keys import InitKeySetBundle

CLAIM = "/v1/user-init-keys/claim"
COMMITS = "/v1/commits"
INBOX = "/v1/inbox"
PIECE_BYTES = 65536
UPSTREAM_SECONDS = 60.0  # inboxes send a heartbeat every 15 s
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}

Bundles = tuple[InitKeySetBundle, ...]


class Proxy:
    """What a test orders, at any time.

    `alter`: what becomes of the body of a 200 answer. `instead`: what is answered in its place to a request's body;
    None: nothing is there (404). `items`: what becomes of each item of an inbox. `lose`: paths
    whose answers never come, though the request was done. `drop`: paths whose requests never arrive. `passed`: method
    and path of all requests.
    """

    def __init__(self, port: int, service_port: int) -> None:
        self.port, self.service_port = port, service_port
        self.alter: dict[str, Callable[[bytes], bytes]] = {}
        self.instead: dict[str, Callable[[bytes, bytes], bytes | None]] = {}  # (request, answer)
        self.items: Callable[[InboxItem], Sequence[InboxItem]] | None = None
        self.lose: set[str] = set()
        self.drop: set[str] = set()
        self.passed: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def alter_claims(self, change: Callable[[Bundles], Bundles]) -> None:
        """From now on changes the bundles that claims are answered with."""
        self.alter[CLAIM] = lambda body: init_key_bundles.encode(change(init_key_bundles.decode(body)))

    def alter_sets_of(self, identity: str, change: Callable[[InitKeySetBundle], InitKeySetBundle]) -> None:
        """The same for one person's bundles; others stay as they are."""
        name = identity.encode()
        self.alter_claims(lambda bundles: tuple(change(one) if one.identity == name else one for one in bundles))

    def behave(self) -> None:
        """Alters, loses and drops nothing any more."""
        self.alter.clear()
        self.instead.clear()
        self.items = None
        self.lose.clear()
        self.drop.clear()


def _handler_of(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.pass_on()

        def do_POST(self) -> None:
            self.pass_on()

        def do_OPTIONS(self) -> None:
            self.pass_on()

        def pass_on(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            proxy.passed.append((self.command, self.path))
            faulty = self.command != "OPTIONS"
            if faulty and self.path in proxy.drop:
                return
            upstream = http.client.HTTPConnection("127.0.0.1", proxy.service_port, timeout=UPSTREAM_SECONDS)
            try:
                fields = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                upstream.request(self.command, self.path, body, fields)
                self.answer(upstream.getresponse(), faulty, body or b"")
            except (OSError, http.client.HTTPException):
                pass  # the service or the browser has gone: an end without an answer is what either would see
            finally:
                upstream.close()

        def answer(self, response: http.client.HTTPResponse, faulty: bool, asked: bytes) -> None:
            if faulty and self.path in proxy.lose:
                response.read()
                return
            change = proxy.alter.get(self.path) if faulty and response.status == 200 else None
            whole = change(response.read()) if change is not None else None
            status, reason, instead = response.status, response.reason, proxy.instead.get(self.path)
            if faulty and response.status == 200 and instead is not None:
                whole = instead(asked, response.read())
                if whole is None:
                    status, reason, whole = 404, "Not Found", b""
            self.send_response_only(status, reason)
            for name, value in response.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Connection", "close")  # so the end of the connection is the end of the body
            self.end_headers()
            if whole is not None:
                self.wfile.write(whole)
                return
            held = b""
            while piece := response.read1(PIECE_BYTES):
                if self.path == INBOX:
                    held += piece
                    piece, held = self.changed(held)
                self.wfile.write(piece)
                self.wfile.flush()

        def changed(self, held: bytes) -> tuple[bytes, bytes]:
            """The whole items of a stream, changed as ordered, and what is left."""
            out = b""
            while len(held) >= ITEM_HEAD:
                end = ITEM_HEAD + int.from_bytes(held[ITEM_HEAD - 4 : ITEM_HEAD], "big")
                if len(held) < end:
                    break
                item = InboxItem.decode(held[:end])
                out += b"".join(one.encode() for one in ([item] if proxy.items is None else proxy.items(item)))
                held = held[end:]
            return out, held

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # an inbox stream ends when its browser does
    block_on_close = False


@contextmanager
def tampering_proxy(port: int, service_port: int) -> Iterator[Proxy]:
    """A proxy at `port` of the loopback, before the service at `service_port`, while the context lasts."""
    proxy = Proxy(port, service_port)
    with _Server(("127.0.0.1", port), _handler_of(proxy)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
