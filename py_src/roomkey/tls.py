"""The TLS presentation language (RFC 8446 section 3, RFC 9420 section 2.1).

A struct is declared once, in the order of its specification, and then encodes and decodes:

    class Lifetime(Struct):
        not_before: U64
        not_after: U64

Vectors come in both kinds: with a fixed-width length (`opaque<0..2^16-1>` is `opaque(uint16)`) and with the
variable-size length of RFC 9420 section 2.1.2 (`opaque<V>` is `opaque()`). Decoding is strict: every block is consumed
exactly, lengths use their shortest form, enums and tags are known values, and every failure is a `RoomkeyError`
"malformed" (or "too-large") that names the field. Lengths are checked against what is left before anything is read, so
work is linear in the input's size.

Structs are values: never changed after they are made. `encode()` remembers its bytes; what was decoded keeps the bytes
it came from, which strict decoding makes the only encoding there is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, cast, dataclass_transform, get_args

from roomkey.errors import RoomkeyError

T = TypeVar("T")

# One message is at most this long: a group of 10,000 members has a ratchet tree of about 4 MB.
MAX_MESSAGE = 1 << 24


def malformed(field: str, expected: str, got: object) -> RoomkeyError:
    return RoomkeyError("malformed", f"{field}: expected {expected}, got {got}", field=field)


class Reader:
    """A cursor over immutable bytes; `end` bounds the block being read."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.end = len(data)

    def take(self, count: int) -> bytes:
        start = self.pos
        stop = start + count
        if stop > self.end:
            raise malformed("", f"{count} bytes", f"{self.end - start}")
        self.pos = stop
        return self.data[start:stop]

    def remaining(self) -> int:
        return self.end - self.pos


class Codec(Generic[T]):
    """How one type stands on the wire."""

    def read(self, r: Reader) -> T:
        raise NotImplementedError

    def write(self, out: bytearray, value: T) -> None:
        raise NotImplementedError

    def decode(self, data: bytes) -> T:
        """Decodes exactly `data`; trailing bytes are malformed."""
        r = Reader(data)
        value = self.read(r)
        if r.pos != r.end:
            raise malformed("", "end of data", f"{r.end - r.pos} more bytes")
        return value

    def encode(self, value: T) -> bytes:
        out = bytearray()
        self.write(out, value)
        return bytes(out)


class _UInt(Codec[int]):
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
        self.size = size

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
        read = self.item.read
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
    item: Codec[T] | type[Struct], length: Codec[int] = varint, minimum: int = 0, maximum: int = MAX_MESSAGE
) -> Codec[tuple[T, ...]]:
    """`T x<minimum..maximum>`, bounds in bytes, with the given length prefix; by default `T x<V>`."""
    return _Vector(cast("Codec[T]", codec_of(item)), length, minimum, maximum)


class _Optional(Codec[T | None]):
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


def optional(item: Codec[T] | type[Struct]) -> Codec[T | None]:
    """`optional<T>` (RFC 9420 section 2.1.1)."""
    return _Optional(cast("Codec[T]", codec_of(item)))


class _Const(Codec[int]):
    def __init__(self, item: Codec[int], allowed: frozenset[int]) -> None:
        self.item, self.allowed = item, allowed

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


class When:
    """A field that stands only for some values of an earlier field: `select (tag) { case v: T; }`.

    `cases` maps tag values to a codec or struct. For other tags the field is absent and its value is None, unless
    `otherwise` names the codec of all other cases. A tag inside an earlier struct is named with dots:
    "content.content_type".
    """

    def __init__(
        self,
        tag: str,
        cases: Mapping[int, Codec[Any] | type[Struct]],
        otherwise: Codec[Any] | type[Struct] | None = None,
    ) -> None:
        self.tag = tag
        self.field, *self.path = tag.split(".")
        self.cases = {value: codec_of(case) for value, case in cases.items()}
        self.otherwise = None if otherwise is None else codec_of(otherwise)

    def pick(self, values: Mapping[str, Any]) -> tuple[Any, Codec[Any] | None]:
        """The tag's value among the fields before, and the codec it selects."""
        value = values[self.field]
        for name in self.path:
            value = getattr(value, name)
        return value, self.cases.get(value, self.otherwise)


@dataclass_transform(frozen_default=True)
class Struct:
    """Base of all wire structs: subclass, annotate the fields in wire order, and it encodes and decodes.

    A field's annotation is `Annotated[type, codec]`, another Struct, or `Annotated[type | None, When(...)]`.
    A method `check(self) -> None`, if there is one, proves what single fields cannot (equal counts, say): decoding
    calls it.
    Text forms show the type's name only: structs may hold secrets.
    """

    _fields: ClassVar[tuple[tuple[str, Codec[Any] | When], ...] | None] = None
    _names: ClassVar[tuple[str, ...]] = ()
    _codec: ClassVar[Codec[Any]]
    _encoded: bytes | None

    def __init_subclass__(cls) -> None:
        names = tuple(n for n in cls.__annotations__ if not n.startswith("_"))
        cls._names = names
        cls._fields = None
        cls._codec = _StructCodec(cls)
        defaults = {n: cls.__dict__[n] for n in names if n in cls.__dict__}
        cls.__init__ = _make_init(cls.__name__, names, defaults)  # type: ignore[method-assign]

    def encode(self) -> bytes:
        """The struct's bytes."""
        if self._encoded is None:
            out = bytearray()
            _write_fields(out, self)
            self.__dict__["_encoded"] = bytes(out)
        return cast(bytes, self._encoded)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The struct that `data` encodes, exactly. Errors: "malformed", "too-large"."""
        if len(data) > MAX_MESSAGE:
            raise RoomkeyError("too-large", f"{cls.__name__}: expected at most {MAX_MESSAGE} bytes, got {len(data)}")
        try:
            return cast(Self, cls._codec.decode(data))
        except RoomkeyError as error:
            raise _located(error, cls.__name__) from None

    @classmethod
    def codec(cls) -> Codec[Self]:
        return cls._codec

    def replace(self, **changes: Any) -> Self:
        """The same struct with some fields changed."""
        values = {name: getattr(self, name) for name in self._names}
        values.update(changes)
        return type(self)(**values)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash((type(self), self.encode()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _make_init(name: str, names: tuple[str, ...], defaults: Mapping[str, object]) -> Callable[..., None]:
    # Written out and compiled, as dataclasses do: a loop over the fields costs three times as much in WebAssembly.
    parameters = ", ".join(f"{n}=_defaults[{n!r}]" if n in defaults else n for n in names)
    body = "; ".join(f"d[{n!r}] = {n}" for n in names)
    head = f"def __init__(self{', ' + parameters if parameters else ''}):"
    source = f"{head}\n  d = self.__dict__; d['_encoded'] = None; {body}\n"
    space: dict[str, Any] = {"_defaults": defaults}
    exec(source, space)  # noqa: S102 - the source is made of field names of our own classes
    init = cast("Callable[..., None]", space["__init__"])
    init.__qualname__ = f"{name}.__init__"
    return init


def _resolve(cls: type[Struct]) -> tuple[tuple[str, Codec[Any] | When], ...]:
    # What typing.get_type_hints does, in a quarter of its time: with a hundred structs that is 30 ms of a page's start.
    space = vars(sys.modules[cls.__module__])
    fields: list[tuple[str, Codec[Any] | When]] = []
    for name in cls._names:
        hint = cls.__annotations__[name]
        if isinstance(hint, str):
            hint = eval(hint, space)  # noqa: S307 - the annotations of our own classes
        if isinstance(hint, type) and issubclass(hint, Struct):
            fields.append((name, hint._codec))
            continue
        marks = [a for a in get_args(hint)[1:] if isinstance(a, Codec | When)]
        if len(marks) != 1:
            raise TypeError(f"{cls.__name__}.{name} names no codec")
        fields.append((name, marks[0]))
    cls._fields = tuple(fields)
    return cls._fields


def _located(error: RoomkeyError, where: str) -> RoomkeyError:
    """The same error with its place spelled one level further out."""
    if error.code != "malformed":
        return error
    inner, _, text = error.text.partition(": ")
    path = f"{where}.{inner}" if inner else where
    return RoomkeyError("malformed", f"{path}: {text}", field=path)


class _StructCodec(Codec[Any]):
    def __init__(self, cls: type[Struct]) -> None:
        self.cls = cls
        self.check: Callable[[Any], None] | None = getattr(cls, "check", None)

    def read(self, r: Reader) -> Any:
        cls = self.cls
        fields = cls._fields or _resolve(cls)
        start = r.pos
        obj = cls.__new__(cls)
        values = obj.__dict__
        name = ""
        try:
            for name, codec in fields:
                if type(codec) is When:
                    _, chosen = codec.pick(values)
                    values[name] = None if chosen is None else chosen.read(r)
                else:
                    values[name] = codec.read(r)  # type: ignore[union-attr]
        except RoomkeyError as error:
            raise _located(error, name) from None
        values["_encoded"] = r.data[start : r.pos]
        if self.check is not None:
            self.check(obj)
        return obj

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, self.cls):
            raise RoomkeyError("bad-argument", f"expected {self.cls.__name__}, got {type(value).__name__}")
        if value._encoded is not None:
            out += value._encoded
        else:
            _write_fields(out, value)


def _write_fields(out: bytearray, value: Struct) -> None:
    values = value.__dict__
    for name, codec in type(value)._fields or _resolve(type(value)):
        item = values[name]
        if type(codec) is When:
            tag, chosen = codec.pick(values)
            if chosen is None:
                if item is not None:
                    raise RoomkeyError("bad-argument", f"{name}: expected none for {codec.tag} {tag}")
                continue
            if item is None:
                raise RoomkeyError("bad-argument", f"{name}: expected a value for {codec.tag} {tag}")
            chosen.write(out, item)
        else:
            codec.write(out, item)  # type: ignore[union-attr]


def codec_of(item: Codec[Any] | type[Struct]) -> Codec[Any]:
    return item if isinstance(item, Codec) else item._codec
