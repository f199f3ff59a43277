"""One question to one log about one identity, with the head of that log that we hold (wire.md section 6)."""

from __future__ import annotations

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.host.interface import Store
from roomkey.transparency.checkpoints import open_checkpoint
from roomkey.transparency.exchange import ANSWERS_PATH, LOG_ANSWERS, AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.manifest import Manifest
from roomkey.transparency.verifier import Known, Outcome, Proved, ProvedAbsent, Trust, Unproven, verify_answer

_HEADS = "log/"


async def ask_log(
    store: Store, service: DeliveryService, trust: Trust, now: float, identity: str, pin: Manifest | None
) -> Outcome:
    """What the log says of an identity, held against `pin`; a newer head is kept."""
    name = _HEADS + trust.log.name
    data = await store.get(name)
    head = None if data is None else await open_checkpoint(store.crypto, data, trust.log)
    who = identity.encode("ascii")
    size, version = 0 if head is None else head.checkpoint.size, 0 if pin is None else pin.version
    body = AnswersRequest(size, (AnswerRequest(who, version),)).encode()
    answers = Answers.decode(await service.ask(ANSWERS_PATH, body, LOG_ANSWERS, LOG_ANSWERS))
    if len(answers.answers) != 1:
        raise RoomkeyError("service-error", f"expected one answer, got {len(answers.answers)}")
    answer = answers.answers[0]
    if answer is None:
        return Unproven("expected an answer about this identity, got none")
    known = Known(head, pin)
    outcome = await verify_answer(store.crypto, answer, who, trust, known, answers.consistency, int(now))
    if isinstance(outcome, Proved | ProvedAbsent):
        await store.write({name: outcome.checkpoint.note.encode()})
    return outcome
