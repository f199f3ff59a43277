"""What is stored of logs and of what they say about others.

    log/VKEY              LogHead: the newest head that we proved, and heads of others that it is yet to be held against
    fork/VKEY             LogFork: two truths; the log is believed in nothing more
    trusted/DOMAIN        TrustedDomain: its people are never again believed without a log
    manifest/IDENTITY     ProvedManifest: the newest manifest that the log proved to us
    reset/IDENTITY        AwaitedReset: begins anew, and nobody has agreed yet
    pin/IDENTITY          federation.trust.ContactPin: which keys we know a contact by, with a log or without

VKEY is the log's verifier key as people write it: a log with another key is another log.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

from roomkey.tls import U64, Opaque, Struct, fixed, optional, vector
from roomkey.transparency.manifest import Manifest
from roomkey.transparency.verifier import Trust

HEADS: Final = "log/"
FORKS: Final = "fork/"
TRUSTED: Final = "trusted/"
MANIFESTS: Final = "manifest/"
RESETS: Final = "reset/"
PIN: Final = "pin/"


# struct { opaque note<V>; } HeldNote;
class HeldNote(Struct):
    """A signed checkpoint."""

    note: Opaque


# struct { optional<HeldNote> head; HeldNote doubts<V>; } LogHead;
class LogHead(Struct):
    """head: the newest that was proved. doubts: heads that the log signed, that others were shown, and that it was not
    asked about, or did not prove to be of one history with ours.
    """

    head: Annotated[HeldNote | None, optional(HeldNote)]
    doubts: Annotated[tuple[HeldNote, ...], vector(HeldNote)]


# struct { uint64 seen; opaque ours<V>; opaque theirs<V>; } LogFork;
class LogFork(Struct):
    """Two checkpoints of one size with different roots, both signed by the log. `seen`: Unix seconds."""

    seen: U64
    ours: Opaque
    theirs: Opaque


# struct { uint64 since; } TrustedDomain;
class TrustedDomain(Struct):
    """Since when (Unix seconds) a domain's people are believed by a log."""

    since: U64


# struct { opaque log[32]; opaque place[32]; uint64 proved; Manifest manifest; } ProvedManifest;
class ProvedManifest(Struct):
    """log: which one said so (`log_id`). place: where the identity stands in its map, which is proved once.
    proved: when it said so last, Unix seconds; 0: people agreed to the manifest, and the log is still to be asked.
    """

    log: Annotated[bytes, fixed(32)]
    place: Annotated[bytes, fixed(32)]
    proved: U64
    manifest: Manifest


# struct { opaque log[32]; opaque place[32]; uint64 version; Manifest manifest; } AwaitedReset;
class AwaitedReset(Struct):
    """version: of the first manifest that nobody of before signed; 0: unknown, there are too many since our pin.
    manifest: the newest, to be agreed to by its hash. The rest as in ProvedManifest.
    """

    log: Annotated[bytes, fixed(32)]
    place: Annotated[bytes, fixed(32)]
    version: U64
    manifest: Manifest


def log_id(trust: Trust) -> bytes:
    """SHA-256 of the keys of a log and of its map: a log with other ones is another."""
    return hashlib.sha256(trust.log.encode().encode() + b"\n" + trust.vrf_key).digest()
