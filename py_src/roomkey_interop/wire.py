"""Protobuf for the types of `interface`: descriptors made from them, and values to bytes and back.

protobuf's own library does the encoding; this module only tells it the types, so no file of the working group and no
generated code is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from roomkey_interop.interface import PACKAGE, U64

M = TypeVar("M", bound=tuple[Any, ...])
# A message of protobuf's library, whose attributes are made at run time.
Dynamic: TypeAlias = Any

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {bytes: _Field.TYPE_BYTES, str: _Field.TYPE_STRING, bool: _Field.TYPE_BOOL, int: _Field.TYPE_UINT32}


class Codec(NamedTuple):
    """How one message type goes to bytes and back. `decode` raises protobuf's DecodeError."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


class _FieldType(NamedTuple):
    repeated: bool
    scalar: int | None
    message: type[Any] | None


def _field_type(hint: object) -> _FieldType:
    repeated = get_origin(hint) is tuple
    item: Any = get_args(hint)[0] if repeated else hint
    if item == U64:
        return _FieldType(repeated, _Field.TYPE_UINT64, None)
    if item in _SCALARS:
        return _FieldType(repeated, _SCALARS[item], None)
    return _FieldType(repeated, None, item)


def _fields(message: type[Any]) -> dict[str, _FieldType]:
    return {name: _field_type(hint) for name, hint in get_type_hints(message, include_extras=True).items()}


class Codecs:
    """The codecs of message types, and of those inside them."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        self._codecs: dict[type[Any], Codec] = {}
        self._dynamic: dict[type[Any], Dynamic] = {}

    def of(self, message: type[Any]) -> Codec:
        """The codec of a NamedTuple of `interface`."""
        if message not in self._codecs:
            self._define(message)
            made = self._dynamic[message]
            self._codecs[message] = Codec(
                lambda value: bytes(self._to_dynamic(value).SerializeToString()),
                lambda data: self._from_dynamic(message, made.FromString(data)),
            )
        return self._codecs[message]

    def _define(self, message: type[Any]) -> None:
        """Adds a message to the pool, after those it holds; each is a file of its own there."""
        if message in self._dynamic:
            return
        file = descriptor_pb2.FileDescriptorProto(name=f"{message.__name__}.proto", package=PACKAGE, syntax="proto3")
        described = file.message_type.add(name=message.__name__)
        for number, (name, field) in enumerate(_fields(message).items(), start=1):
            label = _Field.LABEL_REPEATED if field.repeated else _Field.LABEL_OPTIONAL
            if field.message is None:
                described.field.add(name=name, number=number, label=label, type=field.scalar)
                continue
            self._define(field.message)
            inner = field.message.__name__
            described.field.add(
                name=name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=f".{PACKAGE}.{inner}"
            )
            if f"{inner}.proto" not in file.dependency:
                file.dependency.append(f"{inner}.proto")
        self._pool.Add(file)
        descriptor = self._pool.FindMessageTypeByName(f"{PACKAGE}.{message.__name__}")
        self._dynamic[message] = message_factory.GetMessageClass(descriptor)

    def _to_dynamic(self, value: Any) -> Dynamic:
        given: dict[str, Any] = {}
        for name, field in _fields(type(value)).items():
            content = getattr(value, name)
            if field.message is not None:
                content = [self._to_dynamic(item) for item in content] if field.repeated else self._to_dynamic(content)
            given[name] = content
        return self._dynamic[type(value)](**given)

    def _from_dynamic(self, message: type[M], made: Dynamic) -> M:
        values: list[Any] = []
        for name, field in _fields(message).items():
            content = getattr(made, name)
            if field.message is not None and not field.repeated:
                content = self._from_dynamic(field.message, content)
            elif field.repeated:
                inner = field.message
                content = tuple(content if inner is None else (self._from_dynamic(inner, item) for item in content))
            values.append(content)
        return message(*values)
