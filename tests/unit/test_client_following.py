"""A chain of manifests that one answer does not hold: followed page by page, by real numbers, from a log that lies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from roomkey.client import following
from roomkey.client.log_view import Finding, LogView, Question
from roomkey.conference.changes import Changes
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.transparency import answer
from roomkey.transparency.answer import MIN_PAGE, Presence
from roomkey.transparency.exchange import AnswersRequest
from roomkey.transparency.manifest import MAX_CHAIN, MAX_FOLLOWED, MAX_PAGES, Followed, Reset, SignedManifest
from roomkey.transparency.verifier import Proved
from roomkey_delivery.log.keys import make_keys

from tests.support.forged_log import CRYPTO, ForgedLog, manifest_of
from tests.support.simulator import Disk, Network, SimulatedHost, SimulatedStore

BOB, CAROL = "bob@email2.example", "carol@email2.example"
LONG = 2 * MAX_CHAIN + 40

Alter = Callable[[Presence, int], Presence]


async def chain_of(pair: KeyPair, count: int, **options: object) -> list[SignedManifest]:
    """Versions 1 to `count` of Carol's."""
    made = [await manifest_of(CAROL, pair)]
    return await more(made, pair, count - 1, **options)


async def more(made: list[SignedManifest], pair: KeyPair, count: int, **options: object) -> list[SignedManifest]:
    """The chain with further versions, signed by the same key."""
    made = [*made]
    for _ in range(count):
        made.append(await manifest_of(CAROL, pair, before=made[-1].manifest, **options))  # type: ignore[arg-type]
    return made


class Scene:
    """A log in which Carol has a long chain and Bob a short one, and a client that knows the first version of both.

    alter: changes what is said of Carol, by the pin in the question. before: is called with each question's number.
    """

    def __init__(self, bob: SignedManifest, carol: Sequence[SignedManifest]) -> None:
        self.log = ForgedLog(make_keys("email2.example"), [make_keys("email1.example")])
        self.log.append(bob, *carol)
        self.bob, self.carol = bob, carol
        self.alter: Alter = lambda presence, pinned: presence
        self.before: Callable[[int], None] = lambda number: None
        self.learnt: dict[str, Finding] = {}
        self.ahead = 0.0
        self.host = SimulatedHost(Network(), {}, [])
        self.told: list[str] = []
        self.view = LogView(
            SimulatedStore(self.host, Disk()), self.log.trust, self.now, lambda error: self.told.append(error.code),
            lambda view: None,
        )  # fmt: skip

    def now(self) -> float:
        return self.host.now() + self.ahead

    async def ask(self, path: str, body: bytes, kind: str, accept: str) -> bytes:
        """As a delivery service answers."""
        request = AnswersRequest.decode(body)
        self.before(len(self.log.asked))
        answers = await self.log.answers(request)
        pins = {item.identity.decode(): item.pinned for item in request.requests}
        said = dict(zip(pins, answers.answers, strict=True))
        about = said.get(CAROL)
        if about is not None and about.presence is not None:
            said[CAROL] = about.replace(presence=self.alter(about.presence, pins[CAROL]))
        return answers.replace(answers=tuple(said.values())).encode()

    async def found(self) -> tuple[Finding, Finding]:
        """What comes of a question about both, Carol's first."""
        questions = [Question(BOB, self.bob.manifest), Question(CAROL, self.carol[0].manifest)]
        found = await following.ask(self.view, self, questions, self.now, self._learn)  # type: ignore[arg-type]
        assert found == self.learnt
        return found[CAROL], found[BOB]

    def _learn(self, identity: str, finding: Finding, changes: Changes) -> None:
        assert identity not in self.learnt
        self.learnt[identity] = finding

    @property
    def pins(self) -> list[int]:
        """The pins of Carol's, in the order asked."""
        return [item.pinned for asked in self.log.asked for item in asked.requests if item.identity == CAROL.encode()]


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    (made,) = asyncio.run(CRYPTO.generate_keys("ed25519", 1))
    return made


@pytest.fixture(scope="module")
def long(pair: KeyPair) -> list[SignedManifest]:
    return asyncio.run(chain_of(pair, LONG))


@pytest.fixture
async def scene(pair: KeyPair, long: list[SignedManifest]) -> Scene:
    return Scene(await manifest_of(BOB, pair), long)


async def test_all_pages_are_followed(scene: Scene) -> None:
    carol, bob = await scene.found()
    assert isinstance(carol, Proved)
    assert carol.chain == Followed(scene.carol[-1].manifest)
    assert scene.pins == [1, 1 + MAX_CHAIN, 1 + 2 * MAX_CHAIN]
    assert [len(asked.requests) for asked in scene.log.asked] == [2, 1, 1]
    assert isinstance(bob, Proved)
    assert bob.chain == Followed(scene.bob.manifest)


def test_a_page_is_full_by_its_bytes_too(long: list[SignedManifest]) -> None:
    large = long[1].replace(signature=bytes(0xFFFF))
    enough = -(-MIN_PAGE // len(large.encode()))
    assert Presence(bytes(16), LONG, (large,) * enough).is_full
    assert not Presence(bytes(16), LONG, (large,) * (enough - 1)).is_full


async def test_the_log_may_go_on_between_two_pages(scene: Scene, pair: KeyPair) -> None:
    later = (await more([*scene.carol], pair, 1))[-1]

    def grow(number: int) -> None:
        scene.log.append(*[later] if number == 1 else [])

    scene.before = grow
    carol, _ = await scene.found()
    assert isinstance(carol, Proved)
    assert carol.chain == Followed(later.manifest)
    assert scene.view.head == carol.checkpoint == await scene.log.head()


@pytest.mark.parametrize("place", [7, MAX_CHAIN + 7, LONG])
async def test_a_reset_on_any_page_is_one_at_the_end(pair: KeyPair, long: list[SignedManifest], place: int) -> None:
    """Whatever follows on it, by all rules."""
    (other,) = await CRYPTO.generate_keys("ed25519", 1)
    chain = await more(long[: place - 1], other, LONG - place + 1)
    scene = Scene(await manifest_of(BOB, pair), chain)
    carol, _ = await scene.found()
    assert isinstance(carol, Proved)
    assert carol.chain == Reset(chain[-1].manifest, place)


# -- pages that lie --


def _second(change: Callable[[tuple[SignedManifest, ...]], tuple[SignedManifest, ...]]) -> Alter:
    """Changes the manifests of the second page."""
    return lambda presence, pinned: (
        presence if pinned != 1 + MAX_CHAIN else presence.replace(manifests=change(presence.manifests))
    )


def _renamed(signed: SignedManifest) -> SignedManifest:
    return signed.replace(manifest=signed.manifest.replace(identity=BOB.encode()))


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        pytest.param(_second(lambda page: page[1:]), "log-proof-invalid", id="a gap between pages"),
        pytest.param(_second(lambda page: (*page[:9], *page[10:])), "log-proof-invalid", id="a gap in a page"),
        pytest.param(_second(lambda page: tuple(map(_renamed, page))), "identity-mismatch", id="another identity's"),
        pytest.param(
            _second(lambda page: (page[0].replace(signature=bytes(64)), *page[1:])), "invalid-signature", id="a"
        ),
        pytest.param(_second(lambda page: page[:1]), "log-proof-invalid", id="a page of one"),
        pytest.param(_second(lambda page: page[:-1]), "log-proof-invalid", id="a page that is not full"),
        pytest.param(_second(lambda page: ()), "log-proof-invalid", id="an empty page"),
        pytest.param(lambda said, pin: said.replace(version=LONG - 1), "log-proof-invalid", id="more than it says"),
        pytest.param(lambda said, pin: said.replace(version=LONG + 1), "log-proof-invalid", id="less than it says"),
        pytest.param(lambda said, pin: said.replace(version=1 + MAX_CHAIN), "log-proof-invalid", id="an older end"),
    ],
)
async def test_a_wrong_page_is_rejected(scene: Scene, alter: Alter, code: str) -> None:
    scene.alter = alter
    carol, bob = await scene.found()
    assert isinstance(carol, RoomkeyError)
    assert carol.code == code
    assert isinstance(bob, Proved)


async def test_a_page_repeated_is_rejected(scene: Scene) -> None:
    first = tuple(scene.carol[1 : 1 + MAX_CHAIN])
    scene.alter = lambda said, pin: said.replace(manifests=first)
    carol, _ = await scene.found()
    assert isinstance(carol, RoomkeyError)
    assert (carol.code, len(scene.pins)) == ("log-proof-invalid", 2)


async def test_pages_lead_nowhere_but_to_what_the_map_holds(scene: Scene, pair: KeyPair) -> None:
    """A thief who has a device's key signs versions that no log holds."""
    aside = await more([*scene.carol[:MAX_CHAIN]], pair, LONG - MAX_CHAIN, lifetime=1)
    scene.alter = lambda said, pin: said.replace(manifests=tuple(aside[pin:][:MAX_CHAIN]))
    carol, _ = await scene.found()
    assert isinstance(carol, RoomkeyError)
    assert carol.code == "log-proof-invalid"


# -- where following ends --


async def test_more_versions_than_are_followed_are_a_reset(scene: Scene, pair: KeyPair) -> None:
    """The newest is proved alone, by one further question."""
    chain = await more([*scene.carol], pair, MAX_FOLLOWED + 2 - LONG)
    scene.log.append(*chain[LONG:])
    carol, bob = await scene.found()
    assert isinstance(carol, Proved)
    assert carol.chain == Reset(chain[-1].manifest, 0)
    assert scene.pins == [1, 0]
    assert isinstance(bob, Proved)


async def test_more_pages_than_are_followed_are_a_reset(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large manifests, which fill a page by their bytes."""
    monkeypatch.setattr(answer, "MIN_PAGE", 10 * len(scene.carol[1].encode()))
    scene.alter = lambda said, pin: said.replace(manifests=said.manifests[:10])
    carol, _ = await scene.found()
    assert isinstance(carol, Proved)
    assert carol.chain == Reset(scene.carol[-1].manifest, 0)
    assert scene.pins == [*range(1, 10 * MAX_PAGES, 10), 0]


async def test_pages_without_end_are_not_followed(scene: Scene, pair: KeyPair) -> None:
    """A log that says of each page that there is one more."""
    endless = await more([*scene.carol], pair, MAX_FOLLOWED + MAX_CHAIN - LONG)
    scene.alter = lambda said, pin: (
        said if not pin else said.replace(version=pin + MAX_CHAIN + 1, manifests=tuple(endless[pin:][:MAX_CHAIN]))
    )
    carol, _ = await scene.found()
    assert isinstance(carol, RoomkeyError)  # the map has Carol's true version, far before the last page
    assert carol.code == "log-proof-invalid"
    assert len(scene.pins) == MAX_PAGES + 1
    assert scene.pins[-1] == 0


async def test_a_log_that_says_to_have_more_than_it_has(scene: Scene) -> None:
    """So that somebody agrees to what could have been followed."""
    scene.alter = lambda said, pin: said if not pin else said.replace(version=MAX_FOLLOWED + 2)
    carol, _ = await scene.found()
    assert isinstance(carol, RoomkeyError)
    assert (carol.code, scene.pins) == ("log-proof-invalid", [1, 0])


# -- where a page does not come --


def _at(number: int, act: Callable[[], None]) -> Callable[[int], None]:
    return lambda asked: act() if asked == number else None


async def test_a_service_that_fails_at_a_page_fails_for_one_person(scene: Scene) -> None:
    def fails() -> None:
        raise RoomkeyError("service-unavailable", "expected an answer, got none", retry_after=7)

    scene.before = _at(1, fails)
    carol, bob = await scene.found()
    assert isinstance(carol, RoomkeyError)
    assert (carol.code, carol.details["reason"], carol.retry_after) == ("log-unproven", "service-unavailable", 7)
    assert isinstance(bob, Proved)


async def test_pages_that_take_too_long_hold_nobody_up(scene: Scene) -> None:
    def late() -> None:
        scene.ahead += following.PATIENCE + 1

    scene.before = _at(1, late)
    carol, bob = await scene.found()
    assert isinstance(carol, RoomkeyError)
    assert (carol.code, carol.retryable, len(scene.pins)) == ("log-unproven", True, 2)
    assert isinstance(bob, Proved)


async def test_two_truths_between_pages_are_a_fork(scene: Scene) -> None:
    def forked() -> None:
        size = scene.log.size
        scene.log.epochs[-1] = scene.log.epochs[-1].replace(time=1)
        assert scene.log.size == size

    scene.before = _at(1, forked)
    with pytest.raises(RoomkeyError) as caught:
        await scene.found()
    assert caught.value.code == "log-fork"
    assert scene.told == ["log-fork"]
