"""T15 over real processes and kill -9: of two histories one is cosigned, whoever is asked and whenever they die."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from roomkey.crypto.provider import KeyHandle
from roomkey.transparency.notes import COSIGNATURE
from roomkey_delivery.audit.protocol import AddCheckpoint

from tests.support.audited_log import CRYPTO, AuditedLog, leaf, make_key
from tests.support.auditor_process import AuditorProcess, Served


class World:
    """A log that shows itself differently, and auditors of one file."""

    def __init__(self, folder: Path, log: AuditedLog, key: Any, seed: bytes) -> None:
        self.folder, self.log, self.key, self.seed = folder, log, key, seed
        self.gate = threading.Event()  # the log's updates come while it is set
        self.gate.set()
        self.asked = threading.Event()  # they were asked for
        self.http = httpx.AsyncClient(timeout=120, trust_env=False)
        self.served = Served(self.serve)
        self.processes: list[AuditorProcess] = []
        self.signed: set[bytes] = set()  # roots

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        if "/updates/" in scope["path"]:
            self.asked.set()
            await asyncio.to_thread(self.gate.wait, 300)
        await self.log(scope, receive, send)

    def start(self) -> AuditorProcess:
        url = f"{self.served.url}/v1/log"
        self.processes.append(AuditorProcess(self.folder / "a.db", self.log.key, url, self.key, self.seed))
        return self.processes[-1]

    async def ask(self, process: AuditorProcess, log: AuditedLog, old: int) -> httpx.Response:
        size = len(log.entries)
        proof = tuple(log.consistency(old, size)) if old else ()
        body = AddCheckpoint(old, proof, await log.checkpoint()).encode()
        answer = await self.http.post(f"{process.url}/add-checkpoint", content=body)
        if answer.status_code == 200:
            raw = base64.b64decode(answer.text.split()[-1])
            assert raw[:4] == self.key.id
            self.signed.add(log.head().root)
        return answer


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    key, pair = await make_key("email1.example/auditor", COSIGNATURE)
    assert isinstance(pair.private, KeyHandle)
    log = await AuditedLog.make()
    log.append(leaf(1), leaf(2))
    made = World(tmp_path, log, key, CRYPTO.keys[pair.private.id])
    try:
        yield made
    finally:
        made.gate.set()
        for process in made.processes:
            process.kill()
        await made.http.aclose()
        made.served.close()


async def test_t15_a_kill_between_head_and_cosignature_brings_nothing_back(world: World) -> None:
    auditor = world.start()
    assert (await world.ask(auditor, world.log, 0)).status_code == 200
    other = world.log.fork()
    world.log.append(leaf(3))
    other.append(leaf(4))
    world.signed.clear()
    world.gate.clear()
    world.asked.clear()
    asking = asyncio.create_task(world.ask(auditor, world.log, 1))
    assert await asyncio.to_thread(world.asked.wait, 120)
    auditor.kill()  # it has taken the checkpoint, and has not replayed it
    with pytest.raises(httpx.HTTPError):
        await asking
    world.gate.set()
    again = world.start()
    answer = await world.ask(again, world.log, 1)
    assert (answer.status_code, answer.content) == (409, b"2\n")
    assert (await world.ask(again, world.log, 2)).status_code == 200
    again.kill()  # its cosignature is out
    last = world.start()
    assert (await world.ask(last, other, 1)).status_code == 422
    assert world.signed == {world.log.head().root}
    assert (await world.ask(last, world.log, 2)).status_code == 422  # a log with two truths gets no more


async def test_t15_two_processes_and_two_histories(world: World) -> None:
    first, second = world.start(), world.start()
    assert (await world.ask(first, world.log, 0)).status_code == 200
    other = world.log.fork()
    world.log.append(leaf(3))
    other.append(leaf(4))
    world.signed.clear()
    asked = [(first, world.log), (second, other), (second, world.log), (first, other)]
    await asyncio.gather(*(world.ask(process, log, 1) for process, log in asked))
    for process in (first, second):
        process.kill()
    third = world.start()
    for log in (other, world.log):
        for old in (1, 2):
            await world.ask(third, log, old)
    assert len(world.signed) <= 1


async def test_two_processes_of_one_file_take_turns(world: World) -> None:
    both = (world.start(), world.start())
    for number in range(6):
        answer = await world.ask(both[number % 2], world.log, number)
        assert answer.status_code == 200, answer.text
        world.log.append(leaf(number + 10), leaf(1, number + 2))
