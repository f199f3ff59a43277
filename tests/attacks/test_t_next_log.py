"""After two truths: a log that lied is believed in nothing more, and its domain goes on with another log (T6).

Nobody can lift the block. Whoever configures the clients names the domain's next log, which has another key, and people
whose keys it changes are agreed to one by one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from roomkey.client.log_records import MANIFESTS, RESETS, ProvedManifest
from roomkey.federation.init_keys import ClientKeys, InitKeySetBundle, make_client_keys, make_init_key_sets
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.manifest import sign_manifest
from roomkey.transparency.verifier import Trust
from roomkey_delivery.log.keys import make_keys

from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.forged_log import DAY, ForgedLog, manifest_of

SUITES = (1, 3, 2)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


class Blocked:
    """Alice proved Bob by a log, version 2, and was then shown another log of the same size by the same key."""

    def __init__(self, scene: LoggedScene, alice: Person) -> None:
        self.scene, self.alice, self.crypto = scene, alice, NativeCrypto()
        self.bob = scene.name("bob", LYING)
        self.trusts = dict(scene.trusts)

    async def begin(self) -> None:
        self.keys = await self.device()
        log = self.scene.forged_log()
        one = await manifest_of(self.bob, self.keys.pairs["ed25519"], crypto=self.crypto)
        two = await manifest_of(
            self.bob, self.keys.pairs["ed25519"], before=one.manifest, lifetime=80 * DAY, crypto=self.crypto
        )
        log.append(one, two)
        self.scene.other_log(log)
        await self.claims(self.keys)
        assert await self.fetched() == "fetched"
        other = log.fork()
        other.made = "another truth"
        other.epochs.clear()
        other.append()
        self.scene.other_log(other)
        assert await self.fetched() == "log-fork"

    async def device(self) -> ClientKeys:
        return await make_client_keys(self.crypto, self.bob, "ed25519", SUITES)

    async def claims(self, keys: ClientKeys) -> None:
        """From now on the service hands out a set of this device of Bob's."""
        (made,) = await make_init_key_sets(self.crypto, keys, SUITES, 1, time.time(), lifetime=7 * DAY)
        bundle = InitKeySetBundle(self.bob.encode(), made.set)
        self.scene.change_sets(lambda bundles: (bundle,))

    async def next_log(self, *listed: ClientKeys) -> None:
        """Another log, in which Bob begins again with version 1 of these devices; Alice is configured with it."""
        parts = [(await manifest_of(self.bob, keys.pairs["ed25519"], crypto=self.crypto)) for keys in listed]
        clients = tuple(client for part in parts for client in part.manifest.clients)
        manifest, signer = parts[0].manifest.replace(clients=clients), parts[0].signer
        keys = dataclasses.replace(make_keys(LYING), origin=f"{LYING}/roomkey-2")
        log = ForgedLog(keys, [self.scene.services.keys[HOME]])
        log.append(await sign_manifest(self.crypto, manifest, signer, listed[0].pairs["ed25519"]))
        self.scene.other_log(log)
        await self.trusting({**self.trusts, LYING: log.trust})

    async def trusting(self, trusts: dict[str, Trust]) -> None:
        """Alice's program with other settings."""
        self.scene.trusts = trusts
        await self.alice.reopen()

    async def fetched(self) -> str:
        (outcome,) = await self.alice.fetched(self.bob)
        return outcome

    async def known(self) -> ProvedManifest:
        return ProvedManifest.decode((await self.alice.stored(MANIFESTS))[MANIFESTS + self.bob])


@asynccontextmanager
async def blocked(scene: LoggedScene) -> AsyncIterator[Blocked]:
    trusts = scene.trusts
    try:
        async with scene.people(("alice", HOME)) as (alice,):
            made = Blocked(scene, alice)
            await made.begin()
            yield made
    finally:
        scene.trusts = trusts


async def test_nothing_lifts_the_block(scene: LoggedScene) -> None:
    """No restart, no forgetting, no answer that is true again, no time. What proves it stays."""
    async with blocked(scene) as made:
        await made.alice.reopen()
        await made.alice.client.forget_contact(made.bob)
        assert await made.fetched() == "log-fork"
        made.alice.host.ahead = 30 * DAY
        assert await made.fetched() == "log-fork"
        assert [item.origin for item in await made.alice.client.fork_evidence()] == [f"{LYING}/roomkey"]


async def test_the_next_log_lists_the_keys_that_we_know(scene: LoggedScene) -> None:
    """Nobody has to agree to anything. The log before it is as blocked as ever."""
    async with blocked(scene) as made:
        before = await made.known()
        await made.next_log(made.keys)
        assert await made.fetched() == "fetched"
        after = await made.known()
        assert (before.manifest.version, after.manifest.version) == (2, 1)
        assert after.log != before.log
        assert len(await made.alice.client.fork_evidence()) == 1
        await made.trusting(made.trusts)
        assert await made.fetched() == "log-fork"


@pytest.mark.parametrize("beside", [False, True])
async def test_the_next_log_lists_keys_that_we_do_not_know(scene: LoggedScene, beside: bool) -> None:
    """Also beside those that we know: nothing proves that their owner added them."""
    async with blocked(scene) as made:
        others = await made.device()
        await made.next_log(*([made.keys] if beside else []), others)
        await made.claims(others)
        for _ in range(2):
            assert await made.fetched() == "identity-reset"
            await made.alice.reopen()
        assert (await made.known()).manifest.version == 2
        error = await made.alice.failure(made.bob)
        assert error.details["version"] == 1
        await made.alice.client.accept_reset(made.bob, bytes.fromhex(str(error.details["manifest"])))
        assert await made.alice.stored(RESETS) == {}
        assert await made.fetched() == "fetched"
