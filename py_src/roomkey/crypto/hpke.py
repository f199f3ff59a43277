"""HPKE base mode (RFC 9180) over the host's Diffie-Hellman and AEAD, in batches of two border crossings.

DHKEM(X25519, HKDF-SHA256) 0x0020, DHKEM(P-256, HKDF-SHA256) 0x0010 and MLKEM768-X25519 0x647a (draft-ietf-hpke-pq,
`hybrid_kem`), KDF HKDF-SHA256, AEADs of our suites. The composition is here once for all hosts; the primitives are the
host's (web/docs/decisions.md).
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from roomkey.crypto import hybrid_kem
from roomkey.crypto.hybrid_kem import HYBRID
from roomkey.crypto.provider import CryptoProvider, DhItem, KeyPair, SealItem
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError

_HASH = "sha256"  # of the KDF, and of the one inside both DHKEMs
# Order of P-256 (SEC 2 section 2.4.2), the bound of a private key in DeriveKeyPair.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Seal(NamedTuple):
    public: bytes
    info: bytes
    aad: bytes
    plaintext: bytes

    def __repr__(self) -> str:
        return "<Seal>"


def expand(hash_name: str, prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869 section 2.3). Errors: "bad-argument" for more than 255 blocks."""
    block = hmac.digest(prk, info + b"\x01", hash_name)
    if length > 255 * len(block):
        raise RoomkeyError("bad-argument", f"expected a length of at most {255 * len(block)} bytes, got {length}")
    out = block
    counter = 1
    while len(out) < length:
        counter += 1
        block = hmac.digest(prk, block + info + bytes((counter,)), hash_name)
        out += block
    return out[:length]


def _labeled_extract(suite_id: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite_id + label + ikm, _HASH)


def _labeled_expand(suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(_HASH, prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info, length)


@functools.cache
def _ids(suite: CipherSuite) -> tuple[bytes, bytes, bytes]:
    """KEM suite id, HPKE suite id, and the constant psk_id_hash of base mode."""
    kem = b"KEM" + suite.kem_id.to_bytes(2, "big")
    hpke = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (suite.kem_id, suite.kdf_id, suite.aead_id))
    return kem, hpke, _labeled_extract(hpke, b"", b"psk_id_hash", b"")


def _shared_secret(suite: CipherSuite, dh: bytes, enc: bytes, public: bytes) -> bytes:
    """What the KEM makes of the host's `dh`: ExtractAndExpand (RFC 9180 section 4.1), or the hybrid's combiner."""
    if suite.group == HYBRID:
        return hybrid_kem.combine(dh, enc, public)
    kem, _, _ = _ids(suite)
    prk = _labeled_extract(kem, b"", b"eae_prk", dh)
    return _labeled_expand(kem, prk, b"shared_secret", enc + public, 32)


def _key_schedule(suite: CipherSuite, shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """KeySchedule of base mode (RFC 9180 section 5.1): (secret, key_schedule_context)."""
    _, hpke, _ = _ids(suite)
    return _labeled_extract(hpke, shared_secret, b"secret", b""), _context(suite, info)


@functools.lru_cache(maxsize=8)  # all recipients of one path share its info
def _context(suite: CipherSuite, info: bytes) -> bytes:
    _, hpke, psk_id_hash = _ids(suite)
    return b"\x00" + psk_id_hash + _labeled_extract(hpke, b"", b"info_hash", info)


def _aead_keys(suite: CipherSuite, secret: bytes, context: bytes) -> tuple[bytes, bytes]:
    _, hpke, _ = _ids(suite)
    return (
        _labeled_expand(hpke, secret, b"key", context, suite.nk),
        _labeled_expand(hpke, secret, b"base_nonce", context, suite.nn),
    )


def derive_private_key(suite: CipherSuite, ikm: bytes) -> bytes:
    """The private half of DeriveKeyPair (RFC 9180 section 7.1.3): 32 bytes from key material of at least 32 bytes."""
    if suite.group == HYBRID:
        return hybrid_kem.derive_seed(ikm)
    kem, _, _ = _ids(suite)
    prk = _labeled_extract(kem, b"", b"dkp_prk", ikm)
    if suite.group == "X25519":
        return _labeled_expand(kem, prk, b"sk", b"", suite.nsk)
    for counter in range(256):
        candidate = _labeled_expand(kem, prk, b"candidate", bytes((counter,)), suite.nsk)
        if 0 < int.from_bytes(candidate, "big") < _P256_ORDER:
            return candidate
    raise RoomkeyError("invalid-key", "no private key can be derived from this material")


def _expanded(suite: CipherSuite, raw: bytes) -> bytes:
    """A raw private key as the host takes it."""
    return hybrid_kem.expand(raw) if suite.group == HYBRID else raw


async def derive_key_pairs(crypto: CryptoProvider, suite: CipherSuite, ikms: Sequence[bytes]) -> list[KeyPair]:
    """DeriveKeyPair for a batch; raw private keys, as RFC 9420 section 7.4 derives them for nodes."""
    private = [derive_private_key(suite, ikm) for ikm in ikms]
    public = await crypto.public_keys(suite.group, [_expanded(suite, raw) for raw in private])
    return [KeyPair(pk, sk) for pk, sk in zip(public, private, strict=True)]


async def seal(crypto: CryptoProvider, suite: CipherSuite, items: Sequence[Seal]) -> list[tuple[bytes, bytes]]:
    """Single-shot seals: (enc, ciphertext) each. Errors: "invalid-key" for a public key that no secret can be made
    with.
    """
    pairs = await crypto.ephemeral_dh(suite.group, [item.public for item in items])
    sealing: list[SealItem] = []
    encs: list[bytes] = []
    for item, pair in zip(items, pairs, strict=True):
        if pair is None:
            raise RoomkeyError("invalid-key", f"expected a valid {suite.group} public key")
        enc, dh = pair
        shared = _shared_secret(suite, dh, enc, item.public)
        key, nonce = _aead_keys(suite, *_key_schedule(suite, shared, item.info))
        encs.append(enc)
        sealing.append(SealItem(suite.aead, key, nonce, item.aad, item.plaintext))
    return list(zip(encs, await crypto.seal(sealing), strict=True))


async def open_one(
    crypto: CryptoProvider, suite: CipherSuite, key: KeyPair, enc: bytes, info: bytes, aad: bytes, ciphertext: bytes
) -> bytes:
    """Opens a single-shot message. Errors: "decryption-failed"."""
    shared = await decapsulate(crypto, suite, key, enc)
    aead_key, nonce = _aead_keys(suite, *_key_schedule(suite, shared, info))
    (plaintext,) = await crypto.open([SealItem(suite.aead, aead_key, nonce, aad, ciphertext)])
    if plaintext is None:
        raise RoomkeyError("decryption-failed", "expected a ciphertext for this key, authentication failed")
    return plaintext


async def decapsulate(crypto: CryptoProvider, suite: CipherSuite, key: KeyPair, enc: bytes) -> bytes:
    """Decap (RFC 9180 section 4.1): the KEM's shared secret, 32 bytes. Errors: "decryption-failed" for an invalid
    `enc`.
    """
    if isinstance(key.private, bytes):
        key = KeyPair(key.public, _expanded(suite, key.private))
    (dh,) = await crypto.dh([DhItem(suite.group, key, enc)])
    if dh is None:
        raise RoomkeyError("decryption-failed", f"expected a valid {suite.group} KEM output")
    return _shared_secret(suite, dh, enc, key.public)


async def encapsulate(crypto: CryptoProvider, suite: CipherSuite, public: bytes) -> tuple[bytes, bytes]:
    """Encap (RFC 9180 section 4.1): (enc, shared secret). Errors: "invalid-key"."""
    (pair,) = await crypto.ephemeral_dh(suite.group, [public])
    if pair is None:
        raise RoomkeyError("invalid-key", f"expected a valid {suite.group} public key")
    enc, dh = pair
    return enc, _shared_secret(suite, dh, enc, public)


def export(suite: CipherSuite, shared_secret: bytes, info: bytes, exporter_context: bytes, length: int) -> bytes:
    """Context.Export (RFC 9180 section 5.3) of a base-mode set-up; RFC 9420 section 8.3 makes external init secrets
    so.
    """
    _, hpke, _ = _ids(suite)
    secret, context = _key_schedule(suite, shared_secret, info)
    exporter_secret = _labeled_expand(hpke, secret, b"exp", context, 32)
    return _labeled_expand(hpke, exporter_secret, b"sec", exporter_context, length)
