"""Checkpoints of logs and their cosignatures (c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature).

A checkpoint is a signed note whose text is

    ORIGIN
    SIZE, decimal
    BASE64(root hash)
    (extension lines; we write none and ignore those of others)
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from roomkey.crypto import signatures
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.errors import RoomkeyError
from roomkey.transparency.merkle import HASH_SIZE, MAX_SIZE
from roomkey.transparency.notes import COSIGNATURE, Note, NoteSignature, VerifierKey, verify_note

_NUMBER: Final = re.compile("0|[1-9][0-9]{0,18}")


class Checkpoint(NamedTuple):
    """A log's head: who it is, how many leaves, and their root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note's text, without extension lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class SignedCheckpoint(NamedTuple):
    """A checkpoint whose log's signature holds, and the note it came in."""

    checkpoint: Checkpoint
    note: Note


class Cosignature(NamedTuple):
    """That a cosigner saw a checkpoint at `time` (Unix seconds)."""

    cosigner: VerifierKey
    time: int


def read_checkpoint(text: str) -> Checkpoint:
    """The head that a note's text names. Errors: "malformed"."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines) or not _NUMBER.fullmatch(lines[1]) or int(lines[1]) > MAX_SIZE:
        raise RoomkeyError("malformed", "expected a checkpoint: origin, size and root hash")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_SIZE or base64.b64encode(root).decode() != lines[2]:
        raise RoomkeyError("malformed", f"expected a root hash of {HASH_SIZE} bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


async def open_checkpoint(crypto: CryptoProvider, data: bytes, log: VerifierKey) -> SignedCheckpoint:
    """A checkpoint of the log whose key this is.

    1. the bytes are a signed note, and its text a checkpoint.
    2. its origin is the log's name.
    3. the log's signature holds.

    Errors: "malformed", "too-large", "wrong-log", "invalid-signature".
    """
    note = Note.decode(data)
    checkpoint = read_checkpoint(note.text)
    if checkpoint.origin != log.name:
        raise RoomkeyError("wrong-log", "expected a checkpoint of the log that the service runs, got another's")
    await verify_note(crypto, note, log)
    return SignedCheckpoint(checkpoint, note)


async def cosign(crypto: CryptoProvider, note: Note, key: VerifierKey, pair: KeyPair, time: int) -> NoteSignature:
    """The cosignature line of type 0x04: the caller has verified the note and that nothing was taken back."""
    (signature,) = await signatures.sign(crypto, "ed25519", [(pair, _cosigned(note, time))])
    return NoteSignature(key.name, key.id, time.to_bytes(8, "big") + signature)


async def cosignatures(crypto: CryptoProvider, note: Note, cosigners: Sequence[VerifierKey]) -> list[Cosignature]:
    """Who of these cosigned the note, each once, with their newest time.

    Lines of others are ignored; a line that names one of these and does not verify spoils the note.

    Errors: "invalid-signature", "bad-argument" for a key that is no cosigner's.
    """
    claims: list[tuple[VerifierKey, int, bytes]] = []
    for cosigner in cosigners:
        if cosigner.kind != COSIGNATURE:
            raise RoomkeyError("bad-argument", "expected verifier keys of cosigners (type 4)")
        for line in note.by(cosigner):
            if len(line.signature) != 8 + 64:
                raise RoomkeyError("invalid-signature", f"expected 72 bytes, got {len(line.signature)}")
            claims.append((cosigner, int.from_bytes(line.signature[:8], "big"), line.signature[8:]))
    items = [(cosigner.public, _cosigned(note, time), signature) for cosigner, time, signature in claims]
    if not all(await signatures.verify(crypto, "ed25519", items)):
        raise RoomkeyError("invalid-signature", "expected cosignatures that hold")
    newest: dict[VerifierKey, int] = {}
    for cosigner, time, _ in claims:
        newest[cosigner] = max(time, newest.get(cosigner, 0))
    return [Cosignature(cosigner, time) for cosigner, time in newest.items()]


def _cosigned(note: Note, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{note.text}".encode()
