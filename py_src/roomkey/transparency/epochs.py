"""Epochs: each leaf of a log is one state of the identity map (wire.md section 6)."""

from __future__ import annotations

from typing import Annotated

from roomkey.tls import U64, Struct, fixed
from roomkey.transparency import merkle

Hash = fixed(merkle.HASH_SIZE)


class EpochLeaf(Struct):
    """One epoch of the map.

    struct { uint64 number; uint64 time; opaque map_root[32]; opaque previous_root[32]; opaque updates_hash[32]; }
        EpochLeaf;

    number: its place in the log, from 0. time: Unix seconds. updates_hash: of what auditors replay to get from
    previous_root to map_root.
    """

    number: U64
    time: U64
    map_root: Annotated[bytes, Hash]
    previous_root: Annotated[bytes, Hash]
    updates_hash: Annotated[bytes, Hash]

    def leaf_hash(self) -> bytes:
        """As the log's tree holds it (RFC 6962 section 2.1)."""
        return merkle.leaf_hash(self.encode())
