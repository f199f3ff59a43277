"""One log as we see it: the newest head that we proved, heads that others were shown, and two truths if it told them.

What the log answers is believed under a head that continues ours, and that of everybody who showed us theirs:

    shown by a member --same size and root--> nothing new
    shown by a member --same size as ours or another's, another root--> fork
    shown by a member --another size--> pending --the log proves one history--> nothing
    pending --it could not be asked, or did not prove it--> doubt --it proves it--> nothing

Keeping quiet is no way out: what is pending when an answer fails is in doubt, and so it is after a restart. While there
is a doubt everything that the log says is unproven; after a fork it is believed in nothing more. A member can show only
what the log signed, so doubts and forks are the log's own doing. A member who is in league with it crowds out nobody
else: of each person the head counts that was shown last, and people whose invitation we did not accept come second.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from roomkey.client.log_records import FORKS, HEADS, HeldNote, LogFork, LogHead
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.host.interface import Store
from roomkey.transparency.answer import Answer
from roomkey.transparency.checkpoints import SignedCheckpoint, open_checkpoint, read_checkpoint
from roomkey.transparency.exchange import ANSWERS_PATH, LOG_ANSWERS, AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.manifest import Manifest
from roomkey.transparency.notes import Note
from roomkey.transparency.verifier import (
    Fork,
    Page,
    Proved,
    ProvedAbsent,
    Trust,
    Unproven,
    continues,
    verify_entry,
    verify_head,
)

# People whose heads wait to be held against ours: each head costs the log's signature and a request. Whoever would have
# another's not looked at needs as many people in conferences that we accepted; of others there are fewer.
MAX_SHOWN: Final = 64
MAX_SHOWN_BY_STRANGERS: Final = 16
# Heads in doubt; what comes after these waits with them.
_MAX_DOUBTS: Final = 2 * (MAX_SHOWN + MAX_SHOWN_BY_STRANGERS)
# Notes that are proved to be of our history and need not be looked at again.
MAX_SEEN: Final = 64
# The log may go on between two answers that are to be of one head.
_TRIES: Final = 3


class Question(NamedTuple):
    """Whom we ask about (canonical), what we hold of them, and where they stand in the map, if that was proved."""

    identity: str
    pin: Manifest | None = None
    place: bytes | None = None


# What is proved about one person, or why nothing is: "log-unproven" by `Unproven`, rejected by an error.
Finding = Proved | ProvedAbsent | Unproven | RoomkeyError
Learn = Callable[[Sequence[Question], Sequence[Finding | Page], Changes], None]


class ShownBy(NamedTuple):
    """Who showed a head (an identity), and whether in a conference that we accepted."""

    identity: str
    accepted: bool = True


class LogView:
    """See the module. `told` hears of forks and doubts, once each; `grew` that the log has a larger head."""

    def __init__(
        self,
        store: Store,
        trust: Trust,
        now: Callable[[], float],
        told: Callable[[RoomkeyError], None],
        grew: Callable[[LogView], None],
    ) -> None:
        self.trust = trust
        self.head: SignedCheckpoint | None = None
        self.pending: dict[ShownBy, SignedCheckpoint] = {}
        self.doubts: list[SignedCheckpoint] = []
        self.fork: LogFork | None = None
        self.owes = False  # an answer to a question that was put
        self._store = store
        self._now = now
        self._told = told
        self._grew = grew
        self._turn = asyncio.Lock()
        self._writing = asyncio.Lock()  # who changes what the record says
        self._opening = asyncio.Lock()
        self._opened = False
        self._seen: OrderedDict[str, None] = OrderedDict()  # texts of notes

    @property
    def name(self) -> str:
        """The log's verifier key, under which its records stand."""
        return self.trust.log.encode()

    async def open(self) -> None:
        """Loads what is stored."""
        async with self._opening:
            if self._opened:
                return
            data, fork = await self._store.get(HEADS + self.name), await self._store.get(FORKS + self.name)
            if data is not None:
                record = LogHead.decode(data)
                self.head = None if record.head is None else _held(record.head)
                self.doubts = [_held(item) for item in record.doubts]
            self.fork = None if fork is None else LogFork.decode(fork)
            self._opened = True

    def expect_whole(self) -> None:
        """That the log told no two truths. Errors: "log-fork"."""
        if self.fork is not None:
            text = "expected one root for each size of the log, got two signed ones"
            raise RoomkeyError("log-fork", text, origin=self.trust.log.name)

    # -- asking --

    async def ask(
        self,
        service: DeliveryService,
        questions: Sequence[Question],
        learn: Learn = lambda questions, findings, changes: None,
    ) -> list[Finding | Page]:
        """What the log says about these people, at most MAX_REQUESTS, in the order asked; under a head that is of one
        history with ours and with all that were shown to us. Of who has more manifests than an answer holds it is one
        page (`following`).

        Args:
            learn: adds what follows to the transaction that keeps the head.
        Errors: "log-fork"; "log-unproven" (details `doubt` if it is for what somebody was shown); what is rejected of
        the head; the service's.
        """
        async with self._turn:
            await self.open()
            try:
                answers, head, settled = await self._agreed(service, questions)
            except RoomkeyError as error:
                if error.code not in ("log-fork", "storage-failed"):
                    await self._expect_no_doubt(error)
                raise
            if head is None:
                await self._expect_no_doubt()
                return [Unproven("expected an answer about this identity, got none")] * len(questions)
            findings: list[Finding | Page] = []
            for question, answer in zip(questions, answers.answers, strict=True):
                findings.append(await self._judge(question, answer, head))
                await asyncio.sleep(0)  # a VRF proof takes a while in a browser
            self.expect_whole()  # somebody may have shown another one meanwhile
            await self._keep(head, settled, lambda changes: learn(questions, findings, changes))
            return findings

    async def _agreed(
        self, service: DeliveryService, questions: Sequence[Question]
    ) -> tuple[Answers, SignedCheckpoint | None, Sequence[SignedCheckpoint]]:
        """Answers, the head that they are under, if anything is said, and what was shown: of one history with it."""
        for _ in range(_TRIES):
            self.expect_whole()
            answers = await self._answers(service, questions, self.head)
            head = await self._head_of(answers, self.head)
            shown = self._shown()
            if head is None or await self._is_of_one_history(service, questions[:1], head, shown):
                return answers, head, shown
        raise _unproven("expected answers under one head, got ever newer ones")

    async def _answers(
        self, service: DeliveryService, questions: Sequence[Question], known: SignedCheckpoint | None
    ) -> Answers:
        size = 0 if known is None else known.checkpoint.size
        asked = [AnswerRequest(q.identity.encode("ascii"), 0 if q.pin is None else q.pin.version) for q in questions]
        self.owes = True
        try:
            body = AnswersRequest(size, tuple(asked)).encode()
            data = await service.ask(ANSWERS_PATH, body, LOG_ANSWERS, LOG_ANSWERS)
        finally:
            self.owes = False
        try:
            answers = Answers.decode(data)
        except RoomkeyError as error:
            raise RoomkeyError("service-error", error.text) from error
        if len(answers.answers) != len(questions):
            raise RoomkeyError("service-error", f"expected {len(questions)} answers, got {len(answers.answers)}")
        return answers

    async def _head_of(self, answers: Answers, known: SignedCheckpoint | None) -> SignedCheckpoint | None:
        """The head that answers are under, proved to continue the one that is known; None if nothing is said."""
        said = next((answer for answer in answers.answers if answer is not None), None)
        if said is None:
            return None
        now, proof = int(self._now()), answers.consistency
        head = await verify_head(self._store.crypto, said.checkpoint, self.trust, known, proof, now)
        if isinstance(head, Fork):
            await self._forked(head)
        elif isinstance(head, Unproven):
            raise _unproven(head.reason)
        self.expect_whole()
        assert isinstance(head, SignedCheckpoint)
        return head

    async def _judge(self, question: Question, answer: Answer | None, head: SignedCheckpoint) -> Finding | Page:
        if answer is None:
            return Unproven("expected an answer about this identity, got none")
        who, now = question.identity.encode("ascii"), int(self._now())
        try:
            return await verify_entry(
                self._store.crypto, answer, head, who, self.trust, question.pin, now, question.place
            )
        except RoomkeyError as error:
            return error

    async def _keep(
        self, head: SignedCheckpoint, settled: Sequence[SignedCheckpoint], learn: Callable[[Changes], None]
    ) -> None:
        async with self._writing:
            changes = Changes()
            learn(changes)
            grown = self.head is None or head.checkpoint.size > self.head.checkpoint.size
            left = {who: item for who, item in self.pending.items() if item not in settled}
            if grown or settled:
                changes.put(HEADS + self.name, _record(head if grown else self.head, left.values()))

            def known() -> None:
                self.doubts, self.pending = [], left
                self._seen.update(dict.fromkeys(item.note.text for item in settled))
                while len(self._seen) > MAX_SEEN:
                    self._seen.popitem(last=False)
                if grown:
                    self.head = head
                    self._grew(self)

            changes.then(known)
            await changes.write(self._store)

    # -- what others were shown --

    async def shown(self, note: Note, by: ShownBy) -> bool:
        """Takes a head that somebody else was shown; whether it is to be held against ours by asking (`ask`). What the
        log did not sign, or is nothing new, is passed over.

        Errors: "storage-failed".
        """
        await self.open()
        if self.fork is not None or note.text in self._seen or (self.head and note.text == self.head.note.text):
            return False
        try:
            theirs = await open_checkpoint(self._store.crypto, note.encode(), self.trust.log)
        except RoomkeyError:
            return False
        if theirs.checkpoint.size == 0:
            return False
        for known in (*(() if self.head is None else (self.head,)), *self._shown()):
            if known.checkpoint.size == theirs.checkpoint.size:
                fork = continues(known, theirs, ())
                if isinstance(fork, Fork):
                    await self._forked(fork)
                    return False
        # Only what the log signed: others may have added anything.
        theirs = theirs._replace(note=note._replace(signatures=tuple(note.by(self.trust.log)[:1])))
        return await self._take(theirs, by)

    async def _take(self, theirs: SignedCheckpoint, by: ShownBy) -> bool:
        """Has a head wait to be held against ours, also after a restart."""
        async with self._writing:
            if self.head is not None and self.head.checkpoint == theirs.checkpoint:
                return False
            if self.pending.get(by) == theirs or theirs in self.doubts:
                return False
            others = sum(who.accepted == by.accepted for who in self.pending if who != by)
            if others >= (MAX_SHOWN if by.accepted else MAX_SHOWN_BY_STRANGERS):
                return False
            pending = {**self.pending, by: theirs}
            changes = Changes()
            changes.put(HEADS + self.name, _record(self.head, [*self.doubts, *pending.values()]))
            changes.then(lambda: setattr(self, "pending", pending))
            await changes.write(self._store)
            return True

    def _shown(self) -> list[SignedCheckpoint]:
        """What others were shown and is to be held against ours, each once."""
        return list({item.note.text: item for item in (*self.doubts, *self.pending.values())}.values())

    async def _is_of_one_history(
        self,
        service: DeliveryService,
        question: Sequence[Question],
        head: SignedCheckpoint,
        shown: Sequence[SignedCheckpoint],
    ) -> bool:
        """That all that others were shown is of one history with this head; False if the log went on meanwhile.

        Errors: "log-fork"; those of the answers and of what they do not prove.
        """
        for theirs in shown:
            if not await self._holds(service, question, theirs, head):
                return False
        return True

    async def _holds(
        self,
        service: DeliveryService,
        question: Sequence[Question],
        theirs: SignedCheckpoint,
        head: SignedCheckpoint,
    ) -> bool:
        later = head
        if theirs.checkpoint.size < head.checkpoint.size:
            found = await self._head_of(await self._answers(service, question, theirs), theirs)
            if found is None:
                raise _unproven("expected an answer, got none")
            if found.checkpoint.size > head.checkpoint.size:
                return False
            theirs, later = found, head
        broken = continues(theirs, later, ())
        if isinstance(broken, Fork):
            await self._forked(broken)
            self.expect_whole()
        if broken is not None:
            raise _unproven("expected a head that is as new as those of others, got an older one")
        return True

    async def _expect_no_doubt(self, cause: RoomkeyError | None = None) -> None:
        """That nothing is open of what others were shown; what is, is kept until it is. Errors: "log-unproven"."""
        async with self._writing:
            fresh = self.pending and len(self.doubts) < _MAX_DOUBTS
            if fresh:
                self.doubts, self.pending = self._shown(), {}  # the record says so already
        if fresh:
            self._told(self._doubtful())
        if self.doubts:
            raise self._doubtful() from cause

    def _doubtful(self) -> RoomkeyError:
        text = "expected proof that the log continues what it showed to somebody else, got none yet"
        return RoomkeyError("log-unproven", text, doubt=True, origin=self.trust.log.name)

    async def _forked(self, fork: Fork) -> None:
        """Keeps two truths; nothing of the log is believed from now on."""
        record = LogFork(int(self._now()), fork.ours.note.encode(), fork.theirs.note.encode())
        if self.fork is None:
            await self._store.write({FORKS + self.name: record.encode()})
            self.fork = record
            text = "expected one root for each size of the log, got two signed ones"
            self._told(RoomkeyError("log-fork", text, origin=self.trust.log.name))


def _held(item: HeldNote) -> SignedCheckpoint:
    """A head as we kept it: its signature was verified before."""
    note = Note.decode(item.note)
    return SignedCheckpoint(read_checkpoint(note.text), note)


def _record(head: SignedCheckpoint | None, shown: Iterable[SignedCheckpoint]) -> LogHead:
    texts = {item.note.text: HeldNote(item.note.encode()) for item in shown}
    return LogHead(None if head is None else HeldNote(head.note.encode()), tuple(texts.values()))


def _unproven(text: str) -> RoomkeyError:
    return RoomkeyError("log-unproven", text)
