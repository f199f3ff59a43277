"""A log in a test's hands: it has the keys of a real one and of its auditors, and says what the test wants said."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Sequence

from roomkey.crypto.provider import KeyPair
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import merkle, vrf
from roomkey.transparency.answer import Answer, Presence
from roomkey.transparency.checkpoints import Checkpoint, SignedCheckpoint, cosign, open_checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.identity_map import IdentityMap, MapLeaf
from roomkey.transparency.manifest import (
    MAX_CHAIN,
    NO_PREVIOUS,
    Manifest,
    ManifestClient,
    ManifestKey,
    SignedManifest,
    commitment,
    sign_manifest,
)
from roomkey.transparency.notes import Note, sign_note
from roomkey.transparency.verifier import Trust
from roomkey_delivery.log.keys import LogKeys

CRYPTO = NativeCrypto()
DAY = 86400


class ForgedLog:
    """Epochs and manifests as a test appends them; answers to what clients ask.

    Args:
        auditors: whose cosignatures it has.
        age: seconds since they were made; negative ones are of the future.
    """

    def __init__(self, keys: LogKeys, auditors: Sequence[LogKeys], age: float = 0) -> None:
        self.keys, self.auditors, self.age = keys, list(auditors), age
        self.chains: dict[bytes, list[SignedManifest]] = {}
        self.map = IdentityMap([])
        self.epochs: list[EpochLeaf] = []
        self.made = ""  # what its epochs say beside the map, so that no two logs are the same by accident
        self.asked: list[AnswersRequest] = []

    @property
    def trust(self) -> Trust:
        return Trust(self.keys.log_key, self.keys.vrf_key, tuple(item.auditor_key for item in self.auditors))

    @property
    def size(self) -> int:
        return len(self.epochs)

    def fork(self) -> ForgedLog:
        """The same log, which goes on differently from here."""
        other = copy.copy(self)
        other.chains, other.epochs = {name: [*chain] for name, chain in self.chains.items()}, [*self.epochs]
        other.made, other.asked = self.made + "'", []
        return other

    def append(self, *signed: SignedManifest) -> None:
        """One more epoch, with these manifests added to those of their identities, the last of each as the newest."""
        for item in signed:
            self.chains.setdefault(item.manifest.identity, []).append(item)
        before = self.map.root()
        self.map = IdentityMap([self._leaf(name) for name in self.chains])
        updates = hashlib.sha256(self.made.encode()).digest()
        self.epochs.append(EpochLeaf(self.size, int(time.time()), self.map.root(), before, updates))

    def cut(self, size: int) -> None:
        """Only the first epochs; the map stays as it is now."""
        del self.epochs[size:]

    async def note(self, size: int | None = None) -> Note:
        """The head with the cosignatures of all auditors."""
        count = self.size if size is None else size
        text = Checkpoint(self.keys.origin, count, self._subtree(0, count)).text()
        note = await sign_note(CRYPTO, text, self.keys.log_key, self.keys.log)
        at = int(time.time() - self.age)
        lines = [await cosign(CRYPTO, note, item.auditor_key, item.cosigner, at) for item in self.auditors]
        return Note(note.text, (*note.signatures, *lines))

    async def head(self, size: int | None = None) -> SignedCheckpoint:
        return await open_checkpoint(CRYPTO, (await self.note(size)).encode(), self.keys.log_key)

    async def answers(self, request: AnswersRequest) -> Answers:
        """What an honest service with this log would say."""
        self.asked.append(request)
        note, old = (await self.note()).encode(), request.known_size
        proof = merkle.consistency_proof(self._subtree, old, self.size) if 0 < old < self.size else []
        return Answers(tuple(proof), tuple([self._answer(note, item) for item in request.requests]))

    def _answer(self, note: bytes, asked: AnswerRequest) -> Answer | None:
        chain = self.chains.get(asked.identity)
        if chain is None:
            return None
        since = chain[asked.pinned :][:MAX_CHAIN] if asked.pinned else chain[-1:]
        inclusion = tuple(merkle.inclusion_proof(self._subtree, self.size - 1, self.size))
        place = self._proof(asked.identity)
        found = self.map.proof(vrf.index_of(vrf.proof_to_hash(place)))
        return Answer(
            note,
            self.epochs[-1],
            inclusion,
            place,
            found,
            Presence(_opening(chain[-1]), chain[-1].manifest.version, tuple(since)),
        )

    def _leaf(self, identity: bytes) -> MapLeaf:
        newest = self.chains[identity][-1]
        index = vrf.index_of(vrf.proof_to_hash(self._proof(identity)))
        return MapLeaf(index, newest.manifest.version, commitment(_opening(newest), newest.manifest))

    def _proof(self, identity: bytes) -> bytes:
        return vrf.prove(CRYPTO, self.keys.vrf_secret, identity)

    def _subtree(self, start: int, end: int) -> bytes:
        return merkle.root([epoch.leaf_hash() for epoch in self.epochs[start:end]])


async def manifest_of(
    identity: str,
    pair: KeyPair,
    *,
    before: Manifest | None = None,
    suites: tuple[int, ...] = (1, 3, 2),
    lifetime: int = 90 * DAY,
    by: KeyPair | None = None,
    crypto: NativeCrypto = CRYPTO,
) -> SignedManifest:
    """A manifest that lists one Ed25519 client.

    Args:
        before: what it follows on.
        by: who signs, if not the client itself.
        crypto: who has that key.
    """
    version, previous = (1, NO_PREVIOUS) if before is None else (before.version + 1, before.hash())
    client = ManifestClient(_key(pair), suites, (1,))
    made = Manifest(identity.encode(), version, previous, (client,), lifetime, hashlib.sha256(b"no key").digest())
    signer = by or pair
    return await sign_manifest(crypto, made, _key(signer), signer)


def _key(pair: KeyPair) -> ManifestKey:
    return ManifestKey(0x0807, pair.public)


def _opening(signed: SignedManifest) -> bytes:
    return hashlib.sha256(signed.encode()).digest()[:16]
