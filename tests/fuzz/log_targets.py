"""Targets of logs, auditors and witnesses: their texts, and the structs that clients and auditors get from a log."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from roomkey.errors import RoomkeyError
from roomkey.transparency.answer import Answer
from roomkey.transparency.checkpoints import Checkpoint, read_checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.evidence import ForkEvidence
from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest, MapUpdates
from roomkey.transparency.identity_map import MISSING, MapLeaf, MapProof
from roomkey.transparency.manifest import SignedManifest
from roomkey.transparency.notes import COSIGNATURE, ED25519, Note, NoteSignature, VerifierKey
from roomkey_delivery.audit.protocol import AddCheckpoint

from tests.fuzz.target import DECODING, Finding, Target, decodes, refused

_LOG = VerifierKey("log.example", ED25519, bytes(32))
_WITNESS = VerifierKey("witness.example", COSIGNATURE, bytes(range(32)))


def _note(fill: int) -> Note:
    text = Checkpoint(_LOG.name, 9, bytes((fill,)) * 32).text()
    return Note(
        text, (NoteSignature(_LOG.name, _LOG.id, bytes(64)), NoteSignature(_WITNESS.name, _WITNESS.id, bytes(72)))
    )


class _Text:
    """A decoded text, which encodes to bytes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def encode(self) -> bytes:
        return self._text.encode()


def _head(data: bytes) -> _Text:
    """A checkpoint of one form only: the lines after the third are nobody's."""
    text = _utf8(data)
    lines = text.split("\n")
    return _Text("\n".join([read_checkpoint(text).text().removesuffix("\n"), *lines[3:]]))


def _vkey(data: bytes) -> _Text:
    text = _utf8(data)
    try:
        return _Text(VerifierKey.decode(text).encode())
    except RoomkeyError as error:
        refused(error, frozenset({"bad-argument"}), "caller")  # people write these
        raise RoomkeyError("malformed", "") from error


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RoomkeyError("malformed", "") from None


_TEXTS: tuple[Callable[[bytes], bool], ...] = (
    decodes(Note.decode),
    decodes(AddCheckpoint.decode),
    decodes(_head),
    decodes(_vkey),
)
_STRUCTS: tuple[Callable[[bytes], Any], ...] = (
    EpochLeaf.decode,
    MapUpdates.decode,
    MapProof.decode,
    AnswersRequest.decode,
    Answers.decode,
    Answer.decode,
    SignedManifest.decode,
)


def run_texts(data: bytes) -> bool:
    """`uint8 kind`, then a text: each has one form. Evidence has many, and encodes to one that says the same."""
    if not data:
        return False
    kind = data[0] % (len(_TEXTS) + 1)
    if kind < len(_TEXTS):
        return _TEXTS[kind](data[1:])
    try:
        evidence = ForkEvidence.decode(_utf8(data[1:]))
    except RoomkeyError as error:
        return refused(error, DECODING)
    if ForkEvidence.decode(evidence.encode()) != evidence:
        raise Finding("expected evidence that says the same")
    return True


def run_structs(data: bytes) -> bool:
    """`uint8 kind`, then a struct."""
    if not data:
        return False
    return decodes(_STRUCTS[data[0] % len(_STRUCTS)])(data[1:])


def _texts() -> dict[str, bytes]:
    note = _note(1)
    return {
        "note": b"\x00" + note.encode(),
        "add-checkpoint": b"\x01" + AddCheckpoint(5, (bytes(32), bytes(32)), note).encode(),
        "checkpoint": b"\x02" + note.text.encode() + b"extension\n",
        "vkey": b"\x03" + _WITNESS.encode().encode(),
        "evidence": b"\x04" + ForkEvidence(_LOG, note, _note(2)).encode().encode(),
        "refused-root": b"\x02log.example\n9\n" + base64.b64encode(bytes(31)) + b"\n",
    }


def _structs() -> dict[str, bytes]:
    leaf = MapLeaf(bytes(32), 1, bytes(32))
    proof = MapProof((MISSING[:31] + b"\x01", None), leaf)
    return {
        "epoch": b"\x00" + EpochLeaf(1, 2, bytes(32), bytes(32), bytes(32)).encode(),
        "updates": b"\x01" + MapUpdates((leaf, leaf.replace(index=bytes(31) + b"\x01"))).encode(),
        "map-proof": b"\x02" + proof.encode(),
        "request": b"\x03" + AnswersRequest(7, (AnswerRequest(b"bob@email2.example", 1),)).encode(),
        "answers": b"\x04" + Answers((bytes(32),), (None,)).encode(),
    }


def targets() -> list[Target]:
    return [Target("log-texts", run_texts, _texts), Target("log-structs", run_structs, _structs)]
