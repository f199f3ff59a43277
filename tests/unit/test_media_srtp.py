"""SRTP keys from an exporter, and the digits people compare."""

from __future__ import annotations

import hashlib

import pytest
from roomkey.errors import RoomkeyError
from roomkey.media.srtp import PROFILES, mki, profile_by_name, srtp_keys, verification_digits


def exporter(label: bytes, context: bytes, length: int) -> bytes:
    return hashlib.shake_256(b"|".join((label, context, str(length).encode()))).digest(length)


def test_profiles_by_their_dtls_numbers() -> None:
    table = {name: (p.number, p.key_size, p.salt_size) for name, p in PROFILES.items()}
    assert table == {
        "SRTP_AES128_CM_HMAC_SHA1_80": (0x0001, 16, 14),
        "SRTP_AEAD_AES_128_GCM": (0x0007, 16, 12),
        "SRTP_AEAD_AES_256_GCM": (0x0008, 32, 12),
    }


@pytest.mark.parametrize("name", list(PROFILES))
def test_key_comes_first_then_salt(name: str) -> None:
    profile = profile_by_name(name)
    keys = srtp_keys(exporter, profile, 0x01020304, 65537)
    context = profile.number.to_bytes(2, "big") + bytes.fromhex("01020304")
    secret = exporter(b"roomkey SRTP 1.0", context, profile.key_size + profile.salt_size)
    assert keys.master_key + keys.master_salt == secret
    assert len(keys.master_key) == profile.key_size
    assert keys.mki == bytes.fromhex("0001")


def test_every_sender_and_profile_has_its_own_keys() -> None:
    made = [srtp_keys(exporter, profile, leaf, 1) for profile in PROFILES.values() for leaf in range(4)]
    assert len({keys.master_key[:16] for keys in made}) == len(made)
    assert len({keys.fingerprint() for keys in made}) == len(made)


def test_no_key_in_text() -> None:
    keys = srtp_keys(exporter, PROFILES["SRTP_AEAD_AES_128_GCM"], 2, 9)
    assert repr(keys) == str(keys) == "<SrtpKeys of leaf 2 in epoch 9>"
    assert keys.fingerprint() not in (keys.master_key.hex(), keys.master_salt.hex())


def test_mki_is_the_epoch_modulo_2_16() -> None:
    assert [mki(epoch).hex() for epoch in (0, 1, 65535, 65536, 2**63 + 2)] == ["0000", "0001", "ffff", "0000", "0002"]


def test_unknown_profile() -> None:
    with pytest.raises(RoomkeyError) as caught:
        profile_by_name("SRTP_NULL_HMAC_SHA1_80")
    assert caught.value.code == "bad-argument"


def test_digits() -> None:
    groups = [0, 1, 99_999, 100_000, 12_345, 2**40 - 1]
    authenticator = b"".join(group.to_bytes(5, "big") for group in groups) + b"\xff\xff"
    assert verification_digits(authenticator) == "000000000199999000001234527775"
    with pytest.raises(RoomkeyError):
        verification_digits(authenticator[:29])
