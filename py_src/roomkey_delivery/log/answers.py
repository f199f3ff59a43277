"""What the log answers about identities (wire.md section 6): everything under its newest published checkpoint.

Who has no manifest under it is not answered about: nothing is said, not even where they would stand in the map, so that
names cannot be tried out in an auditor's copy of it. One's own name is answered about in any case, so that its owner
can see that nobody else has put keys there.
"""

from __future__ import annotations

from typing import Final

from roomkey.crypto.provider import CryptoProvider
from roomkey.federation.identity import check_identity
from roomkey.transparency import merkle, vrf
from roomkey.transparency.answer import MAX_ANSWER, Answer, Presence
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MAX_ANSWERS, AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.manifest import MAX_CHAIN, SignedManifest

from roomkey_delivery.log import tiles
from roomkey_delivery.log.map import LogMap
from roomkey_delivery.log.store import LogStore, Name, Published

# Bytes that an answer has at most beyond its manifests: 8 KB of checkpoint, 64 hashes, 256 levels of the map; and more
# than all of them together have beyond themselves, which is a proof of consistency.
_BESIDE: Final = 1 << 15


def answers(
    store: LogStore, current: LogMap, crypto: CryptoProvider, vrf_secret: bytes, request: AnswersRequest,
    own: str | None,
) -> Answers:  # fmt: skip
    """Answers in the order asked; inside a reading transaction. `own`: the identity of who asks.

    Errors: "malformed" for a name that is not in its one form.
    """
    published = store.head().published
    if published is None or published.size == 0:
        return Answers((), (None,) * len(request.requests))
    size = published.size
    current.catch_up(store, size)

    def subtree(start: int, end: int) -> bytes:
        return tiles.subtree(store.tile, start, end)

    old = request.known_size
    consistency = merkle.consistency_proof(subtree, old, size) if 0 < old < size else []
    epoch, inclusion = store.epoch(size - 1), tuple(merkle.inclusion_proof(subtree, size - 1, size))
    found: list[Answer | None] = []
    room = MAX_ANSWERS - _BESIDE
    for asked in request.requests:
        identity = check_identity(asked.identity)
        name, presence = store.name(identity), _presence(store, identity, asked, size)
        if presence is None and identity == own:
            name = name or _name(crypto, vrf_secret, asked.identity)
        answer = None
        if name is not None and (presence is not None or identity == own):
            answer = _answer(current, published, epoch, inclusion, name, presence)
            room -= len(answer.encode()) + 1
        found.append(answer if room >= 0 else None)
    return Answers(tuple(consistency), tuple(found))


def _answer(
    current: LogMap, published: Published, epoch: EpochLeaf, inclusion: tuple[bytes, ...], name: Name,
    presence: Presence | None,
) -> Answer:  # fmt: skip
    return Answer(published.note, epoch, inclusion, name.proof, current.live.proof(name.place), presence)


def _presence(store: LogStore, identity: str, asked: AnswerRequest, size: int) -> Presence | None:
    """The newest manifest's opening and version as the map holds them, and the manifests since the asker's pin: as many
    as an answer takes, from which the asker goes on. None where there is no manifest.
    """
    newest = store.newest(identity, size)
    if newest is None:
        return None
    version = newest.signed.manifest.version
    after = asked.pinned if asked.pinned else version - 1
    page: list[SignedManifest] = []
    room = MAX_ANSWER - _BESIDE
    for signed in store.chain(identity, after, min(version, after + MAX_CHAIN)):
        room -= len(signed)
        if room < 0:
            break
        page.append(SignedManifest.decode(signed))
    return Presence(newest.opening, version, tuple(page))


def _name(crypto: CryptoProvider, vrf_secret: bytes, identity: bytes) -> Name:
    proof = vrf.prove(crypto, vrf_secret, identity)
    return Name(vrf.index_of(vrf.proof_to_hash(proof)), proof)
