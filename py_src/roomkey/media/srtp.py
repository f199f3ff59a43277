"""SRTP keys from a group's epoch (wire.md section 7).

For sender leaf `i`, `MLS-Exporter("roomkey SRTP 1.0", context, key length + salt length)` gives the master key, then
the master salt. Every member can compute every sender's keys: media proves membership, not which member sent it.

The packets' own rules (replay window, rollover counter, limits: RFC 3711, RFC 7714) belong to who handles packets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.tls import U16, U32, Struct, malformed, vector

# (label, context, length in bytes) -> secret: `Group.export` (RFC 9420 section 8.5).
Exporter = Callable[[bytes, bytes, int], bytes]

LABEL: Final = b"roomkey SRTP 1.0"

# Of one sender: as many as anybody sends, several times over; each costs its receivers two replay windows.
MAX_STREAMS: Final = 32


class SrtpProfile(NamedTuple):
    """A protection profile by its DTLS-SRTP number (RFC 5764 section 4.1.2, RFC 7714 section 14.2); sizes in bytes."""

    number: int
    name: str
    key_size: int
    salt_size: int


PROFILES: Final[dict[str, SrtpProfile]] = {
    profile.name: profile
    for profile in (
        SrtpProfile(0x0001, "SRTP_AES128_CM_HMAC_SHA1_80", 16, 14),
        SrtpProfile(0x0007, "SRTP_AEAD_AES_128_GCM", 16, 12),
        SrtpProfile(0x0008, "SRTP_AEAD_AES_256_GCM", 32, 12),
    )
}


# struct { uint16 protection_profile; uint32 leaf_index; } SrtpContext;
class SrtpContext(Struct):
    """What binds exported bytes to one profile and one sender."""

    protection_profile: U16
    leaf_index: U32


# struct {
#     uint32 ssrc;
#     uint16 protection_profile;
#     uint32 roc;
# } SrtpStream;
class SrtpStream(Struct):
    """A stream that its sender announces; `roc` is the rollover counter of its next packet, or of one before."""

    ssrc: U32
    protection_profile: U16
    roc: U32


# struct {
#     SrtpStream streams<V>;
# } SrtpStreams;
class SrtpStreams(Struct):
    """All streams of one sender: the data of a signal of that kind. Packets of other streams are dropped."""

    streams: Annotated[tuple[SrtpStream, ...], vector(SrtpStream)]

    def check(self) -> None:
        if len(self.streams) > MAX_STREAMS:
            raise malformed("streams", f"at most {MAX_STREAMS}", len(self.streams))


class SrtpKeys(NamedTuple):
    """One sender's keys for one epoch. Its text form shows no secret."""

    profile: SrtpProfile
    epoch: int
    leaf_index: int
    mki: bytes
    master_key: bytes
    master_salt: bytes

    def __repr__(self) -> str:
        return f"<SrtpKeys of leaf {self.leaf_index} in epoch {self.epoch}>"

    def fingerprint(self) -> str:
        """Eight bytes in hex that show whether two ends hold the same keys, without showing the keys."""
        return hashlib.sha256(b"roomkey SRTP fingerprint" + self.master_key + self.master_salt).hexdigest()[:16]


def profile_by_name(name: str) -> SrtpProfile:
    """The profile of this name. Errors: "bad-argument"."""
    profile = PROFILES.get(name)
    if profile is None:
        raise RoomkeyError("bad-argument", f"profile: expected one of {', '.join(PROFILES)}", field="profile")
    return profile


def srtp_keys(export: Exporter, profile: SrtpProfile, leaf_index: int, epoch: int) -> SrtpKeys:
    """The keys that the member at `leaf_index` sends with; `export` must be that epoch's."""
    context = SrtpContext(profile.number, leaf_index).encode()
    secret = export(LABEL, context, profile.key_size + profile.salt_size)
    return SrtpKeys(profile, epoch, leaf_index, mki(epoch), secret[: profile.key_size], secret[profile.key_size :])


def mki(epoch: int) -> bytes:
    """The master key identifier that packets of this epoch carry: two bytes."""
    return (epoch & 0xFFFF).to_bytes(2, "big")


def verification_digits(epoch_authenticator: bytes) -> str:
    """The 30 digits that members compare by voice: six groups of five, without spaces between them.

    Group k is bytes 5k to 5k+4 of the epoch authenticator (RFC 9420 section 8.7; at least 30 bytes), as a big-endian
    number modulo 100,000.
    """
    if len(epoch_authenticator) < 30:
        raise RoomkeyError("bad-argument", f"authenticator: expected 30 bytes or more, got {len(epoch_authenticator)}")
    groups = (int.from_bytes(epoch_authenticator[5 * k : 5 * k + 5], "big") % 100_000 for k in range(6))
    return "".join(f"{group:05d}" for group in groups)
