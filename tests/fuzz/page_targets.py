"""A target of who checks a log: a person's manifests, page by page.

Signatures are forgiving, and the harness plays the log: what it needs hashes of (the map, the way from one manifest to
the next) it computes from what the input says, where the input says so.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated
from unittest import mock

from roomkey.client import following, log_view
from roomkey.client.log_view import Finding, Question
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.tls import U8, Struct, optional, vector
from roomkey.transparency import answer, manifest
from roomkey.transparency.answer import Answer, Presence
from roomkey.transparency.checkpoints import Checkpoint, SignedCheckpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.identity_map import MISSING, MapLeaf, MapProof
from roomkey.transparency.manifest import (
    NO_PREVIOUS,
    Followed,
    Manifest,
    ManifestClient,
    ManifestKey,
    Reset,
    SignedManifest,
    commitment,
)
from roomkey.transparency.notes import Note, NoteSignature
from roomkey.transparency.verifier import Page, Proved, ProvedAbsent, verify_entry

from tests.fuzz.forgiving import Forgiving, signature_of
from tests.fuzz.head_targets import LOG, TRUST
from tests.fuzz.target import DECODING, Target, finish, refused
from tests.fuzz.target import Finding as Broken
from tests.support.mls_world import NOW

_WHO = "bob@log.example"
_PLACE = bytes(range(32))

# In place of 256 manifests, 512 KB and 16 pages, which no input has.
_IN_A_PAGE, _FULL, _PAGES = 3, 1200, 3


class Said(Struct):
    """A log's answer to one question. flags: 1 each manifest is made to follow on the one before; 2 the map holds the
    last one; 4 the map holds nothing at this place.
    """

    flags: U8
    presence: Annotated[Presence | None, optional(Presence)]


class Away(Struct):
    """Somebody asks about a person of whom they hold version 1 (`pinned` odd) or nothing, and what the log says."""

    pinned: U8
    said: Annotated[tuple[Said, ...], vector(Said)]


@contextlib.contextmanager
def _small_pages() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for module in (manifest, answer):
            stack.enter_context(mock.patch.object(module, "MAX_CHAIN", _IN_A_PAGE))
        stack.enter_context(mock.patch.object(answer, "MIN_PAGE", _FULL))
        stack.enter_context(mock.patch.object(following, "MAX_PAGES", _PAGES))
        stack.enter_context(mock.patch.object(following, "MAX_FOLLOWED", _PAGES * _IN_A_PAGE))
        yield


class _Log:
    """A log that says what the input says; it is asked as a `LogView` is. `chain`: what was said since the pin."""

    def __init__(self, said: Sequence[Said]) -> None:
        self._said = list(said)
        self.asked: list[Question] = []
        self.chain: list[SignedManifest] = []
        self.newest: SignedManifest | None = None  # what was said alone, without a pin
        self.holds = False  # whether the map has what was said last

    async def ask(self, service: object, questions: Sequence[Question], learn: log_view.Learn) -> list[Finding | Page]:
        (question,) = questions
        self.asked.append(question)
        if not self._said:
            raise RoomkeyError("service-unavailable", "expected an answer")
        finding = await self._judge(question, self._said.pop(0))
        learn(questions, [finding], Changes())
        return [finding]

    async def _judge(self, question: Question, said: Said) -> Finding | Page:
        presence = said.presence
        if presence is not None and said.flags & 1:
            presence = _relinked(question.pin, presence)
        self._note(question, presence)
        root, self.holds = _root(question.pin, presence, said.flags)
        epoch = EpochLeaf(0, int(NOW), root, bytes(32), bytes(32))
        text = Checkpoint(LOG.name, 1, epoch.leaf_hash())
        head = SignedCheckpoint(text, Note(text.text(), (NoteSignature(LOG.name, LOG.id, bytes(64)),)))
        given = Answer(head.note.encode(), epoch, (), bytes(80), MapProof((), None), presence)
        who = question.identity.encode()
        try:
            return await verify_entry(Forgiving("log"), given, head, who, TRUST, question.pin, int(NOW), _PLACE)
        except RoomkeyError as error:
            return error

    def _note(self, question: Question, presence: Presence | None) -> None:
        if presence is not None and question.pin is None:
            self.newest = presence.manifests[-1] if presence.manifests else None
        elif presence is not None:
            self.chain += presence.manifests


def _relinked(pin: Manifest | None, presence: Presence) -> Presence:
    made: list[SignedManifest] = []
    before = pin
    for item in presence.manifests:
        said = item.manifest
        if before is not None:
            said = said.replace(version=(before.version + 1) % 2**64, previous=before.hash())
        made.append(item.replace(manifest=said))
        before = said
    return presence.replace(manifests=tuple(made))


def _root(pin: Manifest | None, presence: Presence | None, flags: int) -> tuple[bytes, bool]:
    """The map's, and whether it holds what is said to be the newest manifest."""
    newest = presence.manifests[-1].manifest if presence is not None and presence.manifests else pin
    if flags & 4 or presence is None or newest is None:
        return MISSING, False
    if not flags & 2:
        return bytes(range(32)), False
    return MapLeaf(_PLACE, newest.version, commitment(presence.opening, newest)).hash(), True


# What a check of pages says of a log, and of one that does not answer.
_FOLLOWING = frozenset(
    {"log-proof-invalid", "log-unproven", "invalid-signature", "identity-mismatch", "too-large", "service-unavailable"}
)


def run_pages(data: bytes) -> bool:
    """What a log says of who was long away: what is proved was said, is in the map, and follows from the pin by an
    account of its own; what is said to follow was signed by who could; questions have an end.
    """
    with _small_pages():
        try:
            away = Away.decode(data)
        except RoomkeyError as error:
            return refused(error, DECODING)
        pin = _first().manifest if away.pinned & 1 else None
        log = _Log(away.said)
        try:
            found = finish(following.ask(log, None, [Question(_WHO, pin, _PLACE)], lambda: NOW))[_WHO]  # type: ignore[arg-type]
        except RoomkeyError as error:
            found = error
        if len(log.asked) > _PAGES + 1:
            raise Broken(f"expected at most {_PAGES + 1} questions, got {len(log.asked)}")
        if isinstance(found, RoomkeyError):
            return refused(found, _FOLLOWING, None)
        if isinstance(found, ProvedAbsent) and (pin is not None or log.chain):
            raise Broken("expected who was logged before not to be absent")
        if isinstance(found, Proved):
            _check_proved(found, pin, log)
    return True


def _check_proved(found: Proved, pin: Manifest | None, log: _Log) -> None:
    newest, chain = found.chain.manifest, found.chain
    alone = log.asked[-1].pin is None
    last = log.newest if alone else (log.chain[-1] if log.chain else None)
    if newest != (pin if last is None else last.manifest) or newest.identity != _WHO.encode():
        raise Broken("expected the manifest that was said last")
    if not log.holds:
        raise Broken("expected nothing to be proved that the map does not hold")
    if pin is None:
        return
    reset = _first_reset(pin, log.chain)
    if isinstance(chain, Followed) and (alone or reset):
        raise Broken("expected a reset, got manifests that follow")
    if isinstance(chain, Reset) and (chain.version != reset or (not alone and not reset)):
        raise Broken(f"expected a reset in version {reset}, got {chain.version}")


def _first_reset(pin: Manifest, chain: Sequence[SignedManifest]) -> int:
    """By the rules of wire.md section 6: the first version that was not signed by who could; 0: none."""
    before, reset = pin, 0
    for item in chain:
        now, signer = item.manifest, item.signer
        if now.version != before.version + 1 or now.previous != hashlib.sha256(before.encode()).digest():
            raise Broken("expected each manifest to follow on the one before")
        if item.signature[:1] == b"\xff":
            raise Broken("expected each manifest to be signed")
        could = {client.key for client in before.clients}
        by_recovery = hashlib.sha256(signer.encode()).digest() == before.recovery
        if signer not in could and not by_recovery:
            reset = reset or now.version
        before = now
    return reset


def _key(number: int) -> ManifestKey:
    return ManifestKey(0x0807, bytes((number,)) * 32)


_RECOVERY = _key(9)


def _signed(before: Manifest | None, signer: ManifestKey, *clients: int) -> SignedManifest:
    version, previous = (1, NO_PREVIOUS) if before is None else (before.version + 1, before.hash())
    listed = tuple(ManifestClient(_key(number), (1,), (1,)) for number in clients)
    made = Manifest(_WHO.encode(), version, previous, listed, 86400, _RECOVERY.hash())
    return SignedManifest(made, signer, signature_of(made.encode()))


@cache
def _first() -> SignedManifest:
    return _signed(None, _key(1), 1)


def _pages() -> dict[str, bytes]:
    opening = bytes(16)

    def chain(*steps: tuple[ManifestKey, tuple[int, ...]]) -> list[SignedManifest]:
        made, before = [], _first().manifest
        for signer, clients in steps:
            made.append(_signed(before, signer, *clients))
            before = made[-1].manifest
        return made

    def said(items: Sequence[SignedManifest], version: int, *, holds: bool) -> Said:
        return Said(1 | holds << 1, Presence(opening, version, tuple(items)))

    long = chain(*((_key(1), (1, number)) for number in range(20, 25)))
    endless = chain(*((_key(1), (1, number)) for number in range(20, 23)))
    other = _signed(endless[-1].manifest, _key(7), 7)
    far = other.replace(manifest=other.manifest.replace(version=99))
    turned = chain((_key(1), (1, 2)), (_RECOVERY, (3,)), (_key(4), (4,)), (_key(4), (4, 5)))
    with _small_pages():
        return {
            "first": Away(0, (said([_first()], 1, holds=True),)).encode(),
            "same": Away(1, (Said(2, Presence(opening, 1, ())),)).encode(),
            "refused-same": Away(1, (said([], 1, holds=False),)).encode(),
            "two-pages": Away(1, (said(long[:3], 6, holds=False), said(long[3:], 6, holds=True))).encode(),
            "reset": Away(1, (said(turned[:3], 5, holds=False), said(turned[3:], 5, holds=True))).encode(),
            "endless": Away(1, (said(endless[:3], 99, holds=False), said([far], 99, holds=True))).encode(),
            "absent": Away(0, (Said(4, None),)).encode(),
            "refused-short-page": Away(1, (said(long[:2], 6, holds=False), said(long[2:5], 6, holds=True))).encode(),
        }


def targets() -> list[Target]:
    return [Target("manifest-pages", run_pages, _pages, Away.codec())]
