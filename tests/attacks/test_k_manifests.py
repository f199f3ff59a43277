"""K7, K8, D1: what a service hands out is held against what the log says of the person."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from roomkey.client.log_records import MANIFESTS
from roomkey.federation.init_keys import InitKeySet, InitKeySetBundle, make_client_keys, make_init_key_sets
from roomkey.host.native_crypto import NativeCrypto

from tests.support.attacked_logs import HOME, LYING, Bundles, LoggedScene, Person, attacked_logs
from tests.support.forged_log import DAY, manifest_of

ALICE_AND_BOB = (("alice", HOME), ("bob", LYING))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


async def set_of(person: Person, suites: tuple[int, ...] | None = None) -> InitKeySet:
    """Another set that this person's device signed, of other suites than it publishes."""
    client = person.client
    crypto, keys = client._store.crypto, client._keys
    (made,) = await make_init_key_sets(crypto, keys, suites or client.suites, 1, time.time())
    return made.set


async def strangers_set(identity: str) -> InitKeySet:
    """A set by this name of somebody else's making."""
    crypto = NativeCrypto()
    keys = await make_client_keys(crypto, identity, "ed25519", (1, 3, 2))
    (made,) = await make_init_key_sets(crypto, keys, (1, 3, 2), 1, time.time())
    return made.set


def by(person: Person, bundles: Bundles) -> InitKeySetBundle:
    """This device's own bundle in an answer."""
    return next(item for item in bundles if item.set.user_init_key.credential == person.client._keys.credential)


async def test_k7_a_device_withheld_is_shown(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        laptop = await scene.further_device(bob)
        found = await alice.client.fetch([bob.identity])
        assert {item.client.client_id for item in found.keys[0].proved.sets} == {
            bob.client.client_id,
            laptop.client.client_id,
        }
        assert found.keys[0].proved.trust.absent == ()
        scene.change_sets(lambda bundles: (by(bob, bundles),))
        (keys,) = (await alice.client.fetch([bob.identity])).keys
        assert [item.client.client_id for item in keys.proved.sets] == [bob.client.client_id]
        assert keys.proved.trust.absent == (laptop.client.client_id,)


async def test_k7_all_devices_withheld(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        scene.change_sets(lambda bundles: ())
        error = await alice.failure(bob.identity)
        assert (error.code, error.details["clients"]) == ("keys-withheld", 1)
        nobody = scene.name("nobody", LYING)
        assert await alice.fetched(nobody) == ["no-keys"]


async def test_k8_t1_a_device_that_is_not_logged(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        false = InitKeySetBundle(bob.identity.encode(), await strangers_set(bob.identity))
        for lie in (lambda bundles: (*bundles, false), lambda bundles: (false,)):
            scene.change_sets(lie)
            error = await alice.failure(bob.identity)
            assert (error.code, error.details["step"]) == ("not-in-manifest", 5)
            assert await alice.stored("claimed/") == await alice.stored("pin/") == {}
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]


async def test_k8_t1_somebody_who_is_not_logged_at_all(scene: LoggedScene) -> None:
    async with scene.people(("alice", HOME)) as (alice,):
        ghost = scene.name("ghost", LYING)
        bundle = InitKeySetBundle(ghost.encode(), await strangers_set(ghost))
        scene.change_sets(lambda bundles: (bundle,))
        assert await alice.fetched(ghost) == ["log-unproven"]
        assert await alice.stored("claimed/") == await alice.stored("pin/") == {}


@pytest.mark.parametrize(("suites", "lacking"), [((2,), 1), ((1, 2), 3)])
async def test_d1_a_weaker_set_of_the_same_device(scene: LoggedScene, suites: tuple[int, ...], lacking: int) -> None:
    """It was signed by Bob's device, and never published as the log says that his sets are."""
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        weak = InitKeySetBundle(bob.identity.encode(), await set_of(bob, suites))
        scene.change_sets(lambda bundles: (weak,))
        error = await alice.failure(bob.identity)
        assert (error.code, error.details["step"], error.details["suite"]) == ("suite-withheld", 5, lacking)
        assert await alice.stored("claimed/") == await alice.stored("pin/") == {}
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]


async def test_d1_keys_that_live_longer_than_their_owner_says(scene: LoggedScene) -> None:
    """The manifest promises keys of a week; a service kept one of three months from before."""
    async with scene.people(("alice", HOME)) as (alice,):
        bob, crypto = scene.name("bob", LYING), NativeCrypto()
        keys = await make_client_keys(crypto, bob, "ed25519", (1, 3, 2))
        log = scene.forged_log()
        log.append(await manifest_of(bob, keys.pairs["ed25519"], lifetime=7 * DAY, crypto=crypto))
        scene.other_log(log)
        for lifetime, outcome in ((8 * DAY, "lifetime-too-long"), (6 * DAY, "fetched")):
            (made,) = await make_init_key_sets(crypto, keys, (1, 3, 2), 1, time.time(), lifetime=lifetime)
            bundle = InitKeySetBundle(bob.encode(), made.set)
            scene.change_sets(lambda bundles, bundle=bundle: (bundle,))  # type: ignore[misc]
            assert await alice.fetched(bob) == [outcome]
        assert list(await alice.stored(MANIFESTS)) == [MANIFESTS + bob]
