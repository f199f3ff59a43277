"""What clients, logs and auditors send each other (wire.md section 6). Nothing here is proved by being decoded.

Clients, signed requests to a delivery service:

    POST /v1/log/answers      AnswersRequest, answered by Answers            (media type LOG_ANSWERS)
    POST /v1/log/manifests    SignedManifest, answered by JSON {"version"}   (media type MANIFEST)

Everybody, unsigned, below the log's prefix URL (c2sp.org/tlog-tiles):

    GET PREFIX/checkpoint, PREFIX/tile/L/N[.p/W], PREFIX/tile/entries/N[.p/W]      entries are EpochLeaf structs
    GET PREFIX/updates/N      MapUpdates of epoch N (decimal)                (media type MAP_UPDATES)

Auditors and witnesses: POST PREFIX/add-checkpoint (c2sp.org/tlog-witness).
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Annotated, Final

from roomkey.errors import RoomkeyError
from roomkey.tls import U64, Struct, fixed, malformed, opaque, optional, uint16, uint32, vector
from roomkey.transparency.answer import MAX_ANSWER, Answer
from roomkey.transparency.identity_map import MapLeaf
from roomkey.transparency.manifest import MAX_IDENTITY
from roomkey.transparency.merkle import HASH_SIZE, MAX_PROOF

LOG_ANSWERS: Final = "application/roomkey-log-answers"
MANIFEST: Final = "application/roomkey-manifest"
MAP_UPDATES: Final = "application/roomkey-map-updates"

ANSWERS_PATH: Final = "/v1/log/answers"
MANIFESTS_PATH: Final = "/v1/log/manifests"
LOG_PREFIX: Final = "/v1/log"  # of the tiles at a delivery service
WITNESS_PREFIX: Final = "/v1/witness"  # of add-checkpoint at a delivery service

MAX_REQUESTS: Final = 50  # identities in one request, as in a claim
MAX_ANSWERS: Final = MAX_ANSWER * 8
# Updates of one epoch; 72 bytes each. Under what one encoding may unfold into (`tls.MAX_ELEMENTS`).
MAX_UPDATES: Final = 50_000


# struct { opaque identity<1..318>; uint64 pinned; } AnswerRequest;      identity: 2 bytes of length
class AnswerRequest(Struct):
    """Whom we ask about, and the version of the manifest that we hold of them; 0: none."""

    identity: Annotated[bytes, opaque(uint16, 1, MAX_IDENTITY)]
    pinned: U64


# struct { uint64 known_size; AnswerRequest requests<1..2^16-1>; } AnswersRequest;      2 bytes of length
class AnswersRequest(Struct):
    """Questions to one log. known_size: the number of epochs of the head that we hold; 0: none."""

    known_size: U64
    requests: Annotated[tuple[AnswerRequest, ...], vector(AnswerRequest, uint16, 1, 0xFFFF)]

    def check(self) -> None:
        if len(self.requests) > MAX_REQUESTS or len({item.identity for item in self.requests}) != len(self.requests):
            raise malformed("requests", f"at most {MAX_REQUESTS}, each identity once", len(self.requests))


# struct {
#     opaque consistency[32]<0..2^16-1>;      from known_size to the answers' checkpoint; empty where none is needed
#     optional<Answer> answers<0..2^32-1>;    in the order asked
# } Answers;
class Answers(Struct):
    """All answers are under one checkpoint. None: nothing is said about that identity to who asks."""

    _limit = MAX_ANSWERS
    consistency: Annotated[tuple[bytes, ...], vector(fixed(HASH_SIZE), uint16, 0, HASH_SIZE * MAX_PROOF)]
    answers: Annotated[tuple[Answer | None, ...], vector(optional(Answer), uint32, 0, MAX_ANSWERS)]

    @classmethod
    def decode(cls, data: bytes) -> Answers:
        """The answers that `data` encodes, exactly. Errors: "malformed", "too-large"."""
        if len(data) > MAX_ANSWERS:
            raise RoomkeyError("too-large", f"expected answers of at most {MAX_ANSWERS} bytes, got {len(data)}")
        return super().decode(data)


# struct { MapLeaf updates<0..2^32-1>; } MapUpdates;
class MapUpdates(Struct):
    """What one epoch sets in the map, in rising order of index, each index once: what auditors replay."""

    _limit = 72 * MAX_UPDATES + 4
    updates: Annotated[tuple[MapLeaf, ...], vector(MapLeaf, uint32, 0, 72 * MAX_UPDATES)]

    def check(self) -> None:
        indexes = [leaf.index for leaf in self.updates]
        if any(before >= after for before, after in itertools.pairwise(indexes)):
            raise malformed("updates", "rising indexes", "others")

    def hash(self) -> bytes:
        """SHA-256 of the struct: an EpochLeaf's updates_hash."""
        return hashlib.sha256(self.encode()).digest()
