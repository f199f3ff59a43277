"""The right edge of a growing tree: what it takes to append to it and to know its root."""

from __future__ import annotations

from typing import NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.transparency.merkle import EMPTY_ROOT, HASH_SIZE, node_hash


class Frontier(NamedTuple):
    """The roots of the perfect subtrees that a tree of `size` leaves consists of, the largest first: one for each bit
    of the size that is set (RFC 6962 section 2.1).
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, subtree: bytes, height: int = 0) -> Frontier:
        """The tree with 2^height leaves more, whose root is `subtree`; the size must be a multiple of that number."""
        if self.size % (1 << height):
            raise RoomkeyError("bad-argument", f"expected a size that 2^{height} divides, got {self.size}")
        peaks, top, level = list(self.peaks), subtree, height
        while self.size >> level & 1:
            top = node_hash(peaks.pop(), top)
            level += 1
        return Frontier(self.size + (1 << height), (*peaks, top))

    def root(self) -> bytes:
        """The tree's root (32 bytes)."""
        if not self.peaks:
            return EMPTY_ROOT
        top = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            top = node_hash(peak, top)
        return top

    def encode(self) -> bytes:
        """The peaks one after the other."""
        return b"".join(self.peaks)

    @classmethod
    def decode(cls, size: int, peaks: bytes) -> Frontier:
        """Errors: "malformed" for another number of peaks than the size has."""
        if len(peaks) != HASH_SIZE * size.bit_count():
            raise RoomkeyError("malformed", f"expected {size.bit_count()} peaks")
        return cls(size, tuple(peaks[at : at + HASH_SIZE] for at in range(0, len(peaks), HASH_SIZE)))
