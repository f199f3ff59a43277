"""What becomes of what a log says of one person: a pin, a reset that waits for consent, or nothing (see `logs`)."""

from __future__ import annotations

from roomkey.client.log_records import MANIFESTS, RESETS, AwaitedReset, ProvedManifest
from roomkey.client.log_view import Finding
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.federation.trust import ContactPin
from roomkey.transparency.manifest import FirstSeen, Manifest, Reset
from roomkey.transparency.verifier import ProvedAbsent, Unproven

# By what somebody is known of whom a log proves something for the first time: clients that we met, or the manifest that
# another log of their domain proved, whose versions say nothing of this one's.
Before = ContactPin | Manifest
# What a log proved of an identity, or why that is not known.
Proof = ProvedManifest | RoomkeyError


def learn(identity: str, finding: Finding, log: bytes, before: Before | None, now: float, changes: Changes) -> Proof:
    """What is to be kept of a finding, and what it comes to.

    Args:
        log: its id. before: of whom this log proved nothing yet. now: Unix seconds.
    """
    if isinstance(finding, RoomkeyError):
        return finding
    if isinstance(finding, Unproven):
        return RoomkeyError("log-unproven", finding.reason)
    if isinstance(finding, ProvedAbsent):
        return RoomkeyError("not-in-manifest", "identity: expected one that is logged, got one that is not")
    chain = finding.chain
    if isinstance(chain, FirstSeen) and before is not None and not _is_of(chain, before):
        chain = Reset(chain.manifest, chain.manifest.version)
    if isinstance(chain, Reset):
        reset = AwaitedReset(log, finding.place, chain.version, chain.manifest)
        changes.put(RESETS + identity, reset)
        return awaits_consent(reset)
    proved = ProvedManifest(log, finding.place, max(0, int(now)), chain.manifest)
    changes.put(MANIFESTS + identity, proved)
    changes.delete([RESETS + identity])
    return proved


def is_same(asked: ProvedManifest | None, held: ProvedManifest | None) -> bool:
    """Whether what we hold of somebody is what we asked with; only when it was proved may be another time."""
    return held == asked or (held is not None and asked is not None and held.replace(proved=asked.proved) == asked)


def awaits_consent(reset: AwaitedReset) -> RoomkeyError:
    """The "identity-reset" that names what people may agree to."""
    got = f"a reset in version {reset.version}" if reset.version else "more versions than can be followed"
    text = f"expected a manifest that follows from the one that we know, got {got}"
    return RoomkeyError("identity-reset", text, version=reset.version, manifest=reset.manifest.hash().hex())


def _is_of(first: FirstSeen, known: Before) -> bool:
    """Whether a manifest that follows on nothing is theirs whom we know: it lists no key but known ones, or is signed
    by a client that we met, who may have others. To list a known key vouches for nothing: it is public.
    """
    listed = {(client.key.algorithm, client.key.public_key) for client in first.manifest.clients}
    if isinstance(known, Manifest):
        return listed <= {(client.key.algorithm, client.key.public_key) for client in known.clients}
    met = {(client.algorithm, client.public_key) for client in known.clients}
    return listed <= met or (first.signer.algorithm, first.signer.public_key) in met
