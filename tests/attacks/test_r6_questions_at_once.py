"""Attacks on who asks a log twice at once: the service chooses which of its epochs each question meets.

Two questions that were put with one pin are answered one after the other. What the first answer proved counts for the
second, too: else it would follow from what is over.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from roomkey.client.log_records import MANIFESTS, RESETS, ProvedManifest
from roomkey.client.log_view import LogView
from roomkey.errors import RoomkeyError
from roomkey.federation.init_keys import ClientKeys, InitKeySetBundle, make_client_keys, make_init_key_sets
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.exchange import ANSWERS_PATH, AnswersRequest
from roomkey.transparency.manifest import MAX_CHAIN, Manifest, SignedManifest, sign_manifest

from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.forged_log import DAY, manifest_of
from tests.support.simulator import until

SUITES = (1, 3, 2)
SECONDS = 120.0  # that a thread of the service waits at most; then the test fails otherwise


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


class Bob:
    """Two devices of one name, and a service that can play either: the second was lost or is the operator's own."""

    def __init__(self, scene: LoggedScene, alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene, self.alice, self.crypto = scene, alice, NativeCrypto()
        self.name = scene.name("bob", LYING)
        self.log = scene.forged_log()
        self.turns: list[Callable[[], None]] = []  # what the log does before each answer, from now on
        self.asked = 0  # questions that were put, answered or not
        self.held: threading.Event | None = None
        asks = LogView.ask

        async def ask(*arguments: object, **options: object) -> object:
            self.asked += 1
            return await asks(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(LogView, "ask", ask)

    async def begin(self) -> None:
        self.devices = [await make_client_keys(self.crypto, self.name, "ed25519", SUITES) for _ in range(2)]
        self.scene.proxy.instead[ANSWERS_PATH] = self._answer

    def _answer(self, asked: bytes, answer: bytes) -> bytes:
        if self.held is not None:
            assert self.held.wait(SECONDS)
        if self.turns:
            self.turns.pop(0)()
        return asyncio.run(self.log.answers(AnswersRequest.decode(asked))).encode()

    async def meanwhile(self, count: int) -> None:
        """Waits until so many questions are put, of which the first is not answered, and lets it be."""
        assert self.held is not None
        await until(lambda: self.asked >= count, "questions")
        self.held.set()

    def hold(self) -> None:
        self.held, self.asked = threading.Event(), 0

    async def version(self, before: Manifest | None, devices: tuple[int, ...], by: int) -> SignedManifest:
        """A version that lists these devices, signed by one."""
        pairs = [item.pairs["ed25519"] for item in self.devices]
        parts = [await manifest_of(self.name, pairs[index], before=before, crypto=self.crypto) for index in devices]
        whole = parts[0].manifest.replace(clients=tuple(part.manifest.clients[0] for part in parts))
        signer = (await manifest_of(self.name, pairs[by], crypto=self.crypto)).signer
        return await sign_manifest(self.crypto, whole, signer, pairs[by])

    async def hand_out(self, device: int) -> None:
        """From now on the service hands out this device's keys."""
        keys: ClientKeys = self.devices[device]
        (made,) = await make_init_key_sets(self.crypto, keys, SUITES, 1, time.time(), lifetime=7 * DAY)
        bundle = InitKeySetBundle(self.name.encode(), made.set)
        self.scene.change_sets(lambda bundles: (bundle,))

    def says(self, *chain: SignedManifest) -> Callable[[], None]:
        """A turn: one more epoch, with these as all versions of Bob's."""

        def turn() -> None:
            self.log.chains[self.name.encode()] = list(chain)
            self.log.append()

        return turn

    async def known(self) -> Manifest:
        """What Alice holds of Bob."""
        return ProvedManifest.decode((await self.alice.stored(MANIFESTS))[MANIFESTS + self.name]).manifest

    async def fetched(self) -> str:
        (outcome,) = await self.alice.fetched(self.name)
        return outcome


async def test_a_first_sight_is_the_first_once(scene: LoggedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer shows Bob, the second somebody else under his name: that is a reset, not another first use."""
    async with scene.people(("alice", HOME)) as (alice,):
        bob = Bob(scene, alice, monkeypatch)
        await bob.begin()
        one = await bob.version(None, (0,), by=0)
        evil = await bob.version(one.manifest, (1,), by=1)
        bob.turns = [bob.says(one), bob.says(one, evil)]
        await bob.hand_out(0)
        bob.hold()
        await asyncio.gather(bob.fetched(), bob.fetched(), bob.meanwhile(2))
        assert await bob.known() == one.manifest
        await bob.hand_out(1)
        assert await bob.fetched() == "identity-reset"


async def test_a_removed_device_speaks_again(scene: LoggedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob removed the lost device, and Alice is shown so. What that device signed beside does not follow."""
    async with scene.people(("alice", HOME)) as (alice,):
        bob = Bob(scene, alice, monkeypatch)
        await bob.begin()
        one = await bob.version(None, (0, 1), by=0)
        two = await bob.version(one.manifest, (0,), by=0)
        evil = [await bob.version(one.manifest, (1,), by=1)]
        evil.append(await bob.version(evil[0].manifest, (1,), by=1))
        bob.says(one)()
        await bob.hand_out(0)
        assert await bob.fetched() == "fetched"
        bob.turns = [bob.says(one, two), bob.says(one, *evil)]
        bob.hold()
        await asyncio.gather(bob.fetched(), bob.fetched(), bob.meanwhile(2))
        assert await bob.known() == two.manifest
        await bob.hand_out(1)
        assert await bob.fetched() == "log-proof-invalid"


async def test_consent_is_not_overtaken(scene: LoggedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alice agrees that Bob began anew while a question is on its way. Its answer follows from what she had before,
    by the lost device: her consent was to exactly one manifest, and that stays.
    """
    async with scene.people(("alice", HOME)) as (alice,):
        bob = Bob(scene, alice, monkeypatch)
        await bob.begin()
        one = await bob.version(None, (1,), by=1)
        anew = await bob.version(one.manifest, (0,), by=0)
        evil = [await bob.version(one.manifest, (1,), by=1)]
        evil.append(await bob.version(evil[0].manifest, (1,), by=1))
        bob.says(one)()
        await bob.hand_out(1)
        assert await bob.fetched() == "fetched"
        bob.says(one, anew)()
        assert await bob.fetched() == "identity-reset"
        bob.turns = [bob.says(one, *evil)]
        bob.hold()
        late = asyncio.ensure_future(bob.fetched())
        await until(lambda: bob.asked == 1, "a question")
        await alice.client.accept_reset(bob.name, anew.manifest.hash())
        await bob.meanwhile(1)
        assert await late != "fetched"
        assert await bob.known() == anew.manifest
        assert await alice.stored(RESETS) == {}


async def test_what_is_kept_does_not_go_back(scene: LoggedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long question, whose first page tells of Bob's first version, ends after one that told of his second."""
    async with scene.people(("alice", HOME)) as (alice,):
        bob, carol = Bob(scene, alice, monkeypatch), scene.name("carol", LYING)
        await bob.begin()
        (pair,) = await bob.crypto.generate_keys("ed25519", 1)
        chain = [await manifest_of(carol, pair, crypto=bob.crypto)]
        one = await bob.version(None, (0, 1), by=0)
        two = await bob.version(one.manifest, (0,), by=0)
        evil = [await bob.version(one.manifest, (1,), by=1)]
        evil.append(await bob.version(evil[0].manifest, (1,), by=1))
        bob.says(one)()
        bob.log.append(chain[0])
        prove = alice.client._logs.prove
        assert not any(isinstance(proof, RoomkeyError) for proof in (await prove([bob.name, carol])).values())
        for _ in range(MAX_CHAIN + 1):
            chain.append(await manifest_of(carol, pair, before=chain[-1].manifest, crypto=bob.crypto))
        bob.log.append(*chain[1:])
        bob.turns = [lambda: None, bob.says(one, two), lambda: None]
        bob.hold()
        await asyncio.gather(prove([bob.name, carol]), prove([bob.name]), bob.meanwhile(2))
        assert bob.asked == 3
        bob.says(one, *evil)()
        await prove([bob.name])
        assert await bob.known() == two.manifest


async def test_who_is_cancelled_knows_what_is_written(scene: LoggedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser's disk takes its time. Whoever waited for it gives up when it is done: what it holds counts."""
    async with scene.people(("alice", HOME)) as (alice,):
        bob = Bob(scene, alice, monkeypatch)
        await bob.begin()
        one = await bob.version(None, (0, 1), by=0)
        two = await bob.version(one.manifest, (0,), by=0)
        evil = [await bob.version(one.manifest, (1,), by=1)]
        evil.append(await bob.version(evil[0].manifest, (1,), by=1))
        bob.says(one)()
        await bob.hand_out(0)
        assert await bob.fetched() == "fetched"
        store, written, told = alice.client._store, asyncio.Event(), asyncio.Event()
        write = store.write

        async def late(puts: dict[str, bytes], *arguments: object, **options: object) -> None:
            await write(puts, *arguments, **options)  # type: ignore[arg-type]
            if MANIFESTS + bob.name in puts:
                written.set()
                await told.wait()

        monkeypatch.setattr(store, "write", late)
        bob.says(one, two)()
        asking = asyncio.ensure_future(alice.client._logs.prove([bob.name]))
        await written.wait()
        asking.cancel()
        await asyncio.sleep(0)
        told.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
        (view,) = await alice.client._logs.views([bob.name])
        assert view.head is not None
        assert view.head.checkpoint.size == bob.log.size
        bob.says(one, *evil)()
        await alice.client._logs.prove([bob.name])
        assert await bob.known() == two.manifest
