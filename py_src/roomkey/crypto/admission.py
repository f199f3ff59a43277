"""Whether a public key may be used at all: checked once, when a key is admitted, not at every use.

1. Ed25519 keys are canonical (y below p, no negative zero) points of prime order. Libraries disagree about signatures
   under all others, so such a key could split a group into those who accept a message and those who do not.
2. X25519 keys are not of low order (RFC 7748 section 6.1), in no encoding: such a key gives everyone the same secret.
3. P-256 keys are uncompressed points on the curve (SEC 1 section 3.2.2); its order is prime, so nothing else is needed.
4. Hybrid keys are an ML-KEM-768 key whose coefficients are below q (FIPS 203 section 7.2), and an X25519 key as in 2.

This is arithmetic on public values, so it need not take constant time. No host offers it: WebCrypto has no scalar
multiplication of Ed25519 points, and libraries check less. Errors of all functions: "invalid-key".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from roomkey.crypto import hybrid_kem
from roomkey.crypto.suites import Group, Scheme
from roomkey.errors import RoomkeyError

# About a millisecond of work each is remembered for this many keys, the members of several large groups.
REMEMBERED: Final = 4096

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493  # order of the base point (RFC 8032 section 5.1)
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ROOT: Final = pow(2, (_P - 1) // 4, _P)  # a square root of -1

# u coordinates of the points of low order on Curve25519 and its twist: orders 4, 1 and 2, 8, 8, 4.
_LOW_ORDER_U: Final = frozenset({
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    _P - 1,
})  # fmt: skip

_P256_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

_Point = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z


def admit_signature_key(scheme: Scheme, public: bytes) -> None:
    """Refuses a signature key that is not of the form above."""
    good = _is_prime_order(public) if scheme == "ed25519" else _on_p256(public)
    if not good:
        raise RoomkeyError("invalid-key", f"signature key: expected a valid {scheme} key, got another")


def admit_dh_key(group: Group, public: bytes) -> None:
    """Refuses an init or encryption key that is not of the form above."""
    if not _GOOD_DH_KEY[group](public):
        raise RoomkeyError("invalid-key", f"encryption key: expected a valid {group} key, got another")


@lru_cache(maxsize=REMEMBERED)
def _is_prime_order(public: bytes) -> bool:
    point = _decompress(public)
    if point is None or _is_neutral(point):
        return False
    return _is_neutral(_multiply(point, _L))


def _is_not_low_order(public: bytes) -> bool:
    # the top bit is ignored and values at or above p wrap around (RFC 7748 section 5), so compare what is left
    return len(public) == 32 and (int.from_bytes(public, "little") & (2**255 - 1)) % _P not in _LOW_ORDER_U


def _is_good_hybrid(public: bytes) -> bool:
    return hybrid_kem.is_reduced(public) and _is_not_low_order(public[hybrid_kem.ML_KEM_PUBLIC :])


def _on_p256(public: bytes) -> bool:
    if len(public) != 65 or public[0] != 4:
        return False
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    return x < _P256_P and y < _P256_P and (y * y - (x * x * x - 3 * x + _P256_B)) % _P256_P == 0


_GOOD_DH_KEY: Final[Mapping[Group, Callable[[bytes], bool]]] = {
    "X25519": _is_not_low_order,
    "P-256": _on_p256,
    "MLKEM768-X25519": _is_good_hybrid,
}


def _decompress(public: bytes) -> _Point | None:
    """The point of an encoding (RFC 8032 section 5.1.3); None for one that is not canonical or not on the curve."""
    if len(public) != 32:
        return None
    number = int.from_bytes(public, "little")
    y, negative = number & (2**255 - 1), number >> 255
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P:
        x = x * _ROOT % _P
        if (v * x * x - u) % _P:
            return None
    if x == 0 and negative:
        return None
    if x & 1 != negative:
        x = _P - x
    return x, y, 1, x * y % _P


def _is_neutral(point: _Point) -> bool:
    x, y, z, _ = point
    return x == 0 and y == z


def _multiply(point: _Point, scalar: int) -> _Point:
    result = point
    for bit in bin(scalar)[3:]:
        result = _double(result)
        if bit == "1":
            result = _add(result, point)
    return result


def _double(point: _Point) -> _Point:
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = 2 * z * z + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _add(left: _Point, right: _Point) -> _Point:
    """RFC 8032 section 5.1.4; complete, so that points of any order may meet."""
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * _D * t1 * t2 % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P
