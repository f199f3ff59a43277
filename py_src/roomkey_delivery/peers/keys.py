"""A service's domain keys: what it signs with when it asks other services, and nothing else.

The file holds one Ed25519 key, or two while one follows the other:

    one --roll--> old, new      both are published, the old one still signs
    old, new --roll--> new      only the new one is published and signs

Between the two steps those who know the old key must have had the time to learn the new one; if they had not, they ask
again when they meet it. A service reads the file when it starts.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.federation.requests import base64url, from_base64url

SEED: Final = 32  # bytes of a private Ed25519 key (RFC 8032 section 5.1.5)
MAX_KEYS: Final = 2
SUFFIX: Final = ".domain-key"  # of the file beside the database, unless the operator names another


@dataclass(frozen=True)
class DomainKeys:
    """The keys of one service, the one that signs first."""

    pairs: tuple[KeyPair, ...]

    @property
    def signing(self) -> KeyPair:
        return self.pairs[0]

    @property
    def public(self) -> tuple[bytes, ...]:
        """What `/.well-known/roomkey` lists, 32 bytes each."""
        return tuple(pair.public for pair in self.pairs)

    def rolled(self) -> DomainKeys:
        """The next step of the module's table."""
        return DomainKeys(self.pairs[1:] if len(self.pairs) == MAX_KEYS else (*self.pairs, _pair(os.urandom(SEED))))


def new_keys() -> DomainKeys:
    """One fresh key."""
    return DomainKeys((_pair(os.urandom(SEED)),))


def load_or_make(path: Path) -> DomainKeys:
    """The keys in a file, which is made, readable by its owner only, if it is not there. Errors: "bad-argument"."""
    if not path.exists():
        _write(path, new_keys(), replace=False)
    return _read(path)


def roll(path: Path) -> DomainKeys:
    """Takes the next step of the module's table in the file. Errors: "bad-argument"."""
    keys = _read(path).rolled()
    _write(path, keys, replace=True)
    return keys


def _pair(seed: bytes) -> KeyPair:
    return KeyPair(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw(), seed)


def _read(path: Path) -> DomainKeys:
    try:
        seeds = [from_base64url(text) for text in json.loads(path.read_text("ascii"))["seeds"]]
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected a file of domain keys: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError, RoomkeyError):
        seeds = []
    if not 0 < len(seeds) <= MAX_KEYS or any(len(seed) != SEED for seed in seeds):
        raise RoomkeyError("bad-argument", f"expected a file of 1 to {MAX_KEYS} domain keys")
    return DomainKeys(tuple(_pair(seed) for seed in seeds))


def _write(path: Path, keys: DomainKeys, *, replace: bool) -> None:
    """Writes the file whole or not at all. Without `replace` the first of several processes makes it."""
    seeds = [base64url(pair.private) for pair in keys.pairs if isinstance(pair.private, bytes)]
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(json.dumps({"seeds": seeds}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            if replace:
                fresh.replace(path)
            else:
                with suppress(FileExistsError):
                    os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected to write a file of domain keys: {error.strerror}") from error
