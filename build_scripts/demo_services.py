"""The demo's two delivery services: `roomkey-delivery serve` twice, each the other's peer and auditor, with a fresh
database and a log of keys. Before email2.example stands what makes it lie when the demo's switch says so.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
from roomkey.transparency.exchange import LOG_PREFIX, WITNESS_PREFIX
from roomkey_delivery.log.keys import load_or_make

from build_scripts.demo_malicious import Malice
from build_scripts.demo_pages import DOMAINS, PEOPLE, Person, Service, Transparency
from build_scripts.demo_proxy import LyingProxy
from build_scripts.demo_server import DemoError, running

START_SECONDS = 60.0  # a cold Python on a busy machine; a service that needs longer will not come
STOP_SECONDS = 12.0  # a little more than the grace that a service gives its running requests
MALICIOUS = "email2.example"
LIED_ABOUT = "bob@email2.example"
SHOWN_ANOTHER_LOG = "carol"  # alice must stay able to believe the service again
TAIL_LINES = 6  # of a failed service's log: enough to name the cause


def free_ports(count: int) -> list[int]:
    """Loopback ports that are free now. A service must know the other's before either runs, so none picks its own."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


class Services:
    """Both services while the context lasts; `codes` are the enrolment codes by person, `malice` is the switch.

    Args:
        ports: two at which the services are reached, and one for email2.example behind what lies for it.
        origins: of the people's pages, as they stand in `PEOPLE`.
    """

    def __init__(self, folder: Path, ports: Iterable[int], origins: Iterable[str]) -> None:
        self.folder = folder
        *public, self._inner_port = ports
        folder.mkdir(parents=True, exist_ok=True)
        for domain in DOMAINS:
            for old in self.folder.glob(f"{domain}.*"):
                old.unlink()
        self._keys = {domain: load_or_make(self._key_file(domain), domain) for domain in DOMAINS}
        self.all = tuple(
            Service(domain, f"http://127.0.0.1:{port}", self._transparency(domain))
            for domain, port in zip(DOMAINS, public, strict=True)
        )
        self.codes: dict[Person, str] = {}
        self._origins = tuple(origins)
        apart = dict(zip((person.name for person in PEOPLE), self._origins, strict=True))[SHOWN_ANOTHER_LOG]
        self.malice = Malice(self._keys[MALICIOUS], LIED_ABOUT, apart)
        self._running: dict[Service, subprocess.Popen[bytes]] = {}
        self._before = contextlib.ExitStack()

    def __enter__(self) -> Services:
        try:
            proxy = LyingProxy(f"http://127.0.0.1:{self._inner_port}", self.malice)
            port = next(_port(service.url) for service in self.all if service.domain == MALICIOUS)
            self._before.enter_context(running(proxy, port))
            for service in self.all:
                self._running[service] = self._serve(service)
            for service in self.all:
                self._await(service)
            self.codes = {person: self._enrol(person) for person in PEOPLE}
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def database(self, domain: str) -> Path:
        return self.folder / f"{domain}.db"

    def ended(self) -> Service | None:
        """A service that is no longer running, if there is one."""
        return next((service for service, process in self._running.items() if process.poll() is not None), None)

    def why(self, service: Service) -> str:
        """The last lines that a service wrote."""
        lines = self._log(service.domain).read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])

    def stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        self._before.close()

    def _key_file(self, domain: str) -> Path:
        return self.folder / f"{domain}.log-keys"

    def _transparency(self, domain: str) -> Transparency:
        """What the pages are configured with: this domain's log, which all the others audit."""
        public = self._keys[domain].public()
        auditors = [keys.public()["auditor"] for name, keys in self._keys.items() if name != domain]
        return {"log": public["log"], "vrfKey": public["vrfKey"], "auditors": auditors}

    def _log(self, domain: str) -> Path:
        return self.folder / f"{domain}.log"

    def _enrol(self, person: Person) -> str:
        command = ["enrol", person.identity, "--db", str(self.database(person.domain))]
        result = subprocess.run(_delivery(command), capture_output=True, text=True, timeout=START_SECONDS)
        if result.returncode != 0:
            raise DemoError(f"The delivery service gave no enrolment code: {result.stderr.strip()}")
        return result.stdout.split()[0]

    def _serve(self, service: Service) -> subprocess.Popen[bytes]:
        command = ["serve", "--domain", service.domain, "--db", str(self.database(service.domain))]
        port = self._inner_port if service.domain == MALICIOUS else _port(service.url)
        command += ["--port", str(port), "--public-url", service.url]
        command += ["--log-keys", str(self._key_file(service.domain))]
        for other in self.all:
            if other is not service:
                keys = self._keys[other.domain]
                command += ["--peer", f"{other.domain}={other.url}"]
                command += ["--auditor", f"{keys.auditor_key.encode()}={other.url}{WITNESS_PREFIX}"]
                command += ["--audit", f"{keys.log_key.encode()}={other.url}{LOG_PREFIX}"]
        command += [argument for origin in self._origins for argument in ("--allow-origin", origin)]
        with self._log(service.domain).open("wb") as log:
            # a session of its own: Ctrl-C is for the demo, which then ends its services in order
            return subprocess.Popen(_delivery(command), stdout=log, stderr=log, start_new_session=True)

    def _await(self, service: Service) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._running[service].poll() is None:
            try:
                if httpx.get(f"{service.url}/v1/service", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise DemoError(f"The delivery service {service.domain} did not start.\n{self.why(service)}")


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _delivery(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "roomkey_delivery", *arguments]
