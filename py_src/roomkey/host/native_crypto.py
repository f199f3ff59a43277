"""The crypto of CPython hosts: the package `cryptography`. Its coroutines never suspend."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from roomkey.crypto.hybrid_kem import HYBRID
from roomkey.crypto.provider import DhItem, KeyHandle, KeyPair, SealItem, SignItem, VerifyItem
from roomkey.crypto.suites import AeadName, Group, Scheme
from roomkey.errors import RoomkeyError
from roomkey.host import native_hybrid

_CURVE = ec.SECP256R1()
_ECDSA = ec.ECDSA(hashes.SHA256())
_AEADS: dict[AeadName, type[AESGCM] | type[ChaCha20Poly1305]] = {
    "AES-128-GCM": AESGCM,
    "CHACHA20-POLY1305": ChaCha20Poly1305,
}
_KEY_SIZE: dict[AeadName, int] = {"AES-128-GCM": 16, "CHACHA20-POLY1305": 32}


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class NativeCrypto:
    """A `CryptoProvider`. Keys made here are held in `keys`, raw, by handle id; a store may load and save that
    table.
    """

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}

    def supports(self, scheme: Scheme, group: Group, aead: AeadName) -> bool:
        return group != HYBRID or native_hybrid.supported()

    def random(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def _raw(self, key: KeyPair) -> bytes:
        if not isinstance(key.private, KeyHandle):
            return key.private
        raw = self.keys.get(key.private.id)
        if raw is None:
            raise RoomkeyError("key-not-found", "expected a private key that this host holds")
        return raw

    async def generate_keys(self, kind: Group | Scheme, count: int) -> list[KeyPair]:
        pairs: list[KeyPair] = []
        for _ in range(count):
            handle = KeyHandle(secrets.token_hex(16))
            if kind == "X25519":
                dh = x25519.X25519PrivateKey.generate()
                public, raw = dh.public_key().public_bytes_raw(), dh.private_bytes_raw()
            elif kind == "ed25519":
                ed = ed25519.Ed25519PrivateKey.generate()
                public, raw = ed.public_key().public_bytes_raw(), ed.private_bytes_raw()
            elif kind == HYBRID:
                raw = native_hybrid.generate()
                public = native_hybrid.public_key(raw)
            else:
                p256 = ec.generate_private_key(_CURVE)
                public, raw = _point(p256.public_key()), p256.private_numbers().private_value.to_bytes(32, "big")
            self.keys[handle.id] = raw
            pairs.append(KeyPair(public, handle))
        return pairs

    async def forget_keys(self, handles: Sequence[KeyHandle]) -> None:
        for handle in handles:
            self.keys.pop(handle.id, None)

    async def public_keys(self, group: Group, private: Sequence[bytes]) -> list[bytes]:
        if group == HYBRID:
            return [native_hybrid.public_key(raw) for raw in private]
        if group == "X25519":
            return [x25519.X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw() for raw in private]
        return [_point(_p256_private(raw).public_key()) for raw in private]

    async def dh(self, items: Sequence[DhItem]) -> list[bytes | None]:
        return [_exchange(item.group, self._raw(item.key), item.peer) for item in items]

    async def ephemeral_dh(self, group: Group, peers: Sequence[bytes]) -> list[tuple[bytes, bytes] | None]:
        if group == HYBRID:
            return [native_hybrid.encapsulate(peer) for peer in peers]
        results: list[tuple[bytes, bytes] | None] = []
        for peer in peers:
            if group == "X25519":
                raw = x25519.X25519PrivateKey.generate().private_bytes_raw()
            else:
                raw = ec.generate_private_key(_CURVE).private_numbers().private_value.to_bytes(32, "big")
            (public,) = await self.public_keys(group, [raw])
            shared = _exchange(group, raw, peer)
            results.append(None if shared is None else (public, shared))
        return results

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        return [_sign(item.scheme, self._raw(item.key), item.message) for item in items]

    async def verify(self, items: Sequence[VerifyItem]) -> list[bool]:
        return [_verify(item) for item in items]

    async def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        return [_aead(item).encrypt(item.nonce, item.text, item.aad) for item in items]

    async def open(self, items: Sequence[SealItem]) -> list[bytes | None]:
        return [_open(item) for item in items]


def _aead(item: SealItem) -> AESGCM | ChaCha20Poly1305:
    if len(item.key) != _KEY_SIZE[item.aead] or len(item.nonce) != 12:
        raise RoomkeyError("bad-argument", f"expected a key and nonce for {item.aead}")
    return _AEADS[item.aead](item.key)


def _open(item: SealItem) -> bytes | None:
    try:
        return _aead(item).decrypt(item.nonce, item.text, item.aad)
    except InvalidTag:
        return None


def _p256_private(raw: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        return ec.derive_private_key(int.from_bytes(raw, "big"), _CURVE)
    except ValueError:
        raise RoomkeyError("bad-argument", "expected a P-256 private key in range") from None


def _exchange(group: Group, raw: bytes, peer: bytes) -> bytes | None:
    if group == HYBRID:
        return native_hybrid.decapsulate(raw, peer)
    try:
        if group == "X25519":
            # raises ValueError for an all-zero result, as RFC 7748 section 6.1 asks
            return x25519.X25519PrivateKey.from_private_bytes(raw).exchange(
                x25519.X25519PublicKey.from_public_bytes(peer)
            )
        if len(peer) != 65:
            return None  # compressed points are not RFC 9180's form
        point = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, peer)
    except ValueError:
        return None
    return _p256_private(raw).exchange(ec.ECDH(), point)


def _sign(scheme: Scheme, raw: bytes, message: bytes) -> bytes:
    if scheme == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(raw).sign(message)
    r, s = decode_dss_signature(_p256_private(raw).sign(message, _ECDSA))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _verify(item: VerifyItem) -> bool:
    try:
        if item.scheme == "ed25519":
            ed25519.Ed25519PublicKey.from_public_bytes(item.public).verify(item.signature, item.message)
            return True
        if len(item.public) != 65 or len(item.signature) != 64:
            return False
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, item.public)
        r, s = int.from_bytes(item.signature[:32], "big"), int.from_bytes(item.signature[32:], "big")
        key.verify(encode_dss_signature(r, s), item.message, _ECDSA)
    except (InvalidSignature, ValueError):
        return False
    return True
