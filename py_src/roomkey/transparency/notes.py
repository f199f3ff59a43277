"""Signed notes (c2sp.org/signed-note): a text, and lines that sign it.

    TEXT, ends in a newline
    (an empty line)
    — NAME BASE64(key id, 4 bytes || signature)        one or more

Signature types: 0x01 Ed25519 over the text; 0x04 a cosignature over a checkpoint (`checkpoints`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from roomkey.crypto import signatures
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.errors import RoomkeyError

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04

# A checkpoint with the cosignatures of every witness that anybody would name; the specification asks for 16 lines.
MAX_NOTE: Final = 64 << 10
MAX_SIGNATURES: Final = 64

_LINE: Final = re.compile("— ([^ ]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f]")


class VerifierKey(NamedTuple):
    """A key that signs notes: its name, its signature type, and the Ed25519 public key (32 bytes)."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name || 0x0A || type || public key), the first 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes((self.kind,)) + self.public).digest()[:4]

    def encode(self) -> str:
        """The key as operators write it down: NAME+HEX(key id)+BASE64(type || public key)."""
        material = base64.b64encode(bytes((self.kind,)) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    @classmethod
    def decode(cls, text: str) -> VerifierKey:
        """Reads a vkey of type 0x01 or 0x04. Errors: "bad-argument", because people write these."""
        name, _, rest = text.partition("+")
        key_id, _, material = rest.partition("+")
        try:
            raw = base64.b64decode(material, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        # What does not print could pass for another name, or steer a terminal: people read these, and hand them on.
        is_text = is_name(name) and name.isprintable()
        if not is_text or len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
            raise RoomkeyError("bad-argument", "expected a verifier key of an Ed25519 key, name+id+key")
        key = cls(name, raw[0], raw[1:])
        if key.id.hex() != key_id or key.encode() != text:
            raise RoomkeyError("bad-argument", "expected a verifier key whose id is that of its name and key")
        return key


class NoteSignature(NamedTuple):
    """One line: who says to have signed, with which key, and the signature's bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def encode(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


class Note(NamedTuple):
    """A note as it came: `text` with its last newline. Nothing is verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        return (self.text + "\n" + "".join(line.encode() for line in self.signatures)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Note:
        """Reads a note. In this order:

        1. at most MAX_NOTE bytes, UTF-8, no control characters but newlines.
        2. the text is what stands before the last empty line.
        3. each line after it is a signature in its one form; 1 to MAX_SIGNATURES of them.

        Errors: "malformed", "too-large".
        """
        # 1.
        if len(data) > MAX_NOTE:
            raise RoomkeyError("too-large", f"expected a note of at most {MAX_NOTE} bytes, got {len(data)}")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise _malformed("expected a note in UTF-8") from None
        if _CONTROL.search(whole):
            raise _malformed("expected a note without control characters")
        # 2.
        end = whole.rfind("\n\n")
        if end < 0 or not whole.endswith("\n"):
            raise _malformed("expected a text, an empty line and signatures")
        lines = whole[end + 2 : -1].split("\n")
        # 3.
        if len(lines) > MAX_SIGNATURES:
            raise _malformed(f"expected at most {MAX_SIGNATURES} signatures, got {len(lines)}")
        return cls(whole[: end + 1], tuple(_read_line(line) for line in lines))

    def by(self, key: VerifierKey) -> list[NoteSignature]:
        """The lines that name this key; an id is short, so more than one may."""
        return [line for line in self.signatures if line.name == key.name and line.key_id == key.id]


def is_name(name: str) -> bool:
    """Whether a key may bear the name: not empty, no plus, no space of any kind."""
    return bool(name) and "+" not in name and not any(char.isspace() or ord(char) < 0x20 for char in name)


async def sign_note(crypto: CryptoProvider, text: str, key: VerifierKey, pair: KeyPair) -> Note:
    """The note of a text, signed with an Ed25519 key."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise RoomkeyError("bad-argument", "expected a text that ends in a newline, without control characters")
    (signature,) = await signatures.sign(crypto, "ed25519", [(pair, text.encode())])
    return Note(text, (NoteSignature(key.name, key.id, signature),))


async def verify_note(crypto: CryptoProvider, note: Note, key: VerifierKey) -> None:
    """That `key` signed the text; a line that names it and does not verify spoils the note.

    Errors: "invalid-signature".
    """
    lines = note.by(key)
    items = [(key.public, note.text.encode(), line.signature) for line in lines]
    if not lines or not all(await signatures.verify(crypto, "ed25519", items)):
        raise RoomkeyError("invalid-signature", f"expected a note with its owner's signature, got {len(lines)} lines")


def verifier_keys(texts: Sequence[str]) -> tuple[VerifierKey, ...]:
    """Keys from a configuration; one named twice is an error, because it would count twice. Errors: "bad-argument"."""
    keys = tuple(VerifierKey.decode(text) for text in texts)
    if len({key.public for key in keys}) != len(keys) or len({key.name for key in keys}) != len(keys):
        raise RoomkeyError("bad-argument", "expected verifier keys of different names and keys")
    return keys


def _read_line(line: str) -> NoteSignature:
    found = _LINE.fullmatch(line)
    if found is None or not is_name(found[1]):
        raise _malformed("expected a signature line")
    try:
        raw = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        raise _malformed("expected a signature in base64") from None
    if base64.b64encode(raw).decode() != found[2] or len(raw) <= 4:
        raise _malformed("expected a key id and a signature in the one form of base64")
    return NoteSignature(found[1], raw[:4], raw[4:])


def _malformed(text: str) -> RoomkeyError:
    return RoomkeyError("malformed", text)
