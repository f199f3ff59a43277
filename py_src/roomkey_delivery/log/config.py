"""What an operator sets for a log of keys and for auditing others' logs (wire.md section 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from roomkey.errors import RoomkeyError
from roomkey.federation.calls import service_origin
from roomkey.transparency.answer import MAX_CHECKPOINT
from roomkey.transparency.notes import COSIGNATURE, ED25519, VerifierKey

from roomkey_delivery.log.keys import LogKeys

_LINE: Final = 120  # bytes of a signature line beside the name: 72 or 68 of signature and key id in base64, and signs

# VKEY=URL; a name may hold an equals sign, so the URL begins at the first that a scheme follows.
_AT: Final = re.compile(r"(.+?)=(https?://.+)", re.ASCII)


@dataclass(frozen=True)
class Witness:
    """Who cosigns our checkpoints.

    Args:
        key: its key, type 4.
        url: to which /add-checkpoint is appended.
        auditor: whether clients rely on it. One that is not attests only that the log appends; nobody waits for it.
    """

    key: VerifierKey
    url: str
    auditor: bool


@dataclass(frozen=True)
class Audited:
    """A log of somebody else's that we audit: its key, type 1, and the URL below which its tiles are."""

    key: VerifierKey
    url: str


@dataclass(frozen=True)
class LogConfig:
    """The log of one service, and the logs that it audits.

    Without `witnesses` among which somebody is an auditor, nothing in the log can ever be proved: such a service keeps
    no log, and audits only.
    """

    keys: LogKeys
    witnesses: tuple[Witness, ...] = ()
    audits: tuple[Audited, ...] = ()

    def __post_init__(self) -> None:
        names = [witness.key.name for witness in self.witnesses]
        lines = [self.keys.origin, self.keys.origin, *names]  # of text, signature and cosignatures
        if sum(len(name.encode()) + _LINE for name in lines) > MAX_CHECKPOINT:
            raise RoomkeyError("bad-argument", f"expected witnesses whose lines fit {MAX_CHECKPOINT} bytes")
        publics = {witness.key.public for witness in self.witnesses}
        if len({*names}) != len(names) or len(publics) != len(names):
            raise RoomkeyError("bad-argument", "expected witnesses of different names and keys")
        if any(witness.key.kind != COSIGNATURE for witness in self.witnesses):
            raise RoomkeyError(
                "bad-argument", "expected keys of type 4 with --auditor and --witness, as of 'auditor' in log-keys"
            )
        if publics & {self.keys.log.public, self.keys.cosigner.public}:
            raise RoomkeyError("bad-argument", "expected witnesses that are others than this service")
        if self.witnesses and not self.auditors:
            raise RoomkeyError(
                "bad-argument", "expected an auditor among the witnesses: only auditors count for proofs"
            )
        if any(audited.key.kind != ED25519 for audited in self.audits):
            raise RoomkeyError("bad-argument", "expected keys of type 1 with --audit, as of 'log' in log-keys")
        if len({audited.key.name for audited in self.audits}) != len(self.audits):
            raise RoomkeyError("bad-argument", "expected logs of different names")

    @property
    def auditors(self) -> tuple[Witness, ...]:
        """Those who count."""
        return tuple(witness for witness in self.witnesses if witness.auditor)

    def is_quorum(self, names: frozenset[str]) -> bool:
        """Whether these cosigners are what clients ask for: more than half of the auditors, and at least one."""
        return 2 * sum(witness.key.name in names for witness in self.auditors) > len(self.auditors)


def read_witness(text: str, *, auditor: bool) -> Witness:
    """A witness as operators write it, VKEY=URL. Errors: "bad-argument", "invalid-address"."""
    return Witness(*_read(text), auditor)


def read_audited(text: str) -> Audited:
    """A log to audit as operators write it, VKEY=URL. Errors: "bad-argument", "invalid-address"."""
    return Audited(*_read(text))


def _read(text: str) -> tuple[VerifierKey, str]:
    found = _AT.fullmatch(text)
    if found is None:
        raise RoomkeyError("bad-argument", "expected VKEY=URL")
    parts = urlsplit(found[2])
    origin = service_origin(f"{parts.scheme}://{parts.netloc}")
    if parts.query or parts.fragment:
        raise RoomkeyError("invalid-address", "expected an address without parameters")
    return VerifierKey.decode(found[1]), origin + parts.path.rstrip("/")
