"""The bridge in a browser: the one place that turns plain values into JavaScript's and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from js import Object
from pyodide.ffi import create_proxy, jsnull, to_js

from roomkey.bridge.dispatch import Bridge
from roomkey.bridge.engine import POLICIES
from roomkey.bridge.plain import Plain
from roomkey.errors import RoomkeyError
from roomkey.host.browser import BrowserHost

_SETTINGS = {"exportKeys", "trust"}


def start(host: Any, emit: Any, settings: Any) -> Any:
    """Starts an engine in this worker.

    Args:
        host: the JavaScript object of web/src/worker/host.ts.
        emit: called with each event.
        settings: `exportKeys` (boolean), `trust` (a name of `POLICIES`, by default "first-use").
    Returns: a JavaScript object of three functions, `call(id, method, args)`, `cancel(id)`, `close()`.
    """
    chosen = _from_js(settings)
    if not isinstance(chosen, Mapping) or not chosen.keys() <= _SETTINGS:
        raise RoomkeyError("bad-argument", f"settings: expected none but {sorted(_SETTINGS)}", field="settings")
    policy = POLICIES.get(chosen.get("trust") or "first-use")
    if policy is None:
        raise RoomkeyError("bad-argument", f"trust: expected one of {sorted(POLICIES)}", field="trust")
    keep = emit.copy() if hasattr(emit, "copy") else emit  # the argument's proxy ends with this call
    bridge = Bridge(
        BrowserHost(host),
        lambda event: keep(_to_js(event)),
        export_keys=chosen.get("exportKeys") is True,
        policy=policy,
        media=_Media(host.media),
    )

    async def call(call_id: int, method: str, args: Any) -> Any:
        return _to_js(await bridge.call(call_id, method, _from_js(args)))

    functions = {"call": call, "cancel": bridge.cancel, "close": bridge.close}
    return _object({name: create_proxy(function) for name, function in functions.items()})


class _Media:
    """A `MediaWorker` behind the port that only JavaScript holds (web/src/worker/media_port.ts)."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def epoch(self, value: Plain, base_key: bytes) -> None:
        self._port.epoch(_to_js(value), to_js(base_key))

    def end(self, conference: int) -> None:
        self._port.end(conference)

    def srtp(self, value: Plain, keys: Sequence[tuple[bytes, bytes]]) -> None:
        self._port.srtp(_to_js(value), _to_js(keys))

    def srtp_end(self, session: int) -> None:
        self._port.srtpEnd(session)

    def streams(self, conference: int, client: bytes, data: bytes) -> None:
        self._port.streams(conference, to_js(client), to_js(data))


def _to_js(value: Any) -> Any:
    """A JavaScript copy: objects, arrays, `Uint8Array`, null."""
    return to_js(_with_nulls(value), dict_converter=Object.fromEntries)


def _object(value: Mapping[str, Any]) -> Any:
    return Object.fromEntries(to_js([[name, item] for name, item in value.items()]))


def _with_nulls(value: Any) -> Any:
    """None would become undefined."""
    if value is None:
        return jsnull
    if isinstance(value, Mapping):
        return {name: _with_nulls(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_nulls(item) for item in value]
    return value


def _from_js(value: Any) -> Any:
    """A Python copy: dictionaries, lists, bytes; null and undefined are None."""
    return _plain(value.to_py() if hasattr(value, "to_py") else value)


def _plain(value: Any) -> Any:
    if value is jsnull:
        return None
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value
