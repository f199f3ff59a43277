"""The TLS presentation language (RFC 8446 section 3, RFC 9420 section 2.1).

A struct is declared once, in the order of its specification, and then encodes and decodes:

    class Lifetime(Struct):
        not_before: U64
        not_after: U64

Vectors come in both kinds: with a fixed-width length (`opaque<0..2^16-1>` is `opaque(uint16)`) and with the
variable-size length of RFC 9420 section 2.1.2 (`opaque<V>` is `opaque()`). Decoding is strict: every block is consumed
exactly, lengths use their shortest form, enums and tags are known values, and every failure is a `RoomkeyError`
"malformed" (or "too-large") that names the field. Lengths are checked against what is left before anything is read, so
work is linear in the input's size; the number of elements before they are, so memory is bounded (`MAX_ELEMENTS`).

Structs are values: never changed after they are made. `encode()` remembers its bytes; what was decoded keeps the bytes
it came from, which strict decoding makes the only encoding there is.
"""

from roomkey.tls.codec import (
    MAX_ELEMENTS,
    MAX_MESSAGE,
    U8,
    U16,
    U32,
    U64,
    Codec,
    Opaque,
    Reader,
    codec_of,
    fixed,
    malformed,
    one_of,
    opaque,
    optional,
    rest,
    uint8,
    uint16,
    uint24,
    uint32,
    uint64,
    varint,
    vector,
)
from roomkey.tls.struct import Struct, When

__all__ = [
    "MAX_ELEMENTS",
    "MAX_MESSAGE",
    "U8",
    "U16",
    "U32",
    "U64",
    "Codec",
    "Opaque",
    "Reader",
    "Struct",
    "When",
    "codec_of",
    "fixed",
    "malformed",
    "one_of",
    "opaque",
    "optional",
    "rest",
    "uint8",
    "uint16",
    "uint24",
    "uint32",
    "uint64",
    "varint",
    "vector",
]
