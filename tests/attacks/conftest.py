"""Three people, and Mallory, who has keys and an account like everybody else and keeps to no rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

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
async def mallory(simulation: Simulation) -> AsyncIterator[Person]:
    made = await enrol(simulation, "mallory@email1.example")
    yield made
    await made.close()
