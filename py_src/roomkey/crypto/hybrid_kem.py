"""MLKEM768-X25519, the hybrid KEM of the experimental post-quantum suite (X-Wing by another name).

Sources: draft-ietf-hpke-pq section 4 (as an HPKE KEM, number 0x647a), draft-irtf-cfrg-concrete-hybrid-kems
(MLKEM768-X25519), FIPS 203 (ML-KEM). The host does ML-KEM-768 and X25519; what makes one KEM of them is here once for
all hosts. Its values, each the ML-KEM half and then the X25519 half:

    public key, 1216 bytes:     encapsulation key[1184], X25519 key[32]
    enc, 1120 bytes:            ciphertext[1088], ephemeral X25519 key[32]
    private key, 32 bytes:      a seed; a host is handed it expanded to 96: d || z[64], X25519 key[32]
    the host's secrets, 64:     ML-KEM's[32], X25519's[32]

ML-KEM rejects implicitly: a ciphertext of the right length always gives a secret, a wrong one a useless secret, and the
AEAD behind it fails. Where the drafts are silent, an all-zero X25519 result is an error as in DHKEM.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from roomkey.errors import RoomkeyError

HYBRID: Final = "MLKEM768-X25519"

ML_KEM_PUBLIC: Final = 1184  # FIPS 203 table 3
ML_KEM_CIPHERTEXT: Final = 1088
ML_KEM_SEED: Final = 64  # d || z (FIPS 203 section 7.1)
X25519_SIZE: Final = 32
PUBLIC_SIZE: Final = ML_KEM_PUBLIC + X25519_SIZE
ENC_SIZE: Final = ML_KEM_CIPHERTEXT + X25519_SIZE
SEED_SIZE: Final = 32
EXPANDED_SIZE: Final = ML_KEM_SEED + X25519_SIZE

_LABEL: Final = b"\\.//^\\"  # concrete-hybrid-kems, MLKEM768-X25519
_SUITE_ID: Final = b"KEM\x64\x7a"
_Q: Final = 3329  # FIPS 203 section 2.4.1
_COEFFICIENT_BYTES: Final = 1152  # 3 polynomials of 256 coefficients of 12 bits; then the seed of the matrix


def derive_seed(ikm: bytes) -> bytes:
    """The private half of DeriveKeyPair: a seed of 32 bytes from key material of at least 32.

    SHAKE256.LabeledDerive(ikm, "DeriveKeyPair", "", 32): one stage, unlike the KEMs of RFC 9180 (hpke-pq section 4).
    """
    label = b"DeriveKeyPair"
    labeled = ikm + b"HPKE-v1" + _SUITE_ID + len(label).to_bytes(2, "big") + label + SEED_SIZE.to_bytes(2, "big")
    return hashlib.shake_256(labeled).digest(SEED_SIZE)


def expand(seed: bytes) -> bytes:
    """The raw private key as hosts take it: 96 bytes from a seed of 32. Errors: "bad-argument"."""
    if len(seed) != SEED_SIZE:
        raise RoomkeyError("bad-argument", f"private key: expected {SEED_SIZE} bytes, got {len(seed)}")
    return hashlib.shake_256(seed).digest(EXPANDED_SIZE)


def combine(secrets: bytes, enc: bytes, public: bytes) -> bytes:
    """The KEM's shared secret, 32 bytes, from the host's two: SHA3-256(ss_M || ss_X || ct_X || pk_X || label)."""
    return hashlib.sha3_256(secrets + enc[ML_KEM_CIPHERTEXT:] + public[ML_KEM_PUBLIC:] + _LABEL).digest()


def is_reduced(public: bytes) -> bool:
    """The modulus check of FIPS 203 section 7.2 on the ML-KEM half: every coefficient is below q."""
    if len(public) != PUBLIC_SIZE:
        return False
    return all(  # two coefficients of 12 bits in three bytes, little-endian
        low | (middle & 15) << 8 < _Q and middle >> 4 | high << 4 < _Q
        for low, middle, high in struct.iter_unpack("BBB", public[:_COEFFICIENT_BYTES])
    )
