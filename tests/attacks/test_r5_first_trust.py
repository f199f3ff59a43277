"""How a client comes to believe a log: which one for whom, and what it held of people before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.description import ServiceDescription
from roomkey.transparency.trust_text import trust_values

from tests.attacks.test_t_owners import CRYPTO, Thief
from tests.support.owners import Logged, device, owner
from tests.support.simulator import origin_of
from tests.unit.test_bridge import page

HOME, OTHER = "email1.example", "email2.example"
BOB = f"bob@{OTHER}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path) as made:
        yield made


async def test_a_service_names_another_domain_than_its_log(world: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that names no domains asks the service for its own. One that says somebody else's does not get those
    people believed by its log.
    """
    alice = page(world)
    values = {domain: dict(trust_values(world.trusts[domain])) for domain in (HOME, OTHER)}
    await alice.ok("setDeliveryService", url=origin_of(HOME), transparency=values[HOME])
    honest = DeliveryService.describe

    async def describe(service: DeliveryService) -> ServiceDescription:
        return (await honest(service))._replace(domain=HOME)

    monkeypatch.setattr(DeliveryService, "describe", describe)
    answer = await alice.answer("setDeliveryService", url=origin_of(OTHER), transparency=values[OTHER])
    assert not answer["ok"], "expected a log that is named after the domain"
    assert (answer["error"]["code"], answer["error"]["details"]) == ("bad-argument", {"field": "log"})
    assert alice.bridge.trusts == {HOME: world.trusts[HOME]}
    assert alice.bridge.services == {HOME: origin_of(HOME)}
    assert await alice.code("setTransparency", domain=HOME, transparency=values[OTHER]) == "bad-argument"
    await alice.bridge.close()


@pytest.mark.parametrize("swapped", [True, False])
async def test_who_was_known_before_there_was_a_log(world: Logged, swapped: bool) -> None:
    """Alice has known Bob's keys since before she was told whom to believe. The log's first word about him lists none
    of those that she knows: other keys of somebody known are used after her consent alone, with a log as without.
    """
    alice = await device(world)
    alice.trusts = {}
    await alice.create(await world.code(alice.identity))
    bob = await owner(world, BOB, publish=2)
    (keys,) = (await alice.client.fetch([BOB])).keys
    alice.client.release(keys)
    if swapped:
        (pair,) = await CRYPTO.generate_keys("ed25519", 1)
        evil = await Thief(pair).after((await bob.logged()).manifest)
        await world.log_of(BOB).submit(evil, bob.host.now(), reset=True)
        await bob.told("identity-hijacked")  # the log has it now
    await alice.close()
    alice.trusts = None
    await alice.open()
    found = await alice.client.fetch([BOB])
    if not swapped:
        (again,) = found.keys
        assert (again.proved.trust.by, again.proved.trust.since) == ("transparency", keys.proved.trust.since)
    else:
        (missing,) = found.missing
        assert (missing.error.code, missing.error.details["version"]) == ("identity-reset", 2)
        (missing,) = (await alice.client.fetch([BOB])).missing
        assert missing.error.code == "identity-reset"
        await alice.client.accept_reset(BOB, bytes.fromhex(str(missing.error.details["manifest"])))
        (missing,) = (await alice.client.fetch([BOB])).missing
        assert missing.error.code == "keys-withheld"  # agreed to, and the thief has published nothing
    await bob.close()
    await alice.close()
