"""transcript-hashes.json: one commit's hashes and confirmation tag (RFC 9420 section 8.2)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES
from roomkey.mls.framing import COMMIT, AuthenticatedContent
from roomkey.mls.transcript import check_confirmation_tag, confirmed_transcript_hash, interim_transcript_hash


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is None:
            continue
        v = {name: bytes.fromhex(value) for name, value in case.items() if isinstance(value, str)}
        message = AuthenticatedContent.decode(v["authenticated_content"])
        assert message.content.content_type == COMMIT, "a commit"
        assert message.confirmation_tag is not None, "a confirmation tag"
        confirmed = confirmed_transcript_hash(
            suite, v["interim_transcript_hash_before"], message.wire_format, message.content, message.signature
        )
        assert confirmed == v["confirmed_transcript_hash_after"], "confirmed_transcript_hash"
        check_confirmation_tag(suite, v["confirmation_key"], confirmed, message.confirmation_tag, "commit-confirmation")
        interim = interim_transcript_hash(suite, confirmed, message.confirmation_tag)
        assert interim == v["interim_transcript_hash_after"], "interim_transcript_hash"
        passed[suite.number] += 1
    return passed
