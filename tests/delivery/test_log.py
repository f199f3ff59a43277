"""A service's log: what it takes, what it publishes, what it answers. Two services, each the other's auditor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency import vrf
from roomkey.transparency.checkpoints import open_checkpoint
from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.manifest import MAX_CHAIN, FirstSeen, Followed, Reset, SignedManifest
from roomkey.transparency.verifier import Known, Outcome, Page, Proved, ProvedAbsent, verify_answer
from roomkey_delivery.log import answers as answering
from roomkey_delivery.log import submitting
from roomkey_delivery.log.submitting import MAX_A_DAY
from roomkey_delivery.log.tiles import TilePath

from tests.support.logged_services import LoggedLocals
from tests.support.manifest_makers import CRYPTO, Owner

ALICE, BOB = "alice@email1.example", "bob@email1.example"
NOTHING = Known()


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    assert await made.advance()
    yield made
    await made.close()


async def ask(logs: LoggedLocals, *identities: str, own: str | None = None, size: int = 0, pin: int = 0) -> Answers:
    requests = tuple(AnswerRequest(identity.encode(), pin) for identity in identities)
    return await logs.log().answers(AnswersRequest(size, requests), own)


async def prove(logs: LoggedLocals, answers: Answers, known: Known = NOTHING, identity: str = ALICE) -> Outcome:
    (answer,) = answers.answers
    assert answer is not None
    trust = logs.trusts["email1.example"]
    return await verify_answer(CRYPTO, answer, identity.encode(), trust, known, answers.consistency, int(logs.time))


async def submit(logs: LoggedLocals, signed: SignedManifest, *, reset: bool = False) -> int:
    return await logs.log().submit(signed, logs.time, reset=reset)


async def refused(logs: LoggedLocals, signed: SignedManifest, *, reset: bool = False) -> str:
    with pytest.raises(RoomkeyError) as caught:
        await submit(logs, signed, reset=reset)
    return caught.value.code


async def test_a_manifest_is_logged_cosigned_and_proved(logs: LoggedLocals) -> None:
    owner = await Owner.make()
    first = await owner.next()
    assert await submit(logs, first) == 1
    assert await logs.log().newest(ALICE) == first
    assert await logs.log().cosigned(ALICE) is None
    assert await logs.advance()
    assert await logs.log().cosigned(ALICE) == first
    outcome = await prove(logs, await ask(logs, ALICE))
    assert isinstance(outcome, Proved)
    assert outcome.chain == FirstSeen(first.manifest, first.signer)
    versions = [await owner.next(), await owner.next(by=owner.recovery)]
    for signed in versions:  # two at once: an epoch for each
        await submit(logs, signed)
    await logs.advance()
    known = Known(outcome.checkpoint, first.manifest)
    size = outcome.checkpoint.checkpoint.size
    answers = await ask(logs, ALICE, size=size, pin=1)
    later = await prove(logs, answers, known)
    assert isinstance(later, Proved)
    assert later.chain == Followed(versions[1].manifest)
    assert later.checkpoint.checkpoint.size == size + 2
    (answer,) = answers.answers
    assert answer is not None
    assert answer.presence is not None
    assert answer.presence.manifests == tuple(versions)


async def test_who_holds_the_newest_gets_no_manifest(logs: LoggedLocals) -> None:
    signed = await (await Owner.make()).next()
    await submit(logs, signed)
    await logs.advance()
    answers = await ask(logs, ALICE, pin=1)
    outcome = await prove(logs, answers, Known(None, signed.manifest))
    assert isinstance(outcome, Proved)
    assert outcome.chain == Followed(signed.manifest)
    assert answers.answers[0] is not None
    assert answers.answers[0].presence is not None
    assert answers.answers[0].presence.manifests == ()


async def test_the_rules_of_the_chain(logs: LoggedLocals) -> None:
    owner, stranger = await Owner.make(), await Owner.make()
    first = await owner.next()
    assert await submit(logs, first) == 1
    assert await submit(logs, first) == 1  # an answer that was lost
    assert await refused(logs, await stranger.next()) == "identity-taken"
    assert await refused(logs, await stranger.next()) == "manifest-conflict"  # its version 2 follows on its own 1
    assert await refused(logs, await stranger.begin_anew(3, first.manifest.hash())) == "manifest-conflict"
    assert await refused(logs, await stranger.begin_anew(2, first.manifest.hash())) == "manifest-refused"
    second = await owner.next()
    assert await refused(logs, second.replace(signature=bytes(64))) == "manifest-refused"
    assert await submit(logs, second) == 2
    assert await submit(logs, first) == 1  # still fine
    assert await logs.log().newest(ALICE) == second
    assert await submit(logs, await owner.next(by=owner.recovery)) == 3
    away = await Owner.make("alice@email2.example")
    assert await refused(logs, await away.next()) == "manifest-refused"
    looks_alike = await Owner.make("Alice@email1.example")
    assert await refused(logs, await looks_alike.next()) == "manifest-refused"


async def test_the_first_version_is_signed_by_a_client_of_its_own(logs: LoggedLocals) -> None:
    owner = await Owner.make()
    assert await refused(logs, await owner.next(by=owner.recovery)) == "manifest-refused"


async def test_a_reset_is_logged_and_told_apart(logs: LoggedLocals) -> None:
    owner, heir = await Owner.make(), await Owner.make()
    first = await owner.next()
    await submit(logs, first)
    await logs.advance()
    anew = await heir.begin_anew(2, first.manifest.hash())
    foreign = await heir.next(by=owner.pair)  # signed by neither its own client nor one of the version before
    assert await submit(logs, anew, reset=True) == 2
    assert await refused(logs, foreign, reset=True) == "manifest-refused"
    await logs.advance()
    outcome = await prove(logs, await ask(logs, ALICE, pin=1), Known(None, first.manifest))
    assert isinstance(outcome, Proved)
    assert outcome.chain == Reset(anew.manifest, 2)


async def test_a_name_has_few_versions_in_a_day(logs: LoggedLocals) -> None:
    owner = await Owner.make()
    for _ in range(MAX_A_DAY):
        await submit(logs, await owner.next())
    last = await owner.next()
    assert await refused(logs, last) == "too-many-requests"
    logs.time += 86401
    assert await submit(logs, last) == MAX_A_DAY + 1


async def test_nothing_is_said_of_who_has_no_manifest(logs: LoggedLocals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, or waiting for the auditors: the same bytes and no work. One's own name is answered about."""
    await submit(logs, await (await Owner.make(BOB)).next())
    with monkeypatch.context() as patched:
        patched.delattr(vrf, "prove")  # which would take longer than all else
        waiting, unknown = await ask(logs, BOB), await ask(logs, "nobody@email1.example")
    assert waiting.encode() == unknown.encode()
    assert unknown.answers == (None,)
    for name in (BOB, "nobody@email1.example"):
        outcome = await prove(logs, await ask(logs, name, own=name), identity=name)
        assert isinstance(outcome, ProvedAbsent)
    await logs.advance()
    both = await ask(logs, BOB, "nobody@email1.example")
    assert [answer is not None for answer in both.answers] == [True, False]


async def test_openings_are_of_each_version_alone(logs: LoggedLocals) -> None:
    owner = await Owner.make()
    openings = []
    for _ in range(3):
        await submit(logs, await owner.next())
        await logs.advance()
        (answer,) = (await ask(logs, ALICE)).answers
        assert answer is not None
        assert answer.presence is not None
        openings.append(answer.presence.opening)
    assert len(set(openings)) == 3


@pytest.mark.parametrize("by", ["MAX_CHAIN", "MAX_ANSWER"])
async def test_a_long_chain_comes_in_pages(logs: LoggedLocals, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Whether it has too many versions for an answer, or too many bytes."""
    owner = await Owner.make()
    versions = [await owner.next() for _ in range(6)]
    for signed in versions:
        await submit(logs, signed)
    await logs.advance()
    two = 2 if by == "MAX_CHAIN" else answering._BESIDE + 3 * len(versions[0].encode()) - 1
    monkeypatch.setattr(answering, by, two)
    for pin, page in ((1, versions[1:3]), (3, versions[3:5]), (5, versions[5:]), (6, []), (0, versions[5:])):
        (answer,) = (await ask(logs, ALICE, pin=pin)).answers
        assert answer is not None
        assert answer.presence is not None
        assert (answer.presence.version, answer.presence.manifests) == (6, tuple(page))


async def test_who_was_away_for_long_follows_page_by_page(logs: LoggedLocals, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real numbers: one version more than a page holds, and one that still waits for an epoch."""
    monkeypatch.setattr(submitting, "MAX_A_DAY", 1000)
    owner = await Owner.make()
    versions = [await owner.next() for _ in range(MAX_CHAIN + 3)]
    for signed in versions[:-1]:
        await submit(logs, signed)
    await logs.advance()
    await submit(logs, versions[-1])
    pin, pages = versions[0].manifest, 0
    while not isinstance(
        outcome := await prove(logs, await ask(logs, ALICE, pin=pin.version), Known(None, pin)), Proved
    ):
        assert isinstance(outcome, Page)
        assert (outcome.newest, outcome.reset) == (MAX_CHAIN + 2, 0)
        pin, pages = outcome.manifest, pages + 1
    assert isinstance(outcome, Proved)
    assert (pages, outcome.chain) == (1, Followed(versions[-2].manifest))


async def test_answers_have_a_limit_together(logs: LoggedLocals, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"p{number}@email1.example" for number in range(3)]
    for name in names:
        await submit(logs, await (await Owner.make(name)).next())
    await logs.advance()
    whole = await ask(logs, *names)
    size = sum(len(answer.encode()) + 1 for answer in whole.answers if answer is not None)
    monkeypatch.setattr(answering, "MAX_ANSWERS", answering._BESIDE + size - 1)
    found = (await ask(logs, *names)).answers
    assert [answer is not None for answer in found] == [True, True, False]
    assert found[:2] == whole.answers[:2]


async def test_the_logs_files_name_nobody(logs: LoggedLocals) -> None:
    """And say what the tree is made of: tiles, entries and updates give the published root."""
    owners = [await Owner.make(name) for name in (ALICE, BOB)]
    manifests = [await owner.next() for owner in owners]
    for signed in manifests:
        await submit(logs, signed)
        await logs.advance()
    log, trust = logs.log(), logs.trusts["email1.example"]
    note = await log.checkpoint()
    assert note is not None
    size = (await open_checkpoint(CRYPTO, note, trust.log)).checkpoint.size
    assert size == 3
    files = [note, await log.tile(TilePath(0, 0, size)), await log.tile(TilePath(None, 0, size))]
    files += [await log.updates(number) for number in range(size)]
    assert None not in files
    assert await log.updates(size) is None
    assert await log.tile(TilePath(0, 0, size + 1)) is None
    assert await log.tile(TilePath(None, 0, size + 1)) is None
    assert await log.tile(TilePath(1, 0, 1)) is None
    whole = b"".join(file for file in files if file is not None)
    for signed in manifests:
        manifest = signed.manifest
        for secret in (manifest.identity, b"alice", manifest.hash(), manifest.clients[0].key.public_key):
            assert secret not in whole
