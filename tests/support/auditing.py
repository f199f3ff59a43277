"""An auditor at work on an `AuditedLog`: a service's own routes, its store in a file, no sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from roomkey.crypto.provider import KeyPair
from roomkey.transparency.exchange import LOG_PREFIX, WITNESS_PREFIX
from roomkey.transparency.notes import COSIGNATURE, Note, VerifierKey
from roomkey_delivery.app import make_app
from roomkey_delivery.audit.auditor import Auditor
from roomkey_delivery.audit.protocol import AddCheckpoint
from roomkey_delivery.audit.store import AuditStore
from roomkey_delivery.audit.witnesses import Collected, collect
from roomkey_delivery.config import ServiceConfig
from roomkey_delivery.service import Service
from roomkey_delivery.store.sqlite import SqliteStore

from tests.support.audited_log import CRYPTO, AuditedLog, make_key

LOG_URL = "https://log.email2.example"
WITNESS_URL = "https://ds.email1.example"


class Address:
    """A log or a witness, and where it is."""

    def __init__(self, key: VerifierKey, url: str) -> None:
        self.key, self.url = key, url


class Audit:
    """email1.example audits the log of email2.example. `time` is the clock of both."""

    def __init__(self, folder: Path, log: AuditedLog, key: VerifierKey, pair: KeyPair) -> None:
        self.folder, self.key, self.pair = folder, key, pair
        self.log = log  # the one whose files the auditor fetches
        self.time = float(log.time + 1000)
        self.start()

    @classmethod
    async def make(cls, folder: Path, log: AuditedLog | None = None) -> Audit:
        return cls(folder, log or await AuditedLog.make(), *await make_key("email1.example/auditor", COSIGNATURE))

    def start(self) -> None:
        """The service, from what its file holds."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            await self.log(scope, receive, send)

        self.logs = httpx.AsyncClient(mounts={LOG_URL: httpx.ASGITransport(serve)})
        file = self.folder / "email1.example.db"
        address = Address(self.log.key, LOG_URL + LOG_PREFIX)
        self.store = AuditStore(file)
        self.auditor = Auditor([address], self.key, self.pair, self.store, CRYPTO, self.logs, lambda: self.time)
        config = ServiceConfig("email1.example", authorities=frozenset({"ds.email1.example"}))
        self.service = Service(config, SqliteStore(file), clock=lambda: self.time, http=self.logs, auditor=self.auditor)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(make_app(self.service)), base_url=WITNESS_URL)

    async def stop(self) -> None:
        await self.auditor.close()
        await self.http.aclose()
        await self.logs.aclose()
        await self.service.store.close()

    async def restart(self) -> None:
        await self.stop()
        self.start()

    async def collect(self, log: AuditedLog | None = None, note: Note | None = None, old: int = 0) -> Collected:
        """A log asks for a cosignature, as our logs do."""
        asking = log or self.log
        witness = Address(self.key, WITNESS_URL + WITNESS_PREFIX)
        checkpoint = note or await asking.checkpoint()
        return await collect(
            self.http, CRYPTO, checkpoint, [witness], lambda _: old, asking.consistency,
            now=lambda: self.time, log_key=asking.key,
        )  # fmt: skip

    async def post(self, request: AddCheckpoint | bytes) -> httpx.Response:
        body = request if isinstance(request, bytes) else request.encode()
        return await self.http.post(f"{WITNESS_PREFIX}/add-checkpoint", content=body)

    async def ask(self, log: AuditedLog, old: int, size: int | None = None) -> httpx.Response:
        """One request, with the honest proof from `old`."""
        count = len(log.entries) if size is None else size
        proof = tuple(log.consistency(old, count)) if 0 < old <= count else ()
        return await self.post(AddCheckpoint(old, proof, await log.checkpoint(count)))
