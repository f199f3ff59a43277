"""Others' keys where there is a log: claimed, proved and remembered; and members of conferences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.client.log_records import MANIFESTS, ProvedManifest

from tests.support.owners import ALICE, Device, Logged, owner

BOB = "bob@email2.example"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path) as made:
        yield made


@pytest.fixture
async def alice(world: Logged) -> AsyncIterator[Device]:
    made = await owner(world, ALICE, publish=2)
    yield made
    await made.close()


@pytest.fixture
async def bob(world: Logged) -> AsyncIterator[Device]:
    made = await owner(world, BOB, publish=2)
    yield made
    await made.close()


async def test_a_claim_is_proved_by_the_log(alice: Device, bob: Device) -> None:
    fetched = await alice.client.fetch([BOB])
    assert not fetched.missing, fetched.missing
    (keys,) = fetched.keys
    assert (keys.proved.trust.by, keys.proved.trust.absent) == ("transparency", ())
    stored = ProvedManifest.decode(alice.host.disks[ALICE].records[MANIFESTS + BOB])
    assert stored.manifest == (await bob.logged()).manifest
    assert any(name.startswith("log/email2.example/roomkey+") for name in alice.host.disks[ALICE].records)
