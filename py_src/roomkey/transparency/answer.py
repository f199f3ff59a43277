"""What a service answers about one identity, as it comes: nothing of it is proved (`verifier` does that)."""

from __future__ import annotations

from typing import Annotated, Final

from roomkey.errors import RoomkeyError
from roomkey.tls import U64, Struct, fixed, malformed, opaque, optional, uint16, uint32, vector
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.identity_map import MapProof
from roomkey.transparency.manifest import MAX_CHAIN, OPENING_SIZE, SignedManifest
from roomkey.transparency.merkle import HASH_SIZE, MAX_PROOF
from roomkey.transparency.vrf import PROOF_SIZE

# Far above what 2^63 epochs, a full map and a chain of manifests of a few devices take.
MAX_ANSWER: Final = 1 << 20
# Bytes of manifests that an answer of fewer than MAX_CHAIN has where it does not hold all: each has 128 KB at most, so
# whoever fills an answer gets further than this.
MIN_PAGE: Final = MAX_ANSWER // 2
# A checkpoint with the cosignatures of every auditor that anybody would configure.
MAX_CHECKPOINT: Final = 1 << 13


# struct {
#     opaque opening[16];
#     uint64 version;                         of the newest manifest, in the map
#     SignedManifest manifests<0..2^20>;      4 bytes of length
# } Presence;
class Presence(Struct):
    """What opens the map's commitment to the newest manifest, and the manifests since the asker's pin, oldest first: up
    to the newest one, or a page of them, which is full (`is_full`).
    """

    opening: Annotated[bytes, fixed(OPENING_SIZE)]
    version: U64
    manifests: Annotated[tuple[SignedManifest, ...], vector(SignedManifest, uint32, 0, MAX_ANSWER)]

    def check(self) -> None:
        if len(self.manifests) > MAX_CHAIN:
            raise malformed("manifests", f"at most {MAX_CHAIN}", len(self.manifests))

    @property
    def is_full(self) -> bool:
        """Whether as many manifests are here as a page has where others follow: no service gives few at a time."""
        return len(self.manifests) == MAX_CHAIN or sum(len(item.encode()) for item in self.manifests) >= MIN_PAGE


# struct {
#     opaque checkpoint<0..2^13>;             2 bytes of length: the signed note with its cosignatures
#     EpochLeaf epoch;                        the log's last leaf
#     opaque inclusion[32]<0..2^16-1>;        its proof, the lowest hash first
#     opaque vrf_proof[80];
#     MapProof map_proof;
#     optional<Presence> presence;            none: the map says nothing of the identity
# } Answer;
class Answer(Struct):
    """An answer about one identity."""

    _limit = MAX_ANSWER
    checkpoint: Annotated[bytes, opaque(uint16, 0, MAX_CHECKPOINT)]
    epoch: EpochLeaf
    inclusion: Annotated[tuple[bytes, ...], vector(fixed(HASH_SIZE), uint16, 0, HASH_SIZE * MAX_PROOF)]
    vrf_proof: Annotated[bytes, fixed(PROOF_SIZE)]
    map_proof: MapProof
    presence: Annotated[Presence | None, optional(Presence)]

    @classmethod
    def decode(cls, data: bytes) -> Answer:
        """The answer that `data` encodes, exactly. Errors: "malformed", "too-large"."""
        if len(data) > MAX_ANSWER:
            raise RoomkeyError("too-large", f"expected an answer of at most {MAX_ANSWER} bytes, got {len(data)}")
        return super().decode(data)
