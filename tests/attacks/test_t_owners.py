"""Attacks on somebody's own entry in the log: by the service that keeps it, by thieves, by a removed device."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from roomkey.client import manifests
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.federation.calls import ServiceCaller
from roomkey.federation.messages import Credential
from roomkey.federation.requests import base64url
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.devices import DeviceRequest
from roomkey.transparency.exchange import Answers, AnswersRequest
from roomkey.transparency.manifest import Manifest, ManifestClient, ManifestKey, SignedManifest, sign_manifest

from tests.delivery.people import person
from tests.support.owners import ALICE, Device, Logged, device, owner

CRYPTO = NativeCrypto()
BOB = "bob@email2.example"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path) as made:
        yield made


class Thief:
    """Keys of nobody's that would be somebody's."""

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair
        self.key = ManifestKey(0x0807, pair.public)
        self.client = ManifestClient(self.key, (1, 3, 2), (1,))

    async def signed(self, manifest: Manifest) -> SignedManifest:
        return await sign_manifest(CRYPTO, manifest, self.key, self.pair)

    async def after(self, before: Manifest) -> SignedManifest:
        """The thief as the only client, from now on."""
        return await self.signed(manifests.after(before, (self.client,)))


@pytest.fixture
async def thief() -> Thief:
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    return Thief(pair)


async def refused(code: str, awaitable: Awaitable[object]) -> None:
    with pytest.raises(RoomkeyError) as caught:
        await awaitable
    assert caught.value.code == code


async def alarmed(alice: Device) -> None:
    """Her device tells her, also after a restart, and publishes nothing any more."""
    await alice.told("identity-hijacked")
    before = await alice.client.stock()
    await refused("identity-hijacked", alice.client.publish(9))
    await refused("identity-hijacked", alice.client.admit_device(await (await device(alice.world)).prepare()))
    await alice.close()
    alice.events.clear()
    await alice.open()
    await refused("identity-hijacked", alice.client.publish(9))
    await alice.told("identity-hijacked")
    assert await alice.client.stock() == before
    await alice.close()


async def test_t2_a_service_logs_keys_of_its_own(world: Logged, thief: Thief) -> None:
    alice = await owner(world, publish=2)
    log = world.log_of(ALICE)
    await log.submit(await thief.after((await alice.logged()).manifest), alice.host.now(), reset=True)
    await alarmed(alice)


async def test_t2_a_service_hides_how_its_keys_came_about(
    world: Logged, thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof says that another manifest is logged; the chain from hers to it is left out."""
    alice = await owner(world, publish=2)
    log = world.log_of(ALICE)
    await log.submit(await thief.after((await alice.logged()).manifest), alice.host.now(), reset=True)
    honest = log.answers

    async def answers(request: AnswersRequest, *own: Any) -> Answers:
        said = await honest(request, *own)
        (answer,) = said.answers
        if answer is None or answer.presence is None or not request.requests[0].pinned:
            return said
        bare = answer.replace(presence=answer.presence.replace(manifests=()))
        return Answers(said.consistency, (bare,))

    monkeypatch.setattr(log, "answers", answers)
    await alarmed(alice)


async def test_t2_a_service_logs_another_first_manifest(
    world: Logged, thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    """She enrols, and the service logs somebody else in her place: nothing of hers is ever published under that."""
    log = world.log_of(ALICE)
    honest = log.submit

    async def submit(signed: SignedManifest, now: float, *, reset: bool = False) -> int:
        swapped = signed.manifest.replace(clients=(thief.client,))
        return await honest(await thief.signed(swapped), now, reset=reset)

    monkeypatch.setattr(log, "submit", submit)
    alice = await device(world)
    await alice.create(await world.code(ALICE))
    await refused("identity-hijacked", alice.client.publish(1))
    await alarmed(alice)
    assert not any(name.startswith("set/") for name in alice.host.disks[ALICE].records)


async def test_t2_a_service_adds_a_device(world: Logged, thief: Thief) -> None:
    """A hidden device is no device of hers, whoever signed for it, unless one of hers did."""
    alice = await owner(world, publish=1)
    before = (await alice.logged()).manifest
    added = await thief.signed(manifests.after(before, (*before.clients, thief.client)))
    await world.log_of(ALICE).submit(added, alice.host.now(), reset=True)
    await alarmed(alice)


async def test_t14_a_service_keeps_quiet(world: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that proves nothing is no alarm, and no proof either."""
    monkeypatch.setattr("roomkey.client.publishing.PATIENCE", 0.0)
    log = world.log_of(ALICE)
    honest = log.answers

    async def answers(request: AnswersRequest, *own: Any) -> Answers:
        return Answers((), tuple(None for _ in request.requests))

    monkeypatch.setattr(log, "answers", answers)
    alice = await device(world)
    await alice.create(await world.code(ALICE))
    await refused("log-unproven", alice.client.publish(1))
    assert (await alice.client.stock()).sets == 0
    monkeypatch.setattr(log, "answers", honest)
    await alice.listed(1)
    assert (await alice.client.publish(1)).sets == 1
    assert "identity-hijacked" not in alice.errors
    await alice.close()


async def test_t1_a_name_that_is_logged_is_taken(world: Logged, tmp_path: Path) -> None:
    """The service's table of clients is lost, and its operator gives out a first code for a name that has keys."""
    alice = await owner(world)
    await alice.close()
    with sqlite3.connect(tmp_path / "email1.example.db") as database:
        database.execute("DELETE FROM clients")
        database.execute("DELETE FROM codes")
    mallory = await device(world)
    await refused("identity-taken", mallory.create(await world.code(ALICE)))
    assert await mallory.host.identities() == []
    assert (await alice.logged()).manifest.version == 1


async def test_a_removed_device_signs_a_manifest(world: Logged) -> None:
    """It was one of hers: the log refuses what it signs now, and if its service logs that all the same, she sees."""
    phone, laptop = await owner(world, publish=1), await device(world)
    await laptop.admitted_by(phone)
    await laptop.listed(2)
    await laptop.client.remove_device(phone.client.client_id)
    await laptop.listed(1)
    before = (await laptop.logged()).manifest
    entry = phone.client._entry
    own = manifests.own_client(entry.account)
    signed = await manifests.signed_by_us(entry.store.crypto, entry.keys, manifests.after(before, (own,)))
    await refused("manifest-refused", phone.client.home.submit_manifest(signed.encode()))
    assert (await laptop.logged()).manifest == before
    await world.log_of(ALICE).submit(signed, phone.host.now(), reset=True)
    await alarmed(laptop)
    await phone.close()


async def test_a_stolen_admission(world: Logged, thief: Thief) -> None:
    """What a device gives out to be admitted is public: who has it gets nowhere without its key, nor can alter it."""
    phone, laptop = await owner(world), await device(world)
    request = DeviceRequest.decode(await laptop.prepare())
    for altered in (
        request.replace(client=thief.client),
        request.replace(client=request.client.replace(suites=(1,))),
    ):
        await refused("invalid-signature", phone.client.admit_device(altered.encode()))
    as_bob = await (await _bob(world)).prepare()
    await refused("identity-mismatch", phone.client.admit_device(as_bob))
    await phone.client.admit_device(request.encode())
    mallory = await person(ALICE)
    service = mallory.at(phone.host, phone.client.home.origin)
    await refused("enrolment-refused", service.enrol(mallory.keys.credential, None))
    victim = base64url(_credential_of(request))  # her own signature over somebody else's credential
    caller = ServiceCaller(phone.host, service.origin, mallory.signer)
    await refused("unknown-client", caller.call_json("POST", "/v1/clients", {"credential": victim}))
    await laptop.create(None)
    await laptop.listed(2)
    for one in (phone, laptop):
        await one.close()


async def test_a_stolen_session_admits_nobody(world: Logged) -> None:
    """Who can have requests signed, and manifests not, finds no other way in where there is a log."""
    phone, mallory = await owner(world), await person(ALICE)
    await refused("manifest-refused", phone.client.home.admit(mallory.keys.client_id))
    service = mallory.at(phone.host, phone.client.home.origin)
    await refused("enrolment-refused", service.enrol(mallory.keys.credential, None))
    await phone.close()


async def test_a_recovery_proof_replayed_for_another_client(world: Logged) -> None:
    lost, found = await owner(world), await device(world)
    seed = await lost.client.recovery_key()
    sent = await _recorded(world, lambda: found.create(None, recovery=seed))
    asked = next(body for body in sent if "proof" in body)
    enrolled = next(body for body in sent if "manifest" in body)
    mallory = await person(ALICE)
    credential = base64url(mallory.keys.credential.encode())
    caller = ServiceCaller(found.host, found.client.home.origin, mallory.signer)
    # the same proof, for another key; then hers, signed by another; then the manifest that she made with it
    await refused(
        "manifest-refused", caller.call_json("POST", "/v1/clients/recovery", asked | {"credential": credential})
    )
    await refused("unknown-client", caller.call_json("POST", "/v1/clients/recovery", asked))
    await refused("manifest-refused", caller.call_json("POST", "/v1/clients", enrolled | {"credential": credential}))
    await found.listed(1)
    await lost.close()
    await found.close()


async def _bob(world: Logged) -> Device:
    return await device(world, BOB)


def _credential_of(request: DeviceRequest) -> bytes:
    return Credential.of(request.identity, request.client.key.algorithm, request.client.key.public_key).encode()


async def _recorded(world: Logged, work: Callable[[], Awaitable[object]]) -> list[dict[str, Any]]:
    """The JSON bodies that went over the network during the work."""
    before = len(world.network.bodies)
    await work()
    bodies = world.network.bodies[before:]
    return [json.loads(body) for body in bodies if body.startswith(b"{")]
