"""Reads a log that we audit (c2sp.org/tlog-tiles), and believes nothing that its checkpoint does not prove.

    GET PREFIX/tile/entries/N[.p/W]      256 entries or W, each with 2 bytes of length
    GET PREFIX/tile/1/N[.p/W]            the roots of 256 full bundles of entries, or of W
    GET PREFIX/updates/N                 what epoch N set in the map

The entries from where we are up to the checkpoint are proved before the first of them is used: those of the first and
of the last bundle by themselves, whole bundles between by their roots in the tiles of level 1. So a long way is read
once, in pieces, and what is kept of it is 32 bytes for 256 epochs.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import httpx
from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.exchange import MAX_UPDATES
from roomkey.transparency.merkle import HASH_SIZE

from roomkey_delivery.audit.fetching import fetch
from roomkey_delivery.audit.frontier import Frontier
from roomkey_delivery.log.tiles import tile_number

BUNDLE: Final = 256  # entries of one bundle, hashes of one tile
MAX_ENTRY: Final = 128  # bytes; an EpochLeaf has 112
# Epochs that one checkpoint may be ahead of us: four days of a log that makes one in every 0.01 s.
MAX_BEHIND: Final = 1 << 25
FETCH_TIME: Final = 10.0  # seconds for one of the log's files
AT_ONCE: Final = 8  # files under way
_MAX_UPDATES_BYTES: Final = 72 * MAX_UPDATES + 4


class LogReader:
    """The files below one log's prefix URL. Its errors are "service-unavailable": what does not come, or is not what
    the log signed, may have been altered on the way, and can be asked for again.
    """

    def __init__(self, http: httpx.AsyncClient, prefix: str) -> None:
        self._http = http
        self._prefix = prefix.rstrip("/")

    async def entries(self, start: Frontier, head: Checkpoint) -> AsyncGenerator[list[bytes]]:
        """The entries from `start` to the head, in order, in lists of up to 256. Before the first:

        1. the way is no longer than MAX_BEHIND.
        2. the tree that we have, the entries of the first and last bundle, and the tiles' roots of those between give
           the head's root.
        3. and each bundle between, as it comes, its root.

        Errors: "service-unavailable".
        """
        first, last = start.size // BUNDLE, (head.size - 1) // BUNDLE
        if not start.size < head.size <= start.size + MAX_BEHIND:  # 1.
            raise _wrong(f"expected at most {MAX_BEHIND} new epochs, got {head.size - start.size}")
        ends = {number: await self._bundle(number, head.size) for number in {first, last}}
        ends[first] = ends[first][start.size - first * BUNDLE :]
        roots = await self._roots(range(first + 1, last), head.size)
        tree = start  # 2.
        for number in range(first, last + 1):
            if number in ends:
                for entry in ends[number]:
                    tree = tree.append(merkle.leaf_hash(entry))
            else:
                tree = tree.append(roots[number], BUNDLE.bit_length() - 1)
        if tree.root() != head.root:
            raise _wrong("expected entries that give the checkpoint's root")
        yield ends[first]
        for number in range(first + 1, last):
            bundle = await self._bundle(number, head.size)
            if merkle.root([merkle.leaf_hash(entry) for entry in bundle]) != roots[number]:  # 3.
                raise _wrong("expected a bundle of entries with the root that the log's tile says")
            yield bundle
        if last != first:
            yield ends[last]

    async def updates(self, number: int, expected: bytes) -> bytes:
        """The updates of an epoch, whose SHA-256 is `expected`. Errors: "service-unavailable"."""
        data = await self._get(f"updates/{number}", _MAX_UPDATES_BYTES)
        if hashlib.sha256(data).digest() != expected:
            raise _wrong("expected the updates whose hash stands in the epoch")
        return data

    async def _bundle(self, number: int, size: int) -> list[bytes]:
        width = min(BUNDLE, size - number * BUNDLE)
        data = await self._piece("entries", number, width, BUNDLE * (2 + MAX_ENTRY))
        entries, at = [], 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            entries.append(data[at + 2 : end])
            at = end
        if at != len(data) or len(entries) < width:
            raise _wrong(f"expected a bundle of {width} entries")
        return entries[:width]

    async def _roots(self, bundles: range, size: int) -> dict[int, bytes]:
        """The roots of full bundles by number, as the tiles of level 1 say."""
        found: dict[int, bytes] = {}
        for tile in range(bundles.start // BUNDLE, (bundles.stop - 1) // BUNDLE + 1 if bundles else 0):
            width = min(BUNDLE, size // BUNDLE - tile * BUNDLE)
            data = await self._piece("1", tile, width, BUNDLE * HASH_SIZE)
            if len(data) < width * HASH_SIZE:
                raise _wrong(f"expected a tile of {width} hashes")
            for place in range(width):
                found[tile * BUNDLE + place] = data[place * HASH_SIZE : (place + 1) * HASH_SIZE]
        return found

    async def _piece(self, level: str, number: int, width: int, limit: int) -> bytes:
        """A tile or bundle of this width, or the full one, which may have taken its place by now."""
        path = f"tile/{level}/{tile_number(number)}"
        if width == BUNDLE:
            return await self._get(path, limit)
        try:
            return await self._get(f"{path}.p/{width}", limit)
        except RoomkeyError:
            return await self._get(path, limit)

    async def _get(self, path: str, limit: int) -> bytes:
        return await fetch(self._http, f"{self._prefix}/{path}", limit=limit, seconds=FETCH_TIME)


async def several_updates(reader: LogReader, wanted: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """`LogReader.updates` of up to AT_ONCE epochs (number, hash), at the same time."""
    found = await asyncio.gather(*(reader.updates(*item) for item in wanted), return_exceptions=True)
    for item in found:
        if isinstance(item, BaseException):
            raise item
    return [item for item in found if isinstance(item, bytes)]


def _wrong(text: str) -> RoomkeyError:
    return RoomkeyError("service-unavailable", text)
