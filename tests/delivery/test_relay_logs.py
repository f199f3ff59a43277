"""Server fanout with logs: what another domain's log answers comes through the home service as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.exchange import (
    ANSWERS_PATH,
    LOG_ANSWERS,
    MAX_ANSWERS,
    AnswerRequest,
    Answers,
    AnswersRequest,
)
from roomkey.transparency.manifest import MAX_CHAIN, Followed
from roomkey.transparency.verifier import Known, Outcome, Page, Proved, verify_answer
from roomkey_delivery.log import submitting

from tests.delivery.people import Person
from tests.delivery.test_log_routes import enrolled
from tests.support.logged_services import LoggedLocals
from tests.support.manifest_makers import CRYPTO, Owner

HOME, AWAY = "email1.example", "email2.example"
ALICE, BOB, NOBODY = f"alice@{HOME}", f"bob@{AWAY}", f"nobody@{AWAY}"


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path, relays=True, peers={name: f"https://ds.{name}" for name in (HOME, AWAY)})
    assert await made.advance()
    yield made
    await made.close()


@pytest.fixture
async def alice(logs: LoggedLocals) -> Person:
    return await enrolled(logs, ALICE)


async def proved(logs: LoggedLocals, who: Person, known: Known) -> tuple[Outcome, int]:
    """What the log of email2.example proves of Bob by way of email1.example, and how many bytes its answers have, which
    are no others than those that it gives itself.
    """
    size = 0 if known.checkpoint is None else known.checkpoint.checkpoint.size
    pin = 0 if known.manifest is None else known.manifest.version
    requests = (AnswerRequest(BOB.encode(), pin), AnswerRequest(NOBODY.encode(), 0))
    asked = (ANSWERS_PATH, AnswersRequest(size, requests).encode(), LOG_ANSWERS, LOG_ANSWERS)
    data = await logs.at[HOME].at(who).relaying(AWAY).ask(*asked)
    assert data == await logs.at[AWAY].at(who).ask(*asked)
    answers = Answers.decode(data)
    about_bob, about_nobody = answers.answers
    assert about_nobody is None
    assert about_bob is not None
    trust, now = logs.trusts[AWAY], int(logs.time)
    outcome = await verify_answer(CRYPTO, about_bob, BOB.encode(), trust, known, answers.consistency, now)
    return outcome, len(data)


async def test_answers_come_whole_while_the_log_goes_on(
    logs: LoggedLocals, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages, too, and with a proof that its head continues the one before."""
    monkeypatch.setattr(submitting, "MAX_A_DAY", 1000)
    owner = await Owner.make(BOB)
    versions = [await owner.next(clients=1 if number % 64 else 32) for number in range(MAX_CHAIN + 2)]
    for signed in versions:
        await logs.log(AWAY).submit(signed, logs.time)
    await logs.advance()
    known = Known(None, versions[0].manifest)
    page, length = await proved(logs, alice, known)
    assert isinstance(page, Page)
    assert length > 64 * 1024
    whole, _ = await proved(logs, alice, Known(None, page.manifest))
    assert isinstance(whole, Proved)
    assert whole.chain == Followed(versions[-1].manifest)
    last = await owner.next()
    await logs.log(AWAY).submit(last, logs.time)
    await logs.advance()
    later, _ = await proved(logs, alice, Known(whole.checkpoint, whole.chain.manifest))
    assert isinstance(later, Proved)
    assert later.chain == Followed(last.manifest)
    assert later.checkpoint.checkpoint.size == whole.checkpoint.checkpoint.size + 1


@pytest.mark.parametrize("beyond", [0, 1])
async def test_answers_as_large_as_may_be_come_through(logs: LoggedLocals, alice: Person, beyond: int) -> None:
    """What a client would take, and not a byte more. The home service does not look into it."""
    body = bytes(MAX_ANSWERS + beyond)

    async def play(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": LOG_ANSWERS}, stream=httpx.ByteStream(body))

    logs.between.played[f"ds.{AWAY}"] = play
    asked = logs.at[HOME].at(alice).relaying(AWAY).ask(ANSWERS_PATH, b"", LOG_ANSWERS, LOG_ANSWERS)
    if beyond:
        with pytest.raises(RoomkeyError) as caught:
            await asked
        assert (caught.value.code, caught.value.details["domain"]) == ("service-unavailable", AWAY)
    else:
        assert await asked == body
