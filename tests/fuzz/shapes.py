"""Bytes as a tree of the fields they were encoded from, so that one of them can be altered and all lengths follow.

`Shaper.parse` walks the declarations of `roomkey.tls` over an input. A mutation alters one part of the tree: another
number, other bytes, an item more or fewer, the same field of another seed, a length that lies. Opaque fields that hold
an encoded value (a Welcome's GroupInfo, an extension's data) are parts too; `inside` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from random import Random
from typing import Any

from roomkey import tls
from roomkey.mls.leaf_node import Capabilities, LeafNode, SharedCapabilities
from roomkey.mls.ratchet_tree import ParentNode, _NodeCodec
from roomkey.tls import codec as primitives
from roomkey.tls import struct

# What an opaque field holds: by struct and field; None for plain bytes. `Tagged` for what a seal's tag follows.
Inside = Callable[["type[tls.Struct]", str, Mapping[str, "Part"]], "tls.Codec[Any] | Tagged | None"]
Havoc = Callable[[bytes, int], bytes]

_BOUNDARIES = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0xFFFFFFFF, (1 << 64) - 1)
_DONORS = 24  # of one field


class Misfit(Exception):
    """The bytes are not of the declaration."""


class Tagged:
    """An encoded value that the 16 bytes of an AEAD's tag follow."""

    def __init__(self, item: tls.Codec[Any]) -> None:
        self.item = item


class Part:
    """A field or a list of fields. `head` is the codec of the length that stands before it, if any."""

    __slots__ = ("count", "data", "head", "item", "key", "lie", "names", "parts")

    def __init__(
        self,
        key: object,
        data: bytes = b"",
        parts: tuple[Part, ...] | None = None,
        *,
        head: tls.Codec[int] | None = None,
        names: tuple[str, ...] = (),
        item: object = None,
        lie: int = 0,
    ) -> None:
        self.key, self.data, self.parts = key, data, parts
        self.head, self.names, self.item, self.lie = head, names, item, lie
        self.count: int = 1 + sum([part.count for part in parts or ()])

    def with_data(self, data: bytes) -> Part:
        return Part(self.key, data, self.parts, head=self.head, names=self.names, item=self.item, lie=self.lie)

    def with_parts(self, parts: tuple[Part, ...]) -> Part:
        return Part(self.key, b"", parts, head=self.head, names=self.names, item=self.item, lie=self.lie)

    def with_lie(self, lie: int) -> Part:
        return Part(self.key, self.data, self.parts, head=self.head, names=self.names, item=self.item, lie=lie)

    def encode(self) -> bytes:
        body = self.data if self.parts is None else b"".join([part.encode() for part in self.parts])
        return body if self.head is None else _length(self.head, len(body) + self.lie) + body

    def field(self, name: str) -> Part:
        assert self.parts is not None
        return self.parts[self.names.index(name)]

    def number(self) -> int:
        return int.from_bytes(self.data, "big")


def _length(head: tls.Codec[int], size: int) -> bytes:
    size = max(0, size)
    if isinstance(head, primitives._UInt):
        return (size % head.limit).to_bytes(head.width, "big")
    return head.encode(min(size, (1 << 30) - 1))


class Shaper:
    """Parses and mutates inputs of one declaration."""

    def __init__(self, codec: tls.Codec[Any], inside: Inside, seeds: list[bytes]) -> None:
        self._codec = codec
        self._inside = inside
        self.parse = lru_cache(maxsize=1024)(self._parse)
        self._donors: dict[object, list[Part]] = {}
        for seed in seeds:
            self._collect(self.parse(seed))

    def _parse(self, data: bytes) -> Part | None:
        try:
            return _whole(self._codec, data, self._inside)
        except Misfit:
            return None

    def _collect(self, part: Part | None) -> None:
        if part is None:
            return
        known = self._donors.setdefault(part.key, [])
        if len(known) < _DONORS:
            known.append(part)
        for inner in part.parts or ():
            self._collect(inner)

    def mutate(self, data: bytes, limit: int, seed: int, havoc: Havoc) -> bytes:
        """One to three parts altered; where the bytes do not parse, the bytes themselves."""
        random = Random(seed)
        tree = self.parse(data)
        if tree is None or random.random() < 0.1:
            return havoc(data, limit)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            tree = self._alter(tree, random.randrange(tree.count), random, havoc)
        return tree.encode()[:limit]

    def cross(self, left: bytes, right: bytes, limit: int, seed: int) -> bytes:
        """`left` with one part replaced by one of `right` that could stand there."""
        random = Random(seed)
        first, second = self.parse(left), self.parse(right)
        if first is None or second is None:
            return left
        found: dict[object, list[Part]] = {}
        _by_key(second, found)
        place = random.randrange(first.count)
        return self._alter(first, place, random, lambda data, _: data, found).encode()[:limit]

    def _alter(
        self, part: Part, place: int, random: Random, havoc: Havoc, found: dict[object, list[Part]] | None = None
    ) -> Part:
        if place == 0:
            if found is not None:
                return random.choice(found.get(part.key, [part]))
            return self._changed(part, random, havoc)
        place -= 1
        assert part.parts is not None
        for index, inner in enumerate(part.parts):
            if place < inner.count:
                new = self._alter(inner, place, random, havoc, found)
                return part.with_parts((*part.parts[:index], new, *part.parts[index + 1 :]))
            place -= inner.count
        raise AssertionError("expected a place inside the tree")

    def _changed(self, part: Part, random: Random, havoc: Havoc) -> Part:
        donors = self._donors.get(part.key, [])
        if donors and random.random() < 0.4:
            return random.choice(donors)
        if part.head is not None and random.random() < 0.05:
            return part.with_lie(random.choice((-2, -1, 1, 2, 1 << 14, 1 << 24)))
        if part.parts is None:
            return part.with_data(_other_bytes(part, random, havoc))
        if part.item is None:
            return random.choice(donors) if donors else part
        return part.with_parts(self._other_items(part.parts, part.item, random))

    def _other_items(self, parts: tuple[Part, ...], item: object, random: Random) -> tuple[Part, ...]:
        """A vector's items: one more, one fewer, two swapped, many the same, none."""
        choice = random.randrange(6)
        place = random.randrange(len(parts) + 1)
        donors = self._donors.get(item, [])
        if choice == 0 and donors:
            return (*parts[:place], random.choice(donors), *parts[place:])
        if not parts:
            return (random.choice(donors),) if donors else ()
        one = parts[min(place, len(parts) - 1)]
        if choice == 1:
            return (*parts[:place], *parts[place + 1 :])
        if choice == 2:
            return (*parts[:place], one, *parts[place:])
        if choice == 3:
            return (*parts, *(one for _ in range(random.randrange(2, 20))))
        if choice == 4:
            return tuple(random.sample(parts, len(parts)))
        return ()


def _other_bytes(part: Part, random: Random, havoc: Havoc) -> bytes:
    width = len(part.data)
    if part.item == "number":
        choice = random.randrange(4)
        if choice == 0:
            return (part.number() + random.choice((-1, 1)) & (1 << 8 * width) - 1).to_bytes(width, "big")
        if choice == 1:
            return random.randbytes(width)
        return (random.choice(_BOUNDARIES) & (1 << 8 * width) - 1).to_bytes(width, "big")
    choice = random.randrange(6)
    if choice == 0:
        return b""
    if choice == 1:
        return part.data[:-1]
    if choice == 2:
        return part.data + b"\0"
    return havoc(part.data, max(64, 2 * width))


def _by_key(part: Part, found: dict[object, list[Part]]) -> None:
    found.setdefault(part.key, []).append(part)
    for inner in part.parts or ():
        _by_key(inner, found)


# -- parsing --


def _whole(codec: tls.Codec[Any], data: bytes, inside: Inside) -> Part:
    part, pos = _read(codec, data, 0, len(data), inside)
    if pos != len(data):
        raise Misfit
    return part


def _take(data: bytes, pos: int, size: int, end: int) -> int:
    if size < 0 or pos + size > end:
        raise Misfit
    return pos + size


def _read(codec: tls.Codec[Any], data: bytes, pos: int, end: int, inside: Inside) -> tuple[Part, int]:
    if isinstance(codec, struct._StructCodec):
        return _read_struct(codec.cls, data, pos, end, inside)
    if isinstance(codec, SharedCapabilities):
        return _read_struct(Capabilities, data, pos, end, inside)
    if isinstance(codec, primitives._Const):
        return _read(codec.item, data, pos, end, inside)
    if isinstance(codec, primitives._UInt):
        stop = _take(data, pos, codec.width, end)
        return Part(codec.width, data[pos:stop], item="number"), stop
    if isinstance(codec, primitives._Fixed):
        stop = _take(data, pos, codec.size, end)
        return Part(id(codec), data[pos:stop]), stop
    if isinstance(codec, primitives._Rest):
        return Part(id(codec), data[pos:end]), end
    if isinstance(codec, primitives._Opaque | primitives._Vector):
        size, pos = _read_length(codec.length, data, pos, end)
        stop = _take(data, pos, size, end)
        if isinstance(codec, primitives._Opaque):
            return Part(id(codec), data[pos:stop], head=codec.length), stop
        items: list[Part] = []
        while pos < stop:
            item, pos = _read(codec.item, data, pos, stop, inside)
            items.append(item)
        return Part(id(codec), parts=tuple(items), head=codec.length, item=_key(codec.item)), stop
    if isinstance(codec, primitives._Optional):
        return _read_optional(codec, data, pos, end, lambda at: _read(codec.item, data, at, end, inside))
    if isinstance(codec, _NodeCodec):
        return _read_optional(codec, data, pos, end, lambda at: _read_node(data, at, end, inside))
    raise TypeError(f"no shape for {type(codec).__name__}")


def _key(codec: tls.Codec[Any]) -> object:
    """What parts of this codec are called, so that others can take their place."""
    while isinstance(codec, primitives._Const):
        codec = codec.item
    if isinstance(codec, struct._StructCodec):
        return codec.cls
    return codec.width if isinstance(codec, primitives._UInt) else id(codec)


def _read_length(head: tls.Codec[int], data: bytes, pos: int, end: int) -> tuple[int, int]:
    if isinstance(head, primitives._UInt):
        stop = _take(data, pos, head.width, end)
    else:
        stop = _take(data, pos, 1, end)
        if data[pos] >> 6 == 3:
            raise Misfit
        stop = _take(data, pos, 1 << (data[pos] >> 6), end)
        return int.from_bytes(data[pos:stop], "big") & (1 << 8 * (stop - pos) - 2) - 1, stop
    return int.from_bytes(data[pos:stop], "big"), stop


def _read_optional(
    codec: tls.Codec[Any], data: bytes, pos: int, end: int, read: Callable[[int], tuple[Part, int]]
) -> tuple[Part, int]:
    stop = _take(data, pos, 1, end)
    tag = Part(1, data[pos:stop], item="number")
    if data[pos] != 1:
        return Part(id(codec), parts=(tag,)), stop
    value, stop = read(stop)
    return Part(id(codec), parts=(tag, value)), stop


def _read_node(data: bytes, pos: int, end: int, inside: Inside) -> tuple[Part, int]:
    stop = _take(data, pos, 1, end)
    tag = Part(1, data[pos:stop], item="number")
    value, stop = _read_struct(LeafNode if data[pos] == 1 else ParentNode, data, stop, end, inside)
    return Part("node", parts=(tag, value)), stop


def _read_struct(cls: type[tls.Struct], data: bytes, pos: int, end: int, inside: Inside) -> tuple[Part, int]:
    names: list[str] = []
    parts: list[Part] = []
    fields: dict[str, Part] = {}
    for name, codec in cls._fields or struct._resolve(cls):
        if isinstance(codec, tls.When):
            tag = fields[codec.field]
            for step in codec.path:
                tag = tag.field(step)
            chosen = codec.cases.get(tag.number(), codec.otherwise)
            if chosen is None:
                continue
            codec = chosen
        part, pos = _read(codec, data, pos, end, inside)
        if part.parts is None and part.item != "number":
            part = _opened(part, inside(cls, name, fields), inside)
        names.append(name)
        parts.append(part)
        fields[name] = part
    return Part(cls, parts=tuple(parts), names=tuple(names)), pos


def _opened(part: Part, codec: tls.Codec[Any] | Tagged | None, inside: Inside) -> Part:
    """An opaque field with the value inside it, if there is one."""
    if codec is None:
        return part
    try:
        if isinstance(codec, Tagged):
            body, tag = part.data[:-16], part.data[-16:]
            return part.with_parts((_whole(codec.item, body, inside), Part("tag", tag)))
        return part.with_parts((_whole(codec, part.data, inside),))
    except Misfit:
        return part
