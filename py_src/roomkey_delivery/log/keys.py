"""The keys of a log, in one file: three, each for one thing and nothing else.

    log         signs checkpoints (type 1, by the name DOMAIN/roomkey, or another after that log was lost)
    vrf         places identities in the map; who has it can find out who is in the log
    auditor     cosigns the checkpoints of other logs (type 4, by the name DOMAIN/auditor)

Clients of other services are configured with the public ones, so the file is as dear as the log: without it the log
cannot go on, and a new one is another log.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import vrf
from roomkey.transparency.notes import COSIGNATURE, ED25519, VerifierKey, is_name

SEED: Final = 32  # bytes of each private key (RFC 8032 section 5.1.5)

NAME: Final = "roomkey"  # of a domain's first log

_SECRETS: Final = ("log", "vrf", "auditor")


@dataclass(frozen=True)
class LogKeys:
    """The keys of the log named `origin` and of its service's auditor."""

    origin: str
    log: KeyPair
    vrf_secret: bytes
    cosigner: KeyPair

    @property
    def domain(self) -> str:
        """Whose log it is."""
        return self.origin.partition("/")[0]

    @property
    def log_key(self) -> VerifierKey:
        """By which the log's checkpoints are known."""
        return VerifierKey(self.origin, ED25519, self.log.public)

    @property
    def vrf_key(self) -> bytes:
        """The public key of the identity map, 32 bytes."""
        return vrf.public_key(NativeCrypto(), self.vrf_secret)

    @property
    def auditor_key(self) -> VerifierKey:
        """By which our cosignatures of others' checkpoints are known."""
        return VerifierKey(f"{self.domain}/auditor", COSIGNATURE, self.cosigner.public)

    def public(self) -> dict[str, str]:
        """What an operator tells others: as clients' configurations spell it."""
        return {
            "log": self.log_key.encode(),
            "vrfKey": base64.b64encode(self.vrf_key).decode(),
            "auditor": self.auditor_key.encode(),
        }


def load_or_make(path: Path, domain: str, name: str | None = None) -> LogKeys:
    """The keys in a file, which is made, readable by its owner only, if it is not there: for the log of this name,
    "roomkey" unless told. Errors: "bad-argument"; also if the file's are for another domain, or another name that was
    told.
    """
    if not path.exists():
        _make(path, f"{domain}/{name or NAME}")
    keys = _read(path)
    if keys.domain != domain or (name is not None and keys.origin != f"{domain}/{name}"):
        raise RoomkeyError("bad-argument", "expected the keys of this domain's log and name, got those of another")
    return keys


def make_keys(domain: str) -> LogKeys:
    """Fresh keys, in memory alone."""
    return _keys(f"{domain}/{NAME}", [secrets.token_bytes(SEED) for _ in _SECRETS])


def _keys(origin: str, seeds: list[bytes]) -> LogKeys:
    log, secret, cosigner = seeds
    return LogKeys(origin, _pair(log), secret, _pair(cosigner))


def _pair(seed: bytes) -> KeyPair:
    return KeyPair(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw(), seed)


def _read(path: Path) -> LogKeys:
    try:
        found = json.loads(path.read_text("ascii"))
        seeds = [base64.b64decode(found[name], validate=True) for name in _SECRETS]
        origin = found["origin"]
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected a file of a log's keys: {error.strerror}") from error
    except (ValueError, KeyError, TypeError):
        raise RoomkeyError("bad-argument", "expected a file of a log's keys") from None
    if set(map(len, seeds)) != {SEED} or len({*seeds}) != len(seeds):
        raise RoomkeyError("bad-argument", f"expected three keys of {SEED} bytes, each another")
    if not isinstance(origin, str) or not is_name(origin):
        raise RoomkeyError("bad-argument", "expected the name of a log")
    return _keys(origin, seeds)


def _make(path: Path, origin: str) -> None:
    """Writes the file whole or not at all; the first of several processes makes it."""
    seeds = {name: base64.b64encode(secrets.token_bytes(SEED)).decode() for name in _SECRETS}
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(json.dumps({"origin": origin, **seeds}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            with suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected to write a file of a log's keys: {error.strerror}") from error
