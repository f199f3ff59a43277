"""B7 at a ticket: the power goes at every await of coming in by one, and of seeing somebody come."""

from __future__ import annotations

import asyncio
from pathlib import Path

from roomkey.conference import records
from roomkey.mls.policy import EXTERNAL_JOINS

from tests.support.people import Person, enrol, together
from tests.support.simulator import Simulation, until
from tests.unit.test_client_power_cuts import contents, cut, every_step, stored


def entrances(person: Person) -> int:
    """Entrances of which it is open whether they came in, for the disk or, a moment later, the client itself."""
    written = sum(name.startswith("entry/") for name in person.host.disks[person.identity].records)
    return max(written, len(person.client._entrance._open()))


async def two(simulation: Simulation) -> tuple[Person, Person]:
    alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
    alice.listen(await alice.client.create_conference("", policy=EXTERNAL_JOINS))
    return alice, bob


async def test_coming_in(tmp_path: Path) -> None:
    """In, or not: if not, another ticket works. Nothing half done stays, and who is in can talk."""
    outcomes = set()

    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await two(simulation)
        ticket = await alice.conference.ticket()
        went = await cut(bob, step, lambda: bob.client.join_conference(ticket))
        await until(lambda: entrances(bob) == 0, f"an end of the entrance after step {step}")
        outcomes.add(bool(bob.client.conferences()))
        if not bob.client.conferences():
            await bob.client.join_conference(ticket)
        bob.listen(bob.conference)
        await together(alice.conference, bob)
        await bob.conference.update()
        await together(alice.conference, bob)
        await alice.conference.send(b"still here")
        await until(lambda: stored(bob) == 1, f"the message after step {step}")
        assert await contents(bob) == [b"still here"], f"step {step}"
        assert bob.errors == [], f"step {step}"
        await alice.close()
        await bob.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 5
    assert outcomes == {True, False}


async def test_coming_in_while_others_change_the_conference(tmp_path: Path) -> None:
    """The race is lost while the device is off: it finds out at its start, and nothing of the entrance stays."""

    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await two(simulation)
        ticket = await alice.conference.ticket()
        disk = bob.host.disks[bob.identity]
        keys = sorted(disk.keys)
        went = await cut(bob, step, lambda: bob.client.join_conference(ticket))
        await alice.conference.update()
        await until(lambda: entrances(bob) == 0, f"an end of the entrance after step {step}")
        if not bob.client.conferences():
            assert not [name for name in disk.records if name.split("/")[0] in ("conference", "members", "group")]
            assert sorted(disk.keys) == keys, f"step {step}"
            await bob.client.join_conference(await alice.conference.ticket())
        bob.listen(bob.conference)
        await together(alice.conference, bob)
        assert [code for code in bob.errors if code != "ticket-expired"] == [], f"step {step}"
        await alice.close()
        await bob.close()
        return went

    assert await every_step(tmp_path, story) > 5


async def test_coming_back(tmp_path: Path) -> None:
    """Who was removed comes back by a ticket: what was said stays theirs, in one conference."""

    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await two(simulation)
        bob.listen(await bob.client.join_conference(await alice.conference.ticket()))
        await together(alice.conference, bob)
        await alice.conference.send(b"one")
        await until(lambda: stored(bob) == 1, "the message")
        await alice.conference.remove(identity=bob.identity)
        await until(lambda: bob.conference.status == records.REMOVED, "bob to be gone")
        ticket = await alice.conference.ticket()
        went = await cut(bob, step, lambda: bob.client.join_conference(ticket))
        await until(lambda: entrances(bob) == 0, f"an end of the entrance after step {step}")
        if bob.conference.status == records.REMOVED:
            await bob.client.join_conference(ticket)
        bob.listen(bob.conference)
        await together(alice.conference, bob)
        await alice.conference.send(b"two")
        await until(lambda: stored(bob) == 2, f"the message after step {step}")
        assert await contents(bob) == [b"one", b"two"], f"step {step}"
        await alice.close()
        await bob.close()
        return went

    assert await every_step(tmp_path, story) > 5


async def test_seeing_somebody_come(tmp_path: Path) -> None:
    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await two(simulation)
        ticket = await alice.conference.ticket()
        coming = asyncio.ensure_future(bob.client.join_conference(ticket))
        went = await cut(alice, step, lambda: until(lambda: alice.conference.epoch == 1, "bob to be seen"))
        bob.listen(await coming)
        await together(alice.conference, bob)
        await alice.conference.update()
        await together(alice.conference, bob)
        await alice.close()
        await bob.close()
        return went

    assert await every_step(tmp_path, story) > 3
