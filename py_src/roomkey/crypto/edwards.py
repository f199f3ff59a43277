"""What Ed25519 encodings of points show without arithmetic on the curve (RFC 8032 section 5.1)."""

from __future__ import annotations

from typing import Final

FIELD: Final = 2**255 - 19
ORDER: Final = (
    2**252 + 27742317777372353535851937790883648493
)  # L, of the base point; the curve has eight times as many

_EIGHTH: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022  # y of points of order 8
# y coordinates of the eight points of low order; each but 1 and -1, the orders 1 and 2, belongs to two of them.
_LOW_ORDER_Y: Final = frozenset({0, 1, FIELD - 1, _EIGHTH, FIELD - _EIGHTH})


def y_of(encoding: bytes) -> int | None:
    """The y coordinate of a point's 32 bytes; None for an encoding that is not canonical, or of a point of low order.

    Canonical: y below the field's prime, and no sign with x = 0, which only y = 1 and y = -1 have. Whether a point of
    this y is on the curve, and free of a part of low order, is not seen here.
    """
    if len(encoding) != 32:
        return None
    y = int.from_bytes(encoding, "little") & (1 << 255) - 1
    return None if y >= FIELD or y in _LOW_ORDER_Y else y
