"""Another MLS engine in a process of its own: JSON lines out and back in lock step."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from build_scripts import environment, paths

HERE = Path(__file__).resolve().parent

# States the peer may forget, told in batches: a request of their own would cost more than what they hold.
DROP_BATCH = 64


class PeerError(Exception):
    """The peer refused; its error's name and text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Peer:
    """A running peer. Bytes are base64 on the wire: `ask` encodes those of requests, `unpack` decodes answers'."""

    def __init__(self, script: str) -> None:
        variables = environment.variables()
        self._process = subprocess.Popen(
            ["node", str(HERE / script), str(paths.NODE_MODULES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables,
        )
        self._stale: list[int] = []

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)
        self._process.stdout.close()

    def ask(self, op: str, **request: Any) -> dict[str, Any]:
        """One operation's answer. Raises PeerError when the peer refuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"op": op} | {name: _plain(value) for name, value in request.items() if value is not None})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        read = self._process.stdout.readline()
        if not read:
            raise RuntimeError(f"the peer ended with code {self._process.wait(timeout=120)}; see its stderr")
        answer = json.loads(read)
        if "error" in answer:
            raise PeerError(answer["error"]["name"], answer["error"]["message"])
        ok: dict[str, Any] = answer["ok"]
        return ok

    def drop(self, number: int) -> None:
        """Lets the peer forget what it holds under this number, with others later."""
        self._stale.append(number)
        if len(self._stale) >= DROP_BATCH:
            self.ask("drop", numbers=self._stale)
            self._stale = []


def unpack(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(name): _plain(item) for name, item in value.items()}
    return value
