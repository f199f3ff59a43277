"""Transcript hashes and the confirmation tag (RFC 9420 sections 8.2 and 6.1)."""

from __future__ import annotations

from roomkey.crypto.labels import equal, hash_bytes, mac
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.framing import COMMIT, ContentFormat, FramedContent
from roomkey.mls.validation import violation
from roomkey.tls import Opaque, Struct


class ConfirmedTranscriptHashInput(Struct):
    """`struct { WireFormat wire_format; FramedContent content; opaque signature<V>; } ConfirmedTranscriptHashInput;`"""

    wire_format: ContentFormat
    content: FramedContent
    signature: Opaque


class InterimTranscriptHashInput(Struct):
    """`struct { MAC confirmation_tag; } InterimTranscriptHashInput;`"""

    confirmation_tag: Opaque


def confirmed_transcript_hash(
    suite: CipherSuite, interim_before: bytes, wire_format: int, commit: FramedContent, signature: bytes
) -> bytes:
    """The hash over all commits up to and with this one; `interim_before` is the last epoch's interim hash.

    Takes the parts of an AuthenticatedContent, because its confirmation tag depends on the answer.

    Errors: "bad-argument" if the content is no commit.
    """
    if commit.content_type != COMMIT:
        raise RoomkeyError("bad-argument", f"expected a commit, got content type {commit.content_type}")
    return hash_bytes(suite, interim_before + ConfirmedTranscriptHashInput(wire_format, commit, signature).encode())


def interim_transcript_hash(suite: CipherSuite, confirmed: bytes, tag: bytes) -> bytes:
    """The hash that the next commit continues: over the confirmed one and the epoch's confirmation tag."""
    return hash_bytes(suite, confirmed + InterimTranscriptHashInput(tag).encode())


def confirmation_tag(suite: CipherSuite, confirmation_key: bytes, confirmed: bytes) -> bytes:
    """The MAC by which a committer shows that it came to the same epoch (RFC 9420 section 6.1)."""
    return mac(suite, confirmation_key, confirmed)


def check_confirmation_tag(
    suite: CipherSuite, confirmation_key: bytes, confirmed: bytes, tag: bytes, rule: str
) -> None:
    """Compares in constant time; short and empty tags never match.

    Errors: that of `rule` ("commit-confirmation" or "welcome-confirmation").
    """
    if not equal(confirmation_tag(suite, confirmation_key, confirmed), tag):
        raise violation(rule, f"got a tag of {len(tag)} bytes that does not match")
