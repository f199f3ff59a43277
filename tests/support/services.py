"""Two delivery services as they are deployed, each in a process of its own and each the other's peer."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.delivery.processes import Running

DOMAINS = ("email1.example", "email2.example")


def free_ports(count: int) -> list[int]:
    """Loopback ports that are free now: a service must know the other's address before either runs."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


class TwoServices:
    """email1.example and email2.example, running.

    `proxies[domain]` is a port at which something passes requests on to the service: requests signed for it count too.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        ports = dict(zip((*DOMAINS, *(f"proxy of {domain}" for domain in DOMAINS)), free_ports(4), strict=True))
        self.proxies = {domain: ports[f"proxy of {domain}"] for domain in DOMAINS}
        self.running: dict[str, Running] = {}
        for domain in DOMAINS:
            peers = [f"{other}=http://127.0.0.1:{ports[other]}" for other in DOMAINS if other != domain]
            arguments = [argument for peer in peers for argument in ("--peer", peer)]
            public = f"http://127.0.0.1:{self.proxies[domain]}"
            self.running[domain] = Running(
                domain, folder / f"{domain}.db", "--public-url", public, *arguments, *self.options_of(domain, ports),
                *options, port=ports[domain],
            )  # fmt: skip
            self.running[domain].url = f"http://127.0.0.1:{ports[domain]}"
            self.running[domain].port = ports[domain]

    def options_of(self, domain: str, ports: Mapping[str, int]) -> list[str]:
        """Further options of one service; `ports` by domain."""
        return []

    def at(self, name: str) -> Running:
        """The service of a domain, or of an identity."""
        return self.running[name.rpartition("@")[2]]

    @property
    def urls(self) -> list[str]:
        return [service.url for service in self.running.values()]

    def stored(self) -> bytes:
        """Everything that both services have on disk: databases, write-ahead logs and whatever lies beside them."""
        return b"".join(file.read_bytes() for file in sorted(self._folder.iterdir()) if file.is_file())

    def close(self) -> None:
        for service in self.running.values():
            if service.process.stdout is not None and not service.process.stdout.closed:
                service.kill()
            service.errors.close()


@contextlib.contextmanager
def two_services(folder: Path, *options: str) -> Iterator[TwoServices]:
    """Both services while the context lasts; `options` are of `roomkey-delivery serve`."""
    services = TwoServices(folder, *options)
    try:
        yield services
    finally:
        services.close()
