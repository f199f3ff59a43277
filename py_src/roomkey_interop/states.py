"""What the runner's numbers stand for: members of groups, joins under way, external signers, reinitialisations."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from roomkey.crypto.provider import KeyHandle, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite, suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.committing import PendingCommit
from roomkey.mls.credential import Credential
from roomkey.mls.framing import PRIVATE_MESSAGE, PUBLIC_MESSAGE
from roomkey.mls.group import Group, JoinKeys, OwnKeys, Psks
from roomkey.mls.key_package import make_key_package
from roomkey.mls.leaf_node import Lifetime, own_capabilities
from roomkey.mls.policy import EXTERNAL_JOINS, policy_by_name

# How long others' KeyPackages may be valid for: mlspp's last for ever.
ANY_LIFETIME: Final = math.inf
# The runner's scripts join from outside, so our members let strangers in.
POLICY = policy_by_name(EXTERNAL_JOINS)._replace(max_lifetime=ANY_LIFETIME)
# Seconds that a KeyPackage is valid for, and those before it was made, as clocks differ.
LIFETIME = 86400
CLOCK_SKEW = 3600

T = TypeVar("T")


class UnknownId(LookupError):
    """A number that stands for nothing, or no longer."""


@dataclass(repr=False)
class Join:
    """A KeyPackage of ours on its way into a group: `keys` lie in `crypto`, which is this client's alone."""

    crypto: NativeCrypto
    keys: JoinKeys
    external_psks: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def suite(self) -> CipherSuite:
        return suite_by_number(self.keys.key_package.cipher_suite)

    def member(self, group: Group, encrypt_handshake: bool) -> Member:
        return Member(self.crypto, group, encrypt_handshake, self.external_psks)


@dataclass(repr=False)
class Member:
    """A member of a group. Its number stays the same from epoch to epoch."""

    crypto: NativeCrypto
    group: Group
    encrypt_handshake: bool
    external_psks: dict[bytes, bytes] = field(default_factory=dict)
    pending: PendingCommit | None = None
    # The references of this epoch's proposals, ours and others', by the messages they came in. A PrivateMessage opens
    # only once, and our own never does; the runner hands over both again with each commit.
    proposals: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def wire_format(self) -> int:
        return PRIVATE_MESSAGE if self.encrypt_handshake else PUBLIC_MESSAGE

    @property
    def identity(self) -> bytes:
        return self.group.leaf.credential.identity or b""

    @property
    def psks(self) -> Psks:
        return Psks(external=self.external_psks)

    async def enter(self, group: Group, spent: tuple[KeyPair, ...]) -> None:
        """Goes on in the next epoch; keys of the old one alone, or of a commit of ours that lost, are forgotten."""
        lost: tuple[KeyPair, ...] = ()
        if self.pending is not None and self.pending.group.epoch_authenticator != group.epoch_authenticator:
            lost = self.pending.made_keys
        self.group, self.pending = group, None
        self.proposals.clear()
        await self.crypto.forget_keys([k.private for k in (*spent, *lost) if isinstance(k.private, KeyHandle)])


@dataclass(repr=False)
class Signer:
    """Somebody outside who may propose."""

    crypto: NativeCrypto
    suite: CipherSuite
    pair: KeyPair


@dataclass(repr=False)
class Successor:
    """A member whose group ended by a ReInit, with the KeyPackage for the group that follows."""

    state_id: int
    ended: Member
    join: Join


class Table(Generic[T]):
    """Things by number."""

    def __init__(self, kind: str, numbers: Numbers) -> None:
        self._kind, self._numbers = kind, numbers
        self._entries: dict[int, T] = {}

    def add(self, entry: T) -> int:
        number = self._numbers.next()
        self._entries[number] = entry
        return number

    def __getitem__(self, number: int) -> T:
        if number not in self._entries:
            raise UnknownId(f"expected the number of a {self._kind}, got {number}")
        return self._entries[number]

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def drop(self, number: int) -> None:
        """Forgets an entry, and with it the keys that only it holds."""
        self[number]
        del self._entries[number]


class Numbers:
    """One count for all tables, because StorePSK names a state or a transaction by number alone."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        self._last += 1
        return self._last


class Client:
    """All that one client holds for the runner."""

    def __init__(self) -> None:
        numbers = Numbers()
        self.members: Table[Member] = Table("state", numbers)
        self.joins: Table[Join] = Table("transaction", numbers)
        self.signers: Table[Signer] = Table("signer", numbers)
        self.successors: Table[Successor] = Table("reinitialisation", numbers)


async def new_join(suite: CipherSuite, identity: bytes) -> Join:
    """A fresh client with one KeyPackage."""
    crypto = NativeCrypto()
    (signature,) = await crypto.generate_keys(suite.scheme, 1)
    init, encryption = await crypto.generate_keys(suite.group, 2)
    now = int(time.time())
    package = await make_key_package(
        crypto, suite, Credential.basic(identity), signature, init, encryption,
        Lifetime(now - CLOCK_SKEW, now + LIFETIME), own_capabilities(SUITES),
    )  # fmt: skip
    return Join(crypto, JoinKeys(package, init, OwnKeys(signature, encryption)))


def raw(crypto: NativeCrypto, pair: KeyPair) -> bytes:
    """The private key itself, which the interface hands to the runner. Errors: "key-not-found"."""
    if not isinstance(pair.private, KeyHandle):
        return pair.private
    if pair.private.id not in crypto.keys:
        raise RoomkeyError("key-not-found", "expected a private key that this client holds")
    return crypto.keys[pair.private.id]
