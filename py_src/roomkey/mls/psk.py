"""Pre-shared keys (RFC 9420 section 8.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from roomkey.crypto.labels import expand_with_label, extract
from roomkey.crypto.suites import CipherSuite
from roomkey.mls.validation import violation
from roomkey.tls import U16, Opaque, Struct, When, one_of, opaque, uint8, uint64

# enum { reserved(0), external(1), resumption(2), (255) } PSKType;
PSK_EXTERNAL = 1
PSK_RESUMPTION = 2

# enum { reserved(0), application(1), reinit(2), branch(3), (255) } ResumptionPSKUsage;
USAGE_APPLICATION = 1
USAGE_REINIT = 2
USAGE_BRANCH = 3

# PSKLabel counts in 16 bits.
_MAX_PSKS = 0xFFFF


class PreSharedKeyID(Struct):
    """Names a PSK, and the nonce of this one use of it.

    struct {
        PSKType psktype;
        select (PreSharedKeyID.psktype) {
            case external:   opaque psk_id<V>;
            case resumption: ResumptionPSKUsage usage; opaque psk_group_id<V>; uint64 psk_epoch;
        };
        opaque psk_nonce<V>;
    } PreSharedKeyID;
    """

    psktype: Annotated[int, one_of(uint8, PSK_EXTERNAL, PSK_RESUMPTION)]
    psk_id: Annotated[bytes | None, When("psktype", {PSK_EXTERNAL: opaque()})]
    usage: Annotated[
        int | None,
        When("psktype", {PSK_RESUMPTION: one_of(uint8, USAGE_APPLICATION, USAGE_REINIT, USAGE_BRANCH)}),
    ]
    psk_group_id: Annotated[bytes | None, When("psktype", {PSK_RESUMPTION: opaque()})]
    psk_epoch: Annotated[int | None, When("psktype", {PSK_RESUMPTION: uint64})]
    psk_nonce: Opaque


def external_psk(psk_id: bytes, nonce: bytes) -> PreSharedKeyID:
    """The id of a key that the application shares; `nonce` is fresh, of the KDF's output size (32 bytes)."""
    return PreSharedKeyID(PSK_EXTERNAL, psk_id, None, None, None, nonce)


def resumption_psk(usage: int, group_id: bytes, epoch: int, nonce: bytes) -> PreSharedKeyID:
    """The id of an earlier epoch's `resumption_psk`; `nonce` as for `external_psk`."""
    return PreSharedKeyID(PSK_RESUMPTION, None, usage, group_id, epoch, nonce)


class Psks(NamedTuple):
    """Pre-shared keys that the caller offers: external ones by psk_id, resumption ones of other groups by (group id,
    epoch).
    """

    external: Mapping[bytes, bytes] = {}
    resumption: Mapping[tuple[bytes, int], bytes] = {}

    def key(self, psk_id: PreSharedKeyID) -> bytes:
        """The key behind an id. Errors: "psk-unknown"."""
        if psk_id.psktype == PSK_EXTERNAL:
            found = self.external.get(psk_id.psk_id or b"")
        else:
            found = self.resumption.get((psk_id.psk_group_id or b"", psk_id.psk_epoch or 0))
        if found is None:
            raise violation("psk-unknown")
        return found

    def __repr__(self) -> str:
        return "<Psks>"


NO_PSKS = Psks()


class PSKLabel(Struct):
    """`struct { PreSharedKeyID id; uint16 index; uint16 count; } PSKLabel;`"""

    id: PreSharedKeyID
    index: U16
    count: U16


def psk_secret(suite: CipherSuite, psks: Sequence[tuple[PreSharedKeyID, bytes]]) -> bytes:
    """What the PSKs, in the commit's order, add to the key schedule; all zero without any (RFC 9420 section 8.4).

    Errors: "invalid-proposal" with rule psk-count for more PSKs than the protocol counts.
    """
    if len(psks) > _MAX_PSKS:
        raise violation("psk-count", f"expected at most {_MAX_PSKS}, got {len(psks)}")
    zero = bytes(suite.nh)
    secret = zero
    for index, (psk_id, psk) in enumerate(psks):
        label = PSKLabel(psk_id, index, len(psks)).encode()
        psk_input = expand_with_label(suite, extract(suite, zero, psk), b"derived psk", label, suite.nh)
        secret = extract(suite, psk_input, secret)
    return secret
