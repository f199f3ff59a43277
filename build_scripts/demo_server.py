"""A small web server of this process, in a thread of its own: for the demo's pages, and for what lies for a service."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

START_SECONDS = 20.0
GRACE_SECONDS = 1  # a browser's open connection must not hold up the end


class DemoError(Exception):
    """The demo cannot go on; the text is a sentence for the person."""


@contextlib.contextmanager
def running(application: ASGIApp, port: int) -> Iterator[None]:
    """Serves the application at a port of the loopback while the context lasts."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise DemoError(f"Port {port} was free and is not any more ({error.strerror}); try again.") from error
    config = uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise DemoError(f"The server at port {port} did not start.")
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        listening.close()
