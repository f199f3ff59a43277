"""Public keys that are refused, by admission and by the host that computes with them (tests/vectors/edge_cases.py).

wire.md 3, step 6; K4 (all-zero Diffie-Hellman) and K5 (low-order, mixed-order, non-canonical keys) of the attacks.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from roomkey.crypto import hpke
from roomkey.crypto.admission import admit_dh_key, admit_signature_keys
from roomkey.crypto.provider import CryptoProvider, DhItem
from roomkey.crypto.suites import SUITES, Group
from roomkey.errors import RoomkeyError

SUITE_OF: dict[Group, int] = {"X25519": 1, "P-256": 2}


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    wrong: list[str] = []
    for case in cases:
        public = bytes.fromhex(case["public"])
        verdicts = await (
            signing(crypto, public) if case["kind"] == "ed25519" else agreeing(crypto, case["kind"], public)
        )
        if any(good != case["admitted"] for good in verdicts):
            wrong.append(f"{case['kind']} {case['name']} {case['public']}: {verdicts}")
    assert not wrong, "; ".join(wrong)
    return {0: len(cases)}


async def signing(crypto: CryptoProvider, public: bytes) -> list[bool]:
    return [await taken(admit_signature_keys(crypto, [("ed25519", public)]))]


async def agreeing(crypto: CryptoProvider, group: Group, public: bytes) -> list[bool]:
    """Admission as either kind of key, both ways of the host, and HPKE."""
    suite = SUITES[SUITE_OF[group]]
    (own,) = await crypto.generate_keys(group, 1)
    (shared,) = await crypto.dh([DhItem(group, own, public)])
    (ephemeral,) = await crypto.ephemeral_dh(group, [public])
    found = [shared is not None, ephemeral is not None]
    found.append(await taken(hpke.seal(crypto, suite, [hpke.Seal(public, b"", b"", b"")])))
    found.append(await taken(admit_as_encryption_key(group, public)))
    if group == "P-256":
        found.append(await taken(admit_signature_keys(crypto, [("ecdsa_secp256r1_sha256", public)])))
    return found


async def admit_as_encryption_key(group: Group, public: bytes) -> None:
    admit_dh_key(group, public)


async def taken(work: Awaitable[object]) -> bool:
    try:
        await work
    except RoomkeyError as error:
        if error.code != "invalid-key":
            raise
        return False
    return True
