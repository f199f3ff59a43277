"""One's own devices where there is a log: enrolment, further devices, recovery, reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from roomkey.client.account import ACCOUNT, AccountRecord, SchemePair
from roomkey.client.manifests import OWN, RECOVERY
from roomkey.client.own_watch import OwnWatch
from roomkey.errors import RoomkeyError
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.federation.negotiation import CHOICES
from roomkey.mls.leaf_node import MAX_LIFETIME
from roomkey.tls import U8, U16, U32, Opaque, Struct, uint16, vector
from roomkey.transparency.devices import recovery_key, recovery_pair

from tests.support.owners import ALICE, Device, Logged, device, owner
from tests.support.people import enrol
from tests.support.simulator import Simulation, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path) as made:
        yield made


async def refused(code: str, awaitable: object) -> RoomkeyError:
    with pytest.raises(RoomkeyError) as caught:
        await awaitable  # type: ignore[misc]
    assert caught.value.code == code
    return caught.value


async def test_a_first_device_is_listed_and_publishes(world: Logged) -> None:
    alice = await device(world)
    await alice.create(await world.code(ALICE))
    stock = await alice.client.publish(2)  # waits until auditors have seen the manifest
    assert (stock.sets, stock.last_resort) == (2, True)
    signed = await alice.logged()
    manifest = signed.manifest
    assert (manifest.identity, manifest.version) == (ALICE.encode(), 1)
    assert manifest.maximum_lifetime == MAX_LIFETIME
    (listed,) = manifest.clients
    assert listed.suites == alice.client.suites
    (known,) = alice.client.devices()
    assert known == (alice.client.client_id, alice.client.identity_key, alice.client.suites, True, True)
    assert alice.errors == []
    await alice.close()


async def test_an_enrolment_whose_answer_was_lost_keeps_its_suites(world: Logged) -> None:
    """The log has them already: who asks for others then is this device all the same, with those that are logged."""
    alice, code = await device(world), await world.code(ALICE)
    enrolments = f"{world.routes['email1.example']} /v1/clients"
    world.network.lose_answers.add(enrolments)
    await refused("timeout", alice.create(code, choice="experimental"))
    world.network.lose_answers.clear()
    await alice.create(code)
    (listed,) = (await alice.logged()).manifest.clients
    assert alice.client.suites == listed.suites == CHOICES["experimental"]
    assert (await alice.client.publish(1)).sets == 1
    assert alice.errors == []
    await alice.close()


async def test_an_enrolment_that_was_not_heard_may_choose_again(world: Logged) -> None:
    alice, code = await device(world), await world.code(ALICE)
    world.network.unreachable = set(world.routes.values())
    await refused("service-unreachable", alice.create(code, choice="experimental"))
    world.network.unreachable = set()
    await alice.create(code)
    assert alice.client.suites == CHOICES["standard"]
    await alice.listed(1)
    await alice.close()


async def test_the_recovery_key_is_given_until_it_is_kept(world: Logged) -> None:
    alice = await owner(world)
    seed = await alice.client.recovery_key()
    await alice.close()
    await alice.open()
    assert await alice.client.recovery_key() == seed  # whoever saw nothing the first time can look again
    await alice.client.forget_recovery_key()
    await alice.client.forget_recovery_key()
    assert (
        recovery_key(recovery_pair(alice.client._store.crypto, seed)).hash() == (await alice.logged()).manifest.recovery
    )
    await refused("recovery-key-taken", alice.client.recovery_key())
    assert seed not in b"".join(alice.host.disks[ALICE].records.values())
    await alice.close()
    await alice.open()
    await refused("recovery-key-taken", alice.client.recovery_key())
    await alice.close()


async def test_publishing_waits_for_auditors(world: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomkey.client.publishing.PATIENCE", 0.0)
    monkeypatch.setattr("roomkey.client.own_watch.PATIENCE", 0.0)
    world.withhold_cosignatures("email1.example")
    alice = await device(world)
    await alice.create(await world.code(ALICE))
    await refused("log-unproven", alice.client.publish(2))
    await until(lambda: "log-unproven" in alice.errors, "an event that says why")
    assert (await alice.client.stock()).sets == 0
    world.withhold_cosignatures("email1.example", withhold=False)
    await alice.listed(1)
    await until(lambda: _published(alice, 2), "sets that are published once the log says so")
    await alice.close()


def _asking(identity: str) -> list[GetUserInitKeyRequest]:
    return [GetUserInitKeyRequest(identity.encode("ascii"), ())]


class FirstAccountRecord(Struct):
    """The record as it was written before there were logs; it must stay readable."""

    status: U8
    identity: Opaque
    algorithm: U16
    pairs: Annotated[tuple[SchemePair, ...], vector(SchemePair)]
    suites: Annotated[tuple[int, ...], vector(uint16)]
    target: U32


def _as_before(record: AccountRecord) -> bytes:
    fields = record.status, record.identity, record.algorithm, record.pairs, record.suites, record.target
    return FirstAccountRecord(*fields).encode()


def _published(device: Device, count: int) -> bool:
    records = device.host.disks[device.identity].records
    return sum(name.startswith("set/") for name in records) > count


async def test_a_further_device(world: Logged) -> None:
    phone, laptop = await owner(world, publish=1), await device(world)
    request = await laptop.prepare()
    assert await laptop.prepare() != b""  # again: the same keys
    await refused("enrolment-refused", laptop.create(None))  # and the keys stay
    client = await phone.client.admit_device(request)
    assert await phone.client.admit_device(await laptop.prepare()) == client  # the same device again changes nothing
    await laptop.create(None)
    assert laptop.client.client_id == client
    await laptop.client.publish(1)
    await phone.listed(2)
    await laptop.listed(2)
    assert (await phone.logged()).manifest.version == 2
    assert [item.own for item in phone.client.devices()] == [True, False]
    await refused("recovery-key-taken", laptop.client.recovery_key())
    bob = await owner(world, "bob@email2.example")
    claimed = await bob.client._routes.by_domain["email1.example"].claim(_asking(ALICE))
    assert len(claimed) == 2
    for person in (phone, laptop, bob):
        assert person.errors == []
        await person.close()


async def test_a_removed_device_is_out(world: Logged) -> None:
    phone, laptop, bob = await owner(world, publish=1), await device(world), await owner(world, "bob@email2.example")
    await laptop.admitted_by(phone)
    await laptop.client.publish(1)
    gone = phone.client.client_id
    await refused("bad-argument", laptop.client.remove_device(laptop.client.client_id))
    await refused("no-such-device", laptop.client.remove_device(bytes(32)))
    await laptop.client.remove_device(gone)
    await refused("no-such-device", laptop.client.remove_device(gone))
    await laptop.listed(1)
    await phone.told("not-in-manifest")
    await refused("not-in-manifest", phone.client.publish(5))
    await refused("not-in-manifest", phone.client.admit_device(await (await device(world)).prepare()))
    service = bob.client._routes.by_domain["email1.example"]
    (bundle,) = await service.claim(_asking(ALICE))
    assert bundle.set.user_init_key.credential.require_basic().public_key == laptop.client.identity_key
    for person in (phone, laptop, bob):
        await person.close()


async def test_a_device_that_is_removed_before_it_looked(world: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    phone, laptop = await owner(world), await device(world)
    await phone.client.admit_device(await laptop.prepare())
    with monkeypatch.context() as patch:
        patch.setattr(OwnWatch, "run", _never)
        await laptop.create(None)
    await phone.listed(2)
    await phone.client.remove_device(laptop.client.client_id)
    await phone.listed(1)
    await refused("not-in-manifest", laptop.client.publish(1))
    for person in (phone, laptop):
        await person.close()


async def _never(self: OwnWatch) -> None:
    """Looks at nothing."""


async def test_two_devices_change_the_list_at_once(world: Logged) -> None:
    phone, laptop = await owner(world), await device(world)
    await laptop.admitted_by(phone)
    await phone.listed(2)
    await laptop.listed(2)
    requests = [await (await device(world)).prepare() for _ in range(2)]
    await asyncio.gather(phone.client.admit_device(requests[0]), laptop.client.admit_device(requests[1]))
    await phone.listed(4)
    await laptop.listed(4)
    assert (await phone.logged()).manifest.version == 4
    for person in (phone, laptop):
        assert person.errors == []
        await person.close()


async def test_a_recovery_takes_the_old_devices_off(world: Logged) -> None:
    lost, found = await owner(world, publish=1), await device(world)
    seed = await lost.client.recovery_key()
    await refused("manifest-refused", (await device(world)).create(None, recovery=bytes(32)))
    await found.create(None, recovery=seed)
    await found.client.publish(1)
    await found.listed(1)
    signed = await found.logged()
    assert signed.manifest.version == 2
    assert signed.signer == recovery_key(recovery_pair(found.client._store.crypto, seed))
    fresh = await found.client.recovery_key()
    assert fresh != seed
    await refused("manifest-refused", (await device(world)).create(None, recovery=seed))  # the old key is used up
    await lost.told("not-in-manifest")
    await lost.close()
    await found.close()


async def test_a_reset_takes_a_code_of_the_operator_s(world: Logged) -> None:
    lost, anew = await owner(world), await device(world)
    await refused("enrolment-refused", anew.create("wrong", reset=True))
    code = await world.reset_code(ALICE)
    await refused("enrolment-refused", anew.create(code))  # not without saying so
    await anew.create(code, reset=True)
    await anew.client.publish(1)
    assert (await anew.logged()).manifest.version == 2
    assert len(await anew.client.recovery_key()) == 32
    await refused("already-enrolled", (await device(world)).create(code, reset=True))
    await lost.told("identity-hijacked")  # to whom it looks like what it may be
    await lost.close()
    await anew.close()


async def test_a_reset_where_nothing_is_logged(world: Logged) -> None:
    alice = await device(world)
    await alice.create(await world.reset_code(ALICE), reset=True)
    await alice.listed(1)
    assert (await alice.logged()).manifest.version == 1
    await alice.close()


async def test_arguments_that_do_not_go_together(world: Logged) -> None:
    alice = await device(world)
    await refused("bad-argument", alice.create("code", recovery=bytes(32)))
    await refused("bad-argument", alice.create(None, reset=True))
    await refused("bad-argument", alice.create(None, recovery=bytes(31)))


async def test_an_identity_from_before_the_log(tmp_path: Path) -> None:
    """A store as earlier versions made it: an account, and nothing of manifests."""
    async with Simulation(tmp_path) as simulation:
        before = await enrol(simulation, ALICE, publish=1)
        await before.close()
        records = before.host.disks[ALICE].records
        assert OWN not in records
        assert RECOVERY not in records
        assert records[ACCOUNT] == _as_before(AccountRecord.decode(records[ACCOUNT]))
    async with Logged(tmp_path) as world:
        alice = Device(world, ALICE, world.device(before.host.disks))
        await alice.open()
        await alice.listed(1)
        await alice.client.publish(2)
        assert (await alice.logged()).manifest.version == 1
        assert len(await alice.client.recovery_key()) == 32
        assert alice.errors == []
        await alice.close()


async def test_services_without_logs_stay_as_they_were(tmp_path: Path) -> None:
    async with Simulation(tmp_path) as simulation:
        phone = await enrol(simulation, ALICE, publish=1)
        assert OWN not in phone.host.disks[ALICE].records
        assert RECOVERY not in phone.host.disks[ALICE].records
        laptop = await device(simulation)
        await phone.client.admit_device(await laptop.prepare())
        await laptop.create(None)
        await laptop.client.publish(1)
        assert len(laptop.client.devices()) == 1
        await refused("recovery-key-taken", phone.client.recovery_key())
        await phone.close()
        await laptop.close()


async def test_a_client_that_trusts_no_log_publishes_where_one_is_kept(world: Logged) -> None:
    """Its page was told of none: the service asks for an entry all the same, and others can prove it."""
    phone, laptop = await device(world), await device(world)
    for one in (phone, laptop):
        one.trusts = {}
    await phone.create(await world.code(ALICE))
    assert (await phone.client.publish(1)).sets == 1
    await laptop.admitted_by(phone)
    assert (await laptop.client.publish(1)).sets == 1
    assert (await phone.logged()).manifest.version == 2
    assert len(phone.client.devices()) == 2
    assert not any(item.logged for item in phone.client.devices())
    for one in (phone, laptop):
        assert one.errors == []
        await one.close()
