"""What a client proves of a service's answer about an identity (wire.md section 6). No input or output: pure checks.

An `Answer` is what somebody says; a `Proved` or `ProvedAbsent` is what holds. What does not verify is rejected by an
error; what verifies and does not suffice is `Unproven`; two signed heads that contradict are a `Fork`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle, vrf
from roomkey.transparency.answer import Answer, Presence
from roomkey.transparency.checkpoints import SignedCheckpoint, cosignatures, open_checkpoint
from roomkey.transparency.identity_map import MapLeaf, verify_absence, verify_presence
from roomkey.transparency.manifest import Chain, Manifest, Reset, check_chain, commitment
from roomkey.transparency.notes import VerifierKey

# Seconds. A cosignature older than this may hide a day of the log, and not more.
MAX_AGE: Final = 86400
# Seconds that somebody's clock may be ahead of ours.
CLOCK_ALLOWANCE: Final = 300


class Trust(NamedTuple):
    """Whom a client believes about one log; from the page's configuration, never from a service.

    log: the key of its checkpoints. vrf_key: of its identity map, 32 bytes. cosigners: its auditors, each once.
    """

    log: VerifierKey
    vrf_key: bytes
    cosigners: tuple[VerifierKey, ...]


class Known(NamedTuple):
    """What the client keeps: the last head of the log that it proved, and the identity's last manifest."""

    checkpoint: SignedCheckpoint | None = None
    manifest: Manifest | None = None


class Proved(NamedTuple):
    """The log says this of the identity. `chain` tells whether it follows on what was known; a reset needs consent.
    `place`: where the identity stands in the map, under this log's VRF key for good.
    """

    checkpoint: SignedCheckpoint
    chain: Chain
    place: bytes


class ProvedAbsent(NamedTuple):
    """The log says nothing of the identity."""

    checkpoint: SignedCheckpoint


class Page(NamedTuple):
    """The identity's manifests go on beyond what one answer holds; these follow on what was known up to `manifest`, and
    that is all: none of them is proved to be logged. `reset`: the first version that was not signed by who could, 0:
    none. `newest`: the version that the log says to have. `place`: as in Proved.
    """

    manifest: Manifest
    reset: int
    newest: int
    place: bytes


class Unproven(NamedTuple):
    """Nothing is wrong, and it does not suffice: not to be used, to be asked again. `reason`: for developers."""

    reason: str


class Fork(NamedTuple):
    """The log signed two heads that contradict. Both are the evidence; the whole log is to be blocked."""

    ours: SignedCheckpoint
    theirs: SignedCheckpoint


Outcome = Proved | ProvedAbsent | Page | Unproven | Fork


async def verify_answer(
    crypto: CryptoProvider,
    answer: Answer,
    identity: bytes,
    trust: Trust,
    known: Known,
    consistency: Sequence[bytes],
    now: int,
) -> Outcome:
    """What an answer about `identity` (canonical) proves: `verify_head`, then `verify_entry`.

    consistency: the proof from the known head to the answer's; empty where none is needed.
    now: Unix seconds.
    """
    head = await verify_head(crypto, answer.checkpoint, trust, known.checkpoint, consistency, now)
    if not isinstance(head, SignedCheckpoint):
        return head
    return await verify_entry(crypto, answer, head, identity, trust, known.manifest, now)


async def verify_head(
    crypto: CryptoProvider,
    data: bytes,
    trust: Trust,
    known: SignedCheckpoint | None,
    consistency: Sequence[bytes],
    now: int,
) -> SignedCheckpoint | Unproven | Fork:
    """A head of the log to believe, from a checkpoint as it came (a signed note). Once for all answers under it.

    1. the checkpoint is signed by the log.
    2. it continues the head that we know: the same size has the same root (else a fork), a smaller one proves nothing
       new, a larger one is proved to begin with ours.
    3. more than half of the cosigners, and at least one, cosigned it within MAX_AGE; none of them in the future.

    Errors (rejected): "malformed", "too-large", "wrong-log", "invalid-signature", "log-proof-invalid". "bad-argument"
    for cosigners that cannot prove anything.
    """
    _check_trust(trust)
    # 1.
    head = await open_checkpoint(crypto, data, trust.log)
    # 2.
    broken = continues(known, head, consistency)
    if broken is not None:
        return broken
    # 3.
    times = [seen.time for seen in await cosignatures(crypto, head.note, trust.cosigners)]
    if any(time > now + CLOCK_ALLOWANCE for time in times):
        raise _invalid("expected cosignatures of the past, got one of the future")
    recent = sum(time >= now - MAX_AGE for time in times)
    if 2 * recent <= len(trust.cosigners):
        return Unproven(f"expected more than half of {len(trust.cosigners)} recent cosignatures, got {recent}")
    return head


async def verify_entry(
    crypto: CryptoProvider,
    answer: Answer,
    head: SignedCheckpoint,
    identity: bytes,
    trust: Trust,
    pin: Manifest | None,
    now: int,
    index: bytes | None = None,
) -> Proved | ProvedAbsent | Page:
    """What an answer about `identity` (canonical) proves under the head of its checkpoint.

    index: the identity's place in the map, if it was proved before; its VRF proof is not looked at again then, because
    there is only one place.

    1. the answer's checkpoint is the head's.
    2. the epoch is the log's last leaf, and not of the future.
    3. the VRF proof gives the identity's index.
    4. the manifests continue our pin (`check_chain`); nothing pinned is absent.
    5. the epoch's map says, at this index, the newest manifest's version and commitment; or nothing. A page that ends
       before the newest manifest is full and has a pin; what it says is held against no map.

    Errors (rejected): "too-large", "invalid-signature", "invalid-key", "log-proof-invalid", "identity-mismatch".
    """
    # 1.
    if answer.checkpoint != head.note.encode():
        raise _invalid("expected one checkpoint for all answers, got another")
    # 2.
    size = head.checkpoint.size
    if answer.epoch.number != size - 1 or answer.epoch.time > now + CLOCK_ALLOWANCE:
        raise _invalid("expected the log's last epoch, and not one of the future")
    merkle.verify_inclusion(answer.epoch.leaf_hash(), size - 1, size, answer.inclusion, head.checkpoint.root)
    # 3.
    if index is None:
        index = vrf.index_of(vrf.verify(trust.vrf_key, identity, answer.vrf_proof))
    # 4. and 5.
    if answer.presence is None:
        if pin is not None:
            raise _invalid("expected an identity that was logged before to be logged still")
        verify_absence(answer.epoch.map_root, index, answer.map_proof)
        return ProvedAbsent(head)
    return await _present(crypto, answer, answer.presence, head, identity, index, pin)


def require_proved(outcome: Outcome) -> Proved | ProvedAbsent:
    """The outcome, if it proves something. Errors: "log-unproven", "log-fork"."""
    if isinstance(outcome, Unproven):
        raise RoomkeyError("log-unproven", outcome.reason)
    if isinstance(outcome, Page):
        raise RoomkeyError("log-unproven", "expected all manifests since the one that is known, got a page of them")
    if isinstance(outcome, Fork):
        raise RoomkeyError("log-fork", "expected one root for each size of the log, got two signed ones")
    return outcome


def _check_trust(trust: Trust) -> None:
    keys = {cosigner.public for cosigner in trust.cosigners}
    if not keys or len(keys) != len(trust.cosigners) or trust.log.public in keys:
        raise RoomkeyError("bad-argument", "expected cosigners, each once, and not the log's own key among them")


def continues(
    ours: SignedCheckpoint | None, theirs: SignedCheckpoint, proof: Sequence[bytes]
) -> Unproven | Fork | None:
    """What speaks against a head of the log that comes after ours: nothing, if it is the same or proved to begin with
    ours. Errors: "log-proof-invalid" for a larger one that is not.
    """
    if ours is None:
        return None
    old, new = ours.checkpoint, theirs.checkpoint
    if old.origin != new.origin:
        raise RoomkeyError("bad-argument", "expected a known checkpoint of the same log")
    if old.size == new.size:
        return None if old.root == new.root else Fork(ours, theirs)
    if new.size < old.size:
        return Unproven(f"expected a log of at least {old.size} epochs, got {new.size}")
    merkle.verify_consistency(old.size, new.size, proof, old.root, new.root)
    return None


async def _present(
    crypto: CryptoProvider,
    answer: Answer,
    presence: Presence,
    head: SignedCheckpoint,
    identity: bytes,
    index: bytes,
    pin: Manifest | None,
) -> Proved | Page:
    chain = await check_chain(crypto, identity, pin, presence.manifests)
    newest = chain.manifest
    if pin is not None and newest.version < presence.version and presence.is_full:
        return Page(newest, chain.version if isinstance(chain, Reset) else 0, presence.version, index)
    if newest.version != presence.version:
        raise _invalid(f"expected manifests up to version {presence.version}, got {newest.version}")
    leaf = MapLeaf(index, newest.version, commitment(presence.opening, newest))
    verify_presence(answer.epoch.map_root, leaf, answer.map_proof)
    return Proved(head, chain, index)


def _invalid(text: str) -> RoomkeyError:
    return RoomkeyError("log-proof-invalid", text)
