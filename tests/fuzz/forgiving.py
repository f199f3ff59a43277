"""Cryptography for fuzzing that lets an insider's forgeries through: what lies behind the signatures gets fuzzed.

A fuzzer cannot sign. Here everything verifies, opens and matches unless its first (a tag's last) byte is 0xFF, so both
verdicts are met; texts are sealed as they are, under a tag, so a mutation can reach into them. All of it, randomness
too, is the same in every process, so that inputs found in one fail in another. Sizes and failures are as the real
provider's. It is for the harness alone and takes the place of nothing in the product.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import SimpleNamespace
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from roomkey.crypto import labels
from roomkey.crypto.provider import DhItem, KeyHandle, KeyPair, SealItem, SignItem, VerifyItem
from roomkey.crypto.suites import AeadName, Group, Scheme

_REFUSED = 0xFF
_TAG = bytes(range(16))
_BASE_POINT = (9).to_bytes(32, "little")


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"|".join(parts)).digest()


@lru_cache(maxsize=256)
def _public(kind: Group | Scheme, secret: bytes) -> bytes:
    """A key that passes admission; X25519's are derived from path secrets all the time, and any 32 bytes are one."""
    seed = _digest(b"public", secret)
    if kind == "X25519":
        return seed
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    private = ec.derive_private_key(int.from_bytes(seed, "big") >> 1, ec.SECP256R1())
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def signature_of(message: bytes) -> bytes:
    """64 bytes that both schemes take for the form of a signature."""
    first, second = _digest(b"r", message), _digest(b"s", message)
    return b"\x05" + first[1:31] + b"\x05" + second[:31] + b"\0"


def _dh(group: Group, peer: bytes) -> bytes | None:
    size = 32 if group == "X25519" else 65
    return _digest(b"dh", peer) if len(peer) == size and any(peer) else None


class Forgiving:
    """A `CryptoProvider`. `name` makes its keys and its randomness its own."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._count = 0

    def supports(self, scheme: Scheme, group: Group, aead: AeadName) -> bool:
        return True

    def random(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._name + self._count.to_bytes(4, "big")).digest(size)

    async def generate_keys(self, kind: Group | Scheme, count: int) -> list[KeyPair]:
        handles = [KeyHandle(self.random(16).hex()) for _ in range(count)]
        return [KeyPair(_public(kind, handle.id.encode()), handle) for handle in handles]

    async def forget_keys(self, handles: Sequence[KeyHandle]) -> None:
        return None

    async def public_keys(self, group: Group, private: Sequence[bytes]) -> list[bytes]:
        return [_public(group, secret) for secret in private]

    async def dh(self, items: Sequence[DhItem]) -> list[bytes | None]:
        # With the base point of X25519 the question is whether a key may be admitted (crypto/admission.py).
        return [item.peer if item.key.public == _BASE_POINT else _dh(item.group, item.peer) for item in items]

    async def ephemeral_dh(self, group: Group, peers: Sequence[bytes]) -> list[tuple[bytes, bytes] | None]:
        made = [(_public(group, self.random(32)), _dh(group, peer)) for peer in peers]
        return [None if shared is None else (public, shared) for public, shared in made]

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        return [signature_of(item.message) for item in items]

    async def verify(self, items: Sequence[VerifyItem]) -> list[bool]:
        return [item.signature[:1] != b"\xff" for item in items]

    async def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        return [item.text + _TAG for item in items]

    async def open(self, items: Sequence[SealItem]) -> list[bytes | None]:
        return [item.text[:-16] if len(item.text) >= 16 and item.text[-1] != _REFUSED else None for item in items]


def _matches(left: bytes, right: bytes) -> bool:
    return len(left) == len(right) and left[:1] != b"\xff" and right[:1] != b"\xff"


@contextlib.contextmanager
def forgiving_tags() -> Iterator[None]:
    """MACs and hashes that are compared match, whatever they are, by the rule above."""
    lax = SimpleNamespace(digest=hmac.digest, compare_digest=_matches)
    with mock.patch.object(labels, "hmac", lax):
        yield
