"""The AEADs of SFrame (RFC 9605 section 4.5) on CPython hosts: the package `cryptography`."""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from roomkey.media.sframe import SFrameSuite

_ENCRYPTION_KEY_SIZE = 16  # Nka of the suites with AES-CTR; the other 32 bytes authenticate
_CTR_KEY_SIZE = 48


class NativeFrameCipher:
    """A `FrameCipher`."""

    def seal(self, suite: SFrameSuite, key: bytes, nonce: bytes, aad: bytes, text: bytes) -> bytes:
        if suite.nk != _CTR_KEY_SIZE:
            return AESGCM(key).encrypt(nonce, text, aad)
        hidden = _counter_mode(key, nonce, text)
        return hidden + _tag(suite, key, nonce, aad, hidden)

    def open(self, suite: SFrameSuite, key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes | None:
        if len(sealed) < suite.nt:
            return None
        if suite.nk != _CTR_KEY_SIZE:
            try:
                return AESGCM(key).decrypt(nonce, sealed, aad)
            except InvalidTag:
                return None
        hidden, tag = sealed[: -suite.nt], sealed[-suite.nt :]
        # Both always: RFC 9605 section 4.4.4 wants good and bad frames to take the same time.
        good = hmac.compare_digest(_tag(suite, key, nonce, aad, hidden), tag)
        text = _counter_mode(key, nonce, hidden)
        return text if good else None


def _counter_mode(key: bytes, nonce: bytes, text: bytes) -> bytes:
    """The counter block is the nonce and 32 bits that count from zero (RFC 9605 section 4.5.1)."""
    mode = modes.CTR(nonce + bytes(4))
    return Cipher(algorithms.AES(key[:_ENCRYPTION_KEY_SIZE]), mode).encryptor().update(text)


def _tag(suite: SFrameSuite, key: bytes, nonce: bytes, aad: bytes, hidden: bytes) -> bytes:
    sizes = b"".join(size.to_bytes(8, "big") for size in (len(aad), len(hidden), suite.nt))
    return hmac.digest(key[_ENCRYPTION_KEY_SIZE:], sizes + nonce + aad + hidden, suite.hash)[: suite.nt]
