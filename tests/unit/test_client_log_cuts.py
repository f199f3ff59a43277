"""The power goes at every step by which somebody is proved by a log, and by which people agree to a reset. Afterwards
who tries again gets there, and what is stored is what the log said.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from roomkey.client.log_records import MANIFESTS, RESETS, ProvedManifest
from roomkey_delivery.log import log

from tests.support.owners import ALICE, Device, Logged, device, owner
from tests.unit.test_client_device_cuts import MAX_STEPS, cut

BOB = "bob@email2.example"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "BATCH", 0.0)


def version_of(alice: Device) -> int:
    """Which version of Bob's manifest is stored; 0 for none."""
    data = alice.host.disks[ALICE].records.get(MANIFESTS + BOB)
    return 0 if data is None else ProvedManifest.decode(data).manifest.version


async def test_a_claim_is_cut_off(tmp_path: Path) -> None:
    async with Logged(tmp_path) as world:
        alice, bob = await owner(world, ALICE), await owner(world, BOB, publish=2 * MAX_STEPS)
        for step in range(1, MAX_STEPS):
            if not await cut(alice, step, lambda: alice.client.fetch([BOB])):
                break
            await alice.open()
            fetched = await alice.client.fetch([BOB])
            assert not fetched.missing, f"step {step}: {fetched.missing}"
            assert fetched.keys[0].proved.trust.by == "transparency"
            assert version_of(alice) == 1
            await alice.client.forget_contact(BOB)
            assert version_of(alice) == 0
        assert 10 < step < MAX_STEPS - 1
        for one in (alice, bob):
            await one.close()


async def test_consent_is_cut_off(tmp_path: Path) -> None:
    async with Logged(tmp_path) as world:
        alice, bob = await owner(world, ALICE), await owner(world, BOB, publish=2)
        for step in range(1, MAX_STEPS):
            await alice.client.fetch([BOB])
            again = await device(world, BOB)
            await again.create(await world.reset_code(BOB), reset=True)
            await again.listed(1)
            await again.client.publish(2)
            (missing,) = (await alice.client.fetch([BOB])).missing
            assert missing.error.code == "identity-reset"
            agreed = bytes.fromhex(str(missing.error.details["manifest"]))
            went = await cut(alice, step, lambda agreed=agreed: alice.client.accept_reset(BOB, agreed))  # type: ignore[misc]
            if went:
                await alice.open()
                waits = RESETS + BOB in alice.host.disks[ALICE].records
                assert version_of(alice) == step + (0 if waits else 1), f"step {step}"
                if waits:
                    await alice.client.accept_reset(BOB, agreed)
            fetched = await alice.client.fetch([BOB])
            assert not fetched.missing, f"step {step}: {fetched.missing}"
            await again.close()
            if not went:
                break
        assert 1 < step < MAX_STEPS - 1
        for one in (alice, bob):
            await one.close()
