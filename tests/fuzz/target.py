"""What a fuzz target is, and what every one of them demands.

An input either becomes a value, whose encoding is the input again, or is refused by a `RoomkeyError` with a code that
the entry point documents and that blames who sent it. Anything else that escapes is a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from roomkey import tls
from roomkey.errors import RoomkeyError

from tests.fuzz.shapes import Inside, Part

T = TypeVar("T")

# What any decoder may say.
DECODING = frozenset({"malformed", "too-large"})
# Longer inputs find nothing new and cost more; growth has tests of its own (test_growth.py).
MAX_INPUT = 4096


class Finding(AssertionError):
    """An input broke the demand; the text says which part of it."""


def plain(_struct: type[tls.Struct], _field: str, _fields: Mapping[str, Part]) -> None:
    """No opaque field holds an encoded value."""
    return


@dataclass(frozen=True)
class Target:
    """One entry point.

    Attributes:
        run: takes an input and says whether it was taken, which seeds are; raises a `Finding`, or lets escape what
        should not.
        seeds: makes the inputs that are checked in, by name.
        shape: the declaration by which inputs are mutated; None for inputs without one.
        inside: see `shapes`.
    """

    name: str
    run: Callable[[bytes], bool]
    seeds: Callable[[], dict[str, bytes]]
    shape: tls.Codec[Any] | None = None
    inside: Inside = plain
    max_input: int = MAX_INPUT


def refused(error: RoomkeyError, codes: frozenset[str], fault: str | None = "peer") -> bool:
    """False; demands that a refusal is one of those documented, and blames `fault` if that is given."""
    if error.code not in codes:
        raise Finding(f"expected one of {sorted(codes)}, got {error.code}: {error.text}") from error
    if fault not in (None, error.fault) and error.code not in _HOST_SAYS:
        raise Finding(f"expected {fault} to be blamed, got {error.fault} for {error.code}") from error
    return False


# What a message asks for and this host cannot do: nobody's fault among those who talk.
_HOST_SAYS = frozenset({"unsupported-suite", "unsupported-policy"})


def decodes(decode: Callable[[bytes], Any], codes: frozenset[str] = DECODING) -> Callable[[bytes], bool]:
    """A run of a decoder whose values encode to the input."""

    def run(data: bytes) -> bool:
        try:
            value = decode(data)
        except RoomkeyError as error:
            return refused(error, codes)
        forget_encoding(value)
        if value.encode() != data:
            raise Finding("expected the encoding that was decoded, got another")
        return True

    return run


def forget_encoding(value: object) -> None:
    """Makes structs encode their fields instead of repeating the bytes they came from."""
    if isinstance(value, tuple):
        for item in value:
            forget_encoding(item)
    elif isinstance(value, tls.Struct):
        value.__dict__["_encoded"] = None
        for name in value._names:
            forget_encoding(getattr(value, name))


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends, as all do on these hosts."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise AssertionError("expected a coroutine that does not suspend")
