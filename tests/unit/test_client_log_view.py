"""One log as a client sees it: heads that go on, back, or apart; and what others were shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from roomkey.client.log_records import FORKS, HEADS
from roomkey.client.log_view import MAX_SHOWN, MAX_SHOWN_BY_STRANGERS, LogView, Question, ShownBy
from roomkey.errors import RoomkeyError
from roomkey.transparency.evidence import ForkEvidence, verify_evidence
from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.notes import Note
from roomkey.transparency.verifier import Proved, Unproven
from roomkey_delivery.log.keys import make_keys

from tests.support.forged_log import CRYPTO, ForgedLog, manifest_of
from tests.support.simulator import Disk, Network, SimulatedHost, SimulatedStore

CAROL = "carol@email2.example"


class Service:
    """Answers for a log, where a client expects a delivery service."""

    def __init__(self, log: ForgedLog) -> None:
        self.log = log
        self.alter: Callable[[Answers], Answers] = lambda answers: answers
        self.fails: RoomkeyError | None = None

    async def ask(self, path: str, body: bytes, kind: str, accept: str) -> bytes:
        if self.fails is not None:
            raise self.fails
        return self.alter(await self.log.answers(AnswersRequest.decode(body))).encode()


class Scene:
    """A log, a service that answers for it, and a client's view."""

    def __init__(self, log: ForgedLog) -> None:
        self.log, self.service = log, Service(log)
        self.host = SimulatedHost(Network(), {}, [])
        self.disk = Disk()
        self.told: list[str] = []
        self.grew = 0
        self.showed = 0
        self.view = self.another_view()

    def another_view(self) -> LogView:
        """The view after a restart."""
        store = SimulatedStore(self.host, self.disk)
        return LogView(store, self.log.trust, self.host.now, lambda error: self.told.append(error.code), self._grew)

    def _grew(self, view: LogView) -> None:
        self.grew += 1

    async def ask(self) -> object:
        (finding,) = await self.view.ask(self.service, [Question(CAROL)])  # type: ignore[arg-type]
        return finding

    async def fails(self, code: str) -> RoomkeyError:
        with pytest.raises(RoomkeyError) as caught:
            await self.ask()
        assert caught.value.code == code
        return caught.value

    async def shown(self, log: ForgedLog, size: int | None = None, by: ShownBy | None = None) -> bool:
        """Has somebody show a head; nobody shows two unless the test says so."""
        self.showed += 1
        return await self.view.shown(await log.note(size), by or ShownBy(f"someone{self.showed}@email1.example"))


@pytest.fixture
async def scene() -> Scene:
    log = ForgedLog(make_keys("email2.example"), [make_keys("email1.example")])
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    log.append()
    log.append(await manifest_of(CAROL, pair))
    log.append()
    return Scene(log)


async def test_a_log_goes_on(scene: Scene) -> None:
    assert isinstance(await scene.ask(), Proved)
    assert scene.view.head is not None
    assert (scene.view.head.checkpoint, scene.grew) == ((await scene.log.head()).checkpoint, 1)
    scene.log.append()
    assert isinstance(await scene.ask(), Proved)
    assert isinstance(await scene.ask(), Proved)
    assert [asked.known_size for asked in scene.log.asked] == [0, 3, 4]
    assert scene.grew == 2
    again = scene.another_view()
    await again.open()
    assert again.head is not None
    assert again.head.checkpoint == (await scene.log.head()).checkpoint
    assert scene.told == []


async def test_t7_a_smaller_log_is_unproven(scene: Scene) -> None:
    await scene.ask()
    scene.log.cut(2)
    await scene.fails("log-unproven")
    assert scene.view.head is not None
    assert scene.view.head.checkpoint.size == 3
    assert scene.told == []


async def test_t7_another_root_of_one_size_blocks_the_log_for_good(scene: Scene) -> None:
    await scene.ask()
    other = scene.log.fork()
    other.cut(2)
    other.append()
    scene.service.log = other
    await scene.fails("log-fork")
    assert scene.told == ["log-fork"]
    scene.service.log = scene.log
    before = len(scene.log.asked)
    await scene.fails("log-fork")
    scene.view = scene.another_view()
    await scene.fails("log-fork")
    assert len(scene.log.asked) == before  # it is not even asked
    assert scene.view.fork is not None
    ours, theirs = Note.decode(scene.view.fork.ours), Note.decode(scene.view.fork.theirs)
    proved = await verify_evidence(CRYPTO, ForkEvidence(scene.log.keys.log_key, ours, theirs))
    assert {proved.first, proved.second} == {(await scene.log.head()).checkpoint, (await other.head()).checkpoint}


async def test_t8_a_log_that_does_not_continue_ours(scene: Scene) -> None:
    await scene.ask()
    other = scene.log.fork()
    other.cut(1)
    for _ in range(4):
        other.append()
    scene.service.log = other
    await scene.fails("log-proof-invalid")
    assert scene.view.head is not None
    assert scene.view.head.checkpoint.size == 3


async def test_t6_what_others_were_shown_is_held_against_ours(scene: Scene) -> None:
    """The same, newer and older heads of one history do no harm; the log is asked about those of other sizes alone."""
    await scene.ask()
    scene.log.append()
    scene.log.append()
    asked = len(scene.log.asked)
    assert not await scene.shown(scene.log, 3)
    assert len(scene.log.asked) == asked
    assert await scene.shown(scene.log, 4, by=ShownBy(CAROL))
    assert not await scene.shown(scene.log, 4, by=ShownBy(CAROL))
    assert await scene.shown(scene.log, 4)  # of another person: one request for both
    assert await scene.shown(scene.log, 2)
    assert await scene.shown(scene.log, 5)
    assert isinstance(await scene.ask(), Proved)
    assert [item.known_size for item in scene.log.asked[asked:]] == [3, 4, 2]
    assert (scene.view.pending, scene.view.doubts, scene.told) == ({}, [], [])
    await scene.ask()
    assert len(scene.log.asked) == asked + 4


async def test_t6_another_root_that_somebody_was_shown(scene: Scene) -> None:
    await scene.ask()
    other = scene.log.fork()
    other.cut(2)
    other.append()
    assert not await scene.shown(other)
    assert scene.told == ["log-fork"]
    await scene.fails("log-fork")


@pytest.mark.parametrize("epochs", [-1, 1, 3])
async def test_t6_a_history_that_the_log_cannot_join(scene: Scene, epochs: int) -> None:
    """Somebody was shown a smaller or larger log than ours, which forked before ours. Nothing is proved by it from then
    on, also after a restart, until it shows one history.
    """
    await scene.ask()
    other = scene.log.fork()
    other.cut(1)
    for _ in range(2 + epochs):
        other.append()
    assert await scene.shown(other)
    for _ in range(2):
        scene.log.append()
    expected = "log-fork" if other.size == scene.log.size else "log-unproven"
    error = await scene.fails(expected)
    assert error.details["origin"] == "email2.example/roomkey"
    assert scene.told == [expected]
    scene.view = scene.another_view()
    await scene.fails(expected)
    assert scene.told == [expected]


async def test_t6_a_log_that_keeps_quiet_about_what_others_were_shown(scene: Scene) -> None:
    """It proves to us what we know, and says nothing when it is asked about the other's head."""
    await scene.ask()
    other = scene.log.fork()
    other.cut(1)
    for _ in range(3):
        other.append()
    assert await scene.shown(other)
    for _ in range(2):
        scene.log.append()
    honest = scene.log.answers

    async def answers(request: AnswersRequest) -> Answers:
        if request.known_size == 4:
            raise RoomkeyError("service-error")
        return await honest(request)

    scene.log.answers = answers  # type: ignore[method-assign]
    error = await scene.fails("log-unproven")
    assert error.details["doubt"] is True
    assert scene.told == ["log-unproven"]


async def test_what_could_not_be_proved_is_over_once_it_is(scene: Scene) -> None:
    await scene.ask()
    scene.log.append()
    assert await scene.shown(scene.log, 4)
    scene.log.append()
    scene.service.alter = lambda answers: answers.replace(consistency=())
    await scene.fails("log-unproven")  # nothing is known of the other's head while ours is not continued
    assert len(scene.view.doubts) == 1
    scene.service.alter = lambda answers: (
        answers.replace(consistency=()) if scene.log.asked[-1].known_size == 4 else answers
    )
    await scene.fails("log-unproven")
    assert len(scene.view.doubts) == 1
    scene.view = scene.another_view()
    scene.service.alter = lambda answers: answers
    assert isinstance(await scene.ask(), Proved)
    assert scene.view.doubts == []
    scene.view = scene.another_view()
    await scene.view.open()
    assert scene.view.doubts == []
    assert list(scene.disk.records) == [HEADS + scene.log.keys.log_key.encode()]


async def test_hostile_heads_are_passed_over(scene: Scene) -> None:
    await scene.ask()
    scene.log.append()
    note = await scene.log.note()
    strange = ForgedLog(make_keys("email2.example"), [])
    strange.append()
    for hostile in (
        await strange.note(),
        note._replace(signatures=note.signatures[1:]),
        note._replace(text=note.text.replace("\n4\n", "\n5\n")),
        note._replace(text="email2.example/roomkey\nno checkpoint\n"),
        note._replace(text=note.text.replace("\n4\n", "\n0\n")),
    ):
        assert not await scene.view.shown(hostile, ShownBy(CAROL))
    assert scene.view.pending == {}
    assert await scene.view.shown(note, ShownBy(CAROL))  # and do not keep a true one out


async def test_a_log_that_signs_heads_without_end(scene: Scene) -> None:
    """Of each person the last one is looked at, of strangers fewer: they crowd out nobody."""
    await scene.ask()
    mallory = ShownBy("mallory@email2.example")
    for number in range(MAX_SHOWN):
        scene.log.append()
        assert await scene.shown(scene.log, by=mallory)
        stranger = ShownBy(f"stranger{number}@email2.example", accepted=False)
        assert await scene.shown(scene.log, by=stranger) == (number < MAX_SHOWN_BY_STRANGERS)
    assert len(scene.view.pending) == 1 + MAX_SHOWN_BY_STRANGERS
    assert isinstance(await scene.ask(), Proved)
    for _ in range(MAX_SHOWN + 8):
        scene.log.append()
        await scene.shown(scene.log)
    assert len(scene.view.pending) == MAX_SHOWN
    asked = len(scene.log.asked)
    assert isinstance(await scene.ask(), Proved)
    assert len(scene.log.asked) == asked + 1 + MAX_SHOWN


async def test_what_comes_while_the_log_is_asked_is_looked_at_next(scene: Scene) -> None:
    await scene.ask()
    scene.log.append()
    newer = await scene.log.note()
    honest = scene.log.answers

    async def answers(request: AnswersRequest) -> Answers:
        said = await honest(request)
        scene.log.append()
        await scene.view.shown(newer, ShownBy(CAROL))
        return said

    scene.log.answers = answers  # type: ignore[method-assign]
    await scene.ask()
    scene.log.answers = honest  # type: ignore[method-assign]
    assert isinstance(await scene.ask(), Proved)
    assert scene.view.pending == {}


async def test_nothing_said_is_unproven(scene: Scene) -> None:
    scene.service.alter = lambda answers: Answers((), (None,))
    assert isinstance(await scene.ask(), Unproven)
    scene.service.alter = lambda answers: Answers((), (None, None))
    await scene.fails("service-error")
    assert FORKS not in "".join(scene.disk.records)


async def test_answers_under_different_heads(scene: Scene) -> None:
    """Each of them would be proved alone; the second is not of the head that counts."""
    dave = "dave@email2.example"
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    scene.log.append(await manifest_of(dave, pair))
    early = await scene.log.answers(AnswersRequest(0, (AnswerRequest(dave.encode(), 0),)))
    scene.log.append()
    scene.service.alter = lambda answers: Answers(answers.consistency, (answers.answers[0], early.answers[0]))
    questions = [Question(CAROL), Question(dave)]
    first, second = await scene.view.ask(scene.service, questions)  # type: ignore[arg-type]
    assert isinstance(first, Proved)
    assert isinstance(second, RoomkeyError)
    assert second.code == "log-proof-invalid"


@pytest.mark.parametrize("quiet", ["fails", "says nothing", "ever newer"])
async def test_t6_keeping_quiet_is_no_way_out(scene: Scene, quiet: str) -> None:
    """Whatever keeps the log from proving what others were shown: it is in doubt, also after a restart."""
    await scene.ask()
    scene.log.append()
    assert await scene.shown(scene.log, 2)
    honest = scene.log.answers

    async def answers(request: AnswersRequest) -> Answers:
        scene.log.append()
        return await honest(request)

    if quiet == "fails":
        scene.service.fails = RoomkeyError("timeout")
    elif quiet == "says nothing":
        scene.service.alter = lambda said: Answers((), (None,))
    else:
        scene.log.answers = answers  # type: ignore[method-assign]
    error = await scene.fails("log-unproven")
    assert error.details["doubt"] is True
    assert scene.told == ["log-unproven"]
    scene.view = scene.another_view()
    assert (await scene.fails("log-unproven")).details["doubt"] is True
    assert scene.told == ["log-unproven"]
    scene.service.fails, scene.log.answers = None, honest  # type: ignore[method-assign]
    scene.service.alter = lambda said: said
    assert isinstance(await scene.ask(), Proved)
    assert scene.view.doubts == []


async def test_heads_without_end_hide_no_second_truth(scene: Scene) -> None:
    """So many heads wait to be looked at that no more are taken; one that contradicts ours needs no asking."""
    await scene.ask()
    other = scene.log.fork()
    other.cut(2)
    other.append()
    for _ in range(MAX_SHOWN + 1):
        scene.log.append()
        await scene.shown(scene.log)
    await scene.shown(other)
    assert scene.told == ["log-fork"]
