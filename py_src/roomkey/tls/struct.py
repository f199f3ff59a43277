"""Structs, declared once in the order of their specification, and fields that an earlier field selects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, cast, dataclass_transform, get_args

from roomkey.errors import RoomkeyError
from roomkey.tls.codec import (
    MAX_ELEMENTS,
    MAX_MESSAGE,
    MAX_REMEMBERED,
    STRUCT_ELEMENTS,
    Codec,
    Declared,
    Reader,
    codec_of,
    too_large,
)


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
class Struct(Declared):
    """Base of all wire structs: subclass, annotate the fields in wire order, and it encodes and decodes.

    A field's annotation is `Annotated[type, codec]`, another Struct, or `Annotated[type | None, When(...)]`.
    A method `check(self) -> None`, if there is one, proves what single fields cannot (equal counts, say): decoding
    calls it.
    Text forms show the type's name only: structs may hold secrets.
    A subclass may set `_limit`, the bytes that `decode` takes, and `_elements`, what they may unfold into
    (`MAX_ELEMENTS`).
    """

    _limit: ClassVar[int] = MAX_MESSAGE
    _elements: ClassVar[int] = MAX_ELEMENTS
    _fields: ClassVar[tuple[tuple[str, Codec[Any] | When], ...] | None] = None
    _names: ClassVar[tuple[str, ...]] = ()
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
        try:
            return cast(Self, cls._codec.decode(data, limit=cls._limit, elements=cls._elements))
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
    if error.code not in ("malformed", "too-large"):
        return error
    inner = str(error.details.get("field", ""))
    text = error.text.removeprefix(f"{inner}: ")
    path = f"{where}.{inner}" if inner else where
    return RoomkeyError(error.code, f"{path}: {text}", field=path)


class _StructCodec(Codec[Any]):
    elements = 0  # counted as they are read, wherever they stand

    def __init__(self, cls: type[Struct]) -> None:
        self.cls = cls
        self.check: Callable[[Any], None] | None = getattr(cls, "check", None)

    def read(self, r: Reader) -> Any:
        cls = self.cls
        fields = cls._fields or _resolve(cls)
        r.room -= STRUCT_ELEMENTS
        if r.room < 0:
            raise too_large(cls._elements, "elements", "more")
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
        values["_encoded"] = r.data[start : r.pos] if r.pos - start <= MAX_REMEMBERED else None
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
            if item is None and not chosen.takes_none:
                raise RoomkeyError("bad-argument", f"{name}: expected a value for {codec.tag} {tag}")
            chosen.write(out, item)
        else:
            codec.write(out, item)  # type: ignore[union-attr]
