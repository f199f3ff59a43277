"""The power goes at every step by which a device enrols, is admitted, is removed, or recovers an identity. Afterwards
the state is the old one or the new one: who tries again gets there, the log holds one version of everything, and nobody
is alarmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from roomkey.client.account import ACCOUNT, ENROLLED, AccountRecord
from roomkey.client.manifests import OWN, OwnManifests
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.transparency.devices import recovery_key, recovery_pair
from roomkey_delivery.log import log

from tests.support.owners import ALICE, Device, Logged, device, owner

MAX_STEPS = 100


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs wait for nobody: there are hundreds of worlds here."""
    monkeypatch.setattr(log, "BATCH", 0.0)


async def cut(device: Device, step: int, work: Callable[[], Awaitable[object]]) -> bool:
    """Runs `work` on a device whose power goes at `step`; whether it went. The device is switched on again then."""
    device.host.stop_after(step)
    running = asyncio.ensure_future(work())
    stopped = asyncio.ensure_future(device.host.stopped.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    went = device.host.stopped.is_set()
    if went:
        await device.switched_off()
    else:
        device.host.stop_after(None)
        await running
    for task in (running, stopped):
        task.cancel()
    await asyncio.gather(running, stopped, return_exceptions=True)
    return went


async def every_step(tmp_path: Path, story: Callable[[Logged, int], Awaitable[bool]]) -> int:
    """Tells the story with a cut at every step; how many steps it has."""
    for step in range(1, MAX_STEPS):
        folder = tmp_path / str(step)
        folder.mkdir()
        async with Logged(folder) as world:
            if not await story(world, step):
                return step - 1
    raise AssertionError(f"expected a story of at most {MAX_STEPS} steps")


def enrolled(device: Device) -> bool:
    """Whether the device's disk says so."""
    disk = device.host.disks.get(device.identity)
    data = None if disk is None else disk.records.get(ACCOUNT)
    return data is not None and AccountRecord.decode(data).status == ENROLLED


async def back(device: Device, create: Callable[[], Awaitable[object]]) -> None:
    """Opens what is enrolled, else does it again."""
    await (device.open() if enrolled(device) else create())


async def check(device: Device, version: int, clients: int, step: int) -> None:
    """That the device is one of `clients` in the log's version, and publishes."""
    await device.listed(clients)
    assert (await device.client.publish(1)).sets >= 1, f"step {step}"
    assert (await device.logged()).manifest.version == version, f"step {step}"
    assert device.errors == [], f"step {step}"


def recovery_hash(crypto: CryptoProvider, seed: bytes) -> bytes:
    return recovery_key(recovery_pair(crypto, seed)).hash()


async def takes_the_key(device: Device) -> bytes:
    """The recovery key that the device holds is the one that the log names."""
    seed = await device.client.recovery_key()
    assert recovery_hash(device.client._store.crypto, seed) == (await device.logged()).manifest.recovery
    return seed


async def test_enrolment(tmp_path: Path) -> None:
    async def story(world: Logged, step: int) -> bool:
        alice, code = await device(world), await world.code(ALICE)
        went = await cut(alice, step, lambda: alice.create(code))
        if went:
            await back(alice, lambda: alice.create(code))
        await check(alice, 1, 1, step)
        await takes_the_key(alice)
        await alice.close()
        return went

    assert await every_step(tmp_path, story) > 8


async def test_admission_at_the_older_device(tmp_path: Path) -> None:
    goes_on = 0

    async def story(world: Logged, step: int) -> bool:
        nonlocal goes_on
        phone, laptop = await owner(world), await device(world)
        request = await laptop.prepare()
        went = await cut(phone, step, lambda: phone.client.admit_device(request))
        if went:
            pending = OwnManifests.decode(phone.host.disks[ALICE].records[OWN]).pending
            await phone.open()
            if pending:  # then it needs nobody's asking again
                goes_on += 1
                await phone.listed(2)
            else:
                await phone.client.admit_device(request)
        await laptop.create(None)
        for one in (phone, laptop):
            await check(one, 2, 2, step)
            await one.close()
        return went

    assert await every_step(tmp_path, story) > 4
    assert goes_on  # at least one cut fell between what was written down and what the log holds


async def test_admission_at_the_new_device(tmp_path: Path) -> None:
    async def story(world: Logged, step: int) -> bool:
        phone, laptop = await owner(world), await device(world)

        async def comes_in() -> None:
            await laptop.admitted_by(phone)

        went = await cut(laptop, step, comes_in)
        if went:
            await back(laptop, comes_in)
        for one in (phone, laptop):
            await check(one, 2, 2, step)
            await one.close()
        return went

    assert await every_step(tmp_path, story) > 8


async def test_removal(tmp_path: Path) -> None:
    async def story(world: Logged, step: int) -> bool:
        phone, laptop = await owner(world), await device(world)
        await laptop.admitted_by(phone)
        await phone.listed(2)
        gone = laptop.client.client_id
        went = await cut(phone, step, lambda: phone.client.remove_device(gone))
        if went:
            await phone.open()
            try:
                await phone.client.remove_device(gone)
            except RoomkeyError as error:  # the device is off the list already
                assert error.code == "no-such-device", f"step {step}"  # noqa: PT017
        await check(phone, 3, 1, step)
        await laptop.told("not-in-manifest")
        await phone.close()
        await laptop.close()
        return went

    assert await every_step(tmp_path, story) > 4


async def test_recovery(tmp_path: Path) -> None:
    async def story(world: Logged, step: int) -> bool:
        lost, found = await owner(world), await device(world)
        seed = await lost.client.recovery_key()
        await lost.close()
        went = await cut(found, step, lambda: found.create(None, recovery=seed))
        if went:
            await back(found, lambda: found.create(None, recovery=seed))
        await check(found, 2, 1, step)
        assert await takes_the_key(found) != seed
        await found.close()
        return went

    assert await every_step(tmp_path, story) > 10


async def test_reset(tmp_path: Path) -> None:
    async def story(world: Logged, step: int) -> bool:
        lost, anew = await owner(world), await device(world)
        await lost.close()
        code = await world.reset_code(ALICE)
        went = await cut(anew, step, lambda: anew.create(code, reset=True))
        if went:
            await back(anew, lambda: anew.create(code, reset=True))
        await check(anew, 2, 1, step)
        await takes_the_key(anew)
        await anew.close()
        return went

    assert await every_step(tmp_path, story) > 10


async def test_the_recovery_key_is_there_or_gone(tmp_path: Path) -> None:
    async def story(world: Logged, step: int) -> bool:
        alice = await owner(world)
        seed = await takes_the_key(alice)
        went = await cut(alice, step, lambda: alice.client.forget_recovery_key())
        if went:
            await alice.open()
        try:
            assert await takes_the_key(alice) == seed, f"step {step}"
            assert went, "forgotten, and there"
        except RoomkeyError as error:
            assert error.code == "recovery-key-taken", f"step {step}"  # noqa: PT017
        await alice.close()
        return went

    assert await every_step(tmp_path, story) > 1
