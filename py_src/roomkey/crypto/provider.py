"""What a host's cryptography must offer.

Every operation takes a batch and answers in the batch's order, because in the browser one border crossing costs more
than most operations (web/docs/decisions.md). All are coroutines, because WebCrypto's are; on CPython they never
suspend. Hashing, HMAC and HKDF are not here: Python's own are fast on every host (see `labels`).

Private keys are either raw bytes, where the protocol derives them (path secrets), or a `KeyHandle`, the name of a
key that the host holds and never shows. A provider gets keys in pairs, because DHKEM and some hosts need the public
half too.

Public keys are raw: X25519 and Ed25519 32 bytes, P-256 the uncompressed point of 65 bytes. Private bytes are 32
bytes (Ed25519: the seed). Signatures are 64 bytes: Ed25519's, or r||s for ECDSA (`signatures` turns those into DER).

The hybrid "MLKEM768-X25519" goes the way of the groups, because its halves are used together: its public keys, private
keys (96 bytes) and secrets (64 bytes) are ML-KEM-768's and X25519's one after the other (`hybrid_kem` has the table).
What a peer's key is to `dh` is there what `ephemeral_dh` gave first: the ciphertext and the ephemeral key. Its handle
names both private halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from roomkey.crypto.suites import AeadName, Group, Scheme


class KeyHandle(NamedTuple):
    """Names a private key that the host keeps: non-extractable in the browser."""

    id: str

    def __repr__(self) -> str:
        return "<KeyHandle>"


class KeyPair(NamedTuple):
    """A public key with its private key, raw or by handle. Its text form shows neither."""

    public: bytes
    private: bytes | KeyHandle

    def __repr__(self) -> str:
        return "<KeyPair>"


class VerifyItem(NamedTuple):
    scheme: Scheme
    public: bytes
    message: bytes
    signature: bytes


class SignItem(NamedTuple):
    scheme: Scheme
    key: KeyPair
    message: bytes


class DhItem(NamedTuple):
    """A Diffie-Hellman of our key pair with a peer's public key."""

    group: Group
    key: KeyPair
    peer: bytes


class SealItem(NamedTuple):
    """One encryption or decryption; its text form shows neither key nor text."""

    aead: AeadName
    key: bytes
    nonce: bytes
    aad: bytes
    text: bytes

    def __repr__(self) -> str:
        return "<SealItem>"


class CryptoProvider(Protocol):
    """The host's cryptography. Only "bad-argument", "key-not-found" and "unsupported-suite" are raised; all else is
    a value.
    """

    def supports(self, scheme: Scheme, group: Group, aead: AeadName) -> bool:
        """Whether this host can do all three."""
        ...

    def random(self, size: int) -> bytes:
        """`size` bytes from the host's secure generator."""
        ...

    async def generate_keys(self, kind: Group | Scheme, count: int) -> list[KeyPair]:
        """Fresh pairs whose private halves the host keeps under handles. A curve name makes DH keys, a scheme
        signature keys.
        """
        ...

    async def forget_keys(self, handles: Sequence[KeyHandle]) -> None:
        """Deletes private keys for good; unknown handles are no error."""
        ...

    async def public_keys(self, group: Group, private: Sequence[bytes]) -> list[bytes]:
        """The public keys of raw private keys (32 bytes each; the hybrid 96)."""
        ...

    async def dh(self, items: Sequence[DhItem]) -> list[bytes | None]:
        """Shared secrets (32 bytes; P-256: the x coordinate; the hybrid 64). None where the peer's key is invalid or an
        X25519's result is all zero; P-256 has a good point with x = 0.
        """
        ...

    async def ephemeral_dh(self, group: Group, peers: Sequence[bytes]) -> list[tuple[bytes, bytes] | None]:
        """For each peer key a fresh pair: (its public key, shared secret); the private key is gone. None as in `dh`."""
        ...

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        """Signatures of 64 bytes."""
        ...

    async def verify(self, items: Sequence[VerifyItem]) -> list[bool]:
        """Whether each signature is right; malformed keys or signatures are simply not right."""
        ...

    async def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        """Ciphertexts, each with its 16-byte tag at the end."""
        ...

    async def open(self, items: Sequence[SealItem]) -> list[bytes | None]:
        """Plaintexts of ciphertexts in `text`; None where authentication fails."""
        ...
