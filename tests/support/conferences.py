"""Fixtures for tests of whole conferences: a simulated world, and people in it by name.

A `conftest.py` that imports them gives them to the tests of its folder. Who is not asked for is not enrolled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.conference import running
from roomkey.conference.events import MessageArrived

from tests.support.people import Person, enrol
from tests.support.simulator import Simulation


@pytest.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[Simulation]:
    async with Simulation(tmp_path) as made:
        yield made
        assert made.keys_used_twice() == 0


@pytest.fixture
async def alice(simulation: Simulation) -> AsyncIterator[Person]:
    made = await enrol(simulation, "alice@email1.example")
    yield made
    await made.close()


@pytest.fixture
async def bob(simulation: Simulation) -> AsyncIterator[Person]:
    made = await enrol(simulation, "bob@email2.example")
    yield made
    await made.close()


@pytest.fixture
async def carol(simulation: Simulation) -> AsyncIterator[Person]:
    made = await enrol(simulation, "carol@email1.example")
    yield made
    await made.close()


@pytest.fixture
async def mallory(simulation: Simulation) -> AsyncIterator[Person]:
    """Has keys and an account like everybody else, and keeps to no rule."""
    made = await enrol(simulation, "mallory@email1.example")
    yield made
    await made.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a group to follow on theirs looks for it as long as ever, though each rest is shorter here."""
    monkeypatch.setattr(running, "SUCCESSOR_LOOKS", 2400)


def said(person: Person) -> list[bytes]:
    """What this person was told by messages."""
    return [event.message.data for event in person.told if isinstance(event, MessageArrived)]
