"""Janus as the media server of a call: a process of its own on loopback, driven by its HTTP interface.

It is a server as anybody runs one: its configuration names nothing but ports, and it is told nothing of protection.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from build_scripts.janus import Janus
from tests.support.services import free_ports

Json = dict[str, Any]

DEADLINE_SECONDS = 120.0
# Of one long poll; Janus ends an idle one after 30 s by itself.
POLL_SECONDS = 35.0
CORE = """\
general: {{
    configs_folder = "{configs}"
    plugins_folder = "{plugins}"
    transports_folder = "{transports}"
    events_folder = "{nothing}"
    loggers_folder = "{nothing}"
    admin_secret = "unused"
    interface = "127.0.0.1"
    session_timeout = 0
}}
media: {{
    ipv6 = false
}}
nat: {{
    ice_enforce_list = "127.0.0.1"
}}
plugins: {{
    disable = "{others}"
}}
"""
HTTP = """\
general: {{
    json = "plain"
    base_path = "/janus"
    http = true
    port = {port}
    ip = "127.0.0.1"
    https = false
}}
"""


class JanusError(Exception):
    """What Janus answered to a request that failed."""


@contextmanager
def janus_sfu(installed: Janus, folder: Path) -> Iterator[Sfu]:
    """A running Janus while the context lasts; its configuration and its log are in `folder`."""
    (port,) = free_ports(1)
    configs, nothing = folder / "configs", folder / "nothing"
    configs.mkdir()
    nothing.mkdir()
    others = [path.name for path in installed.plugins.glob("*.so") if "videoroom" not in path.name]
    (configs / "janus.jcfg").write_text(
        CORE.format(
            configs=configs,
            plugins=installed.plugins,
            transports=only(installed.transports, "libjanus_http.so", folder / "transports"),
            nothing=nothing,
            others=",".join(others),
        )
    )
    (configs / "janus.transport.http.jcfg").write_text(HTTP.format(port=port))
    (configs / "janus.plugin.videoroom.jcfg").write_text("general: {\n    events = false\n}\n")
    with (folder / "janus.log").open("w") as log:
        command = [str(installed.path), "-C", str(configs / "janus.jcfg"), "-F", str(configs)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        try:
            yield Sfu(port, process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def only(modules: Path, name: str, folder: Path) -> Path:
    """A folder that holds this one module."""
    folder.mkdir()
    (folder / name).symlink_to(modules / name)
    return folder


class Sfu:
    """A Janus that answers."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self._url = f"http://127.0.0.1:{port}/janus"
        self._numbers = itertools.count(1)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            assert process.poll() is None, "janus ended"
            try:
                self.get("/info")
                return
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline, "janus does not answer"
                time.sleep(0.05)

    def get(self, path: str) -> Json:
        with urllib.request.urlopen(self._url + path, timeout=POLL_SECONDS) as answer:
            found: Json = json.load(answer)
        return found

    def post(self, path: str, kind: str, **values: Any) -> Json:
        """Puts a request. Raises JanusError."""
        body = {"janus": kind, "transaction": str(next(self._numbers)), **values}
        request = urllib.request.Request(self._url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=POLL_SECONDS) as answer:
            found: Json = json.load(answer)
        if found["janus"] == "error":
            raise JanusError(found["error"]["reason"])
        return found

    def session(self) -> Session:
        return Session(self, self.post("", "create")["data"]["id"])

    def room(self, **options: Any) -> int:
        """A new video room for VP8 and Opus; its number."""
        options = {"publishers": 8, "videocodec": "vp8", "audiocodec": "opus", "bitrate": 1_000_000, **options}
        created = self.session().handle().ask("create", **options)
        number: int = created["room"]
        return number


class Session:
    """One client's dealings with Janus."""

    def __init__(self, sfu: Sfu, number: int) -> None:
        self._sfu, self.path = sfu, f"/{number}"
        self._events: dict[str, Json] = {}

    def handle(self) -> Handle:
        made = self._sfu.post(self.path, "attach", plugin="janus.plugin.videoroom")
        return Handle(self._sfu, self, made["data"]["id"])

    def event(self, transaction: str) -> Json:
        """The event that answers this request; others that come are kept."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while transaction not in self._events:
            assert time.monotonic() < deadline, "janus gave no answer"
            event = self._sfu.get(f"{self.path}?maxev=1")
            if "transaction" in event:
                self._events[event["transaction"]] = event
        return self._events.pop(transaction)


class Handle:
    """One connection in a video room, sending or receiving."""

    def __init__(self, sfu: Sfu, session: Session, number: int) -> None:
        self._sfu, self._session, self._path = sfu, session, f"{session.path}/{number}"

    def ask(self, request: str, jsep: Json | None = None, **values: Any) -> Json:
        """What the room answers, with its session description as "jsep" where it gives one. Raises JanusError."""
        extra = {} if jsep is None else {"jsep": jsep}
        answer = self._sfu.post(self._path, "message", body={"request": request, **values}, **extra)
        if answer["janus"] == "ack":
            answer = self._session.event(answer["transaction"])
        data: Json = answer["plugindata"]["data"]
        if "error" in data:
            raise JanusError(data["error"])
        return {**data, "jsep": answer["jsep"]} if "jsep" in answer else data

    def publish(self, room: int, offer: Json) -> tuple[int, Json]:
        """Enters a room to send: the sender's number there, and the answer to its offer."""
        entered = self.ask("join", ptype="publisher", room=room)
        configured = self.ask("publish", jsep=offer)
        return entered["id"], configured["jsep"]

    def is_sending(self, room: int, feed: int) -> bool:
        """Whether this sender's connection is up."""
        inside = self.ask("listparticipants", room=room)["participants"]
        return any(one["id"] == feed and one["publisher"] for one in inside)

    def subscribe(self, room: int, *feeds: int) -> Json:
        """Enters a room to receive what these senders send: Janus' offer."""
        offered = self.ask("join", ptype="subscriber", room=room, streams=[{"feed": feed} for feed in feeds])
        offer: Json = offered["jsep"]
        return offer

    def subscribe_further(self, *feeds: int) -> Json:
        """Further senders on the same connection: Janus' next offer."""
        offered = self.ask("subscribe", streams=[{"feed": feed} for feed in feeds])
        offer: Json = offered["jsep"]
        return offer

    def start(self, answer: Json) -> None:
        """The receiver's answer."""
        self.ask("start", jsep=answer)
