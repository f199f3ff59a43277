"""Arithmetic on the curve of Ed25519 (RFC 8032 section 5.1), for verifiable random functions alone.

Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, T = XY/Z, and a = -1, so that one addition holds for all points (RFC 8032
section 5.1.4). Nothing here runs in constant time: Python's integers do not. That is no loss for public data; see
`vrf` for what it means for secrets, which `multiply_secret` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roomkey.crypto.edwards import FIELD as P
from roomkey.crypto.edwards import ORDER
from roomkey.errors import RoomkeyError

Point = tuple[int, int, int, int]

_D: Final = -121665 * pow(121666, -1, P) % P
_2D: Final = 2 * _D % P
_ROOT: Final = pow(2, (P - 1) // 4, P)  # a square root of -1
# Bits of a window: 5 makes eight odd multiples of each point and one addition for every six bits.
_WINDOW: Final = 5
# Random bytes for the multiple of the order that hides a secret scalar.
BLINDING_SIZE: Final = 16

NEUTRAL: Final[Point] = (0, 1, 1, 0)


def add(one: Point, two: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = t1 * _2D % P * t2 % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(point: Point) -> Point:
    x, y, z, _ = point
    a, b = x * x % P, y * y % P
    h = a + b
    e, g = h - (x + y) * (x + y) % P, a - b
    f = 2 * z * z + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def negate(point: Point) -> Point:
    x, y, z, t = point
    return P - x, y, z, P - t


def times_cofactor(point: Point) -> Point:
    """8 times the point: free of any part of low order."""
    return double(double(double(point)))


def is_neutral(point: Point) -> bool:
    x, y, z, _ = point
    return x % P == 0 and (y - z) % P == 0


def combine(terms: Sequence[tuple[int, Point]]) -> Point:
    """The sum of scalar times point, scalars 0 or more, all in one run of doublings (Straus), in variable time."""
    digits = [_window_digits(scalar) for scalar, _ in terms]
    tables = [_odd_multiples(point) for _, point in terms]
    total = NEUTRAL
    for place in range(max(map(len, digits), default=0) - 1, -1, -1):
        total = double(total)
        for own, table in zip(digits, tables, strict=True):
            if place < len(own) and (digit := own[place]):
                total = add(total, table[digit >> 1] if digit > 0 else negate(table[-digit >> 1]))
    return total


def multiply_secret(scalar: int, point: Point, blinding: bytes) -> Point:
    """`scalar` times a point of prime order. The scalar is hidden behind a random multiple of the order, so that
    what an observer times is another number at each call. `blinding`: BLINDING_SIZE fresh random bytes.
    """
    if len(blinding) != BLINDING_SIZE:
        raise RoomkeyError("bad-argument", f"expected {BLINDING_SIZE} random bytes, got {len(blinding)}")
    return combine([(scalar + int.from_bytes(blinding, "big") * ORDER, point)])


def encode(point: Point) -> bytes:
    """RFC 8032 section 5.1.2, 32 bytes."""
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Point | None:
    """RFC 8032 section 5.1.3: None for what is no point, or not in its one form. Points of low order are points."""
    if len(data) != 32:
        return None
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    if y >= P:
        return None
    # x = u/v to the power 1/2, as u v^3 (u v^7)^((p-5)/8), or that times the root of -1
    u, v = (y * y - 1) % P, (_D * y * y + 1) % P
    v3 = v * v * v % P
    x = u * v3 * pow(u * v3 * v3 * v, (P - 5) // 8, P) % P
    square = v * x * x % P
    if square == P - u and u:
        x = x * _ROOT % P
    elif square != u:
        return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _window_digits(scalar: int) -> list[int]:
    """The scalar's digits at each bit, the lowest first: 0 or odd, below 2^(_WINDOW - 1) in size."""
    digits: list[int] = []
    full, half = 1 << _WINDOW, 1 << (_WINDOW - 1)
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & (full - 1)
            if digit >= half:
                digit -= full
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    return digits


def _odd_multiples(point: Point) -> list[Point]:
    """1, 3, 5, ... 15 times the point."""
    twice, multiples = double(point), [point]
    while len(multiples) < 1 << (_WINDOW - 2):
        multiples.append(add(multiples[-1], twice))
    return multiples


def _base() -> Point:
    point = decode(bytes.fromhex("58" + "66" * 31))
    assert point is not None  # a constant
    return point


BASE: Final = _base()
