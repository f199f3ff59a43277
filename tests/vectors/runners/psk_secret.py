"""psk_secret.json: chains of pre-shared keys (RFC 9420 section 8.4)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES
from roomkey.mls.psk import external_psk, psk_secret


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is None:
            continue
        psks = [
            (external_psk(bytes.fromhex(v["psk_id"]), bytes.fromhex(v["psk_nonce"])), bytes.fromhex(v["psk"]))
            for v in case["psks"]
        ]
        assert psk_secret(suite, psks).hex() == case["psk_secret"], f"{len(psks)} keys"
        passed[suite.number] += 1
    return passed
