"""The curve of Ed25519 in affine coordinates (RFC 8032 section 5.1): slow, and another way than the code under test."""

from __future__ import annotations

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # a square root of -1

Affine = tuple[int, int]
NEUTRAL: Affine = (0, 1)


def add(one: Affine, two: Affine) -> Affine:
    (x1, y1), (x2, y2) = one, two
    m = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + m, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - m, -1, P) % P


def multiply(point: Affine, scalar: int) -> Affine:
    result = NEUTRAL
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def encode(point: Affine) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Affine:
    """The point of an encoding that is known to be good."""
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    assert x * x % P == square, "no point"
    return (P - x if x & 1 != sign else x), y


BASE = decode(bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666"))
# A point of order 8 and its multiples: all points of low order, by their multiple of it.
EIGHT = decode(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
TORSION: list[Affine] = [NEUTRAL]
while len(TORSION) < 8:
    TORSION.append(add(TORSION[-1], EIGHT))


def encodings(point: Affine) -> list[bytes]:
    """Every encoding that a lenient decoder takes for this point, the canonical one first: y + p where that fits into
    255 bits, and either sign where x = 0.
    """
    x, y = point
    signs = (0, 1) if x == 0 else (x & 1,)
    values = (y, y + P) if y + P < 1 << 255 else (y,)
    return [(value | sign << 255).to_bytes(32, "little") for value in values for sign in signs]
