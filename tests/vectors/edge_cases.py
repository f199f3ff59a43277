"""Makes the keys and Ed25519 signatures at which libraries part ways: cases for the runners of the same names.

Signatures: every pair of A and R out of 7 points of mixed order, one of prime order, and the points of low order in all
their 14 encodings; each, where it exists, as one that holds without the cofactor and one that holds with it alone
(the differences are listed in "Taming the many EdDSAs", eprint 2020/1244). What each verdict should be follows from how
the case is made, not from any library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.support.edwards import BASE, NEUTRAL, TORSION, Affine, L, P, add, encode, encodings, multiply

# Scalars of the parts of prime order, arbitrary and fixed.
_A, _R = (int.from_bytes(hashlib.sha512(name).digest(), "little") % L for name in (b"key", b"commitment"))
_MESSAGES = 200  # tried for each pair; 1 in 8 or more has the wanted part of low order


class Half(NamedTuple):
    """A or R: `scalar` times the base point and TORSION[torsion], as `encoding` writes it."""

    encoding: bytes
    scalar: int
    torsion: int
    strict: bool  # canonical, and not of low order


def _halves(scalar: int) -> list[Half]:
    point = multiply(BASE, scalar)
    found = [Half(encode(add(point, low)), scalar, index, True) for index, low in enumerate(TORSION)]
    for index, low in enumerate(TORSION):
        found += [Half(encoding, 0, index, False) for encoding in encodings(low)]
    return found


def signature_cases() -> list[dict[str, Any]]:
    """key, message, signature (hex); `admitted`: whether the key may be used; `good`: whether the signature holds."""
    made = [case for key in _halves(_A) for commitment in _halves(_R) for case in _pair(key, commitment)]
    return made + list(_other_s())


def _pair(key: Half, commitment: Half) -> Iterator[dict[str, Any]]:
    wanted = {True, False}  # with and without what only the cofactor removes
    for number in range(_MESSAGES):
        message = b"edge case %d" % number
        challenge = _challenge(key, commitment, message)
        holds = (commitment.torsion + challenge * key.torsion) % 8 == 0
        if holds in wanted:
            wanted.remove(holds)
            s = (commitment.scalar + challenge * key.scalar) % L
            yield _case(key, commitment, s, message, good=holds and key.strict and commitment.strict)
        if not wanted:
            return


def _challenge(key: Half, commitment: Half, message: bytes) -> int:
    """Modulo L, as everybody reduces it: else other signatures under keys of mixed order would hold."""
    return int.from_bytes(hashlib.sha512(commitment.encoding + key.encoding + message).digest(), "little") % L


def _other_s() -> Iterator[dict[str, Any]]:
    """S and what is S modulo L."""
    key, commitment = _halves(_A)[0], _halves(_R)[0]
    message = b"another S"
    challenge = _challenge(key, commitment, message)
    s = (commitment.scalar + challenge * key.scalar) % L
    for multiple in range(16):
        yield _case(key, commitment, s + multiple * L, message, good=multiple == 0)


def _case(key: Half, commitment: Half, s: int, message: bytes, *, good: bool) -> dict[str, Any]:
    return {
        "key": key.encoding.hex(),
        "message": message.hex(),
        "signature": (commitment.encoding + s.to_bytes(32, "little")).hex(),
        "admitted": key.strict and key.torsion == 0,
        "good": good,
    }


class Key(NamedTuple):
    """A public key and whether it is admitted; `dh`: whether the host itself must make a secret with it."""

    name: str
    kind: str
    public: bytes
    admitted: bool
    dh: bool = False


def key_cases() -> list[dict[str, Any]]:
    return [{**key._asdict(), "public": key.public.hex()} for key in (*_ed25519(), *_x25519(), *_p256())]


def _ed25519() -> Iterator[Key]:
    for scalar in (1, 2, 8, L - 1, _A, _R):
        point = multiply(BASE, scalar)
        for index, low in enumerate(TORSION):
            yield Key(
                f"{'prime' if index == 0 else 'mixed'} order {index}", "ed25519", encode(add(point, low)), index == 0
            )
    for index, low in enumerate(TORSION):
        for encoding in encodings(low):
            yield Key(f"low order {index}", "ed25519", encoding, False)
    for small in range(19):
        for sign in (0, 1 << 255):
            yield Key(f"y = p + {small}", "ed25519", (P + small | sign).to_bytes(32, "little"), False)
    for y in (2, 7, P - 2):
        yield Key(f"y = {y} is on no point", "ed25519", y.to_bytes(32, "little"), False)
    for size in (0, 31, 33):
        yield Key(f"{size} bytes", "ed25519", b"\x58" * size, False)


def _u(point: Affine) -> int:
    """The birational map of RFC 7748 section 4.1; 0 for the neutral element, which has no u."""
    return 0 if point == NEUTRAL else (1 + point[1]) * pow(1 - point[1], -1, P) % P


def _x25519() -> Iterator[Key]:
    low = {_u(point) for point in TORSION} | {P - 1}  # -1: of order 4 on the twist
    for u in sorted(low):
        for value in (u, u + P) if u + P < 1 << 255 else (u,):
            for top in (0, 1 << 255):
                yield Key("low order, all-zero secret", "X25519", (value | top).to_bytes(32, "little"), False)
    for value in (9, 2, P + 2, _u(add(BASE, TORSION[1]))):
        yield Key("base point, twist, non-canonical, mixed order", "X25519", value.to_bytes(32, "little"), True, True)
    for size in (0, 31, 33):
        yield Key(f"{size} bytes", "X25519", b"\x09" * size, False)


def _p256() -> Iterator[Key]:
    x = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
    y = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    yield Key("base point", "P-256", b"\x04" + x + y, True, True)
    bad = {
        "off the curve": b"\x04" + x + y[:-1] + bytes([y[-1] ^ 1]),
        "of another curve": b"\x04" + bytes(63) + b"\x01",
        "compressed": b"\x03" + x,
        "hybrid form": b"\x07" + x + y,
        "point at infinity": b"\x00",
        "infinity as zeros": b"\x04" + bytes(64),
        "x = p": b"\x04" + p.to_bytes(32, "big") + y,
        "short": b"\x04" + x + y[:-1],
        "long": b"\x04" + x + y + b"\x00",
        "empty": b"",
    }
    for name, public in bad.items():
        yield Key(name, "P-256", public, False)
