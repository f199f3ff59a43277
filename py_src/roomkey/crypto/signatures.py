"""Signatures in their wire forms: Ed25519 as 64 bytes, ECDSA as DER (RFC 9420 section 5.1.2, wire.md section 1).

ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }        strict DER, r and s in 1..n-1; any s, high or low

Libraries disagree about hundreds of Ed25519 signatures. What makes them is refused here, before the host is asked: a
key or R that is not canonical or of low order, and S of L or more. Keys of mixed order are refused when a key is
admitted (`admission`); with an admitted key, an R of mixed order fails wherever R = SB - kA is compared byte by byte,
as all our hosts do.
"""

from __future__ import annotations

from collections.abc import Sequence

from roomkey.crypto import edwards
from roomkey.crypto.provider import CryptoProvider, KeyPair, SignItem, VerifyItem
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


async def sign(crypto: CryptoProvider, scheme: Scheme, items: Sequence[tuple[KeyPair, bytes]]) -> list[bytes]:
    """Signs each message with its key."""
    raw = await crypto.sign([SignItem(scheme, key, message) for key, message in items])
    return raw if scheme == "ed25519" else [to_der(signature) for signature in raw]


async def verify(crypto: CryptoProvider, scheme: Scheme, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Whether each (public key, message, signature) holds; a signature of another form does not."""
    results = [False] * len(items)
    asked: list[int] = []
    batch: list[VerifyItem] = []
    for index, (public, message, signature) in enumerate(items):
        raw = _strict_ed25519(public, signature) if scheme == "ed25519" else from_der(signature)
        if raw is not None:
            asked.append(index)
            batch.append(VerifyItem(scheme, public, message, raw))
    for index, good in zip(asked, await crypto.verify(batch), strict=True):
        results[index] = good
    return results


def _strict_ed25519(public: bytes, signature: bytes) -> bytes | None:
    """The signature; None for one that libraries could disagree about, and for one that is not 64 bytes long."""
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= edwards.ORDER:
        return None
    return None if edwards.y_of(public) is None or edwards.y_of(signature[:32]) is None else signature


def to_der(raw: bytes) -> bytes:
    """DER of r||s (64 bytes)."""
    if len(raw) != 64:
        raise RoomkeyError("bad-argument", f"expected 64 bytes, got {len(raw)}")
    body = _der_integer(raw[:32]) + _der_integer(raw[32:])
    return bytes((0x30, len(body))) + body  # at most 70 bytes: the short form of length always fits


def from_der(signature: bytes) -> bytes | None:
    """r||s (64 bytes) of a strict DER signature; None for anything else."""
    if len(signature) < 8 or signature[0] != 0x30 or signature[1] != len(signature) - 2:
        return None
    out = b""
    pos = 2
    for _ in range(2):
        if pos + 2 > len(signature) or signature[pos] != 0x02:
            return None
        size = signature[pos + 1]
        body = signature[pos + 2 : pos + 2 + size]
        pos += 2 + size
        if len(body) != size or not 1 <= size <= 33 or body[0] & 0x80:
            return None
        if size > 1 and body[0] == 0 and not body[1] & 0x80:
            return None  # a longer form than needed
        value = int.from_bytes(body, "big")
        if not 0 < value < _P256_ORDER:
            return None
        out += value.to_bytes(32, "big")
    return out if pos == len(signature) else None


def _der_integer(raw: bytes) -> bytes:
    body = raw.lstrip(b"\x00") or b"\x00"
    if body[0] & 0x80:
        body = b"\x00" + body
    return bytes((0x02, len(body))) + body
