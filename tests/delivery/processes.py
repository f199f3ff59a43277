"""Services as they are deployed: a process with a database of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from roomkey.crypto.suites import Scheme
from roomkey.host.native import NativeHost

from tests.delivery.people import Person, person

SOURCES = Path(__file__).parents[2] / "py_src"


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`roomkey-delivery` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "roomkey_delivery", *arguments],
        env=os.environ | {"PYTHONPATH": str(SOURCES)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


class Running:
    """A service in a process of its own."""

    def __init__(self, domain: str, database: Path, *options: str, port: int = 0) -> None:
        self.domain, self.database, self.options = domain, database, options
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the service
        self._start(port)

    def _start(self, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "roomkey_delivery", "serve", "--domain", self.domain, "--db", str(self.database),
             "--port", str(port), *self.options],
            env=os.environ | {"PYTHONPATH": str(SOURCES)}, stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(f"{self.domain} at http"), self.log()
        self.url = line.split(" at ")[1].strip()
        self.port = int(self.url.rpartition(":")[2])

    def log(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def enrolment_code(self, identity: str, *options: str) -> str:
        result = run_cli("enrol", identity, "--db", str(self.database), *options)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def kill(self) -> None:
        """As a power cut for the process: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator stops it; returns the exit status."""
        return self._end(signal.SIGTERM)

    def restart(self) -> None:
        """At the same port; what it prints may be another address, that of something before it."""
        url, port = self.url, self.port
        self._start(port)
        self.url, self.port = url, port

    def _end(self, how: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        assert self.process.stdout is not None
        status = self.process.wait(120)
        self.process.stdout.close()
        return status


class Services:
    """Starts services and ends those it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Running] = []

    def start(self, domain: str = "email1.example", *options: str, database: Path | None = None) -> Running:
        path = database or self.folder / f"{domain}-{len(self.running)}.db"
        service = Running(domain, path, *options)
        self.running.append(service)
        return service

    def close(self) -> None:
        for service in self.running:
            if not service.process.stdout or not service.process.stdout.closed:
                service.kill()
            service.errors.close()


async def enrolled(host: NativeHost, service: Running, identity: str, scheme: Scheme = "ed25519") -> Person:
    """A client that `service` knows."""
    made = await person(identity, scheme)
    await made.at(host, service.url).enrol(made.keys.credential, service.enrolment_code(identity))
    return made
