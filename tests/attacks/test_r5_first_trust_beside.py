"""A log's first word about somebody whom we know by keys: what their owner signed, or consent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from roomkey.client import manifests
from roomkey.federation.init_keys import InitKeySetBundle, make_client_keys, make_init_key_sets
from roomkey.transparency.manifest import SignedManifest, sign_manifest

from tests.attacks.test_t_owners import CRYPTO, Thief
from tests.support.attacked_logs import HOME, LYING, LoggedScene, attacked_logs
from tests.support.forged_log import DAY, manifest_of
from tests.support.owners import Logged, device, owner

SUITES = (1, 3, 2)

BOB = "bob@email2.example"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path) as made:
        yield made


async def test_a_key_beside_those_that_we_know(world: Logged) -> None:
    """Bob's key is public: a manifest that lists it beside a thief's, signed by the thief, is not Bob's word. Without
    a log Alice's pin refuses the thief's key; with one she is asked.
    """
    alice = await device(world)
    alice.trusts = {}
    await alice.create(await world.code(alice.identity))
    bob = await owner(world, BOB, publish=2)
    (keys,) = (await alice.client.fetch([BOB])).keys
    alice.client.release(keys)
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    thief = Thief(pair)
    true = (await bob.logged()).manifest
    evil: SignedManifest = await thief.signed(manifests.after(true, (*true.clients, thief.client)))
    await world.log_of(BOB).submit(evil, bob.host.now(), reset=True)
    await bob.told("identity-hijacked")
    await alice.close()
    alice.trusts = None
    await alice.open()
    found = await alice.client.fetch([BOB])
    assert [missing.error.code for missing in found.missing] == ["identity-reset"]
    await bob.close()
    await alice.close()


async def test_a_key_that_one_that_we_know_vouches_for(world: Logged) -> None:
    """Nobody is asked where a device that we know signed for the other."""
    alice = await device(world)
    alice.trusts = {}
    await alice.create(await world.code(alice.identity))
    bob = await owner(world, BOB, publish=2)
    (keys,) = (await alice.client.fetch([BOB])).keys
    alice.client.release(keys)
    second = await device(world, BOB)
    await second.admitted_by(bob)
    await bob.listed(2)
    await second.client.publish(1)
    await alice.close()
    alice.trusts = None
    await alice.open()
    found = await alice.client.fetch([BOB])
    assert not found.missing
    for one in (bob, second, alice):
        await one.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


@pytest.mark.parametrize("signer", ["thief", "bob"])
async def test_a_thief_is_handed_out(scene: LoggedScene, signer: str) -> None:
    """The service hands out the other device's init keys alone. By Bob's own signature they are used, by no thief's."""
    trusts, bob = scene.trusts, scene.name("bob", LYING)
    keys = [await make_client_keys(CRYPTO, bob, "ed25519", SUITES) for _ in range(2)]

    async def hands_out(index: int) -> None:
        (made,) = await make_init_key_sets(CRYPTO, keys[index], SUITES, 1, time.time(), lifetime=7 * DAY)
        scene.change_sets(lambda bundles: (InitKeySetBundle(bob.encode(), made.set),))

    try:
        scene.trusts = {}
        async with scene.people(("alice", HOME)) as (alice,):
            await hands_out(0)
            found = await alice.client.fetch([bob])  # first use: she knows Bob's one key, and uses it up
            await alice.client.create_conference("call", found.keys)
            await hands_out(1)
            assert await alice.fetched(bob) == ["identity-changed"]
            parts = [await manifest_of(bob, item.pairs["ed25519"], crypto=CRYPTO) for item in keys]
            both = parts[0].manifest.replace(clients=tuple(part.manifest.clients[0] for part in parts))
            by = 1 if signer == "thief" else 0
            log = scene.forged_log()
            log.append(await sign_manifest(CRYPTO, both, parts[by].signer, keys[by].pairs["ed25519"]))
            scene.other_log(log)
            scene.trusts = trusts
            await alice.reopen()
            assert await alice.fetched(bob) == ["identity-reset" if signer == "thief" else "fetched"]
    finally:
        scene.trusts = trusts
