"""People whose services keep logs, with several devices each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roomkey.client.client import Client
from roomkey.client.events import Event
from roomkey.client.opening import create_client, open_client, prepare_device
from roomkey.conference.events import Failed
from roomkey.federation.trust import FirstUse
from roomkey.transparency.manifest import SignedManifest
from roomkey.transparency.verifier import Trust
from roomkey_delivery.enrolment import new_code
from roomkey_delivery.log.log import Log

from tests.support.simulator import SimulatedHost, SimulatedService, Simulation, origin_of, until

ALICE = "alice@email1.example"


class Logged(Simulation):
    """A simulation whose services keep logs and audit each other's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, logs=True)

    async def __aenter__(self) -> Logged:
        await super().__aenter__()
        return self

    def log_of(self, identity: str) -> Log:
        """The log of a person's home service."""
        log = self._service_of(identity).service.log
        assert log is not None
        return log

    async def reset_code(self, identity: str) -> str:
        """A code by which an operator lets a name begin anew."""
        service = self._service_of(identity).service
        return await new_code(service.store, identity, service.config.domain, service.clock(), reset=True)

    def _service_of(self, identity: str) -> SimulatedService:
        return self.network.services[origin_of(identity.rpartition("@")[2])]


@dataclass
class Device:
    """One device of one person; `client` is there while it is switched on and enrolled."""

    world: Simulation
    identity: str
    host: SimulatedHost
    client: Client = field(init=False)
    events: list[Event] = field(default_factory=list)
    trusts: Mapping[str, Trust] | None = None  # None: those of the world

    async def create(self, code: str | None, **options: Any) -> Client:
        """`create_client` here; options as there."""
        world = self.world
        self.client = await create_client(
            self.host, self.identity, code, world.routes, FirstUse(), self.events.append,
            trusts=self._trusts(), **options,
        )  # fmt: skip
        return self.client

    async def open(self) -> Client:
        self.client = await open_client(
            self.host, self.identity, {}, FirstUse(), self.events.append, trusts=self._trusts()
        )
        return self.client

    async def prepare(self) -> bytes:
        return await prepare_device(self.host, self.identity)

    async def admitted_by(self, older: Device) -> Client:
        """Comes in as a further device."""
        await older.client.admit_device(await self.prepare())
        return await self.create(None)

    async def switched_off(self) -> None:
        """The device stops at once, and is switched on again with what was durable."""
        await self.host.bury()
        self.host = self.world.device(self.host.disks)

    @property
    def errors(self) -> list[str]:
        """Codes of what failed in the background."""
        return [event.error.code for event in self.events if isinstance(event, Failed)]

    async def told(self, code: str) -> None:
        """Looks at the log until the event of an error."""
        await until(lambda: self._looks() and code in self.errors, f"an event {code}")

    async def listed(self, count: int) -> None:
        """Looks at the log until it was proved to list so many devices."""

        def proved() -> bool:
            known = self.client.devices()
            return self._looks() and len(known) == count and all(device.logged for device in known)

        await until(proved, f"{count} devices in the log")

    def _trusts(self) -> Mapping[str, Trust]:
        return self.world.trusts if self.trusts is None else self.trusts

    def _looks(self) -> bool:
        self.client._watch.moved()
        return True

    async def logged(self) -> SignedManifest:
        """The newest manifest that the service holds of this person."""
        assert isinstance(self.world, Logged)
        newest = await self.world.log_of(self.identity).newest(self.identity)
        assert newest is not None
        return newest

    async def close(self) -> None:
        await self.client.close()


async def device(world: Simulation, identity: str = ALICE) -> Device:
    """A device that was just switched on."""
    return Device(world, identity, world.device())


async def owner(world: Logged, identity: str = ALICE, *, publish: int = 0) -> Device:
    """A person's first device, enrolled by a code, and proved to be listed."""
    made = await device(world, identity)
    await made.create(await world.code(identity))
    await made.listed(1)
    if publish:
        await made.client.publish(publish)
    return made
