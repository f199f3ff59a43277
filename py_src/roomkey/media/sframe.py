"""SFrame keys from a group's epoch (RFC 9605 sections 4.4.2 and 5.2, wire.md section 7).

    base_key = MLS-Exporter("SFrame 1.0 Base Key", "", AEAD.Nk)
    KID      = (context << (S + E)) + (sender_index << E) + (epoch % (1 << E))

`sender_index` is the sender's leaf index, S the bits that the tree's leaves, blank ones included, need, so that every
leaf's index fits. `context` is the sender's own: one value for one stream and one start per epoch, never used again.
A receiver drops an old epoch when one with the same low E bits begins.
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple

from roomkey.crypto.hpke import expand
from roomkey.errors import RoomkeyError
from roomkey.media.srtp import Exporter

LABEL: Final = b"SFrame 1.0 Base Key"
# Low bits of the epoch in a KID: 256 epochs pass before a number comes again, far more than the 10 s an old key lives.
EPOCH_BITS: Final = 8


class SFrameSuite(NamedTuple):
    """A cipher suite of RFC 9605 section 4.5; sizes in bytes."""

    number: int
    name: str
    hash: str
    nk: int
    nn: int
    nt: int


SUITES: Final[dict[int, SFrameSuite]] = {
    suite.number: suite
    for suite in (
        SFrameSuite(0x0001, "AES_128_CTR_HMAC_SHA256_80", "sha256", 48, 12, 10),
        SFrameSuite(0x0002, "AES_128_CTR_HMAC_SHA256_64", "sha256", 48, 12, 8),
        SFrameSuite(0x0003, "AES_128_CTR_HMAC_SHA256_32", "sha256", 48, 12, 4),
        SFrameSuite(0x0004, "AES_128_GCM_SHA256_128", "sha256", 16, 12, 16),
        SFrameSuite(0x0005, "AES_256_GCM_SHA512_128", "sha512", 32, 12, 16),
    )
}
DEFAULT_SUITE: Final = 0x0004
# Tags below 80 bits can be forged by trying; RFC 9605 section 7.5 leaves them to applications that know what they do.
SHORT_TAGS: Final = frozenset({0x0002, 0x0003})


class SFrameEpoch(NamedTuple):
    """What a media worker needs for one epoch: every member's keys follow from it. Its text form shows no secret."""

    suite: SFrameSuite
    epoch: int
    index_bits: int
    base_key: bytes

    def __repr__(self) -> str:
        return f"<SFrameEpoch {self.epoch}>"

    def kid(self, leaf_index: int, context: int = 0) -> int:
        """The KID under which this sender's stream goes. Errors: "bad-argument"."""
        return key_id(context, leaf_index, self.epoch, index_bits=self.index_bits)


class SFrameKeys(NamedTuple):
    """The key (Nk bytes) and salt (Nn bytes) behind one KID. Its text form shows neither."""

    key: bytes
    salt: bytes

    def __repr__(self) -> str:
        return "<SFrameKeys>"


def suite_by_number(number: int, unsafe_short_tags: frozenset[int] = frozenset()) -> SFrameSuite:
    """The suite with this number; those with short tags only where a policy names them.

    Errors: "unsupported-suite".
    """
    suite = SUITES.get(number)
    if suite is None or (number in SHORT_TAGS and number not in unsafe_short_tags):
        allowed = sorted(set(SUITES) - (SHORT_TAGS - unsafe_short_tags))
        raise RoomkeyError("unsupported-suite", f"sframe suite: expected one of {allowed}, got {number}", suite=number)
    return suite


def sframe_epoch(export: Exporter, suite: SFrameSuite, epoch: int, leaf_count: int) -> SFrameEpoch:
    """The base key of an epoch.

    Args:
        export: the exporter of that epoch.
        leaf_count: width of the ratchet tree, blank leaves included.
    """
    return SFrameEpoch(suite, epoch, index_bits(leaf_count), export(LABEL, b"", suite.nk))


def index_bits(leaf_count: int) -> int:
    """S: the smallest number with leaf_count <= 2^S."""
    if leaf_count < 1:
        raise RoomkeyError("bad-argument", f"leaf_count: expected at least 1, got {leaf_count}")
    return (leaf_count - 1).bit_length()


def key_id(context: int, sender_index: int, epoch: int, *, index_bits: int, epoch_bits: int = EPOCH_BITS) -> int:
    """The KID of RFC 9605 section 5.2, below 2^64. Errors: "bad-argument" where a part does not fit its bits."""
    if not 0 <= sender_index < 1 << index_bits:
        raise RoomkeyError("bad-argument", f"sender index: expected below 2^{index_bits}, got {sender_index}")
    if not 0 <= context < 1 << (64 - index_bits - epoch_bits):
        raise RoomkeyError("bad-argument", f"context: expected below 2^{64 - index_bits - epoch_bits}, got {context}")
    return (context << (index_bits + epoch_bits)) + (sender_index << epoch_bits) + epoch % (1 << epoch_bits)


def derive_keys(suite: SFrameSuite, base_key: bytes, kid: int) -> SFrameKeys:
    """derive_key_salt of RFC 9605 section 4.4.2."""
    secret = hmac.digest(b"", base_key, suite.hash)
    place = kid.to_bytes(8, "big") + suite.number.to_bytes(2, "big")
    return SFrameKeys(
        expand(suite.hash, secret, b"SFrame 1.0 Secret key " + place, suite.nk),
        expand(suite.hash, secret, b"SFrame 1.0 Secret salt " + place, suite.nn),
    )
