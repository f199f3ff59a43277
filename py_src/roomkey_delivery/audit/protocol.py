"""The bodies of add-checkpoint (c2sp.org/tlog-witness), for logs and for witnesses.

old SIZE                                the size that the witness cosigned last
BASE64(hash)                            0 to 63 lines, the proof of consistency from there
(an empty line)
the checkpoint, a signed note
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.transparency.merkle import HASH_SIZE, MAX_SIZE
from roomkey.transparency.notes import MAX_NOTE, Note

PATH: Final = "/add-checkpoint"  # below a witness's prefix
# Below a witness's prefix and the SHA-256 of a log's origin (hex): the head that it cosigned last, and of an auditor
# also the head that it knows, which may not be replayed yet.
SHOWN: Final = ("/checkpoint", "/head")
SIZE_TYPE: Final = "text/x.tlog.size"  # of the body of a 409
TEXT_TYPE: Final = "text/plain; charset=utf-8"

MAX_PROOF: Final = 63  # lines that the specification allows
MAX_REQUEST: Final = 32 + MAX_PROOF * 45 + MAX_NOTE

_NUMBER: Final = re.compile("0|[1-9][0-9]{0,18}")


class AddCheckpoint(NamedTuple):
    """A request. `old`: the size before; `proof`: hashes of 32 bytes. Nothing is verified."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        lines = [f"old {self.old}", *(base64.b64encode(item).decode() for item in self.proof)]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.note.encode()

    @classmethod
    def decode(cls, data: bytes) -> AddCheckpoint:
        """Reads a request. Errors: "malformed", "too-large"."""
        if len(data) > MAX_REQUEST:
            raise RoomkeyError("too-large", f"expected at most {MAX_REQUEST} bytes, got {len(data)}")
        head, found, note = data.partition(b"\n\n")
        first, *proof = head.split(b"\n")
        if not found or not first.startswith(b"old "):
            raise RoomkeyError("malformed", "expected an old size, hashes, an empty line and a checkpoint")
        if len(proof) > MAX_PROOF:
            raise RoomkeyError("malformed", f"expected at most {MAX_PROOF} hashes, got {len(proof)}")
        return cls(read_size(first[4:]), tuple(_read_hash(line) for line in proof), Note.decode(note))


def read_size(text: bytes) -> int:
    """A size in decimal, without leading zeroes. Errors: "malformed"."""
    if not text.isascii() or not _NUMBER.fullmatch(text.decode()) or int(text) > MAX_SIZE:
        raise RoomkeyError("malformed", "expected a size in decimal")
    return int(text)


def _read_hash(line: bytes) -> bytes:
    try:
        value = base64.b64decode(line, validate=True)
    except binascii.Error:
        value = b""
    if len(value) != HASH_SIZE or base64.b64encode(value) != line:
        raise RoomkeyError("malformed", f"expected a hash of {HASH_SIZE} bytes in base64")
    return value
