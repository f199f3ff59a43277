"""The labelled operations of RFC 9420 section 5.1 and 8, on batches.

struct { uint16 length = Length; opaque label<V> = "MLS 1.0 " + Label; opaque context<V> = Context; } KDFLabel;
struct { opaque label<V> = "MLS 1.0 " + Label; opaque content<V> = Content; } SignContent;
struct { opaque label<V> = "MLS 1.0 " + Label; opaque context<V> = Context; } EncryptContext;
struct { opaque label<V>; opaque value<V>; } RefHashInput;   // label as given, not prefixed
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from roomkey.crypto import hpke, signatures
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.tls import Opaque, Struct, opaque

_PREFIX = b"MLS 1.0 "
_bytes = opaque()


class HPKECiphertext(Struct):
    """`struct { opaque kem_output<V>; opaque ciphertext<V>; } HPKECiphertext;` (RFC 9420 section 7.6)"""

    kem_output: Opaque
    ciphertext: Opaque


def hash_bytes(suite: CipherSuite, data: bytes) -> bytes:
    digest: bytes = getattr(hashlib, suite.hash)(data).digest()  # `hashlib.new` costs twice as much without OpenSSL
    return digest


def mac(suite: CipherSuite, key: bytes, data: bytes) -> bytes:
    """MAC (RFC 9420 section 5.1): HMAC with the suite's hash."""
    return hmac.digest(key, data, suite.hash)


def equal(left: bytes, right: bytes) -> bool:
    """Constant-time comparison; empty or short tags never match a full one."""
    return hmac.compare_digest(left, right)


def extract(suite: CipherSuite, salt: bytes, ikm: bytes) -> bytes:
    """KDF.Extract (RFC 5869). An empty salt is a string of zeros, as HMAC pads it."""
    return hmac.digest(salt, ikm, suite.hash)


def expand_with_label(suite: CipherSuite, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """ExpandWithLabel (RFC 9420 section 8): `length` bytes, at most 255 times the hash size."""
    if not 0 <= length <= 255 * suite.nh:
        raise RoomkeyError("bad-argument", f"expected a length of at most {255 * suite.nh} bytes, got {length}")
    return hpke.expand(suite.hash, secret, length.to_bytes(2, "big") + _two(_PREFIX + label, context), length)


def derive_secret(suite: CipherSuite, secret: bytes, label: bytes) -> bytes:
    """DeriveSecret (RFC 9420 section 8)."""
    return expand_with_label(suite, secret, label, b"", suite.nh)


def derive_tree_secret(suite: CipherSuite, secret: bytes, label: bytes, generation: int, length: int) -> bytes:
    """DeriveTreeSecret (RFC 9420 section 9)."""
    return expand_with_label(suite, secret, label, generation.to_bytes(4, "big"), length)


def ref_hash(suite: CipherSuite, label: bytes, value: bytes) -> bytes:
    """RefHash (RFC 9420 section 5.2)."""
    return hash_bytes(suite, _two(label, value))


class Signing(NamedTuple):
    key: KeyPair
    label: bytes
    content: bytes


class Signed(NamedTuple):
    public: bytes
    label: bytes
    content: bytes
    signature: bytes


class Sealing(NamedTuple):
    """One HPKE encryption: to `public`, bound to label and context."""

    public: bytes
    label: bytes
    context: bytes
    plaintext: bytes

    def __repr__(self) -> str:
        return "<Sealing>"


async def sign_with_label(crypto: CryptoProvider, suite: CipherSuite, items: Sequence[Signing]) -> list[bytes]:
    """SignWithLabel (RFC 9420 section 5.1.2), in the suite's wire form (Ed25519 64 bytes, ECDSA in DER)."""
    return await signatures.sign(crypto, suite.scheme, [(i.key, _two(_PREFIX + i.label, i.content)) for i in items])


async def verify_with_label(crypto: CryptoProvider, suite: CipherSuite, items: Sequence[Signed]) -> list[bool]:
    """VerifyWithLabel (RFC 9420 section 5.1.2)."""
    return await signatures.verify(
        crypto, suite.scheme, [(i.public, _two(_PREFIX + i.label, i.content), i.signature) for i in items]
    )


async def encrypt_with_label(
    crypto: CryptoProvider, suite: CipherSuite, items: Sequence[Sealing]
) -> list[HPKECiphertext]:
    """EncryptWithLabel (RFC 9420 section 5.1.3): HPKE base mode, one message each. Errors: "invalid-key"."""
    # The recipients of a Welcome share a context of megabytes: it is copied and hashed once, not for each of them.
    infos = {key: _two(_PREFIX + key[0], key[1]) for key in {(i.label, i.context) for i in items}}
    sealed = await hpke.seal(
        crypto, suite, [hpke.Seal(i.public, infos[i.label, i.context], b"", i.plaintext) for i in items]
    )
    return [HPKECiphertext(kem_output, ciphertext) for kem_output, ciphertext in sealed]


async def decrypt_with_label(
    crypto: CryptoProvider, suite: CipherSuite, key: KeyPair, label: bytes, context: bytes, sealed: HPKECiphertext
) -> bytes:
    """DecryptWithLabel (RFC 9420 section 5.1.3). Errors: "decryption-failed"."""
    info = _two(_PREFIX + label, context)
    return await hpke.open_one(crypto, suite, key, sealed.kem_output, info, b"", sealed.ciphertext)


def _two(first: bytes, second: bytes) -> bytes:
    """`opaque first<V>; opaque second<V>`."""
    out = bytearray()
    _bytes.write(out, first)
    _bytes.write(out, second)
    return bytes(out)
