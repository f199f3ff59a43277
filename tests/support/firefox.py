"""Drives an installed Firefox by its own Marionette protocol: as much of Playwright's interface as tests of pages need.

Playwright (1.65) drives no released Firefox: its own build is another, and over WebDriver BiDi it asks for what Firefox
does not have. Marionette is JSON over a local TCP connection: "LENGTH:[0, id, command, parameters]" and
"LENGTH:[1, id, error, result]".
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

START_SECONDS = 60.0  # a cold start from a slow disk
SCRIPT_MILLISECONDS = 120_000  # a cold start of Pyodide on a busy machine
PREFERENCES: dict[str, object] = {
    "marionette.port": 0,  # a free one, written into the profile
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.update.disabledForTesting": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    # a made-up camera and microphone; nobody is asked, and sound needs no click
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # addresses behind names that only a network with multicast can resolve
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.peerconnection.ice.loopback": True,
    # windows that nobody sees go on as if somebody did
    "widget.windows.window_occlusion_tracking.enabled": False,
    "dom.min_background_timeout_value": 4,
    "dom.timeout.enable_budget_timer_throttling": False,
}


class FirefoxError(Exception):
    """What Firefox answered to a command that failed, or a script of a page."""


class Firefox:
    """A running Firefox. As Playwright's `Browser`, but contexts share one storage: origins keep people apart."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._last_id = 0
        self._read()  # who it is
        self.version: str = self.command("WebDriver:NewSession", capabilities={})["capabilities"]["browserVersion"]
        self.command("WebDriver:SetTimeouts", script=SCRIPT_MILLISECONDS)
        self._window = self.command("WebDriver:GetWindowHandle")["value"]

    def command(self, name: str, **parameters: object) -> Any:
        """Sends a command and gives its result. Raises FirefoxError."""
        self._last_id += 1
        content = json.dumps([0, self._last_id, name, parameters]).encode()
        self._stream.write(b"%d:%s" % (len(content), content))
        self._stream.flush()
        _, answered, error, result = self._read()
        if answered != self._last_id:
            raise FirefoxError(f"expected the answer to command {self._last_id}, got that to {answered}")
        if error is not None:
            raise FirefoxError(f"{name}: {error['error']}: {error['message']}")
        return result

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            byte = self._stream.read(1)
            if not byte:
                raise FirefoxError("expected an answer, got the end of the connection")
            length += byte
        return json.loads(self._stream.read(int(length[:-1])))

    def switch_to(self, window: str) -> None:
        if window != self._window:
            self.command("WebDriver:SwitchToWindow", handle=window, focus=False)
            self._window = window

    def new_context(self) -> FirefoxContext:
        return FirefoxContext(self)


class FirefoxContext:
    """As Playwright's `BrowserContext`: pages in windows of their own."""

    def __init__(self, firefox: Firefox) -> None:
        self._firefox = firefox
        self._pages: list[FirefoxPage] = []

    def on(self, event: str, listener: Callable[..., object]) -> None:
        """Nothing is heard of what pages request."""

    def new_page(self) -> FirefoxPage:
        made = self._firefox.command("WebDriver:NewWindow", type="window", focus=False)
        self._pages.append(FirefoxPage(self._firefox, made["handle"]))
        return self._pages[-1]

    def close(self) -> None:
        for page in self._pages:
            page.close()


class FirefoxPage:
    """As Playwright's `Page`. Scripts run beside the page's own: they see its globals, and it sees none of theirs."""

    def __init__(self, firefox: Firefox, window: str) -> None:
        self._firefox = firefox
        self._window = window
        self._closed = False

    def goto(self, url: str) -> None:
        self._firefox.switch_to(self._window)
        self._firefox.command("WebDriver:Navigate", url=url)

    def evaluate(self, source: str, argument: object = None) -> Any:
        """What an expression gives, or the function that it is, called with `argument`; a promise is waited for."""
        self._firefox.switch_to(self._window)
        script = f"""
          const [argument, done] = arguments;
          const failed = (error) => done({{ error: `${{error}} ${{error?.stack}}` }});
          (async () => {{ const made = ({source}); return typeof made === "function" ? made(argument) : made; }})()
            .then((value) => done({{ value: value ?? null }}), failed);"""
        answer = self._firefox.command("WebDriver:ExecuteAsyncScript", script=script, args=[argument])["value"]
        if "error" in answer:
            raise FirefoxError(answer["error"])
        return answer["value"]

    def evaluate_in(self, frame: str, source: str, argument: object = None) -> Any:
        """`evaluate` in the frame that a selector finds in the page, of whatever origin."""
        self._firefox.switch_to(self._window)
        found = self._firefox.command("WebDriver:FindElement", using="css selector", value=frame)["value"]
        self._firefox.command("WebDriver:SwitchToFrame", element=next(iter(found.values())))
        try:
            return self.evaluate(source, argument)
        finally:
            self._firefox.command("WebDriver:SwitchToFrame", id=None)

    def wait_for_timeout(self, milliseconds: float) -> None:
        time.sleep(milliseconds / 1000)

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._firefox.switch_to(self._window)
            self._firefox.command("WebDriver:CloseWindow")


@contextmanager
def firefox_running(path: Path, variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[Firefox]:
    """A headless Firefox with an empty profile while the context lasts, with `variables` in its environment. Raises
    FirefoxError where none starts.
    """
    with tempfile.TemporaryDirectory(prefix="roomkey-firefox-", ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (Path(profile) / "user.js").write_text("".join(lines))
        command = [str(path), "--headless", "--marionette", "--no-remote", "--profile", profile]
        environment = {**os.environ, "MOZ_CRASHREPORTER_DISABLE": "1", "HOME": profile, **variables}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = _port(process, Path(profile) / "MarionetteActivePort")
            with socket.create_connection(("127.0.0.1", port)) as connection:
                yield Firefox(connection)
        finally:
            process.terminate()
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and (text := file.read_text().strip()).isdecimal():
            return int(text)
        time.sleep(0.05)
    raise FirefoxError("expected Firefox to listen, got nothing")
