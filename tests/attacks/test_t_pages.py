"""Attacks on who has been away for long: the pages in which a log's service shows them a person's many versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from roomkey.client.log_records import MANIFESTS, RESETS, ProvedManifest
from roomkey.errors import RoomkeyError
from roomkey.federation.init_keys import ClientKeys, InitKeySetBundle, make_client_keys, make_init_key_sets
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.answer import Answer, Presence
from roomkey.transparency.exchange import AnswerRequest
from roomkey.transparency.manifest import MAX_CHAIN, MAX_FOLLOWED, MAX_PAGES, SignedManifest

from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.forged_log import DAY, ForgedLog, manifest_of

LONG = 2 * MAX_CHAIN + 40
SUITES = (1, 3, 2)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


class LyingLog(ForgedLog):
    """Of who has many versions it says what `change` makes of each page, by the pin in the question."""

    change: Callable[[Presence, int], Presence] = staticmethod(lambda presence, pinned: presence)

    def _answer(self, note: bytes, asked: AnswerRequest) -> Answer | None:
        answer = super()._answer(note, asked)
        if answer is None or answer.presence is None:
            return answer
        return answer.replace(presence=self.change(answer.presence, asked.pinned))


class Away:
    """Alice proved Bob's version 1 and is back after many more. Bob's device is the operator's to play."""

    def __init__(self, scene: LoggedScene, alice: Person) -> None:
        self.alice, self.crypto = alice, NativeCrypto()
        self.bob = scene.name("bob", LYING)
        self.log = LyingLog(scene.keys, [scene.services.keys[HOME]])
        self.scene = scene
        self.chain: list[SignedManifest] = []

    async def begin(self) -> None:
        self.keys: ClientKeys = await make_client_keys(self.crypto, self.bob, "ed25519", SUITES)
        self.log.append(*await self.versions(1))
        self.scene.other_log(self.log)
        (made,) = await make_init_key_sets(self.crypto, self.keys, SUITES, 1, time.time(), lifetime=7 * DAY)
        bundle = InitKeySetBundle(self.bob.encode(), made.set)
        self.scene.change_sets(lambda bundles: (bundle,))
        assert await self.fetched() == "fetched"
        self.log.asked.clear()

    async def versions(self, count: int) -> list[SignedManifest]:
        """Bob's next versions."""
        made = []
        for _ in range(count):
            before = self.chain[-1].manifest if self.chain else None
            pair = self.keys.pairs["ed25519"]
            self.chain.append(await manifest_of(self.bob, pair, before=before, crypto=self.crypto))
            made.append(self.chain[-1])
        return made

    async def fetched(self) -> str:
        (outcome,) = await self.alice.fetched(self.bob)
        return outcome

    async def known(self) -> int:
        """The version that Alice holds."""
        return ProvedManifest.decode((await self.alice.stored(MANIFESTS))[MANIFESTS + self.bob]).manifest.version


async def test_an_honest_service(scene: LoggedScene) -> None:
    async with scene.people(("alice", HOME)) as (alice,):
        away = Away(scene, alice)
        await away.begin()
        away.log.append(*await away.versions(LONG))
        assert await away.fetched() == "fetched"
        assert await away.known() == LONG + 1
        assert [asked.requests[0].pinned for asked in away.log.asked] == [1, 1 + MAX_CHAIN, 1 + 2 * MAX_CHAIN]


def _page(change: Callable[[tuple[SignedManifest, ...]], tuple[SignedManifest, ...]]) -> Callable[..., Presence]:
    """Changes the manifests of the second page."""

    def changed(presence: Presence, pinned: int) -> Presence:
        return presence if pinned <= 1 else presence.replace(manifests=change(presence.manifests))

    return changed


def _of_another(page: tuple[SignedManifest, ...]) -> tuple[SignedManifest, ...]:
    name = f"carol@{LYING}".encode()
    return tuple(item.replace(manifest=item.manifest.replace(identity=name)) for item in page)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(_page(lambda page: page[1:]), "log-proof-invalid", id="a gap"),
        pytest.param(_page(lambda page: page[:1]), "log-proof-invalid", id="a page of one"),
        pytest.param(_page(_of_another), "identity-mismatch", id="a page of another identity"),
        pytest.param(_page(lambda page: page[::-1]), "log-proof-invalid", id="a page backwards"),
    ],
)
async def test_a_wrong_page(scene: LoggedScene, change: Callable[..., Presence], code: str) -> None:
    """Nothing of the pages is kept; from the true ones, all follows."""
    async with scene.people(("alice", HOME)) as (alice,):
        away = Away(scene, alice)
        await away.begin()
        away.log.append(*await away.versions(LONG))
        away.log.change = change
        assert await away.fetched() == code
        assert await away.known() == 1
        away.log.change = lambda presence, pinned: presence
        assert await away.fetched() == "fetched"
        assert await away.known() == LONG + 1


async def test_a_page_again_and_again(scene: LoggedScene) -> None:
    async with scene.people(("alice", HOME)) as (alice,):
        away = Away(scene, alice)
        await away.begin()
        first = tuple(await away.versions(LONG))[:MAX_CHAIN]
        away.log.append(*away.chain[1:])
        away.log.change = lambda presence, pinned: presence.replace(manifests=first)
        proof = (await alice.client._logs.prove([away.bob]))[away.bob]
        assert isinstance(proof, RoomkeyError)
        assert proof.code == "log-proof-invalid"
        assert [asked.requests[0].pinned for asked in away.log.asked] == [1, 1 + MAX_CHAIN]


async def test_pages_without_end(scene: LoggedScene) -> None:
    """Bob's device and the log are one liar's: each page follows on the one before, and none is the last."""
    async with scene.people(("alice", HOME)) as (alice,):
        away = Away(scene, alice)
        await away.begin()
        await away.versions(MAX_FOLLOWED + 2 * MAX_CHAIN)
        away.log.change = lambda presence, pinned: (
            presence.replace(version=pinned + MAX_CHAIN + 1, manifests=tuple(away.chain[pinned:][:MAX_CHAIN]))
            if pinned
            else presence
        )
        proof = (await alice.client._logs.prove([away.bob]))[away.bob]
        assert isinstance(proof, RoomkeyError)
        assert proof.code == "log-proof-invalid"
        assert [asked.requests[0].pinned for asked in away.log.asked] == [
            *(1 + MAX_CHAIN * number for number in range(MAX_PAGES)),
            0,
        ]
        assert await away.known() == 1
        assert await alice.stored(RESETS) == {}


async def test_who_is_too_far_behind_must_agree(scene: LoggedScene) -> None:
    """The newest manifest is proved without the way to it, so it is shown as a reset, and survives a restart."""
    async with scene.people(("alice", HOME)) as (alice,):
        away = Away(scene, alice)
        await away.begin()
        away.log.append(*await away.versions(MAX_FOLLOWED + 1))
        assert await away.fetched() == "identity-reset"
        assert await away.known() == 1
        error = await alice.failure(away.bob)
        newest = away.chain[-1].manifest
        assert error.details == {"version": 0, "manifest": newest.hash().hex()}
        await alice.reopen()
        assert await away.fetched() == "identity-reset"
        with pytest.raises(RoomkeyError) as caught:
            await alice.client.accept_reset(away.bob, away.chain[-2].manifest.hash())
        assert caught.value.code == "identity-reset"
        await alice.client.accept_reset(away.bob, newest.hash())
        assert await away.fetched() == "fetched"
        assert await away.known() == newest.version
