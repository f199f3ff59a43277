"""Ed25519 signatures at which libraries part ways: the same verdicts on every host (tests/vectors/edge_cases.py)."""

from __future__ import annotations

from typing import Any

from roomkey.crypto import signatures
from roomkey.crypto.admission import admit_signature_keys
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    items = [tuple(bytes.fromhex(case[name]) for name in ("key", "message", "signature")) for case in cases]
    verdicts = await signatures.verify(crypto, "ed25519", [(key, message, given) for key, message, given in items])
    wrong = [case for case, good in zip(cases, verdicts, strict=True) if good != case["good"]]
    for case in cases:
        if await admitted(crypto, bytes.fromhex(case["key"])) != case["admitted"]:
            wrong.append(case)
    assert not wrong, f"{len(wrong)} of {len(cases)}, such as {wrong[0]}"
    return {0: len(cases)}


async def admitted(crypto: CryptoProvider, public: bytes) -> bool:
    try:
        await admit_signature_keys(crypto, [("ed25519", public)])
    except RoomkeyError as error:
        if error.code != "invalid-key":
            raise
        return False
    return True
