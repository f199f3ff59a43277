"""The demo's lies are as good as an operator can make them: only what nobody else can make is missing."""

from __future__ import annotations

import time

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import init_key_bundles
from roomkey.federation.init_keys import InitKeySetBundle, make_client_keys, make_init_key_sets
from roomkey.federation.negotiation import own_offer
from roomkey.federation.proof import Terms, UnverifiedInitKeySets, prove
from roomkey.federation.trust import FirstUse
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.checkpoints import Checkpoint, SignedCheckpoint, cosign
from roomkey.transparency.exchange import ANSWERS_PATH, AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.manifest import FirstSeen
from roomkey.transparency.notes import Note, sign_note
from roomkey.transparency.verifier import Fork, Known, Proved, Trust, Unproven, verify_answer
from roomkey_delivery.log.keys import make_keys

from build_scripts.demo_malicious import CLAIM, MESSAGES, SUITES, Attack, Malice

BOB = "bob@email2.example"
CAROLS = "http://carol.demo.localhost:1"
ALICES = "http://alice.demo.localhost:1"
KEYS = make_keys("email2.example")
AUDITOR = make_keys("email1.example")
TRUST = Trust(KEYS.log_key, KEYS.vrf_key, (AUDITOR.auditor_key,))


def headers(origin: str = ALICES, home: str = "email1.example", client: str = "one") -> dict[str, str]:
    return {"origin": origin, "roomkey-home": home, "signature-input": f'sig=("@method");keyid="{client}"'}


async def bobs(count: int = 1) -> list[bytes]:
    """Good answers to claims of Bob's keys."""
    crypto = NativeCrypto()
    keys = await make_client_keys(crypto, BOB, "ed25519", SUITES)
    made = await make_init_key_sets(crypto, keys, SUITES, count, time.time())
    return [init_key_bundles.encode((InitKeySetBundle(BOB.encode(), item.set),)) for item in made]


async def claimed(malice: Malice, answer: bytes, fields: dict[str, str]) -> bytes:
    change = malice.change(CLAIM, fields, b"")
    return answer if change is None else await change(answer)


async def judged(answer: bytes) -> str:
    """What a client says of an answer that believes who comes first."""
    crypto = NativeCrypto()
    terms = Terms(time.time(), own_offer("alice@email1.example", SUITES), FirstUse(), None)
    try:
        await prove(crypto, UnverifiedInitKeySets(BOB, init_key_bundles.decode(answer)), terms)
    except RoomkeyError as error:
        return error.code
    return "taken"


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("swapped-key", "taken"),  # without a log: that is what the log is for
        ("split-view", "taken"),
        ("hidden-device", "no-init-keys"),
        ("weaker-suite", "invalid-signature"),
        ("old-key", "taken"),
    ],
)
async def test_what_is_handed_out(attack: Attack, code: str) -> None:
    malice = Malice(KEYS, BOB, CAROLS)
    (answer,) = await bobs()
    assert await claimed(malice, answer, headers(CAROLS)) == answer
    malice.attack = attack
    told = await claimed(malice, answer, headers(CAROLS))
    assert (told == answer) == (attack == "old-key")  # nothing was used yet, so there is nothing old
    assert await judged(told) == code


async def test_its_own_people_and_other_names_see_nothing() -> None:
    malice = Malice(KEYS, BOB, CAROLS)
    malice.attack = "swapped-key"
    (answer,) = await bobs()
    assert malice.change(CLAIM, headers(home="email2.example"), b"") is None
    assert malice.change(CLAIM, {}, b"") is None
    others = init_key_bundles.encode((init_key_bundles.decode(answer)[0].replace(identity=b"dora@email2.example"),))
    assert await claimed(malice, others, headers()) == others


async def test_the_keys_that_were_used_come_again() -> None:
    malice = Malice(KEYS, BOB, CAROLS)
    first, second, third = await bobs(3)
    await claimed(malice, first, headers())
    assert malice.change(MESSAGES, headers(), b"") is None  # Alice's invitation goes out
    await claimed(malice, second, headers())
    malice.attack = "old-key"
    assert await claimed(malice, third, headers()) == first
    assert await claimed(malice, third, headers(client="another")) == third


async def other_log(known_size: int, fields: dict[str, str]) -> Answers | None:
    malice = Malice(KEYS, BOB, CAROLS)
    malice.attack = "split-view"
    asked = AnswersRequest(known_size, (AnswerRequest(b"dora@email2.example", 0), AnswerRequest(BOB.encode(), 0)))
    change = malice.change(ANSWERS_PATH, fields, asked.encode())
    if change is None:
        return None
    return Answers.decode(await change(Answers((), (None, None)).encode()))


async def known(size: int) -> SignedCheckpoint:
    checkpoint = Checkpoint(KEYS.origin, size, bytes(32))
    return SignedCheckpoint(checkpoint, await sign_note(NativeCrypto(), checkpoint.text(), KEYS.log_key, KEYS.log))


async def test_one_person_alone_is_shown_another_log() -> None:
    assert await other_log(3, headers(ALICES)) is None
    found = await other_log(3, headers(CAROLS))
    assert found is not None
    assert found.answers[0] is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 1000])
async def test_the_other_log_contradicts_the_head_that_is_known(size: int) -> None:
    found = await other_log(size, headers(CAROLS))
    assert found is not None
    answer = found.answers[1]
    assert answer is not None
    crypto, now = NativeCrypto(), int(time.time())
    head = await known(size)
    outcome = await verify_answer(crypto, answer, BOB.encode(), TRUST, Known(head), found.consistency, now)
    assert isinstance(outcome, Fork)


async def test_the_other_log_lacks_nothing_but_its_auditors() -> None:
    found = await other_log(0, headers(CAROLS))
    assert found is not None
    answer = found.answers[1]
    assert answer is not None
    crypto, now = NativeCrypto(), int(time.time())
    outcome = await verify_answer(crypto, answer, BOB.encode(), TRUST, Known(), (), now)
    assert isinstance(outcome, Unproven)
    note = Note.decode(answer.checkpoint)
    line = await cosign(crypto, note, AUDITOR.auditor_key, AUDITOR.cosigner, now)
    with_them = answer.replace(checkpoint=note._replace(signatures=(*note.signatures, line)).encode())
    outcome = await verify_answer(crypto, with_them, BOB.encode(), TRUST, Known(), (), now)
    assert isinstance(outcome, Proved)
    assert isinstance(outcome.chain, FirstSeen)
