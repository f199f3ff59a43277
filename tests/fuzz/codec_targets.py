"""The presentation language itself: declarations made from the input, and bytes for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from roomkey import tls
from roomkey.errors import RoomkeyError

from tests.fuzz.target import DECODING, Finding, Target, forget_encoding, refused

MAX_DEPTH = 5


def _declared(source: Iterator[int], depth: int) -> tls.Codec[Any]:
    """A codec by the next bytes of the input; an input that ends declares bytes."""
    kind = next(source, 0) % 14
    if depth == MAX_DEPTH:
        kind %= 8
    simple: tuple[Callable[[], tls.Codec[Any]], ...] = (
        lambda: tls.uint8,
        lambda: tls.uint16,
        lambda: tls.uint24,
        lambda: tls.uint64,
        lambda: tls.opaque(),
        lambda: tls.opaque(tls.uint16, 1, 300),
        lambda: tls.fixed(next(source, 0) % 8),
        lambda: tls.one_of(tls.uint8, 1, 2, 3),
    )
    if kind < len(simple):
        return simple[kind]()
    if kind == 8:
        return tls.optional(_declared(source, depth + 1))
    if kind < 11:
        item = _declared(source, depth + 1)
        # An item of no bytes could stand any number of times.
        item = tls.uint8 if isinstance(item, type(tls.fixed(0))) else item
        return tls.vector(item) if kind == 9 else tls.vector(item, tls.uint8, 0, 200)
    fields: dict[str, Any] = {"tag": tls.U8}
    for number in range(next(source, 0) % 4):
        fields[f"f{number}"] = Annotated[Any, _declared(source, depth + 1)]
    chosen = _declared(source, depth + 1)
    fields["last"] = Annotated[
        Any, tls.When("tag", {1: chosen, 2: tls.uint32}, otherwise=chosen if kind == 13 else None)
    ]
    made: type[tls.Struct] = type("Made", (tls.Struct,), {"__annotations__": fields, "__module__": __name__})
    return made.codec()


def run_codec(data: bytes) -> bool:
    """`uint8 size; uint8 declaration[size]`, then what is decoded by it."""
    if not data or len(data) <= data[0]:
        return False
    codec = _declared(iter(data[1 : 1 + data[0]]), 0)
    encoded = data[1 + data[0] :]
    try:
        value = codec.decode(encoded)
    except RoomkeyError as error:
        return refused(error, DECODING)
    forget_encoding(value)
    if codec.encode(value) != encoded:
        raise Finding("expected the encoding that was decoded")
    return True


def _codecs() -> dict[str, bytes]:
    return {
        "struct": bytes((5, 11, 2, 1, 4, 3)) + b"\x01" + b"\x00\x07" + b"\x03abc" + bytes(8),
        "vector": bytes((2, 9, 4)) + b"\x06\x02ab\x02cd",
        "optional": bytes((3, 8, 10, 1)) + b"\x01\x04\x00\x01\x00\x02",
        "nested": bytes((4, 9, 9, 9, 0)) + b"\x04\x03\x02\x01\x02",
    }


def targets() -> list[Target]:
    return [Target("codec", run_codec, _codecs)]
