"""RFC 9180 appendix A: what is base mode and a suite of ours, from key derivation to exports; the rest by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from roomkey.crypto import hpke
from roomkey.crypto.provider import CryptoProvider, DhItem, KeyPair, SealItem
from roomkey.crypto.suites import SUITES, CipherSuite, Group
from roomkey.errors import RoomkeyError

OURS = {(suite.kem_id, suite.kdf_id, suite.aead_id): suite for suite in SUITES.values()}
BASE, PSK, AUTH, AUTH_PSK = range(4)
# Why a case is not ours, and how many cases that is; the first that applies.
MODE, KEM, KDF, AEAD, TOGETHER = "mode", "kem", "kdf", "aead", "together"
OUT_OF_SCOPE = {
    MODE: (21, "MLS uses base mode alone (RFC 9420 section 5.1.3)"),
    KEM: (1, "DHKEM(P-521) is in no suite of ours"),
    KDF: (1, "HKDF-SHA512 is in no suite of ours"),
    AEAD: (1, "export-only has no AEAD, and every suite of MLS has one"),
    TOGETHER: (1, "no MLS suite has P-256 with ChaCha20-Poly1305"),
}


class GivenEphemeral:
    """A host whose next ephemeral key is the vector's; all else is the host's own."""

    def __init__(self, crypto: CryptoProvider, key: KeyPair) -> None:
        self._crypto, self._key = crypto, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crypto, name)

    async def ephemeral_dh(self, group: Group, peers: Sequence[bytes]) -> list[tuple[bytes, bytes] | None]:
        shared = await self._crypto.dh([DhItem(group, self._key, peer) for peer in peers])
        return [None if secret is None else (self._key.public, secret) for secret in shared]


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    left: Counter[str] = Counter()
    for case in cases:
        reason = out_of_scope(case)
        if reason is not None:
            left[reason] += 1
            continue
        suite = OURS[case["kem_id"], case["kdf_id"], case["aead_id"]]
        await check(crypto, suite, case)
        passed[suite.number] += 1
    assert dict(left) == {reason: count for reason, (count, _) in OUT_OF_SCOPE.items()}, f"left out: {dict(left)}"
    return passed


def out_of_scope(case: Any) -> str | None:
    """The first reason why a case is none for us."""
    if case["mode"] != BASE:
        return MODE
    for position, (reason, name) in enumerate(((KEM, "kem_id"), (KDF, "kdf_id"), (AEAD, "aead_id"))):
        if case[name] not in {ids[position] for ids in OURS}:
            return reason
    return None if (case["kem_id"], case["kdf_id"], case["aead_id"]) in OURS else TOGETHER


async def check(crypto: CryptoProvider, suite: CipherSuite, case: Any) -> None:
    v = {name: bytes.fromhex(value) for name, value in case.items() if isinstance(value, str) and is_hex(value)}
    ephemeral, recipient = await hpke.derive_key_pairs(crypto, suite, [v["ikmE"], v["ikmR"]])
    assert ephemeral == KeyPair(v["pkEm"], v["skEm"]), "DeriveKeyPair"
    assert recipient == KeyPair(v["pkRm"], v["skRm"]), "DeriveKeyPair"
    shared = await hpke.decapsulate(crypto, suite, recipient, v["enc"])
    assert shared == v["shared_secret"], "Decap"
    given: Any = GivenEphemeral(crypto, ephemeral)
    assert await hpke.encapsulate(given, suite, recipient.public) == (v["enc"], shared), "Encap"
    secret, context = hpke._key_schedule(suite, shared, v["info"])
    assert (secret, context) == (v["secret"], v["key_schedule_context"]), "KeySchedule"
    key, nonce = hpke._aead_keys(suite, secret, context)
    assert (key, nonce) == (v["key"], v["base_nonce"]), "KeySchedule"
    for item in case["encryptions"]:
        await check_message(crypto, suite, key, nonce, item)
    first = {name: bytes.fromhex(case["encryptions"][0][name]) for name in ("aad", "pt", "ct")}
    assert case["encryptions"][0]["sequence_number"] == "0"
    sealed = await hpke.seal(given, suite, [hpke.Seal(recipient.public, v["info"], first["aad"], first["pt"])])
    assert sealed == [(v["enc"], first["ct"])], "SealBase"
    arguments = (crypto, suite, recipient, v["enc"], v["info"])
    assert await hpke.open_one(*arguments, first["aad"], first["ct"]) == first["pt"], "OpenBase"
    assert await refuses(hpke.open_one(*arguments, first["aad"] + b"x", first["ct"])), "OpenBase with another aad"
    for item in case["exports"]:
        exporter_context, value = bytes.fromhex(item["exporter_context"]), bytes.fromhex(item["exported_value"])
        assert hpke.export(suite, shared, v["info"], exporter_context, int(item["L"])) == value, "Export"


async def check_message(crypto: CryptoProvider, suite: CipherSuite, key: bytes, base_nonce: bytes, item: Any) -> None:
    """One message of the sequence (RFC 9180 section 5.2), by the host's AEAD; we ourselves send the first alone."""
    nonce, aad, text, sealed = (bytes.fromhex(item[name]) for name in ("nonce", "aad", "pt", "ct"))
    sequence = int(item["sequence_number"])
    assert nonce == (int.from_bytes(base_nonce, "big") ^ sequence).to_bytes(suite.nn, "big"), "ComputeNonce"
    assert await crypto.seal([SealItem(suite.aead, key, nonce, aad, text)]) == [sealed], "Context.Seal"
    assert await crypto.open([SealItem(suite.aead, key, nonce, aad, sealed)]) == [text], "Context.Open"


async def refuses(opening: Any) -> bool:
    try:
        await opening
    except RoomkeyError as error:
        return error.code == "decryption-failed"
    return False


def is_hex(value: str) -> bool:
    return all(character in "0123456789abcdef" for character in value)
