"""The cipher suites we speak (RFC 9420 section 17.1), and what each is made of.

0x0001 MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
0x0002 MLS_128_DHKEMP256_AES128GCM_SHA256_P256
0x0003 MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519

and one of draft-ietf-mls-pq-ciphersuites-06 (TBD1 there), experimental: who wants it says so when an identity is made.
It has no number yet; ours is one for private use, so that a group of this draft never meets one of the final RFC.

0xF0C1 MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from roomkey.errors import RoomkeyError

# What encryption keys are of. The last is no group but a KEM of two; hosts treat it alike (`provider`).
Group = Literal["X25519", "P-256", "MLKEM768-X25519"]
AeadName = Literal["AES-128-GCM", "CHACHA20-POLY1305"]
Scheme = Literal["ed25519", "ecdsa_secp256r1_sha256"]


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One cipher suite; all lengths are bytes.

    kem_id, kdf_id, aead_id are the HPKE numbers (RFC 9180 section 7); nh, nk, nn the sizes of hash, AEAD key and nonce;
    npk, nsk the sizes of a public and a private key of the KEM; spk the size of a signature public key.
    experimental: of a draft; offered by those clients alone that asked for it.
    """

    number: int
    name: str
    group: Group
    aead: AeadName
    scheme: Scheme
    kem_id: int
    aead_id: int
    nk: int
    npk: int
    spk: int
    nn: int = 12
    nsk: int = 32
    nh: int = 32
    kdf_id: int = 0x0001
    hash: str = "sha256"
    experimental: bool = False

    def __hash__(self) -> int:
        return self.number  # suites are keys of caches in inner loops; fourteen fields take longer to hash


SUITES: dict[int, CipherSuite] = {
    suite.number: suite
    for suite in (
        CipherSuite(
            0x0001, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
            "X25519", "AES-128-GCM", "ed25519", 0x0020, 0x0001, nk=16, npk=32, spk=32,
        ),
        CipherSuite(
            0x0002, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
            "P-256", "AES-128-GCM", "ecdsa_secp256r1_sha256", 0x0010, 0x0001, nk=16, npk=65, spk=65,
        ),
        CipherSuite(
            0x0003, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
            "X25519", "CHACHA20-POLY1305", "ed25519", 0x0020, 0x0003, nk=32, npk=32, spk=32,
        ),
        CipherSuite(
            0xF0C1, "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519",
            "MLKEM768-X25519", "AES-128-GCM", "ed25519", 0x647A, 0x0001, nk=16, npk=1216, spk=32, experimental=True,
        ),
    )
}  # fmt: skip


def suite_by_number(number: int) -> CipherSuite:
    """The suite with this RFC 9420 number. Errors: "unsupported-suite"."""
    suite = SUITES.get(number)
    if suite is None:
        raise RoomkeyError("unsupported-suite", f"expected one of {sorted(SUITES)}, got {number}", suite=number)
    return suite
