"""Hypothesis values for wire structs, made from their declarations: whatever a struct can hold, small."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from roomkey import tls
from roomkey.mls.leaf_node import Capabilities, SharedCapabilities
from roomkey.tls import codec as primitives
from roomkey.tls import struct


def structs(cls: type[tls.Struct]) -> st.SearchStrategy[Any]:
    """Values of a struct; a field that is selected by a tag follows the tag."""
    return st.deferred(lambda: _build(cls))


@st.composite
def _build(draw: st.DrawFn, cls: type[tls.Struct]) -> tls.Struct:
    values: dict[str, Any] = {}
    for name, codec in cls._fields or struct._resolve(cls):
        if isinstance(codec, tls.When):
            _, chosen = codec.pick(values)
            values[name] = None if chosen is None else draw(values_of(chosen))
        else:
            tags = _tag_values(cls, name)
            known = st.sampled_from(tags) if tags else st.nothing()
            values[name] = draw(known | values_of(codec))
    return cls(**values)


def _tag_values(cls: type[tls.Struct], name: str) -> list[int]:
    """The values of a tag that select something: hardly ever met by chance among 2^16."""
    fields = cls._fields or ()
    return sorted({v for _, codec in fields if isinstance(codec, tls.When) and codec.tag == name for v in codec.cases})


def values_of(codec: tls.Codec[Any]) -> st.SearchStrategy[Any]:
    """Values that a codec can write."""
    if isinstance(codec, primitives._UInt):
        return st.integers(0, codec.limit - 1)
    if isinstance(codec, primitives._Const):
        return st.sampled_from(sorted(codec.allowed))
    if isinstance(codec, primitives._Opaque):
        return st.binary(min_size=codec.minimum, max_size=max(codec.minimum, 70))
    if isinstance(codec, primitives._Fixed):
        return st.binary(min_size=codec.size, max_size=codec.size)
    if isinstance(codec, primitives._Rest):
        return st.binary(max_size=20)
    if isinstance(codec, primitives._Vector):
        return st.lists(values_of(codec.item), max_size=2).map(tuple)
    if isinstance(codec, primitives._Optional):
        return st.none() | values_of(codec.item)
    if isinstance(codec, struct._StructCodec):
        return structs(codec.cls)
    if isinstance(codec, SharedCapabilities):
        return structs(Capabilities)
    raise TypeError(f"no strategy for {type(codec).__name__}")
