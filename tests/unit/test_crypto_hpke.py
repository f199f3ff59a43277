"""HPKE base mode against RFC 9180 appendix A and against pyhpke, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from roomkey.crypto import hpke
from roomkey.crypto.provider import KeyPair
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto

INFO, AAD, TEXT = b"info", b"aad", b"text"
BY_IDS = {(suite.kem_id, suite.kdf_id, suite.aead_id): suite for suite in SUITES.values()}


CASES = json.loads(Path(__file__).with_name("rfc9180_base_mode.json").read_text())  # RFC 9180 appendices A.1, A.2, A.3


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kem_id']}-{case['aead_id']}")
async def test_rfc_9180(case: dict[str, Any]) -> None:
    """Base mode of our suites: derived keys, decapsulation, the first message, exports."""
    crypto = NativeCrypto()
    suite = BY_IDS[case["kem_id"], case["kdf_id"], case["aead_id"]]
    v = {name: bytes.fromhex(value) for name, value in case.items() if isinstance(value, str)}
    (pair,) = await hpke.derive_key_pairs(crypto, suite, [v["ikmR"]])
    assert (pair.public, pair.private) == (v["pkRm"], v["skRm"])
    shared = await hpke.decapsulate(crypto, suite, pair, v["enc"])
    assert shared == v["shared_secret"]
    first = {name: bytes.fromhex(value) for name, value in case["encryption"].items()}
    opened = await hpke.open_one(crypto, suite, pair, v["enc"], v["info"], first["aad"], first["ct"])
    assert opened == first["pt"]
    for item in case["exports"]:
        context, value = bytes.fromhex(item["exporter_context"]), bytes.fromhex(item["exported_value"])
        assert hpke.export(suite, shared, v["info"], context, len(value)) == value


# pyhpke has no hybrid KEM: test_crypto_hybrid has another peer for it.
@pytest.mark.parametrize(
    "suite", [suite for suite in SUITES.values() if not suite.experimental], ids=lambda suite: suite.name
)
async def test_pyhpke_both_ways(suite: object) -> None:
    ours = SUITES[suite.number]  # type: ignore[attr-defined]
    theirs = CipherSuite.new(KEMId(ours.kem_id), KDFId(ours.kdf_id), AEADId(ours.aead_id))
    crypto = NativeCrypto()
    derived = theirs.kem.derive_key_pair(b"m" * 32)
    public, private = derived.public_key.to_public_bytes(), derived.private_key.to_private_bytes()

    ((enc, sealed),) = await hpke.seal(crypto, ours, [hpke.Seal(public, INFO, AAD, TEXT)])
    assert theirs.create_recipient_context(enc, derived.private_key, INFO).open(sealed, AAD) == TEXT

    enc, sender = theirs.create_sender_context(theirs.kem.deserialize_public_key(public), INFO)
    sealed = sender.seal(TEXT, AAD)
    pair = KeyPair(public, private)
    assert await hpke.open_one(crypto, ours, pair, enc, INFO, AAD, sealed) == TEXT
    with pytest.raises(RoomkeyError) as refused:
        await hpke.open_one(crypto, ours, pair, enc, INFO, b"other", sealed)
    assert refused.value.code == "decryption-failed"
