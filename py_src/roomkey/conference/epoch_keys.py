"""What an epoch's exporter gives: SRTP and SFrame keys, their fingerprints, secrets for applications (wire.md section
7).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from roomkey.conference.events import Member
from roomkey.errors import RoomkeyError
from roomkey.media import sframe, srtp
from roomkey.mls.group import Group

# Bytes of one exported secret: 255 times the hash is what HKDF gives.
MAX_EXPORT = 255 * 32


class Fingerprint(NamedTuple):
    """A hash of one sender's SRTP keys: equal where the keys are, and no help in finding them."""

    member: Member
    fingerprint: str


class EpochKeys:
    """The keys of one epoch; its text form shows none."""

    def __init__(self, group: Group, members: Sequence[Member]) -> None:
        self._group = group
        self._members = members

    def srtp(self, profile: str) -> list[tuple[Member, srtp.SrtpKeys]]:
        """Every sender's SRTP keys. Errors: "bad-argument"."""
        chosen, group = srtp.profile_by_name(profile), self._group
        return [(member, srtp.srtp_keys(group.export, chosen, member.leaf, group.epoch)) for member in self._members]

    def fingerprints(self, profile: str) -> list[Fingerprint]:
        """A fingerprint of every sender's SRTP keys. Errors: "bad-argument"."""
        return [Fingerprint(member, keys.fingerprint()) for member, keys in self.srtp(profile)]

    def sframe(self) -> sframe.SFrameEpoch:
        """The SFrame base key."""
        suite = sframe.suite_by_number(sframe.DEFAULT_SUITE)
        return sframe.sframe_epoch(self._group.export, suite, self._group.epoch, self._group.tree.width)

    @property
    def own_leaf(self) -> int:
        return self._group.own_leaf

    @property
    def leaf_count(self) -> int:
        """Width of the ratchet tree, blank leaves included."""
        return self._group.tree.width

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """MLS-Exporter (RFC 9420 section 8.5). The labels that Roomkey uses itself stay its own. Errors: "bad-
        argument".
        """
        if not 0 < length <= MAX_EXPORT:
            raise RoomkeyError("bad-argument", f"length: expected 1 to {MAX_EXPORT}, got {length}", field="length")
        if label.startswith("roomkey ") or label == sframe.LABEL.decode():
            raise RoomkeyError("bad-argument", "label: expected one that Roomkey does not use itself", field="label")
        return self._group.export(label.encode(), context, length)
