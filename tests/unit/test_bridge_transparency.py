"""Logs, devices, recovery, fanout and successors as JavaScript sees them: plain values in and out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from roomkey.client.recovery_text import recovery_text
from roomkey.transparency.trust_text import trust_values

from tests.support.simulator import Simulation, origin_of
from tests.unit.test_bridge import Page, page

ALICE = "alice@email1.example"
BOB = "bob@email2.example"


@pytest.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[Simulation]:
    async with Simulation(tmp_path, logs=True) as made:
        yield made


def transparency(simulation: Simulation, domain: str) -> dict[str, Any]:
    return dict(trust_values(simulation.trusts[domain]))


async def configured(simulation: Simulation) -> Page:
    """A page that knows both services and whom to believe about their logs."""
    made = page(simulation)
    for domain in simulation.domains:
        settings = transparency(simulation, domain)
        await made.ok("setDeliveryService", url=origin_of(domain), transparency=settings)
    return made


async def enrolled(simulation: Simulation, name: str) -> tuple[Page, int]:
    made = await configured(simulation)
    identity = await made.ok("createIdentity", identity=name, enrolment=await simulation.code(name))
    await made.ok("identity.publishInitKeys", handle=identity["handle"], count=2)
    return made, identity["handle"]


async def test_the_log_says_who_somebody_is(simulation: Simulation) -> None:
    alice, handle = await enrolled(simulation, ALICE)
    bob, _ = await enrolled(simulation, BOB)
    (keys,) = (await alice.ok("identity.fetchInitKeys", handle=handle, identities=[BOB]))["keys"]
    assert keys["verified"]["by"] == "transparency"
    assert keys["absent"] == []
    assert await alice.ok("identity.forkEvidence", handle=handle) == []
    for made in (alice, bob):
        await made.bridge.close()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ("all", "transparency"),
        ({}, "transparency"),
        ({"log": "", "vrfKey": "", "auditors": []}, "auditors"),
        ({"log": 1, "vrfKey": "", "auditors": ["x"]}, "log"),
    ],
)
async def test_settings_that_name_nobody_are_refused(simulation: Simulation, settings: object, field: str) -> None:
    made = page(simulation)
    for method, where in (
        ("setDeliveryService", {"url": origin_of("email1.example")}),
        ("setTransparency", {"domain": "email1.example"}),
    ):
        answer = await made.answer(method, **where, transparency=settings)
        assert (answer["error"]["code"], answer["error"]["details"]) == ("bad-argument", {"field": field})
    assert await made.code("setTransparency", domain="not a domain", transparency=settings) == "invalid-identity"
    await made.bridge.close()


async def test_a_device_more_and_one_less(simulation: Simulation) -> None:
    old, handle = await enrolled(simulation, ALICE)
    new = await configured(simulation)
    request = await new.ok("prepareDevice", identity=ALICE)
    assert await new.code("prepareDevice", identity=ALICE, suites="all") == "bad-argument"
    client = await old.ok("identity.admitDevice", handle=handle, request=request)
    assert await old.code("identity.admitDevice", handle=handle, request=request[:-1]) == "malformed"
    identity = await new.ok("createIdentity", identity=ALICE)
    assert identity["clientId"] == client
    known = await new.ok("identity.devices", handle=identity["handle"])
    assert [device["own"] for device in known if device["clientId"] == client] == [True]
    assert all(isinstance(device["logged"], bool) and device["suites"] for device in known)
    await old.ok("identity.removeDevice", handle=handle, clientId=client)
    assert await old.code("identity.removeDevice", handle=handle, clientId=bytes(32)) == "no-such-device"
    assert len(await old.ok("identity.devices", handle=handle)) == 1
    for made in (old, new):
        await made.bridge.close()


async def test_back_by_the_recovery_key(simulation: Simulation) -> None:
    old, handle = await enrolled(simulation, ALICE)
    letters = await old.ok("identity.recoveryKey", handle=handle)
    assert await old.ok("identity.recoveryKey", handle=handle) == letters
    assert await old.ok("identity.forgetRecoveryKey", handle=handle) is None
    assert await old.code("identity.recoveryKey", handle=handle) == "recovery-key-taken"
    new = await configured(simulation)
    assert await new.code("createIdentity", identity=ALICE, recoveryKey=letters + "A") == "recovery-key-wrong"
    assert await new.code("createIdentity", identity=ALICE, recoveryKey=recovery_text(bytes(32))) == "manifest-refused"
    assert await new.code("createIdentity", identity=ALICE, recoveryKey=letters, enrolment="x") == "bad-argument"
    assert await new.code("createIdentity", identity=ALICE, recoveryKey=letters, reset="yes") == "bad-argument"
    identity = await new.ok("createIdentity", identity=ALICE, recoveryKey=letters.lower())
    (device,) = await new.ok("identity.devices", handle=identity["handle"])
    assert device["clientId"] == identity["clientId"]
    for made in (old, new):
        await made.bridge.close()


async def test_consent_is_to_one_manifest(simulation: Simulation) -> None:
    alice, handle = await enrolled(simulation, ALICE)
    for manifest in ("", "00", "zz" * 32, "00" * 33, 7):
        answer = await alice.answer("identity.acceptReset", handle=handle, identity=BOB, manifest=manifest)
        assert (answer["error"]["code"], answer["error"]["details"]["field"]) == ("bad-argument", "manifest")
    assert not (await alice.answer("identity.acceptReset", handle=handle, identity=BOB, manifest="00" * 32))["ok"]
    await alice.bridge.close()


async def test_what_the_page_says_of_fanout_outweighs_what_was_remembered(simulation: Simulation) -> None:
    home = origin_of("email1.example")
    first = page(simulation)
    described = await first.ok("setDeliveryService", url=home, fanout="server")
    assert described["fanout"] == "server"
    assert await first.code("setDeliveryService", url=home, fanout="both") == "bad-argument"
    for domain in simulation.domains:
        await first.ok("setTransparency", domain=domain, transparency=transparency(simulation, domain))
    identity = await first.ok("createIdentity", identity=ALICE, enrolment=await simulation.code(ALICE))
    bob, _ = await enrolled(simulation, BOB)
    asked = {"handle": identity["handle"], "identities": [BOB]}
    (keys,) = (await first.ok("identity.fetchInitKeys", **asked))["keys"]
    assert keys["service"]["url"] == home
    assert keys["verified"]["by"] == "transparency"
    await first.bridge.close()

    second = page(simulation, simulation.device(first.host.disks))
    for domain in simulation.domains:
        await second.ok("setDeliveryService", url=origin_of(domain), transparency=transparency(simulation, domain))
    identity = await second.ok("openIdentity", identity=ALICE)
    (keys,) = (await second.ok("identity.fetchInitKeys", handle=identity["handle"], identities=[BOB]))["keys"]
    assert keys["service"]["url"] == origin_of("email2.example")
    for made in (second, bob):
        await made.bridge.close()


async def test_a_move_and_an_upgrade_are_refused_by_code(simulation: Simulation) -> None:
    alice, handle = await enrolled(simulation, ALICE)
    conference = await alice.ok("identity.createConference", handle=handle, name="")
    assert conference["betterSuite"] is None
    assert await alice.code("conference.upgrade", handle=conference["handle"]) == "no-better-suite"
    assert (
        await alice.code("conference.goOnWithout", handle=conference["handle"], withoutInviter=True) == "bad-argument"
    )
    for domain in ("email2.example", "no domain"):
        code = await alice.code("conference.moveOrdering", handle=conference["handle"], domain=domain)
        assert code in ("bad-argument", "invalid-identity")
    await alice.bridge.close()
