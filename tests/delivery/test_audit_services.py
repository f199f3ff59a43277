"""Two services as they are deployed, auditors of each other, and a witness that knows nothing of Roomkey."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.checkpoints import cosignatures, open_checkpoint, read_checkpoint
from roomkey.transparency.notes import Note, VerifierKey

from tests.delivery.processes import Running, run_cli
from tests.support.auditor_process import Served
from tests.support.services import DOMAINS, free_ports
from tests.support.stock_witness import StockWitness, cosigned_at

PATIENCE = 120  # seconds for two processes to start and find each other


class Federation:
    """Both services; `keys[domain]` is what `roomkey-delivery log-keys` prints."""

    def __init__(self, folder: Path) -> None:
        self.keys = {domain: self._keys(folder, domain) for domain in DOMAINS}
        self.witness = StockWitness("witness.example/w1", time.time, *(self.keys[domain]["log"] for domain in DOMAINS))
        self.served = Served(self.witness)
        self.running: dict[str, Running] = {}
        urls = {domain: f"http://127.0.0.1:{port}" for domain, port in zip(DOMAINS, free_ports(2), strict=True)}
        for domain, other in zip(DOMAINS, reversed(DOMAINS), strict=True):
            self.running[domain] = Running(
                domain,
                folder / f"{domain}.db",
                *("--log-keys", str(folder / f"{domain}.keys")),
                *("--auditor", f"{self.keys[other]['auditor']}={urls[other]}/v1/witness"),
                *("--audit", f"{self.keys[other]['log']}={urls[other]}/v1/log"),
                *("--witness", f"{self.witness.vkey}={self.served.url}"),
                port=int(urls[domain].rpartition(":")[2]),
            )
        self.http = httpx.AsyncClient(trust_env=False)

    def _keys(self, folder: Path, domain: str) -> dict[str, str]:
        printed = run_cli("log-keys", "--log-keys", str(folder / f"{domain}.keys"), "--domain", domain)
        return dict(line.split(" ", 1) for line in printed.stdout.splitlines())

    async def first_head(self, url: str) -> bytes:
        """The checkpoint at an address, as soon as it is that of one epoch; an empty one may come before."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.http.get(url)
                if answer.status_code == 200 and read_checkpoint(Note.decode(answer.content).text).size == 1:
                    return answer.content
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        await self.http.aclose()
        for service in self.running.values():
            service.kill()
            service.errors.close()
        self.served.close()


@pytest.fixture
async def federation(tmp_path: Path) -> AsyncIterator[Federation]:
    made = Federation(tmp_path)
    yield made
    await made.close()


async def test_each_log_is_cosigned_by_the_other_service_and_by_a_stock_witness(federation: Federation) -> None:
    for domain, other in zip(DOMAINS, reversed(DOMAINS), strict=True):
        note = await federation.first_head(f"{federation.running[domain].url}/v1/log/checkpoint")
        cosigners = (federation.keys[other]["auditor"], federation.witness.vkey)
        times = [cosigned_at(note, vkey) for vkey in cosigners]  # by the witness's code
        crypto, log = NativeCrypto(), VerifierKey.decode(federation.keys[domain]["log"])
        head = await open_checkpoint(crypto, note, log)
        ours = await cosignatures(crypto, head.note, [VerifierKey.decode(vkey) for vkey in cosigners])  # and by ours
        assert [item.time for item in ours] == times
        place = f"/v1/witness/{hashlib.sha256(log.name.encode()).hexdigest()}/checkpoint"
        seen = await federation.first_head(federation.running[other].url + place)
        assert (await open_checkpoint(crypto, seen, log)).checkpoint == head.checkpoint
        cosigned_at(seen, federation.keys[other]["auditor"])
