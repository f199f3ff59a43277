"""Handles: numbers that stand for objects on the other side of the bridge. None is ever used twice."""

from __future__ import annotations

from typing import TypeVar

from roomkey.errors import RoomkeyError

T = TypeVar("T")


class Handles:
    """All handles of one bridge."""

    def __init__(self) -> None:
        self._next = 1
        self._objects: dict[int, object] = {}
        self._used: set[int] = set()

    def add(self, item: object) -> int:
        """The handle of an object: the one it has, or a new one."""
        for handle, known in self._objects.items():
            if known is item:
                return handle
        handle = self._next
        self._next += 1
        self._objects[handle] = item
        return handle

    def get(self, handle: int, kind: type[T]) -> T:
        """Errors: "closed" for a handle that ended or is of another kind, "init-keys-used"."""
        item = self._objects.get(handle)
        if isinstance(item, kind):
            return item
        if handle in self._used:
            raise RoomkeyError("init-keys-used", "expected init keys that were not used yet")
        raise RoomkeyError("closed", f"expected a live handle of {kind.__name__}", field="handle")

    def find(self, item: object) -> int | None:
        return next((handle for handle, known in self._objects.items() if known is item), None)

    def drop(self, item: object, *, used: bool = False) -> None:
        """Ends the handle of an object, if it has one."""
        handle = self.find(item)
        if handle is not None:
            del self._objects[handle]
            if used:
                self._used.add(handle)

    def all(self, kind: type[T]) -> list[T]:
        return [item for item in self._objects.values() if isinstance(item, kind)]
