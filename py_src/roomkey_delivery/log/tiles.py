"""The log's tree in tiles (c2sp.org/tlog-tiles): hashes are stored 256 to a tile, and only at every eighth level; what
lies between is made when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle
from roomkey.transparency.merkle import HASH_SIZE

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
MAX_LEVEL: Final = 63
ENTRIES: Final = "entries"  # in place of a level: the entries themselves

# The hashes of a tile (level, number), as many as there are.
ReadTile = Callable[[int, int], bytes]

_LEVEL: Final = re.compile("0|[1-9][0-9]?", re.ASCII)
_PLACE: Final = re.compile(r"((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class TilePath(NamedTuple):
    """A tile's name: its level (None: a bundle of entries), its number there, and how many of its hashes."""

    level: int | None
    number: int
    width: int

    @classmethod
    def decode(cls, level: str, place: str) -> TilePath | None:
        """From the two parts of the path below `tile/`; None for what is not in the one form."""
        found = _PLACE.fullmatch(place)
        if found is None or (level != ENTRIES and (not _LEVEL.fullmatch(level) or int(level) > MAX_LEVEL)):
            return None
        number = int(found[1].replace("x", "").replace("/", ""))
        width = WIDTH if found[2] is None else int(found[2])
        if tile_number(number) != found[1] or (found[2] is not None and width >= WIDTH):
            return None
        if (number + 1) * WIDTH > merkle.MAX_SIZE:  # beyond what any tree has, and a database can say
            return None
        return cls(None if level == ENTRIES else int(level), number, width)


def tile_number(number: int) -> str:
    """A tile's number as a path: 1234067 is x001/x234/067."""
    text = f"{number % 1000:03}"
    while number := number // 1000:
        text = f"x{number % 1000:03}/{text}"
    return text


def subtree(read: ReadTile, start: int, end: int) -> bytes:
    """The root over leaves [start, end): a `merkle.Subtree`, for the ranges that roots and proofs are made of.

    Errors: "service-unavailable" for a tile that lacks hashes: the file is damaged.
    """
    if end == start:
        return merkle.EMPTY_ROOT
    size = end - start
    height = size.bit_length() - 1
    if size != 1 << height:
        middle = start + (1 << height)
        return merkle.node_hash(subtree(read, start, middle), subtree(read, middle, end))
    level, count = height // HEIGHT, 1 << height % HEIGHT
    tile, place = divmod(start >> level * HEIGHT, WIDTH)
    hashes = read(level, tile)[place * HASH_SIZE : (place + count) * HASH_SIZE]
    if len(hashes) != count * HASH_SIZE:
        raise RoomkeyError("service-unavailable", "expected a log whose tiles are whole")
    return merkle.root([hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)])


def appended(read: ReadTile, size: int, leaf: bytes) -> list[tuple[int, int, bytes]]:
    """The tiles (level, number, hashes) that are others once a leaf's hash follows on `size` leaves."""
    changed, level, value = [], 0, leaf
    while True:
        number, place = divmod(size >> level * HEIGHT, WIDTH)
        hashes = (read(level, number)[: place * HASH_SIZE] if place else b"") + value
        if len(hashes) != (place + 1) * HASH_SIZE:
            raise RoomkeyError("service-unavailable", "expected a log whose tiles are whole")
        changed.append((level, number, hashes))
        if place + 1 < WIDTH:
            return changed
        value = merkle.root([hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)])
        level += 1
