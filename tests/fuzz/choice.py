"""Several decoders under one target: the input's first byte chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from roomkey import tls
from roomkey.tls import U8, When

from tests.fuzz.target import DECODING, decodes


class Choice(NamedTuple):
    """A decoder among others, with its seeds."""

    decode: Callable[[bytes], Any]
    codec: tls.Codec[Any]
    seeds: dict[str, bytes]
    codes: frozenset[str] = DECODING


def struct(cls: type[tls.Struct], codes: frozenset[str] = DECODING, **seeds: tls.Struct) -> Choice:
    """The decoder of a struct, with values for seeds."""
    return Choice(cls.decode, cls.codec(), {name: value.encode() for name, value in seeds.items()}, codes)


def run_of(choices: Sequence[Choice]) -> Callable[[bytes], bool]:
    runs = [decodes(choice.decode, choice.codes) for choice in choices]

    def run(data: bytes) -> bool:
        return data != b"" and runs[data[0] % len(runs)](data[1:])

    return run


def shape_of(choices: Sequence[Choice]) -> tls.Codec[Any]:
    """`uint8 choice; select (choice) { ... }`, for the mutator."""
    cases = {number: choice.codec for number, choice in enumerate(choices)}

    fields = {"choice": U8, "value": Annotated[Any, When("choice", cases)]}
    chosen: type[tls.Struct] = type("Chosen", (tls.Struct,), {"__annotations__": fields, "__module__": __name__})
    return chosen.codec()


def seeds_of(choices: Sequence[Choice]) -> dict[str, bytes]:
    return {
        f"{number:02}-{name}": bytes((number,)) + data
        for number, choice in enumerate(choices)
        for name, data in choice.seeds.items()
    }
