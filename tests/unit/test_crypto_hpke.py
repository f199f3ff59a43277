"""HPKE base mode against pyhpke, both ways; tests/vectors/test_hpke.py has the vectors of RFC 9180."""

from __future__ import annotations

import pytest
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from roomkey.crypto import hpke
from roomkey.crypto.provider import KeyPair
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto

INFO, AAD, TEXT = b"info", b"aad", b"text"


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
