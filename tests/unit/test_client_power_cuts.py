"""Attack B7: the power goes at every await of join, commit and send. Afterwards the state is the old one or the new
one, nothing is lost, and no message key, so no nonce, was used twice.

Each story runs as often as it has steps: first cut at step 1, then at step 2, until it gets through without a cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError

from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, until

MAX_STEPS = 200


async def cut(person: Person, step: int, work: Callable[[], Awaitable[object]]) -> bool:
    """Runs `work` on a device whose power goes at `step`; whether it went."""
    person.host.stop_after(step)
    running = asyncio.ensure_future(work())
    stopped = asyncio.ensure_future(person.host.stopped.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    went = person.host.stopped.is_set()
    if went:
        await person.power_cut()
    else:
        person.host.stop_after(None)
        await running
    for task in (running, stopped):
        task.cancel()
    await asyncio.gather(running, stopped, return_exceptions=True)
    return went


async def every_step(tmp_path: Path, story: Callable[[Simulation, int], Awaitable[bool]]) -> int:
    """Tells the story with a cut at every step; how many steps it has."""
    for step in range(1, MAX_STEPS):
        folder = tmp_path / str(step)
        folder.mkdir()
        async with Simulation(folder) as simulation:
            went = await story(simulation, step)
            assert simulation.keys_used_twice() == 0, f"step {step}"
            if not went:
                return step - 1
    raise AssertionError(f"expected a story of at most {MAX_STEPS} steps")


def stored(person: Person) -> int:
    """How many messages are durable, without asking the device."""
    return sum(name.startswith("message/") for name in person.host.disks[person.identity].records)


async def contents(person: Person) -> list[bytes]:
    return [message.data for message in await person.conference.history.messages()]


async def test_commit(tmp_path: Path) -> None:
    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        conference = await call(alice, bob)
        before = conference.epoch
        went = await cut(alice, step, alice.conference.update)
        await until(lambda: alice.conference.epoch == bob.conference.epoch, f"agreement after step {step}")
        assert alice.conference.epoch in (before, before + 1), f"step {step}"
        await alice.conference.update()
        await bob.conference.update()
        await together(alice.conference, bob)
        await alice.conference.send(b"still here")
        await until(lambda: stored(bob) == 1, f"the message after step {step}")
        assert await contents(bob) == [b"still here"], f"step {step}"
        await alice.close()
        await bob.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 5


async def test_invite(tmp_path: Path) -> None:
    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        conference = await alice.client.create_conference("")
        fetched = await alice.client.fetch([bob.identity])
        went = await cut(alice, step, lambda: alice.client.invite(conference, fetched.keys))
        conference = alice.conference
        again = await alice.client.fetch([bob.identity])
        if any(member.identity == bob.identity for member in conference.members):
            with pytest.raises(RoomkeyError, match="already-member"):
                await alice.client.invite(conference, again.keys)
        else:
            await alice.client.invite(conference, again.keys)
        await bob.invited()
        await together(conference, bob)
        assert len(conference.members) == 2
        await alice.close()
        await bob.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 5


async def test_send(tmp_path: Path) -> None:
    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        await call(alice, bob)
        went = await cut(alice, step, lambda: alice.conference.send(b"one"))
        kept = await contents(alice)
        assert kept in ([], [b"one"]), f"step {step}"
        await alice.conference.send(b"two")
        expected = [*kept, b"two"]
        await until(lambda: stored(bob) == len(expected), f"the messages after step {step}")
        assert await contents(alice) == await contents(bob) == expected, f"step {step}"
        await alice.close()
        await bob.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps >= 2


async def test_join(tmp_path: Path) -> None:
    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        conference = await alice.client.create_conference("")
        fetched = await alice.client.fetch([bob.identity])

        inviting = asyncio.ensure_future(alice.client.invite(conference, fetched.keys))
        went = await cut(bob, step, bob.invited)
        await inviting
        await until(lambda: bob.client.invitations() or bob.client.conferences(), f"the group after step {step}")
        if bob.client.invitations():
            await bob.invited()
        await together(conference, bob)
        await bob.conference.update()
        await together(conference, bob)
        assert [code for code in bob.errors if code not in ("welcome-not-for-us",)] == [], f"step {step}"
        await alice.close()
        await bob.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 5


async def test_receive(tmp_path: Path) -> None:
    async def story(simulation: Simulation, step: int) -> bool:
        alice, bob = await enrol(simulation, "alice@email1.example"), await enrol(simulation, "bob@email2.example")
        conference = await call(alice, bob)

        async def talk() -> None:
            await conference.send(b"one")
            await conference.update()
            await conference.send(b"two")

        def arrived() -> bool:
            return stored(bob) == 2 and bob.conference.epoch == conference.epoch

        talking = asyncio.ensure_future(talk())
        went = await cut(bob, step, lambda: until(arrived, "what alice says"))
        await talking
        await until(arrived, f"what alice says after step {step}")
        assert await contents(bob) == [b"one", b"two"], f"step {step}"
        await together(conference, bob)
        await alice.close()
        await bob.close()
        return went

    steps = await every_step(tmp_path, story)
    assert steps > 5
