"""Keys, people and times of the values to check against (`wire_examples`): everything follows from words."""

from __future__ import annotations

import hashlib
from typing import Any

ALICE = "alice@email1.example"
BOB = "bob@email2.example"
NOW = 1_795_000_000


def seed(word: str) -> bytes:
    """32 bytes that follow from a word."""
    return hashlib.sha256(b"roomkey wire example: " + word.encode()).digest()


def fixed_crypto() -> Any:
    """A crypto of which everything that it makes up follows from its place in order."""
    from roomkey.crypto.provider import KeyHandle, KeyPair
    from roomkey.crypto.suites import Group, Scheme
    from roomkey.host.native_crypto import NativeCrypto

    class Fixed(NativeCrypto):
        def __init__(self) -> None:
            super().__init__()
            self._made = 0

        def random(self, size: int) -> bytes:
            self._made += 1
            return hashlib.shake_256(seed(f"random {self._made}")).digest(size)

        async def generate_keys(self, kind: Group | Scheme, count: int) -> list[KeyPair]:
            pairs: list[KeyPair] = []
            for _ in range(count):
                self._made += 1
                raw = seed(f"key {self._made}")
                (public,) = await self.public_keys(kind, [raw]) if kind == "X25519" else [ed25519_public(raw)]
                self.keys[f"key {self._made}"] = raw
                pairs.append(KeyPair(public, KeyHandle(f"key {self._made}")))
            return pairs

    return Fixed()


def ed25519_public(raw: bytes) -> bytes:
    """The public key of a private Ed25519 key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()


def pair_of(word: str) -> Any:
    from roomkey.crypto.provider import KeyPair

    return KeyPair(ed25519_public(seed(word)), seed(word))
