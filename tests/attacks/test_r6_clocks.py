"""Attacks by what a service says of its clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.attacked_logs import HOME, LYING, LoggedScene, attacked_logs


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


@contextmanager
def service_that_says(time: str) -> Iterator[str]:
    """The address of a service that answers every request by this time."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = f'{{"code": "clock-skew", "text": "no", "time": {time}}}'.encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("time", ["NaN", "Infinity", "-Infinity", "1" + 400 * "0", "1e300", "-1", "true", '"now"'])
async def test_a_time_that_is_none(scene: LoggedScene, time: str) -> None:
    """It costs the service's own people alone; the others of the same call are served, and its own once it is right."""
    async with scene.people(("carol", HOME), ("bob", LYING)) as (carol, bob):
        with service_that_says(time) as url:
            alice = scene.device(scene.name("alice", HOME))
            alice.routes[LYING] = url
            await alice.create(scene.services.at(HOME).enrolment_code(alice.identity))
            for _ in range(2):
                lost, found = await alice.fetched(bob.identity, carol.identity)
                assert found == "fetched"
                assert lost in ("clock-skew", "log-unproven")
        assert alice.errors == []
        home = alice.client._routes.service_of(LYING)
        home._caller.origin = scene.services.at(LYING).url  # the same object, which may have learnt something
        assert await alice.fetched(bob.identity) == ["fetched"]
