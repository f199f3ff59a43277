"""MLKEM768-X25519 on CPython hosts: ML-KEM-768 and X25519 of the package `cryptography` (values: `crypto.hybrid_kem`).

Not every build of the package has ML-KEM (its OpenSSL must); where it lacks it, the host does not offer the suite.
"""

from __future__ import annotations

import functools
import secrets

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from roomkey.crypto.hybrid_kem import (
    ENC_SIZE,
    EXPANDED_SIZE,
    ML_KEM_CIPHERTEXT,
    ML_KEM_PUBLIC,
    ML_KEM_SEED,
    PUBLIC_SIZE,
)
from roomkey.errors import RoomkeyError


@functools.cache
def supported() -> bool:
    """Whether this build has ML-KEM-768."""
    try:
        mlkem.MLKEM768PrivateKey.generate()
    except UnsupportedAlgorithm:
        return False
    return True


def generate() -> bytes:
    """A fresh private key, 96 bytes."""
    return secrets.token_bytes(EXPANDED_SIZE)


def public_key(raw: bytes) -> bytes:
    """The public key of a private one. Errors: "bad-argument", "unsupported-suite"."""
    ml_kem, dh = _private(raw)
    return ml_kem.public_key().public_bytes_raw() + dh.public_key().public_bytes_raw()


def decapsulate(raw: bytes, enc: bytes) -> bytes | None:
    """Both secrets, 64 bytes; None for an `enc` of another length or an all-zero Diffie-Hellman."""
    ml_kem, dh = _private(raw)
    if len(enc) != ENC_SIZE:
        return None
    try:
        shared = dh.exchange(x25519.X25519PublicKey.from_public_bytes(enc[ML_KEM_CIPHERTEXT:]))
    except ValueError:
        return None
    return ml_kem.decapsulate(enc[:ML_KEM_CIPHERTEXT]) + shared


def encapsulate(public: bytes) -> tuple[bytes, bytes] | None:
    """(enc, both secrets); None for a key of another length, not reduced (FIPS 203 section 7.2), or of low order."""
    _expect_support()
    if len(public) != PUBLIC_SIZE:
        return None
    ephemeral = x25519.X25519PrivateKey.generate()
    try:
        ml_kem = mlkem.MLKEM768PublicKey.from_public_bytes(public[:ML_KEM_PUBLIC])
        shared = ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(public[ML_KEM_PUBLIC:]))
    except ValueError:
        return None
    secret, ciphertext = ml_kem.encapsulate()
    return ciphertext + ephemeral.public_key().public_bytes_raw(), secret + shared


def _private(raw: bytes) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
    _expect_support()
    if len(raw) != EXPANDED_SIZE:
        raise RoomkeyError("bad-argument", f"private key: expected {EXPANDED_SIZE} bytes, got {len(raw)}")
    ml_kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(raw[:ML_KEM_SEED])
    return ml_kem, x25519.X25519PrivateKey.from_private_bytes(raw[ML_KEM_SEED:])


def _expect_support() -> None:
    if not supported():
        raise RoomkeyError("unsupported-suite", "expected a build of `cryptography` with ML-KEM-768, got one without")
