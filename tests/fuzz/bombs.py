"""Hostile inputs of any size, made from the declarations: each vector in turn holds as many small items as fit.

An item that is small on the wire is the dearest per byte. `bombs` goes through every choice of every tag and finds
every vector and every opaque field that a decoder can be made to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple

from roomkey import tls
from roomkey.mls.leaf_node import Capabilities, LeafNode, SharedCapabilities
from roomkey.mls.ratchet_tree import ParentNode, _NodeCodec
from roomkey.tls import codec as primitives
from roomkey.tls import struct

Codec = tls.Codec[Any]
Prefixed = primitives._Opaque | primitives._Vector[Any]


class Bomb(NamedTuple):
    """`make(size)` is an encoding of about `size` bytes; `name` is the way to what fills it."""

    name: str
    make: Callable[[int], bytes]


def _fields(cls: type[tls.Struct]) -> tuple[tuple[str, Codec | tls.When], ...]:
    return cls._fields or struct._resolve(cls)


def _unwrapped(codec: Codec) -> Codec:
    return Capabilities.codec() if isinstance(codec, SharedCapabilities) else codec


@cache
def smallest(codec: Codec) -> bytes:
    """The shortest encoding there is; of items of a vector, which must take room, not the empty one."""
    codec = _unwrapped(codec)
    if isinstance(codec, struct._StructCodec):
        return min((b"".join(parts) for _, parts in _ways(codec.cls)), key=len)
    if isinstance(codec, primitives._Const):
        return min(codec.allowed).to_bytes(codec.item.width or 1, "big")
    if isinstance(codec, primitives._UInt):
        return bytes(codec.width)
    if isinstance(codec, primitives._Fixed):
        return bytes(codec.size)
    if isinstance(codec, primitives._Opaque | primitives._Vector):
        body = bytes(codec.minimum)
        return codec.length.encode(len(body)) + body
    if isinstance(codec, primitives._Optional | _NodeCodec):
        return b"\0"
    return b""


def _ways(cls: type[tls.Struct]) -> Iterator[tuple[list[Codec | None], list[bytes]]]:
    """For each choice of the tags: the codecs of the fields that stand there, and their smallest encodings."""
    fields = _fields(cls)
    selecting = {codec.field: codec for _, codec in fields if isinstance(codec, tls.When) and not codec.path}
    tags = [sorted(codec.cases) + ([0xFFFF] if codec.otherwise else []) for codec in selecting.values()]
    for values in product(*tags):
        chosen = dict(zip(selecting, values, strict=True))
        codecs: list[Codec | None] = []
        parts: list[bytes] = []
        for name, codec in fields:
            if isinstance(codec, tls.When):
                # A tag inside another field has its smallest value here, the first of its enum.
                tag = chosen.get(codec.field, 1) if not codec.path else 1
                picked = codec.cases.get(tag, codec.otherwise)
                codecs.append(picked)
                parts.append(b"" if picked is None else smallest(picked))
            elif name in chosen:
                width = codec.item.width if isinstance(codec, primitives._Const) else codec.width
                codecs.append(None)
                parts.append(chosen[name].to_bytes(width or 1, "big"))
            else:
                codecs.append(codec)
                parts.append(smallest(codec))
        yield codecs, parts


def bombs(codec: Codec, name: str = "") -> Iterator[Bomb]:
    """Every way to make a value of this codec large."""
    codec = _unwrapped(codec)
    if isinstance(codec, primitives._Opaque) and codec.maximum > 1 << 16:
        yield Bomb(name, partial(_filled, codec, b"\0"))
    elif isinstance(codec, primitives._Vector) and codec.maximum > 1 << 16:
        for label, item in _items(codec.item):
            yield Bomb(f"{name}*{label}", partial(_filled, codec, item))
        for inner in bombs(codec.item, f"{name}[]"):
            yield Bomb(inner.name, partial(_holding, codec, inner))
    elif isinstance(codec, primitives._Optional):
        for inner in bombs(codec.item, name):
            yield Bomb(inner.name, partial(_between, b"\x01", inner, b""))
    elif isinstance(codec, _NodeCodec):
        for kind, cls in ((b"\x01\x01", LeafNode), (b"\x01\x02", ParentNode)):
            for inner in bombs(cls.codec(), f"{name}.{cls.__name__}"):
                yield Bomb(inner.name, partial(_between, kind, inner, b""))
    elif isinstance(codec, struct._StructCodec):
        yield from _struct_bombs(codec.cls, name)


def _struct_bombs(cls: type[tls.Struct], name: str) -> Iterator[Bomb]:
    seen: set[str] = set()
    for codecs, parts in _ways(cls):
        for place, codec in enumerate(codecs):
            if codec is None:
                continue
            tag = "".join(part.hex() for part, other in zip(parts, codecs, strict=True) if other is None)
            field = _fields(cls)[place][0]
            for inner in bombs(codec, f"{name}.{field}"):
                if inner.name in seen:
                    continue
                seen.add(inner.name)
                head, tail = b"".join(parts[:place]), b"".join(parts[place + 1 :])
                yield Bomb(f"{inner.name}({tag})" if tag else inner.name, partial(_between, head, inner, tail))


def _filled(codec: Prefixed, item: bytes, size: int) -> bytes:
    return _prefixed(codec, item * (size // len(item)))


def _holding(codec: Prefixed, inner: Bomb, size: int) -> bytes:
    return _prefixed(codec, inner.make(size))


def _between(head: bytes, inner: Bomb, tail: bytes, size: int) -> bytes:
    return head + inner.make(size) + tail


def _items(item: Codec) -> Iterator[tuple[str, bytes]]:
    """Items to fill a vector with: the shortest, and for structs the shortest of every kind."""
    item = _unwrapped(item)
    if isinstance(item, struct._StructCodec):
        made = {b"".join(parts) for _, parts in _ways(item.cls)}
        for number, data in enumerate(sorted(made, key=len)):
            yield f"{item.cls.__name__}{number}", data
    elif isinstance(item, _NodeCodec):
        yield "blank", b"\0"
        yield "leaf", b"\x01\x01" + smallest(LeafNode.codec())
        yield "parent", b"\x01\x02" + smallest(ParentNode.codec())
    elif smallest(item):
        yield "item", smallest(item)


def _prefixed(codec: Prefixed, body: bytes) -> bytes:
    limit = codec.length.limit - 1 if isinstance(codec.length, primitives._UInt) else (1 << 30) - 1
    body = body[: min(limit, codec.maximum)]
    return codec.length.encode(len(body)) + body
