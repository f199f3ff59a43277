"""How long it takes from somebody's leaving until all others have keys that they have not.

Native clients in one process, each with a store, a connection and an inbox of its own, over a delivery service in
another. Whoever leaves asks to be removed; the member whose turn is first commits it, and the clock stops when the
last one has the new epoch.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from roomkey.client.client import Client
from roomkey.client.events import Event, Invited
from roomkey.client.opening import create_client
from roomkey.conference.conference import Conference
from roomkey.conference.events import EpochChanged
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost

from build_scripts.demo_services import free_ports

SIZES: Final = (2, 5, 10, 20, 50)
DOMAIN: Final = "email1.example"
START_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Row:
    """`seconds`: of each round, in a conference of so many before."""

    members: int
    seconds: Sequence[float]


class Someone:
    """One client and its conference."""

    def __init__(self, identity: str, host: NativeHost) -> None:
        self.identity, self.host = identity, host
        self.moved = asyncio.Event()
        self._invited = asyncio.Event()
        self._client: Client | None = None
        self._conference: Conference | None = None

    @property
    def client(self) -> Client:
        assert self._client is not None
        return self._client

    @property
    def conference(self) -> Conference:
        assert self._conference is not None
        return self._conference

    def take(self, conference: Conference) -> None:
        self._conference = conference
        conference.listen(lambda event: self.moved.set() if isinstance(event, EpochChanged) else None)

    async def enrol(self, url: str) -> None:
        self._client = await create_client(self.host, self.identity, None, {DOMAIN: url}, FirstUse(), self._hear)
        await self.client.publish(4)

    async def come(self) -> None:
        """Accepts the invitation that is on its way."""
        await self._invited.wait()
        self._invited.clear()
        (waiting,) = self.client.invitations()
        self.take(waiting)
        await self.client.accept(waiting)

    async def reach(self, epoch: int) -> None:
        """Waits for an epoch."""
        while self.conference.epoch < epoch:
            self.moved.clear()
            await self.moved.wait()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Invited):
            self._invited.set()


def measure(rounds: int, say: Callable[[str], None], sizes: Sequence[int] = SIZES) -> list[Row]:
    """A row for each size."""
    with tempfile.TemporaryDirectory(prefix="roomkey-bench-") as folder, _service(Path(folder)) as url:
        return asyncio.run(_measure(Path(folder), url, rounds, say, sizes))


async def _measure(folder: Path, url: str, rounds: int, say: Callable[[str], None], sizes: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    people: list[Someone] = []
    for size in sizes:
        say(f"media: from leave to new keys, {size} members")
        new = [Someone(f"p{number}@{DOMAIN}", NativeHost(folder)) for number in range(len(people), size)]
        for person in new:
            await person.enrol(url)
        await _gather(people, new)
        people += new
        rows.append(Row(size, [await _round(people) for _ in range(rounds)]))
    for person in people:
        await person.client.close()
        await person.host.close()
    return rows


async def _gather(people: Sequence[Someone], new: Sequence[Someone]) -> None:
    """Brings new people into the conference, which the first of all begins."""
    first, guests = (people[0], new) if people else (new[0], new[1:])
    if not people:
        first.take(await first.client.create_conference("bench"))
    await _invite(first, guests)
    everybody = [*people, *new]
    await asyncio.gather(*(person.reach(first.conference.epoch) for person in everybody))


async def _invite(first: Someone, guests: Sequence[Someone]) -> None:
    found = await first.client.fetch([guest.identity for guest in guests])
    if found.missing:
        raise found.missing[0].error
    await first.client.invite(first.conference, found.keys)
    await asyncio.gather(*(guest.come() for guest in guests))


async def _round(people: Sequence[Someone]) -> float:
    """The last one leaves and is called back; seconds until the others had new keys."""
    leaver, others = people[-1], people[:-1]
    epoch = others[0].conference.epoch
    begin = time.perf_counter()
    await leaver.conference.leave()
    await asyncio.gather(*(person.reach(epoch + 1) for person in others))
    taken = time.perf_counter() - begin
    await leaver.client.publish(4)
    await _invite(others[0], [leaver])
    await asyncio.gather(*(person.reach(epoch + 2) for person in people))
    return taken


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    """A delivery service at which names go to who comes first."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "roomkey_delivery", "serve", "--domain", DOMAIN, "--port", str(port)]
    command += ["--db", str(folder / "service.db"), "--unsafe-open-enrolment"]
    with (folder / "service.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, process)
            yield url
        finally:
            process.terminate()
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/v1/service", timeout=5, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("expected a delivery service, got none")


def table(rows: Sequence[Row]) -> str:
    """One line per size."""
    lines = [f"{'from leave to new keys for all':<36}{'median':>9}{'most':>9}"]
    for row in rows:
        lines.append(
            f"{f'{row.members} members, ms':<36}{1000 * median(row.seconds):>9.0f}{1000 * max(row.seconds):>9.0f}"
        )
    return "\n".join(lines)
