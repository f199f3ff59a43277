"""An auditor in a process of its own, which can be killed. As a module it is that process and prints its port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import uvicorn
from roomkey.crypto.provider import KeyPair
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.notes import VerifierKey
from roomkey_delivery.app import make_app
from roomkey_delivery.audit.auditor import Auditor
from roomkey_delivery.audit.store import AuditStore
from roomkey_delivery.config import ServiceConfig
from roomkey_delivery.service import Service
from roomkey_delivery.store.sqlite import SqliteStore
from starlette.types import ASGIApp

from tests.support.auditing import Address

ROOT = Path(__file__).parents[2]


class AuditorProcess:
    """One such process; several may share a file."""

    def __init__(self, file: Path, log: VerifierKey, log_url: str, key: VerifierKey, seed: bytes) -> None:
        command = [sys.executable, "-m", "tests.support.auditor_process", str(file), log.encode(), log_url]
        self.process = subprocess.Popen(
            [*command, key.encode(), seed.hex()], cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'py_src'}:{ROOT}"},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/v1/witness"

    def kill(self) -> None:
        """SIGKILL, and its end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(120)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Served:
    """An ASGI application at a port of this process, in a thread of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._listening = listen()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]})
        self._thread.start()

    def close(self) -> None:
        self._server.force_exit = self._server.should_exit = True
        self._thread.join(30)
        self._listening.close()


def listen() -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def main(file: str, log: str, log_url: str, key: str, seed: str) -> None:
    own, http = VerifierKey.decode(key), httpx.AsyncClient(trust_env=False)
    pair = KeyPair(own.public, bytes.fromhex(seed))
    address = Address(VerifierKey.decode(log), log_url)
    auditor = Auditor([address], own, pair, AuditStore(Path(file)), NativeCrypto(), http, time.time)
    listening = listen()
    port = listening.getsockname()[1]
    service = Service(
        ServiceConfig("email1.example", loopback_port=port), SqliteStore(Path(file)), http=http, auditor=auditor
    )
    print(port, flush=True)
    config = uvicorn.Config(make_app(service), log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
