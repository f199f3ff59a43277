"""Codecs of the presentation language's types: integers, opaque data, vectors of both kinds, optional values, enums."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast

from roomkey.errors import RoomkeyError

T = TypeVar("T")

# One encoding is at most this long: a group of 10,000 members has a ratchet tree of about 4 MB, and takes three times
# as much stored, with the members of the epochs before. What comes from others has lower limits of its own (`_limit`).
MAX_MESSAGE = 1 << 24
# What one encoding may unfold into, because the smallest items take 70 times as much memory as on the wire. Counted
# before they are read: a struct as 8, another item of a vector (a number, a byte string) as 1. At some 220 and 40 bytes
# each that is 30 MB. A ratchet tree of 16,000 members fits, and a commit that adds 10,000.
MAX_ELEMENTS = 1 << 20
STRUCT_ELEMENTS = 8
# An encoding that is longer is not remembered by what was decoded from it: nested structs would each hold a copy.
MAX_REMEMBERED = 1 << 16


def malformed(field: str, expected: str, got: object) -> RoomkeyError:
    return RoomkeyError("malformed", f"{field}: expected {expected}, got {got}", field=field)


def too_large(limit: int, what: str, got: str) -> RoomkeyError:
    return RoomkeyError("too-large", f"expected at most {limit} {what}, got {got}")


class Reader:
    """A cursor over immutable bytes; `end` bounds the block being read, `room` how many elements may still come."""

    __slots__ = ("data", "end", "pos", "room")

    def __init__(self, data: bytes, room: int = MAX_ELEMENTS) -> None:
        self.data = data
        self.pos = 0
        self.end = len(data)
        self.room = room

    def take(self, count: int) -> bytes:
        start = self.pos
        stop = start + count
        if stop > self.end:
            raise malformed("", f"{count} bytes", f"{self.end - start}")
        self.pos = stop
        return self.data[start:stop]

    def remaining(self) -> int:
        return self.end - self.pos

    def unfold(self, elements: int) -> None:
        """To be called before so many are read. Errors: "too-large"."""
        self.room -= elements
        if self.room < 0:
            raise too_large(MAX_ELEMENTS, "elements", "more")


class Codec(Generic[T]):
    """How one type stands on the wire. `width` is its size in bytes, where that is always the same."""

    width: int | None = None
    elements = 1  # what one value counts for, see MAX_ELEMENTS
    takes_none = False

    def read(self, r: Reader) -> T:
        raise NotImplementedError

    def write(self, out: bytearray, value: T) -> None:
        raise NotImplementedError

    def decode(self, data: bytes, *, limit: int = MAX_MESSAGE, elements: int = MAX_ELEMENTS) -> T:
        """Decodes exactly `data`; trailing bytes are malformed. Errors: "malformed", "too-large"."""
        if len(data) > limit:
            raise too_large(limit, "bytes", f"{len(data)}")
        r = Reader(data, elements)
        value = self.read(r)
        if r.pos != r.end:
            raise malformed("", "end of data", f"{r.end - r.pos} more bytes")
        return value

    def encode(self, value: T) -> bytes:
        out = bytearray()
        self.write(out, value)
        return bytes(out)


class Declared:
    """A type that knows its own codec: the base of `Struct`."""

    _codec: ClassVar[Codec[Any]]


def codec_of(item: Codec[Any] | type[Declared]) -> Codec[Any]:
    return item if isinstance(item, Codec) else item._codec


class _UInt(Codec[int]):
    width: int

    def __init__(self, width: int) -> None:
        self.width = width
        self.limit = 1 << (8 * width)

    def read(self, r: Reader) -> int:
        return int.from_bytes(r.take(self.width), "big")

    def write(self, out: bytearray, value: int) -> None:
        if not 0 <= value < self.limit:
            raise RoomkeyError("bad-argument", f"expected an integer of {self.width} bytes")
        out += value.to_bytes(self.width, "big")


class _Varint(Codec[int]):
    """RFC 9420 section 2.1.2: two bits say 1, 2 or 4 bytes; the shortest form only; prefix 3 is invalid."""

    def read(self, r: Reader) -> int:
        first = r.take(1)[0]
        if first < 0x40:
            return first
        prefix = first >> 6
        if prefix == 1:
            value = (first & 0x3F) << 8 | r.take(1)[0]
            if value < 0x40:
                raise malformed("", "the shortest form of a length", "a longer one")
            return value
        if prefix == 2:
            value = (first & 0x3F) << 24 | int.from_bytes(r.take(3), "big")
            if value < 0x4000:
                raise malformed("", "the shortest form of a length", "a longer one")
            return value
        raise malformed("", "a length prefix of 0, 1 or 2", "3")

    def write(self, out: bytearray, value: int) -> None:
        if value < 0x40:
            out.append(value)
        elif value < 0x4000:
            out += (value | 0x4000).to_bytes(2, "big")
        elif value < 0x40000000:
            out += (value | 0x80000000).to_bytes(4, "big")
        else:
            raise RoomkeyError("bad-argument", "expected a length below 2^30")


uint8, uint16, uint24, uint32, uint64 = _UInt(1), _UInt(2), _UInt(3), _UInt(4), _UInt(8)
varint = _Varint()
U8 = Annotated[int, uint8]
U16 = Annotated[int, uint16]
U32 = Annotated[int, uint32]
U64 = Annotated[int, uint64]


class _Opaque(Codec[bytes]):
    def __init__(self, length: Codec[int], minimum: int, maximum: int) -> None:
        self.length, self.minimum, self.maximum = length, minimum, maximum

    def read(self, r: Reader) -> bytes:
        size = self.length.read(r)
        if not self.minimum <= size <= self.maximum:
            raise malformed("", f"{self.minimum} to {self.maximum} bytes", size)
        return r.take(size)

    def write(self, out: bytearray, value: bytes) -> None:
        if not self.minimum <= len(value) <= self.maximum:
            raise RoomkeyError("bad-argument", f"expected {self.minimum} to {self.maximum} bytes, got {len(value)}")
        self.length.write(out, len(value))
        out += value


def opaque(length: Codec[int] = varint, minimum: int = 0, maximum: int = MAX_MESSAGE) -> Codec[bytes]:
    """`opaque x<minimum..maximum>` with the given length prefix; by default `opaque x<V>`."""
    return _Opaque(length, minimum, maximum)


class _Fixed(Codec[bytes]):
    def __init__(self, size: int) -> None:
        self.size = self.width = size

    def read(self, r: Reader) -> bytes:
        return r.take(self.size)

    def write(self, out: bytearray, value: bytes) -> None:
        if len(value) != self.size:
            raise RoomkeyError("bad-argument", f"expected {self.size} bytes, got {len(value)}")
        out += value


def fixed(size: int) -> Codec[bytes]:
    """`opaque x[size]`."""
    return _Fixed(size)


Opaque = Annotated[bytes, opaque()]


class _Rest(Codec[bytes]):
    def read(self, r: Reader) -> bytes:
        return r.take(r.remaining())

    def write(self, out: bytearray, value: bytes) -> None:
        out += value


# Everything up to the end of the block (the padding of RFC 9420 section 6.3.1).
rest: Codec[bytes] = _Rest()


class _Vector(Codec[tuple[T, ...]]):
    def __init__(self, item: Codec[T], length: Codec[int], minimum: int, maximum: int) -> None:
        self.item, self.length, self.minimum, self.maximum = item, length, minimum, maximum

    def read(self, r: Reader) -> tuple[T, ...]:
        size = self.length.read(r)
        if not self.minimum <= size <= self.maximum:
            raise malformed("", f"a vector of {self.minimum} to {self.maximum} bytes", size)
        stop = r.pos + size
        if stop > r.end:
            raise malformed("", f"{size} bytes", f"{r.end - r.pos}")
        outer, r.end = r.end, stop
        items: list[T] = []
        item = self.item
        read = item.read
        if item.width:
            r.unfold(size // item.width)
            while r.pos < stop:
                items.append(read(r))
        elif item.elements:
            while r.pos < stop:
                r.unfold(item.elements)
                items.append(read(r))
        else:  # structs count themselves
            while r.pos < stop:
                items.append(read(r))
        r.end = outer
        return tuple(items)

    def write(self, out: bytearray, value: tuple[T, ...]) -> None:
        body = bytearray()
        write = self.item.write
        for item in value:
            write(body, item)
        if not self.minimum <= len(body) <= self.maximum:
            raise RoomkeyError("bad-argument", f"expected a vector of {self.minimum} to {self.maximum} bytes")
        self.length.write(out, len(body))
        out += body


def vector(
    item: Codec[T] | type[Declared], length: Codec[int] = varint, minimum: int = 0, maximum: int = MAX_MESSAGE
) -> Codec[tuple[T, ...]]:
    """`T x<minimum..maximum>`, bounds in bytes, with the given length prefix; by default `T x<V>`."""
    return _Vector(cast("Codec[T]", codec_of(item)), length, minimum, maximum)


class _Optional(Codec[T | None]):
    takes_none = True

    def __init__(self, item: Codec[T]) -> None:
        self.item = item

    def read(self, r: Reader) -> T | None:
        present = r.take(1)[0]
        if present == 0:
            return None
        if present != 1:
            raise malformed("", "0 or 1 before an optional value", present)
        return self.item.read(r)

    def write(self, out: bytearray, value: T | None) -> None:
        if value is None:
            out.append(0)
        else:
            out.append(1)
            self.item.write(out, value)


def optional(item: Codec[T] | type[Declared]) -> Codec[T | None]:
    """`optional<T>` (RFC 9420 section 2.1.1)."""
    return _Optional(cast("Codec[T]", codec_of(item)))


class _Const(Codec[int]):
    def __init__(self, item: Codec[int], allowed: frozenset[int]) -> None:
        self.item, self.allowed, self.width = item, allowed, item.width

    def read(self, r: Reader) -> int:
        value = self.item.read(r)
        if value not in self.allowed:
            raise malformed("", f"one of {sorted(self.allowed)}", value)
        return value

    def write(self, out: bytearray, value: int) -> None:
        if value not in self.allowed:
            raise RoomkeyError("bad-argument", f"expected one of {sorted(self.allowed)}, got {value}")
        self.item.write(out, value)


def one_of(item: Codec[int], *allowed: int) -> Codec[int]:
    """An enum whose values are all known; others are malformed."""
    return _Const(item, frozenset(allowed))
