"""People who are only fetched: clients of CPython that enrol and publish, so that browser tests need no page for them.

Playwright's blocking API keeps an event loop running in the test's thread, so everything here runs in another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from roomkey.crypto.suites import Scheme
from roomkey.federation.init_keys import LIFETIME, InitKeySet
from roomkey.host.native import NativeHost

from tests.delivery.people import Person, person
from tests.delivery.processes import Running

T = TypeVar("T")

ALL_SUITES = (1, 3, 2)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Publisher:
    """A client of one service that makes and publishes init-key sets."""

    def __init__(self, service: Running, identity: str, folder: Path, scheme: Scheme = "ed25519") -> None:
        self.service, self.identity, self.folder = service, identity, folder
        self.person: Person = run(person(identity, scheme))

    def enrol(self, *, coded: bool = True) -> Publisher:
        """By a code of the operator's, or without one where enrolment is open."""

        async def work() -> None:
            host = NativeHost(self.folder)
            code = self.service.enrolment_code(self.identity) if coded else None
            await self.person.at(host, self.service.url).enrol(self.person.keys.credential, code)
            await host.close()

        run(work())
        return self

    def sets(
        self,
        count: int = 1,
        *,
        suites: tuple[int, ...] = ALL_SUITES,
        made: float = 0.0,
        lifetime: float = LIFETIME,
        last_resort: bool = False,
    ) -> list[InitKeySet]:
        """Fresh sets, signed; `made` seconds from now (negative: ago)."""
        now = time.time() + made
        return run(self.person.sets(now, count, suites=suites, lifetime=lifetime, last_resort=last_resort))

    def publish(self, sets: Sequence[InitKeySet]) -> None:
        async def work() -> None:
            host = NativeHost(self.folder)
            await self.person.at(host, self.service.url).publish(sets)
            await host.close()

        run(work())
