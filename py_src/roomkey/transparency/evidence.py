"""Evidence of a fork: a text file that a person can hand on, and that anybody can check.

    Evidence that a key log showed two truths

    (a few lines for people; not read by programs)

    log: VKEY, the key of the log (type 1)

    -----BEGIN CHECKPOINT-----
    a signed note (c2sp.org/signed-note), as it came
    -----END CHECKPOINT-----
    -----BEGIN CHECKPOINT-----
    another
    -----END CHECKPOINT-----

It names nobody but the log and who cosigned. What it proves is that the holder of the log's key signed both notes; that
the key is that log's, whoever judges must know from elsewhere.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import Checkpoint, open_checkpoint
from roomkey.transparency.notes import ED25519, MAX_NOTE, Note, VerifierKey

TITLE: Final = "Evidence that a key log showed two truths"
MAX_EVIDENCE: Final = 2 * MAX_NOTE + 4096  # bytes

_PEOPLE: Final = """\
A log of keys must show the same list to everybody. The two checkpoints below say that the list of one length has two
different contents, and the log signed both. So it told somebody something else than others about somebody's keys, or
whoever did that has the log's key. The operators of the services that check this log, and everybody who relies on it,
should see this file. `roomkey-delivery verify-evidence FILE` checks it.
"""
_LOG: Final = "log: "
_BEGIN: Final = "-----BEGIN CHECKPOINT-----\n"
_END: Final = "-----END CHECKPOINT-----\n"


class ForkEvidence(NamedTuple):
    """Two notes of one log. Nothing is proved by having them here: see `verify_evidence`."""

    log: VerifierKey
    first: Note
    second: Note

    def encode(self) -> str:
        """The file's text."""
        notes = "".join(_BEGIN + note.encode().decode() + _END for note in (self.first, self.second))
        return f"{TITLE}\n\n{_PEOPLE}\n{_LOG}{self.log.encode()}\n\n{notes}"

    @classmethod
    def decode(cls, text: str) -> ForkEvidence:
        """Reads a file's text; line ends of other systems are fine.

        1. at most MAX_EVIDENCE bytes, with the title, one log and two checkpoints between their marks.
        2. the log's key is a vkey of type 1, each checkpoint a signed note.

        Errors: "malformed", "too-large".
        """
        # 1.
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise _malformed("expected evidence in UTF-8") from None
        if size > MAX_EVIDENCE:
            raise RoomkeyError("too-large", f"expected evidence of at most {MAX_EVIDENCE} bytes")
        head, *rest = text.replace("\r\n", "\n").removeprefix("\ufeff").split(_BEGIN)
        keys = [line.removeprefix(_LOG) for line in head.split("\n") if line.startswith(_LOG)]
        notes = [piece.partition(_END) for piece in rest]
        if not head.startswith(f"{TITLE}\n") or len(keys) != 1 or len(notes) != 2:
            raise _malformed("expected the title of evidence, one log and two checkpoints")
        if any(not end or after.strip() for _, end, after in notes):
            raise _malformed("expected nothing between and after the checkpoints")
        # 2.
        try:
            log = VerifierKey.decode(keys[0])
        except RoomkeyError as error:
            raise _malformed(error.text) from None
        if log.kind != ED25519:
            raise _malformed("expected the key of a log (type 1)")
        first, second = (Note.decode(note.encode()) for note, _, _ in notes)
        return cls(log, first, second)


class TwoTruths(NamedTuple):
    """What evidence proves: both heads, of one size and different roots, were signed with the log's key."""

    log: VerifierKey
    first: Checkpoint
    second: Checkpoint


async def verify_evidence(crypto: CryptoProvider, evidence: ForkEvidence) -> TwoTruths:
    """What the evidence proves:

    1. both notes are checkpoints of the log that the key names, and its signature holds on both.
    2. they are of the same size and have different roots.

    What remains for the caller: that the key is the log's.
    Errors: "malformed", "wrong-log", "invalid-signature"; "log-proof-invalid" for notes that may both be true.
    """
    # 1.
    first, second = [
        (await open_checkpoint(crypto, note.encode(), evidence.log)).checkpoint
        for note in (evidence.first, evidence.second)
    ]
    # 2.
    if first.size != second.size or first.root == second.root:
        raise RoomkeyError("log-proof-invalid", "expected two roots of one size, which contradict")
    return TwoTruths(evidence.log, first, second)


def _malformed(text: str) -> RoomkeyError:
    return RoomkeyError("malformed", text)
