"""People of a simulation: a device, its client, and all that the client told."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomkey.client.client import Client
from roomkey.client.events import Event
from roomkey.client.opening import create_client, open_client
from roomkey.conference.conference import Conference
from roomkey.conference.events import Event as ConferenceEvent
from roomkey.conference.events import Failed
from roomkey.federation.negotiation import Choice
from roomkey.federation.trust import FirstUse

from tests.support.simulator import SimulatedHost, Simulation, until


@dataclass
class Person:
    simulation: Simulation
    identity: str
    host: SimulatedHost
    client: Client
    events: list[Event] = field(default_factory=list)
    told: list[ConferenceEvent] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """Codes of what failed in the background."""
        return [event.error.code for event in (*self.events, *self.told) if isinstance(event, Failed)]

    def listen(self, conference: Conference) -> Conference:
        conference.listen(self.told.append)
        return conference

    @property
    def conference(self) -> Conference:
        (conference,) = self.client.conferences()
        return conference

    async def invited(self) -> Conference:
        """Waits for an invitation and accepts it."""
        await until(self.client.invitations, f"an invitation for {self.identity}")
        (conference,) = self.client.invitations()
        self.listen(conference)
        await self.client.accept(conference)
        return conference

    async def power_cut(self) -> None:
        """The device stops at once and is switched on again; the identity is opened from what was durable."""
        await self.host.bury()
        self.host = self.simulation.device(self.host.disks)
        self.client = await open_client(self.host, self.identity, {}, FirstUse(), self.events.append)
        for conference in (*self.client.conferences(), *self.client.invitations()):
            self.listen(conference)

    async def close(self) -> None:
        await self.client.close()


async def enrol(simulation: Simulation, identity: str, *, publish: int = 2, choice: Choice = "standard") -> Person:
    host = simulation.device()
    events: list[Event] = []
    code = await simulation.code(identity)
    client = await create_client(host, identity, code, simulation.routes, FirstUse(), events.append, choice=choice)
    if publish:
        await client.publish(publish)
    return Person(simulation, identity, host, client, events)


async def call(caller: Person, *others: Person, name: str = "stand-up") -> Conference:
    """A conference of these people, all of whom have accepted."""
    fetched = await caller.client.fetch([person.identity for person in others])
    assert not fetched.missing
    conference = caller.listen(await caller.client.create_conference(name, fetched.keys))
    await caller.client.invite(conference, fetched.keys)
    for person in others:
        await person.invited()
    await together(conference, *others)
    return conference


async def together(conference: Conference, *others: Person) -> None:
    """Waits until all are in the same epoch of one group, and checks that they agree on it."""

    def place(one: Conference) -> tuple[bytes, int]:
        return one.id, one.epoch

    await until(lambda: all(place(person.conference) == place(conference) for person in others), "one epoch for all")
    assert all(person.conference.verification_digits == conference.verification_digits for person in others)
    assert all(
        [member.client for member in person.conference.members] == [member.client for member in conference.members]
        for person in others
    )
