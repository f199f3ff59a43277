"""A relay in a process of its own, as `roomkey-relay` runs it."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from build_scripts import paths


class RelayProcess:
    """`url`: where its rooms are. `hash`: SHA-256 of its certificate."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "roomkey_relay", "--port", "0", *options]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(paths.PY_SRC)}
        )
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline() for _ in range(2)]
        found = re.fullmatch(r"relay: (\S+)\ncertificate hash: (\S+)\n", "".join(lines))
        assert found is not None, lines
        self.url, self.hash = found[1], base64.b64decode(found[2])

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/v1/rooms/")

    def kill(self) -> None:
        """SIGKILL, and its end."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Asks it to stop; its status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(120)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return status


@contextmanager
def relay_process(*options: str) -> Iterator[RelayProcess]:
    """A relay while the context lasts."""
    relay = RelayProcess(*options)
    try:
        yield relay
    finally:
        relay.kill()
