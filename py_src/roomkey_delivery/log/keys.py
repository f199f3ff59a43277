"""The keys of a log, in one file: three, each for one thing and nothing else.

    log         signs checkpoints (type 1, by the name DOMAIN/roomkey)
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
from roomkey.transparency.notes import COSIGNATURE, ED25519, VerifierKey

SEED: Final = 32  # bytes of each private key (RFC 8032 section 5.1.5)

_NAMES: Final = ("log", "vrf", "auditor")


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
        return self.origin.removesuffix("/roomkey")

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


def load_or_make(path: Path, domain: str) -> LogKeys:
    """The keys in a file, which is made, readable by its owner only, if it is not there. Errors: "bad-argument"."""
    if not path.exists():
        _make(path, domain)
    return _read(path, domain)


def make_keys(domain: str, seeds: tuple[bytes, bytes, bytes] | None = None) -> LogKeys:
    """Keys of these seeds (log, vrf, auditor; 32 bytes each), or fresh ones."""
    log, secret, cosigner = seeds or tuple(secrets.token_bytes(SEED) for _ in _NAMES)
    return LogKeys(f"{domain}/roomkey", _pair(log), secret, _pair(cosigner))


def _pair(seed: bytes) -> KeyPair:
    return KeyPair(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw(), seed)


def _read(path: Path, domain: str) -> LogKeys:
    try:
        found = json.loads(path.read_text("ascii"))
        log, secret, cosigner = (base64.b64decode(found[name], validate=True) for name in _NAMES)
        whose = found["domain"]
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected a file of a log's keys: {error.strerror}") from error
    except (ValueError, KeyError, TypeError):
        raise RoomkeyError("bad-argument", "expected a file of a log's keys") from None
    if {len(log), len(secret), len(cosigner)} != {SEED} or len({log, secret, cosigner}) != len(_NAMES):
        raise RoomkeyError("bad-argument", f"expected three keys of {SEED} bytes, each another")
    if whose != domain:
        raise RoomkeyError("bad-argument", "expected the keys of this domain's log, got those of another")
    return make_keys(domain, (log, secret, cosigner))


def _make(path: Path, domain: str) -> None:
    """Writes the file whole or not at all; the first of several processes makes it."""
    seeds = {name: base64.b64encode(secrets.token_bytes(SEED)).decode() for name in _NAMES}
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(json.dumps({"domain": domain, **seeds}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            with suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected to write a file of a log's keys: {error.strerror}") from error
