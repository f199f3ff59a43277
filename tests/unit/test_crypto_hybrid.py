"""MLKEM768-X25519 and HPKE over it: the draft's vectors, OpenSSL's HPKE both ways, and keys that must be refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hpke as openssl
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from roomkey.crypto import hpke, hybrid_kem
from roomkey.crypto.admission import admit_dh_key
from roomkey.crypto.hybrid_kem import HYBRID
from roomkey.crypto.provider import DhItem, KeyPair
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host import native_hybrid
from roomkey.host.native_crypto import NativeCrypto

from tests.conftest import Vectors

SUITE = SUITES[0xF0C1]
OPENSSL = openssl.Suite(openssl.KEM.MLKEM768_X25519, openssl.KDF.HKDF_SHA256, openssl.AEAD.AES_128_GCM)
INFO, TEXT = b"info", b"text"

# draft-ietf-hpke-pq, test vectors of MLKEM768-X25519 with HKDF-SHA256: ikmR, skRm, SHA-256 of pkRm.
IKM = "b86e76a59fabfc87b30cd7b1f7aaa28a834eb64e7a261c197b9a842893fbce56"
SEED = "3ec47fa82dd5689d27c6190e724c74ec8f608df3331ce331929e37b829676630"
PUBLIC_HASH = "ad8aaf3f00d8a39bfeec2947a7d5dde68be08bba19bd301a348a45dc5fcc8341"


async def test_a_key_pair_of_the_draft() -> None:
    (pair,) = await hpke.derive_key_pairs(NativeCrypto(), SUITE, [bytes.fromhex(IKM)])
    assert pair.private == bytes.fromhex(SEED)
    assert hashlib.sha256(pair.public).hexdigest() == PUBLIC_HASH


async def test_the_drafts_vectors(vectors: Vectors) -> None:
    """Derived keys, decapsulation, all messages' AEAD keys and the exports; the draft has ChaCha20 with this KEM."""
    cases = json.loads(vectors.path("hpke-pq", "test-vectors.json").read_text())
    chacha = replace(SUITE, number=0, aead="CHACHA20-POLY1305", aead_id=0x0003, nk=32)
    wanted = (chacha.kem_id, chacha.kdf_id, chacha.aead_id)
    (case,) = [case for case in cases if (case["kem_id"], case["kdf_id"], case["aead_id"]) == wanted]
    v = {name: bytes.fromhex(value) for name, value in case.items() if isinstance(value, str)}
    crypto = NativeCrypto()
    (pair,) = await hpke.derive_key_pairs(crypto, chacha, [v["ikmR"]])
    assert (pair.private, pair.public) == (v["skRm"], v["pkRm"])
    shared = await hpke.decapsulate(crypto, chacha, pair, v["enc"])
    assert shared == v["shared_secret"]
    first = {name: bytes.fromhex(value) for name, value in case["encryptions"][0].items()}
    opened = await hpke.open_one(crypto, chacha, pair, v["enc"], v["info"], first["aad"], first["ct"])
    assert opened == first["pt"]
    for item in case["exports"]:
        context, value = bytes.fromhex(item["exporter_context"]), bytes.fromhex(item["exported_value"])
        assert hpke.export(chacha, shared, v["info"], context, len(value)) == value


async def test_openssl_both_ways() -> None:
    """The suite's own HPKE, by whom we share nothing but ML-KEM and X25519 themselves."""
    crypto = NativeCrypto()
    (pair,) = await hpke.derive_key_pairs(crypto, SUITE, [b"m" * 32])
    assert isinstance(pair.private, bytes)
    expanded = hybrid_kem.expand(pair.private)
    theirs = openssl.MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
    )
    ((enc, sealed),) = await hpke.seal(crypto, SUITE, [hpke.Seal(pair.public, INFO, b"", TEXT)])
    assert OPENSSL.decrypt(enc + sealed, theirs, INFO) == TEXT

    message = OPENSSL.encrypt(TEXT, theirs.public_key(), INFO)
    enc, sealed = message[: hybrid_kem.ENC_SIZE], message[hybrid_kem.ENC_SIZE :]
    assert await hpke.open_one(crypto, SUITE, pair, enc, INFO, b"", sealed) == TEXT


async def test_held_keys_open_what_was_sealed_to_them() -> None:
    crypto = NativeCrypto()
    own, other = await crypto.generate_keys(HYBRID, 2)
    assert len(own.public) == SUITE.npk
    ((enc, sealed),) = await hpke.seal(crypto, SUITE, [hpke.Seal(own.public, INFO, b"", TEXT)])
    assert await hpke.open_one(crypto, SUITE, own, enc, INFO, b"", sealed) == TEXT
    with pytest.raises(RoomkeyError) as refused:
        await hpke.open_one(crypto, SUITE, other, enc, INFO, b"", sealed)
    assert refused.value.code == "decryption-failed"


async def test_an_altered_ciphertext_gives_another_secret() -> None:
    """Implicit rejection (FIPS 203 section 6.3): no error, no hint, and always the same useless secret."""
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys(HYBRID, 1)
    enc, shared = await hpke.encapsulate(crypto, SUITE, pair.public)
    altered = bytes([enc[0] ^ 1]) + enc[1:]
    first = await hpke.decapsulate(crypto, SUITE, pair, altered)
    assert first not in (shared, await hpke.decapsulate(crypto, SUITE, pair, enc))
    assert first == await hpke.decapsulate(crypto, SUITE, pair, altered)


def unreduced(public: bytes) -> bytes:
    """The key with a first coefficient of q, which is 0 written otherwise (FIPS 203 section 7.2)."""
    return bytes([3329 & 255, public[1] & 0xF0 | 3329 >> 8]) + public[2:]


def low_order(public: bytes) -> bytes:
    return public[: hybrid_kem.ML_KEM_PUBLIC] + bytes(32)


BAD_KEYS = {
    "unreduced": unreduced,
    "low order": low_order,
    "short": lambda public: public[:-1],
    "long": lambda public: public + b"\x00",
    "the X25519 half alone": lambda public: public[hybrid_kem.ML_KEM_PUBLIC :],
    "empty": lambda public: b"",
}


@pytest.mark.parametrize("alter", BAD_KEYS.values(), ids=BAD_KEYS.keys())
async def test_bad_public_keys_are_refused(alter: object) -> None:
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys(HYBRID, 1)
    admit_dh_key(HYBRID, pair.public)
    bad = alter(pair.public)  # type: ignore[operator]
    with pytest.raises(RoomkeyError) as refused:
        admit_dh_key(HYBRID, bad)
    assert refused.value.code == "invalid-key"
    assert [made is None for made in await crypto.ephemeral_dh(HYBRID, [pair.public, bad])] == [False, True]
    with pytest.raises(RoomkeyError) as refused:
        await hpke.seal(crypto, SUITE, [hpke.Seal(bad, INFO, b"", TEXT)])
    assert refused.value.code == "invalid-key"


@pytest.mark.parametrize(
    "alter", [lambda enc: enc[:-1], lambda enc: enc + b"\x00", lambda enc: b"", lambda enc: enc[:-32] + bytes(32)]
)
async def test_an_enc_of_another_length_or_of_low_order_is_refused(alter: object) -> None:
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys(HYBRID, 1)
    enc, _ = await hpke.encapsulate(crypto, SUITE, pair.public)
    assert await crypto.dh([DhItem(HYBRID, pair, alter(enc))]) == [None]  # type: ignore[operator]
    with pytest.raises(RoomkeyError) as refused:
        await hpke.decapsulate(crypto, SUITE, pair, alter(enc))  # type: ignore[operator]
    assert refused.value.code == "decryption-failed"


@pytest.mark.parametrize("size", [0, 31, 33, 96])
async def test_raw_private_keys_are_seeds_of_32_bytes(size: int) -> None:
    with pytest.raises(RoomkeyError) as refused:
        await hpke.decapsulate(NativeCrypto(), SUITE, KeyPair(b"", bytes(size)), bytes(hybrid_kem.ENC_SIZE))
    assert refused.value.code == "bad-argument"


async def test_a_build_without_ml_kem_does_not_offer_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    crypto = NativeCrypto()
    assert crypto.supports(SUITE.scheme, SUITE.group, SUITE.aead)
    monkeypatch.setattr(native_hybrid, "supported", lambda: False)
    assert not crypto.supports(SUITE.scheme, SUITE.group, SUITE.aead)
    with pytest.raises(RoomkeyError) as refused:
        await crypto.generate_keys(HYBRID, 1)
    assert refused.value.code == "unsupported-suite"
