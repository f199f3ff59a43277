"""The arguments of a call, checked: they come from application code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roomkey.errors import RoomkeyError

_KINDS: dict[type, str] = {
    type(None): "nothing",
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bytes: "bytes",
    bytearray: "bytes",
    memoryview: "bytes",
}  # bool before int, which it is one of


class Arguments:
    """One call's arguments. Each getter's errors: "bad-argument" with the argument's name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        return _whole(name, self._values.get(name))

    def optional_text(self, name: str) -> str | None:
        return None if self._values.get(name) is None else self.text(name)

    def texts(self, name: str) -> list[str]:
        """One text or a list of them."""
        value = self._values.get(name)
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            raise _wrong(name, "a list of texts", value)
        return [_whole(name, item) for item in values]

    def number(self, name: str, default: int | None = None) -> int:
        value = self._values.get(name, default)
        if value is None:
            value = default
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JavaScript has one kind of number
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(name, "a whole number", value)
        return value

    def numbers(self, name: str) -> list[int]:
        value = self._values.get(name)
        if not isinstance(value, list):
            raise _wrong(name, "a list of whole numbers", value)
        return [Arguments({name: item}).number(name) for item in value]

    def data(self, name: str) -> bytes:
        value = self._values.get(name)
        if not isinstance(value, bytes | bytearray | memoryview):
            raise _wrong(name, "bytes", value)
        return bytes(value)

    def optional_data(self, name: str) -> bytes | None:
        return None if self._values.get(name) is None else self.data(name)

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self._values.get(name)
        if not isinstance(value, Mapping):
            raise _wrong(name, "an object", value)
        return value

    def flag(self, name: str) -> bool:
        """False where it is not given."""
        value = self._values.get(name)
        if not isinstance(value, bool | None):
            raise _wrong(name, "a boolean", value)
        return value is True

    def hexadecimal(self, name: str, size: int) -> bytes:
        """Bytes that travel as text, `size` of them."""
        text = self.text(name)
        try:
            value = bytes.fromhex(text)
        except ValueError:
            value = b""
        if len(value) != size or len(text) != 2 * size:
            raise _wrong(name, f"{2 * size} hex digits", text)
        return value

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None


def _whole(name: str, value: object) -> str:
    """A text of whole characters: JavaScript's are of 16-bit units, of which it may have halves."""
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RoomkeyError("bad-argument", f"{name}: expected a text of whole characters, got half of one", field=name)
    return value


def _wrong(name: str, expected: str, got: object) -> RoomkeyError:
    return RoomkeyError("bad-argument", f"{name}: expected {expected}, got {_kind(got)}", field=name)


def _kind(value: object) -> str:
    """What the caller gave, in words that do not need Python."""
    return next((words for kind, words in _KINDS.items() if isinstance(value, kind)), "something else")
