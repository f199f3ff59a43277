"""Answers of a small log, true and attacked: the T rows of the table of attacks, as a client's checks see them."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence

import pytest
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import merkle, vrf
from roomkey.transparency.answer import MAX_ANSWER, Answer, Presence
from roomkey.transparency.checkpoints import Checkpoint, SignedCheckpoint, cosign, open_checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.identity_map import INDEX_BITS, MISSING, IdentityMap, MapLeaf, MapProof
from roomkey.transparency.manifest import (
    NO_PREVIOUS,
    FirstSeen,
    Followed,
    Manifest,
    ManifestClient,
    ManifestKey,
    Reset,
    SignedManifest,
    commitment,
    sign_manifest,
)
from roomkey.transparency.notes import COSIGNATURE, ED25519, Note, VerifierKey, sign_note
from roomkey.transparency.verifier import (
    MAX_AGE,
    Fork,
    Known,
    Proved,
    ProvedAbsent,
    Trust,
    Unproven,
    require_proved,
    verify_answer,
)

CRYPTO = NativeCrypto()
NOW = 1_900_000_000
CAROL, DAVE, NOBODY = b"carol@email2.example", b"dave@email2.example", b"nobody@email2.example"
SECRET = bytes(range(32))
OPENING = bytes(16)


async def pair() -> KeyPair:
    (made,) = await CRYPTO.generate_keys("ed25519", 1)
    return made


def client(key: KeyPair) -> ManifestClient:
    return ManifestClient(ManifestKey(0x0807, key.public), (1,), (1,))


async def signed(manifest: Manifest, by: KeyPair) -> SignedManifest:
    return await sign_manifest(CRYPTO, manifest, ManifestKey(0x0807, by.public), by)


class Log:
    """A log in memory with its three auditors, who cosign what they are told to."""

    @classmethod
    async def start(cls) -> Log:
        log = cls()
        log.pair, log.auditors = await pair(), [await pair() for _ in range(3)]
        log.carol, log.recovery = await pair(), await pair()
        log.key = VerifierKey("email2.example/log", ED25519, log.pair.public)
        log.cosigners = tuple(VerifierKey(f"a{n}.example", COSIGNATURE, a.public) for n, a in enumerate(log.auditors))
        log.trust = Trust(log.key, vrf.public_key(CRYPTO, SECRET), log.cosigners)
        log.epochs = []
        log.map = IdentityMap([])
        hidden = hashlib.sha256(log.recovery.public).digest()
        log.one = Manifest(CAROL, 1, NO_PREVIOUS, (client(log.carol),), 86400, hidden)
        log.advance({DAVE: (1, bytes(32))})
        log.advance({CAROL: (1, commitment(OPENING, log.one)), DAVE: (1, bytes(32))})
        return log

    pair: KeyPair
    auditors: list[KeyPair]
    carol: KeyPair
    recovery: KeyPair
    key: VerifierKey
    cosigners: tuple[VerifierKey, ...]
    trust: Trust
    epochs: list[EpochLeaf]
    map: IdentityMap
    one: Manifest

    def advance(self, entries: dict[bytes, tuple[int, bytes]], time: int = NOW - 60) -> None:
        """The next epoch: the map says exactly this."""
        before = self.map.root()
        self.map = IdentityMap([MapLeaf(index(name), *entry) for name, entry in entries.items()])
        self.epochs.append(EpochLeaf(len(self.epochs), time, self.map.root(), before, bytes(32)))

    def subtree(self, start: int, end: int) -> bytes:
        return merkle.root([epoch.leaf_hash() for epoch in self.epochs[start:end]])

    async def head(self, auditors: Sequence[int] = (0, 1, 2), time: int = NOW - 30) -> Note:
        size = len(self.epochs)
        note = await sign_note(
            CRYPTO, Checkpoint(self.key.name, size, self.subtree(0, size)).text(), self.key, self.pair
        )
        lines = [await cosign(CRYPTO, note, self.cosigners[n], self.auditors[n], time) for n in auditors]
        return Note(note.text, (*note.signatures, *lines))

    async def opened(self) -> SignedCheckpoint:
        return await open_checkpoint(CRYPTO, (await self.head()).encode(), self.key)

    async def answer(self, name: bytes, *manifests: SignedManifest, note: Note | None = None) -> Answer:
        size = len(self.epochs)
        found = self.map.get(index(name))
        return Answer(
            (note or await self.head()).encode(),
            self.epochs[-1],
            tuple(merkle.inclusion_proof(self.subtree, size - 1, size)),
            vrf.prove(CRYPTO, SECRET, name),
            self.map.proof(index(name)),
            None if found is None else Presence(OPENING, found.version, manifests),
        )

    async def about_carol(self, note: Note | None = None) -> Answer:
        return await self.answer(CAROL, await signed(self.one, self.carol), note=note)

    async def verify(
        self, answer: Answer, name: bytes = CAROL, known: Known | None = None, consistency: Sequence[bytes] = ()
    ) -> object:
        return await verify_answer(
            CRYPTO, Answer.decode(answer.encode()), name, self.trust, known or Known(), consistency, NOW
        )

    async def rejected(self, code: str, answer: Answer, name: bytes = CAROL, known: Known | None = None) -> None:
        with pytest.raises(RoomkeyError) as error:
            await self.verify(answer, name, known)
        assert error.value.code == code


def index(name: bytes) -> bytes:
    return vrf.index_of(vrf.proof_to_hash(vrf.prove(CRYPTO, SECRET, name)))


@pytest.fixture
async def log() -> Log:
    return await Log.start()


async def test_a_true_answer_is_proved_and_so_is_absence(log: Log) -> None:
    outcome = await log.verify(await log.about_carol())
    assert isinstance(outcome, Proved)
    assert outcome.chain == FirstSeen(log.one, log.one.clients[0].key)
    assert require_proved(outcome) is outcome
    assert isinstance(await log.verify(await log.answer(NOBODY), NOBODY), ProvedAbsent)


async def test_a_new_device_follows_and_a_reset_is_told_apart(log: Log) -> None:
    known = Known(await log.opened(), log.one)
    phone = await pair()
    two = log.one.replace(version=2, previous=log.one.hash(), clients=(client(phone),))
    log.advance({CAROL: (2, commitment(OPENING, two)), DAVE: (1, bytes(32))})
    proof = merkle.consistency_proof(log.subtree, 2, 3)
    for signer, expected in ((log.carol, Followed(two)), (phone, Reset(two, 2))):
        outcome = await log.verify(await log.answer(CAROL, await signed(two, signer)), CAROL, known, proof)
        assert isinstance(outcome, Proved)
        assert outcome.chain == expected


async def test_t1_a_swapped_key_that_is_not_logged(log: Log) -> None:
    mallory = await pair()
    swapped = log.one.replace(clients=(client(mallory),))
    await log.rejected("log-proof-invalid", await log.answer(CAROL, await signed(swapped, mallory)))


async def test_t3_an_answer_about_somebody_else(log: Log) -> None:
    answer = await log.about_carol()
    await log.rejected("log-proof-invalid", answer, DAVE)  # the random function's input
    await log.rejected("identity-mismatch", answer.replace(vrf_proof=vrf.prove(CRYPTO, SECRET, DAVE)), DAVE)


async def test_t4_an_older_version(log: Log) -> None:
    two = log.one.replace(version=2, previous=log.one.hash())
    log.advance({CAROL: (2, commitment(OPENING, two))})
    await log.rejected("log-proof-invalid", await log.about_carol())
    await log.rejected("log-proof-invalid", await log.about_carol(), CAROL, Known(None, two))


async def test_t7_a_smaller_log_proves_nothing_new_and_a_second_root_is_a_fork(log: Log) -> None:
    old = await log.about_carol()
    log.advance({DAVE: (1, bytes(32))})
    ours = await log.opened()
    assert isinstance(await log.verify(old, known=Known(ours)), Unproven)
    log.epochs.pop()
    log.advance({CAROL: (1, commitment(OPENING, log.one))})
    outcome = await log.verify(await log.about_carol(), known=Known(ours))
    assert isinstance(outcome, Fork)
    assert {outcome.ours.checkpoint.root, outcome.theirs.checkpoint.root} == {ours.checkpoint.root, log.subtree(0, 3)}
    with pytest.raises(RoomkeyError, match="log-fork"):
        require_proved(outcome)


async def test_t8_a_log_that_does_not_begin_with_ours(log: Log) -> None:
    known = Known(await log.opened())
    log.epochs[0] = log.epochs[0].replace(time=1)
    log.advance({CAROL: (1, commitment(OPENING, log.one))})
    answer = await log.about_carol()
    for proof in ([], merkle.consistency_proof(log.subtree, 2, 3)):
        with pytest.raises(RoomkeyError, match="log-proof-invalid"):
            await log.verify(answer, known=known, consistency=proof)


async def test_t9_a_wrong_place_and_an_older_epoch(log: Log) -> None:
    answer = await log.about_carol()
    await log.rejected("log-proof-invalid", answer.replace(map_proof=log.map.proof(index(DAVE))))
    await log.rejected("log-proof-invalid", answer.replace(epoch=log.epochs[0]))
    proof = tuple(merkle.inclusion_proof(log.subtree, 0, 2))
    await log.rejected("log-proof-invalid", answer.replace(epoch=log.epochs[0], inclusion=proof))
    await log.rejected("log-proof-invalid", answer.replace(epoch=log.epochs[1].replace(map_root=MISSING)))
    await log.rejected("log-proof-invalid", answer.replace(epoch=log.epochs[1].replace(time=1)))
    log.epochs[1] = log.epochs[1].replace(number=7)  # logged so
    await log.rejected("log-proof-invalid", await log.about_carol())


@pytest.mark.parametrize(("auditors", "enough"), [((), False), ((0,), False), ((1, 1), False), ((0, 2), True)])
async def test_t10_a_short_quorum_and_one_auditor_twice(log: Log, auditors: tuple[int, ...], enough: bool) -> None:
    outcome = await log.verify(await log.about_carol(await log.head(auditors)))
    assert isinstance(outcome, Proved if enough else Unproven)


async def test_t10_half_is_not_more_than_half(log: Log) -> None:
    log.trust = log.trust._replace(cosigners=log.cosigners[:2])
    assert isinstance(await log.verify(await log.about_carol(await log.head((0,)))), Unproven)


async def test_t11_a_foreign_cosignature_is_ignored(log: Log) -> None:
    log.trust = log.trust._replace(cosigners=log.cosigners[:1])
    assert isinstance(await log.verify(await log.about_carol(await log.head((1, 2)))), Unproven)
    assert isinstance(await log.verify(await log.about_carol(await log.head((0, 1, 2)))), Proved)


async def test_t12_a_frozen_head(log: Log) -> None:
    assert isinstance(await log.verify(await log.about_carol(await log.head(time=NOW - MAX_AGE))), Proved)
    outcome = await log.verify(await log.about_carol(await log.head(time=NOW - MAX_AGE - 1)))
    assert isinstance(outcome, Unproven)
    with pytest.raises(RoomkeyError, match="log-unproven"):
        require_proved(outcome)


async def test_t13_times_of_the_future(log: Log) -> None:
    await log.rejected("log-proof-invalid", await log.about_carol(await log.head(time=NOW + 301)))
    log.advance({CAROL: (1, commitment(OPENING, log.one))}, NOW + 301)
    await log.rejected("log-proof-invalid", await log.about_carol())


async def test_t18_forged_absence(log: Log) -> None:
    answer = (await log.about_carol()).replace(presence=None)
    await log.rejected("log-proof-invalid", answer)
    await log.rejected("log-proof-invalid", answer.replace(map_proof=log.map.proof(index(NOBODY))))
    await log.rejected("log-proof-invalid", await log.answer(NOBODY), NOBODY, Known(None, log.one))


async def test_what_is_not_the_logs_is_rejected(log: Log) -> None:
    answer = await log.about_carol()
    text = Note.decode(answer.checkpoint).text
    forged = await sign_note(CRYPTO, text, log.key, await pair())
    await log.rejected("invalid-signature", answer.replace(checkpoint=forged.encode()))
    log.trust = log.trust._replace(log=VerifierKey("email3.example/log", ED25519, log.pair.public))
    await log.rejected("wrong-log", answer)


async def test_who_cannot_prove_anything_is_no_cosigner(log: Log) -> None:
    answer = await log.about_carol()
    own = VerifierKey("own.example", COSIGNATURE, log.pair.public)
    for cosigners in ((), (own,), (log.cosigners[0], log.cosigners[0])):
        log.trust = log.trust._replace(cosigners=cosigners)
        await log.rejected("bad-argument", answer)


def test_answers_have_a_limit() -> None:
    with pytest.raises(RoomkeyError, match="too-large"):
        Answer.decode(bytes(MAX_ANSWER + 1))


async def test_an_answer_of_a_million_identities_takes_at_most_2_5_kb_beyond_the_manifest(log: Log) -> None:
    """The ways of a generated map of 1,000,000 indexes, the last of 2^25 epochs, three cosignatures."""
    members = sorted(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(1_000_000))
    manifest = await signed(log.one, log.carol)
    true = await log.answer(CAROL, manifest)
    note = await sign_note(CRYPTO, Checkpoint(log.key.name, 1 << 25, bytes(32)).text(), log.key, log.pair)
    lines = [await cosign(CRYPTO, note, log.cosigners[n], log.auditors[n], NOW) for n in range(3)]
    checkpoint = Note(note.text, (*note.signatures, *lines)).encode()
    inclusion = tuple(merkle.inclusion_proof(lambda *_: bytes(32), (1 << 25) - 1, 1 << 25))
    sizes = []
    for place in range(0, 1_000_000, 1000):
        proof = MapProof(way(members, place), None)
        large = true.replace(checkpoint=checkpoint, inclusion=inclusion, map_proof=proof)
        sizes.append(len(large.encode()) - len(manifest.encode()))
    assert len(inclusion) == 25
    assert min(sizes) > 1500  # a map of a million is more than twenty levels deep
    assert max(sizes) <= 2500


def way(members: list[bytes], place: int) -> tuple[bytes | None, ...]:
    """The shape of a member's way in the map: at each level a hash, where somebody stands beside it."""
    start, end, depth = 0, len(members), 0
    siblings: list[bytes | None] = []
    while end - start > 1:
        prefix = int.from_bytes(members[place], "big") >> (INDEX_BITS - depth)
        border = (prefix << 1 | 1) << (INDEX_BITS - depth - 1)
        middle = bisect_left(members, border.to_bytes(32, "big"), start, end)
        right = place >= middle
        beside = middle - start if right else end - middle
        start, end = (middle, end) if right else (start, middle)
        siblings.append(b"\x01" * 32 if beside else None)
        depth += 1
    return tuple(siblings)


def test_the_generated_ways_have_the_shape_of_the_maps() -> None:
    members = sorted(hashlib.sha256(bytes((number,))).digest() for number in range(200))
    tree = IdentityMap([MapLeaf(member, 1, bytes(32)) for member in members])
    for place, member in enumerate(members):
        shape = [sibling is None for sibling in way(members, place)]
        assert shape == [sibling is None for sibling in tree.proof(member).siblings]
