"""The group context: what all members of an epoch agree on (RFC 9420 section 8.1)."""

from __future__ import annotations

from typing import Annotated

from roomkey.mls.extensions import Extension
from roomkey.mls.validation import violation
from roomkey.mls.version import ProtocolVersion
from roomkey.tls import U16, U64, Opaque, Struct, vector

_LAST_EPOCH = 2**64 - 1


class GroupContext(Struct):
    """A summary of the group's state, bound into every key and signature of the epoch (RFC 9420 section 8.1).

    struct {
        ProtocolVersion version = mls10;
        CipherSuite cipher_suite;
        opaque group_id<V>;
        uint64 epoch;
        opaque tree_hash<V>;
        opaque confirmed_transcript_hash<V>;
        Extension extensions<V>;
    } GroupContext;
    """

    version: ProtocolVersion
    cipher_suite: U16
    group_id: Opaque
    epoch: U64
    tree_hash: Opaque
    confirmed_transcript_hash: Opaque
    extensions: Annotated[tuple[Extension, ...], vector(Extension)]

    def expect_another(self) -> None:
        """That an epoch can follow. Errors: "invalid-commit" with rule commit-last-epoch."""
        if self.epoch == _LAST_EPOCH:
            raise violation("commit-last-epoch")

    def following(self, tree_hash: bytes, extensions: tuple[Extension, ...]) -> GroupContext:
        """The provisional context of the next epoch, whose transcript hash is still this one's (section 12.4.1).

        Errors: as `expect_another`.
        """
        self.expect_another()
        return self.replace(epoch=self.epoch + 1, tree_hash=tree_hash, extensions=extensions)
