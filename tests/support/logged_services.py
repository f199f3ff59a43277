"""Two delivery services that keep logs and audit each other's: as processes, and in this process without sockets.

The processes are those of `services`; in this process they are of the tests' own clock (`LoggedLocals`), or a
`Simulation` with `logs=True`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from roomkey_delivery.log.keys import load_or_make, make_keys
from roomkey_delivery.log.log import Log
from roomkey_delivery.log.parts import make_auditor, make_log
from roomkey_delivery.peers.keys import new_keys
from roomkey_delivery.peers.queue import QueueLimits, RelayQueue

from tests.delivery.federated import Between
from tests.delivery.local import NOW, Local
from tests.support.log_configs import log_config, trusts_of
from tests.support.services import DOMAINS, TwoServices

# -- processes --


class LoggedServices(TwoServices):
    """email1.example and email2.example, running, with logs. `trusts`: for their clients, by domain."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.keys = {domain: load_or_make(folder / f"{domain}.log-keys", domain) for domain in DOMAINS}
        self.trusts = trusts_of(self.keys)
        super().__init__(folder, *options)

    def options_of(self, domain: str, ports: Mapping[str, int]) -> list[str]:
        urls = {name: f"http://127.0.0.1:{ports[name]}" for name in DOMAINS}
        config = log_config(domain, self.keys, urls)
        return [
            "--log-keys", str(self._folder / f"{domain}.log-keys"),
            *(text for item in config.witnesses for text in ("--auditor", f"{item.key.encode()}={item.url}")),
            *(text for item in config.audits for text in ("--audit", f"{item.key.encode()}={item.url}")),
        ]  # fmt: skip


@contextlib.contextmanager
def logged_services(folder: Path, *options: str) -> Iterator[LoggedServices]:
    """Both services while the context lasts; `options` are of `roomkey-delivery serve`."""
    services = LoggedServices(folder, *options)
    try:
        yield services
    finally:
        services.close()


# -- in this process --


class LoggedLocals:
    """email1.example and email2.example as `Local`. Their logs do nothing by themselves: `advance` brings all forward.

    `between.down` cuts domains off, `time` is everybody's clock. With `relays` they pass on what their clients ask.
    """

    def __init__(self, folder: Path, *, relays: bool = False, **options: Any) -> None:
        self.folder, self.options = folder, options
        self.domain_keys = {domain: new_keys() for domain in DOMAINS} if relays else {}
        self.time = NOW
        self.keys = {domain: make_keys(domain) for domain in DOMAINS}
        self.trusts = trusts_of(self.keys)
        self.between = Between()
        self.at: dict[str, Local] = {}
        for domain in DOMAINS:
            self.start(domain)

    def start(self, domain: str) -> Local:
        """A service with the database that is there."""
        config = log_config(domain, self.keys, {name: f"https://ds.{name}" for name in DOMAINS})
        http = httpx.AsyncClient(transport=self.between)
        path = self.folder / f"{domain}.db"
        parts: dict[str, Any] = {
            "log": make_log(config, path, http, lambda: self.time),
            "auditor": make_auditor(config, path, http, lambda: self.time),
        }
        if domain in self.domain_keys:
            parts |= {"domain_keys": self.domain_keys[domain], "queue": RelayQueue(path, QueueLimits())}
        local = _SharedClock(self, domain, http, parts)
        self.at[domain] = self.between.services[f"ds.{domain}"] = local
        return local

    async def restart(self, domain: str) -> Local:
        """The service anew, from what its file holds."""
        await self.stop(domain)
        return self.start(domain)

    async def stop(self, domain: str) -> None:
        local = self.at.pop(domain)
        del self.between.services[f"ds.{domain}"]
        assert local.service.auditor is not None
        await local.service.auditor.close()
        await self._log(local).close()
        await local.close()

    def log(self, domain: str = DOMAINS[0]) -> Log:
        return self._log(self.at[domain])

    async def advance(self) -> bool:
        """Both logs as far as they come; whether nothing is left to do."""
        return all([await self.log(domain).advance() for domain in DOMAINS])

    async def close(self) -> None:
        for domain in list(self.at):
            await self.stop(domain)

    @staticmethod
    def _log(local: Local) -> Log:
        assert local.service.log is not None
        return local.service.log


class _SharedClock(Local):
    """A service whose clock is that of all."""

    def __init__(self, locals_: LoggedLocals, domain: str, http: httpx.AsyncClient, parts: dict[str, Any]) -> None:
        self._locals = locals_
        super().__init__(locals_.folder, domain, http=http, parts=parts, **locals_.options)

    @property
    def time(self) -> float:
        return self._locals.time

    @time.setter
    def time(self, value: float) -> None:
        pass  # where `Local` begins
