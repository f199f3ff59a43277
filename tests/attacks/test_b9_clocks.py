"""B9: a device whose clock is an hour off does everything; one that is a year off does so once it is set."""

from __future__ import annotations

import pytest
from roomkey.client.events import Event
from roomkey.client.opening import create_client
from roomkey.errors import RoomkeyError
from roomkey.federation.trust import FirstUse

from tests.support.conferences import said
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, until

HOUR = 3590.0  # keys begin an hour before they are made
YEAR = 365 * 86400.0
DORA = "dora@email1.example"


async def dora_with(simulation: Simulation, off: float) -> Person:
    """Enrolled by a clock that is so many seconds ahead, without keys."""
    host = simulation.device()
    host.clock_error = off
    events: list[Event] = []
    code = await simulation.code(DORA)
    client = await create_client(host, DORA, code, simulation.routes, FirstUse(), events.append)
    return Person(simulation, DORA, host, client, events)


@pytest.mark.parametrize("off", [-HOUR, HOUR])
@pytest.mark.parametrize("invites", [True, False])
async def test_an_hour(simulation: Simulation, bob: Person, off: float, invites: bool) -> None:
    dora = await dora_with(simulation, off)
    await dora.client.publish(2)
    caller, other = (dora, bob) if invites else (bob, dora)
    conference = await call(caller, other)
    await conference.update()
    await dora.conference.send(b"from dora")
    await bob.conference.send(b"from bob")
    await until(lambda: said(dora) == [b"from bob"] and said(bob) == [b"from dora"], "both to be read")
    assert dora.errors == bob.errors == []
    await dora.close()


@pytest.mark.parametrize(("off", "why"), [(-YEAR, "keys-not-yet-valid"), (YEAR, "keys-expired")])
async def test_a_year(simulation: Simulation, bob: Person, off: float, why: str) -> None:
    dora = await dora_with(simulation, off)
    with pytest.raises(RoomkeyError) as caught:
        await dora.client.publish(2)
    assert caught.value.code == "set-expired"
    fetched = await dora.client.fetch([bob.identity])
    assert [item.error.code for item in fetched.missing] == [why]
    assert not await dora.client.knows(bob.identity)

    dora.host.clock_error = 0.0
    await dora.client.publish(2)
    await call(dora, bob)
    await bob.conference.send(b"welcome")
    await until(lambda: said(dora) == [b"welcome"], "the message")
    await dora.close()


@pytest.mark.parametrize("off", [-YEAR, YEAR])
async def test_a_clock_that_jumps_in_a_conference(alice: Person, bob: Person, off: float) -> None:
    """Epochs and messages are not told by clocks: both go on as if nothing had been."""
    conference = await call(alice, bob)
    bob.host.clock_error = off
    for number in range(3):
        await conference.send(b"from alice %d" % number)
        await bob.conference.send(b"from bob %d" % number)
        await conference.update()
        await bob.conference.update()
    await until(lambda: len(said(alice)) == len(said(bob)) == 3, "all to be read")
    await together(conference, bob)
    await bob.power_cut()  # the clock of a device that starts anew is right
    await conference.send(b"again")
    await until(lambda: said(bob)[-1:] == [b"again"], "the message after the restart")
    assert set(bob.errors) <= {"set-expired"}  # of keys for others that he made meanwhile
