"""A client of the test runner's interface, ours or another's, behind its address; and our own in a process."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from roomkey_interop import interface as api
from roomkey_interop.interface import PACKAGE, RPCS, SERVICE
from roomkey_interop.server import MAX_MESSAGE
from roomkey_interop.wire import Codecs

from build_scripts import paths

# Seconds for one call: a peer that hangs fails the script.
DEADLINE = 120.0
SIZE = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]


class Remote:
    """A client of some implementation, behind its address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address, options=SIZE)
        self._codecs = Codecs()
        self.called: Counter[str] = Counter()
        self.name: str = self.call("Name", api.Empty()).name
        self.suites: tuple[int, ...] = self.call("SupportedCiphersuites", api.Empty()).ciphersuites

    def call(self, name: str, request: object) -> Any:
        """One RPC. Errors: grpc.RpcError."""
        self.called[name] += 1
        rpc = RPCS[name]
        ask = self._channel.unary_unary(
            f"/{PACKAGE}.{SERVICE}/{name}",
            request_serializer=self._codecs.of(rpc.request).encode,
            response_deserializer=self._codecs.of(rpc.response).decode,
        )
        return ask(request, timeout=DEADLINE, wait_for_ready=True)

    def close(self) -> None:
        self._channel.close()


@contextmanager
def served() -> Iterator[str]:
    """Our client in a process of its own, started as anybody would; its address."""
    command = [sys.executable, str(paths.SCRIPTS), "interop", "--port", "0"]
    with subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1:]
        try:
            assert address, "expected the address it serves on"
            yield address[0]
        finally:
            process.terminate()
