"""What a service answers about one identity, as it comes: nothing of it is proved (`verifier` does that)."""

from __future__ import annotations

from typing import Annotated, Final

from roomkey.errors import RoomkeyError
from roomkey.tls import Struct, fixed, malformed, opaque, optional, uint16, uint32, vector
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.identity_map import MapProof
from roomkey.transparency.manifest import MAX_CHAIN, OPENING_SIZE, SignedManifest
from roomkey.transparency.merkle import HASH_SIZE, MAX_PROOF
from roomkey.transparency.vrf import PROOF_SIZE

# Far above what 2^63 epochs, a full map and a chain of manifests of a few devices take.
MAX_ANSWER: Final = 1 << 20
# A checkpoint with the cosignatures of every auditor that anybody would configure.
MAX_CHECKPOINT: Final = 1 << 13


# struct { opaque opening[16]; SignedManifest manifests<0..2^20>; } Presence;      4 bytes of length
class Presence(Struct):
    """What opens the map's commitment to the newest manifest, and the manifests since the asker's pin, oldest first."""

    opening: Annotated[bytes, fixed(OPENING_SIZE)]
    manifests: Annotated[tuple[SignedManifest, ...], vector(SignedManifest, uint32, 0, MAX_ANSWER)]

    def check(self) -> None:
        if len(self.manifests) > MAX_CHAIN:
            raise malformed("manifests", f"at most {MAX_CHAIN}", len(self.manifests))


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
