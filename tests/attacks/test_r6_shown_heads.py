"""Attacks on what members show each other of a log: by its operator, who has a member in the conference.

Alice is shown a log of the operator's own making; Carol sees the true one, and says so by what her first message
shows. The operator would have Alice forget that, or never look at it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from roomkey.client.log_records import FORKS, HEADS, LogHead
from roomkey.conference.conference import Conference
from roomkey.conference.events import MessageArrived
from roomkey.transparency import gossip
from roomkey.transparency.evidence import ForkEvidence, verify_evidence
from roomkey.transparency.exchange import ANSWERS_PATH, AnswersRequest
from roomkey.transparency.notes import Note

from tests.attacks.test_t_claims import invited, logged
from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.forged_log import CRYPTO, ForgedLog
from tests.support.simulator import until

SECONDS = 120.0  # that a thread of the service waits at most; then the test fails otherwise


MANY = 12  # heads that one member shows


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


class Talk(NamedTuple):
    """Alice, who is lied to, Bob, who is the operator's, and Carol in one conference. `silence`: while it is not set,
    the log answers nothing to Alice. `size`: of the true log, as Carol has it.
    """

    alice: Person
    bob: Person
    carol: Person
    log: ForgedLog
    silence: threading.Event
    size: int

    async def says(self, person: Person, *notes: Note) -> None:
        """Has somebody's next message show heads, and waits until Alice has looked at it; without notes, their own."""
        (conference,) = person.client.conferences()
        if notes:
            shown = gossip.LogHeads(gossip.LOG_HEADS, tuple(note.encode() for note in notes)).encode()

            async def heads(*_: object) -> bytes:
                return shown

            person.client._around.gossip.heads = heads  # type: ignore[method-assign, assignment]
        conference._session.showed = -1
        before = self._heard()
        await conference.send(b"hello")
        await until(lambda: self._heard() > before, "the message")
        await until(lambda: not self.alice.client._around.gossip._looking, "a look at it")  # type: ignore[attr-defined]

    def _heard(self) -> int:
        return sum(isinstance(event, MessageArrived) for event in self.alice.told)

    def goes_silent(self) -> None:
        self.silence.clear()


@asynccontextmanager
async def talk(scene: LoggedScene) -> AsyncIterator[Talk]:
    async with scene.people(("alice", HOME), ("bob", LYING), ("carol", HOME)) as (alice, bob, carol):
        await carol.client.set_service(scene.services.at(LYING).url, [LYING])
        assert await carol.fetched(bob.identity) == ["fetched"]
        true = (await carol.client._logs.views([bob.identity]))[0].head
        assert true is not None
        log, silence = scene.forged_log(), threading.Event()
        silence.set()
        log.append(await logged(bob))
        while log.size < true.checkpoint.size + MANY + 1:
            log.append()

        def instead(asked: bytes, answer: bytes) -> bytes:
            assert silence.wait(SECONDS)
            return asyncio.run(log.answers(AnswersRequest.decode(asked))).encode()

        scene.proxy.instead[ANSWERS_PATH] = instead
        conference: Conference = await alice.call(bob)
        await invited(alice, conference, carol)
        await until(lambda: len(bob.client.conferences()[0].members) == 3, "all to be there")
        yield Talk(alice, bob, carol, log, silence, true.checkpoint.size)
        silence.set()


async def test_a_flood_of_true_heads_hides_no_other(scene: LoggedScene) -> None:
    """Bob shows as many heads of Alice's log as she would look at, while the log is silent; then Carol shows hers."""
    async with talk(scene) as all_of_them:
        alice, bob = all_of_them.alice, all_of_them.bob
        all_of_them.goes_silent()
        many = [await all_of_them.log.note(all_of_them.size + 1 + count) for count in range(MANY)]
        await all_of_them.says(bob, *many)
        for note in many:
            await all_of_them.says(bob, note)
        await all_of_them.says(all_of_them.carol)
        all_of_them.silence.set()
        assert await alice.fetched(bob.identity) == ["log-unproven"]
        await until(lambda: "log-unproven" in alice.errors, "Alice to be told")


async def test_what_was_shown_outlasts_the_page(scene: LoggedScene) -> None:
    """The log is silent until Alice has closed her page and opened it again; then it answers as ever."""
    async with talk(scene) as all_of_them:
        alice, bob = all_of_them.alice, all_of_them.bob
        all_of_them.goes_silent()
        await all_of_them.says(all_of_them.carol)
        await alice.reopen()
        all_of_them.silence.set()
        assert await alice.fetched(bob.identity) == ["log-unproven"]
        ((_, data),) = [item for item in (await alice.stored(HEADS)).items() if LYING in item[0]]
        assert len(LogHead.decode(data).doubts) == 1


async def test_two_heads_that_were_shown_are_evidence(scene: LoggedScene) -> None:
    """Neither is of the size of Alice's head; together they say what the log did, whatever it answers."""
    async with talk(scene) as all_of_them:
        alice, bob = all_of_them.alice, all_of_them.bob
        all_of_them.goes_silent()
        await all_of_them.says(bob, await all_of_them.log.note(all_of_them.size))
        assert await alice.stored(FORKS) == {}
        await all_of_them.says(all_of_them.carol)
        all_of_them.silence.set()
        await until(lambda: "log-fork" in alice.errors, "Alice to be told")
        assert await alice.fetched(bob.identity) == ["log-fork"]
        (evidence,) = await alice.client.fork_evidence()
        proved = await verify_evidence(CRYPTO, ForkEvidence.decode(evidence.text))
        assert proved.first.size == proved.second.size == all_of_them.size
