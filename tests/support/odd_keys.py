"""Ed25519 keys that no honest client makes, and signatures by them that a lenient verifier takes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from roomkey.crypto.provider import KeyHandle, KeyPair, SignItem
from roomkey.host.native_crypto import NativeCrypto

from tests.support.edwards import BASE, EIGHT, NEUTRAL, Affine, L, P, add, encode, multiply

_SCALAR = int.from_bytes(hashlib.sha256(b"a secret scalar").digest(), "little") % L


class OddSigner(NativeCrypto):
    """Signs as RFC 8032 says for the public key given, which need not be one: with `scalar` for the private key, and a
    nonce for which the part of low order falls out, so that the equation S B = R + k A holds as it stands.
    """

    def __init__(self, real: NativeCrypto, public: bytes, scalar: int) -> None:
        super().__init__()
        self.keys = real.keys
        self.pair = KeyPair(public, KeyHandle("odd"))
        self._scalar = scalar

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        odd = {place: self._sign(item.message) for place, item in enumerate(items) if item.key == self.pair}
        real = iter(await super().sign([item for place, item in enumerate(items) if place not in odd]))
        return [odd[place] if place in odd else next(real) for place in range(len(items))]

    def _sign(self, message: bytes) -> bytes:
        for nonce in range(1, 1000):
            point = encode(multiply(BASE, nonce))
            # Verifiers take k modulo L, which changes what it makes of a part of low order.
            k = int.from_bytes(hashlib.sha512(point + self.pair.public + message).digest(), "little") % L
            if k % 8 == 0:
                return point + ((nonce + k * self._scalar) % L).to_bytes(32, "little")
        raise AssertionError("one nonce in eight should do")


def _public(point: Affine) -> bytes:
    return encode(point)


# What the key is -> (its encoding, the scalar to sign with).
ODD_KEYS: dict[str, tuple[bytes, int]] = {
    "of mixed order": (_public(add(multiply(BASE, _SCALAR), EIGHT)), _SCALAR),
    "of low order": (_public(EIGHT), 0),
    "that is the neutral element": (_public(NEUTRAL), 0),
    "that is not canonical": ((1 + P).to_bytes(32, "little"), 0),
}
