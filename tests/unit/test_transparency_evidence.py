"""Evidence of forks: what it proves, and that nobody can accuse a log with less."""

from __future__ import annotations

import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import Checkpoint, cosign
from roomkey.transparency.evidence import MAX_EVIDENCE, ForkEvidence, TwoTruths, verify_evidence
from roomkey.transparency.notes import COSIGNATURE, Note, sign_note

from tests.support.audited_log import CRYPTO, make_key

ORIGIN = "email2.example/roomkey"


def head(fill: int, size: int = 7, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, bytes((fill,)) * 32)


@pytest.fixture
async def evidence() -> ForkEvidence:
    log, pair = await make_key(ORIGIN)
    auditor, other = await make_key("email1.example/auditor", COSIGNATURE)
    first, second = [await sign_note(CRYPTO, head(fill).text(), log, pair) for fill in (1, 2)]
    line = await cosign(CRYPTO, first, auditor, other, 1_795_000_000)
    return ForkEvidence(log, first._replace(signatures=(*first.signatures, line)), second)


async def test_evidence_proves_two_truths_wherever_it_went(evidence: ForkEvidence) -> None:
    text = evidence.encode()
    for sent in (text, text.replace("\n", "\r\n"), "\ufeff" + text, text + "\n\n"):
        read = ForkEvidence.decode(sent)
        assert read == evidence
        assert await verify_evidence(CRYPTO, read) == TwoTruths(evidence.log, head(1), head(2))


async def test_less_is_no_evidence(evidence: ForkEvidence) -> None:
    log, pair = await make_key(ORIGIN)
    other, other_pair = await make_key("other.example/roomkey")

    async def signed(checkpoint: Checkpoint) -> Note:
        return await sign_note(CRYPTO, checkpoint.text(), log, pair)

    first = await signed(head(1))
    of_another_key = await sign_note(CRYPTO, head(2).text(), other, other_pair)
    of_another_log = await sign_note(CRYPTO, head(2, origin=other.name).text(), other, other_pair)
    forged = Note(head(2).text(), first.signatures)
    cases = {
        "the same twice": (first, "log-proof-invalid"),
        "another size": (await signed(head(2, 8)), "log-proof-invalid"),
        "signed by another": (of_another_key, "invalid-signature"),
        "of another log": (of_another_log, "wrong-log"),
        "not signed": (forged, "invalid-signature"),
        "no checkpoint": (await sign_note(CRYPTO, "hello\n", log, pair), "malformed"),
    }
    for name, (second, code) in cases.items():
        for pair_of_notes in ((first, second), (second, first)):
            with pytest.raises(RoomkeyError) as refused:
                await verify_evidence(CRYPTO, ForkEvidence(log, *pair_of_notes))
            assert refused.value.code == code, name
    good = ForkEvidence(log, first, await signed(head(2)))
    with pytest.raises(RoomkeyError) as refused:  # under another key
        await verify_evidence(CRYPTO, good._replace(log=evidence.log))
    assert refused.value.code == "invalid-signature"


async def test_a_file_that_is_not_in_the_form_is_refused(evidence: ForkEvidence) -> None:
    text = evidence.encode()
    begin, end = "-----BEGIN CHECKPOINT-----\n", "-----END CHECKPOINT-----\n"
    cosigner, _ = await make_key(ORIGIN, COSIGNATURE)
    broken = (
        "",
        text.partition("\n")[2],
        text.replace("log: ", "lag: "),
        text.replace("log: ", f"log: {evidence.log.encode()}\nlog: "),
        text.replace(evidence.log.encode(), evidence.log.encode()[:-1]),
        text.replace(evidence.log.encode(), cosigner.encode()),
        text[: text.rindex(begin)],
        text + begin + evidence.first.encode().decode() + end,
        text.replace(end, "", 1),
        text.removesuffix(end),
        text.replace(end, end + "and\n"),
        text.replace("\u2014", "-"),
        text.replace("AQEB", "AQE\ud800"),
    )
    for number, item in enumerate(broken):
        with pytest.raises(RoomkeyError) as refused:
            ForkEvidence.decode(item)
        assert refused.value.code == "malformed", number
    with pytest.raises(RoomkeyError) as refused:
        ForkEvidence.decode(text + "\n" * MAX_EVIDENCE)
    assert refused.value.code == "too-large"
