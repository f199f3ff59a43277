"""What members of a group show each other of the logs: the newest heads that each of them proved (wire.md section 6).

It stands in the authenticated data of a member's commits and of the first message in each epoch, so that a log which
shows its people different truths is found out by those who talk to each other. Nothing of it is believed: a head counts
for what its log signed, and for being of one history with ours, or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from roomkey.errors import RoomkeyError
from roomkey.tls import Struct, malformed, one_of, opaque, uint16, vector
from roomkey.transparency.answer import MAX_CHECKPOINT
from roomkey.transparency.checkpoints import SignedCheckpoint
from roomkey.transparency.notes import Note, VerifierKey

# Says what the authenticated data are; other types are other software's.
LOG_HEADS: Final = 0xF0C6
# Logs in one message: more domains than people of one group have; 32 heads take 8 KB.
MAX_HEADS: Final = 32
MAX_GOSSIP: Final = 1 << 15  # bytes


# struct {
#     uint16 type = 0xF0C6;
#     opaque heads<1..2^13><0..2^15>;         each with 2 bytes of length: a signed note (c2sp.org/tlog-checkpoint)
# } LogHeads;
class LogHeads(Struct):
    """Heads of different logs, each with its log's own signature alone; unverified."""

    _limit = MAX_GOSSIP
    type: Annotated[int, one_of(uint16, LOG_HEADS)]
    heads: Annotated[tuple[bytes, ...], vector(opaque(uint16, 1, MAX_CHECKPOINT), uint16, 0, MAX_GOSSIP)]

    def check(self) -> None:
        if len(self.heads) > MAX_HEADS:
            raise malformed("heads", f"at most {MAX_HEADS}", len(self.heads))


def show(heads: Iterable[tuple[VerifierKey, SignedCheckpoint]]) -> bytes:
    """The authenticated data that show these heads, each with the key of its log; empty for none."""
    notes = tuple(Note(head.note.text, tuple(head.note.by(log))).encode() for log, head in heads)[:MAX_HEADS]
    return LogHeads(LOG_HEADS, notes).encode() if notes else b""


def read(data: bytes) -> list[Note]:
    """The notes that authenticated data show; none of what is nothing of ours, or too large, or does not parse."""
    try:
        if len(data) > MAX_GOSSIP:
            return []
        return [Note.decode(head) for head in LogHeads.decode(data).heads]
    except RoomkeyError:
        return []
