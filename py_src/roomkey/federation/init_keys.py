"""Init-key sets: the one unit that a client publishes (wire.md section 2), and how it is made.

The draft's UserInitKey names keys, and an RFC 9420 group can only be joined by a KeyPackage. So the UserInitKey of a
set is the signed index of the set's KeyPackages:

- `key_packages[i]` is for the suite `cipher_suites[i]` (in RFC 9420's number), and its init key is `init_keys[i]`;
- `user_init_key_id` is SHA-256 of the encoded vector of KeyPackages, so the signature covers them;
- all of them name the credential's identity; one of the credential's own signature scheme has the credential's key in
  its leaf, one of another scheme a key of its own with the extension `roomkey_client`;
- all init and encryption keys of a set differ; the mark of a last resort stands in all KeyPackages or in none.

`proof` says what must be proved of somebody else's set before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, NamedTuple

from roomkey.crypto.provider import CryptoProvider, KeyHandle, KeyPair
from roomkey.crypto.suites import SUITES, Scheme, suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points, messages
from roomkey.federation.client_leaf import client_extension
from roomkey.federation.messages import Credential, Limited, UserInitKey
from roomkey.mls import credential as mls_credential
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.group import JoinKeys, OwnKeys
from roomkey.mls.key_package import KeyPackage, PackageKeys, make_key_packages
from roomkey.mls.leaf_node import Lifetime, own_capabilities
from roomkey.tls import Codec, Opaque, Struct, malformed, opaque, uint16, vector

# A set of three suites takes about 1.5 kB, with the post-quantum one 5.4 kB; the rest is room for others' extensions.
MAX_INIT_KEY_SET: Final = 1 << 17
# Seconds. A set unused for this long is not worth the risk of its private keys; topping up replaces it in time.
LIFETIME: Final = 30 * 86400
# Seconds. A set is valid from one hour before it was made, because clocks disagree.
CLOCK_ALLOWANCE: Final = 3600

KeyPackages: Codec[tuple[KeyPackage, ...]] = vector(KeyPackage)


# struct {
#     UserInitKey user_init_key;
#     KeyPackage key_packages<V>;
# } InitKeySet;
class InitKeySet(Limited):
    """A UserInitKey and the KeyPackages that it indexes. Nothing is proved of it by being decoded."""

    _limit = MAX_INIT_KEY_SET
    user_init_key: UserInitKey
    key_packages: Annotated[tuple[KeyPackage, ...], KeyPackages]

    @property
    def set_id(self) -> bytes:
        """The id of the set, 32 bytes once it is proved."""
        return self.user_init_key.user_init_key_id

    @property
    def expires(self) -> int:
        """Unix seconds: when the first of its KeyPackages ends; 0 for a set without lifetimes."""
        return min((p.leaf_node.lifetime.not_after for p in self.key_packages if p.leaf_node.lifetime), default=0)

    def is_valid_at(self, now: float) -> bool:
        """Whether all lifetimes in it hold at a time, Unix seconds."""
        lifetimes = [package.leaf_node.lifetime for package in self.key_packages]
        return all(life is not None and life.not_before <= now < life.not_after for life in lifetimes)

    @property
    def last_resort(self) -> bool:
        return any(package.last_resort for package in self.key_packages)


# struct {
#     opaque identity<0..2^16-1>;
#     InitKeySet set;
# } InitKeySetBundle;
class InitKeySetBundle(Limited):
    """A set beside the identity that was asked for, which stands outside the signature."""

    _limit = 2 + 0xFFFF + MAX_INIT_KEY_SET
    identity: Annotated[bytes, opaque(uint16, 0, 0xFFFF)]
    set: InitKeySet


class ClientKeys(NamedTuple):
    """A client's signature keys: the credential's, which the client is known by, and one for each other scheme in use.

    `scheme` is the credential's; `pairs` holds a pair for it and for the scheme of every suite the client offers.
    """

    identity: str
    scheme: Scheme
    pairs: Mapping[Scheme, KeyPair]

    @property
    def credential(self) -> Credential:
        """The credential, as the draft writes it."""
        public = self.pairs[self.scheme].public
        return Credential.of(self.identity.encode("ascii"), code_points.algorithm_of(self.scheme), public)

    @property
    def client_id(self) -> bytes:
        """SHA-256 of the credential's public key."""
        return hashlib.sha256(self.pairs[self.scheme].public).digest()


class StoredPair(Struct):
    """A key pair whose private half the host keeps, as it is stored."""

    public: Opaque
    handle: Opaque

    @classmethod
    def of(cls, pair: KeyPair) -> StoredPair:
        """Errors: "bad-argument" for a raw private key, which has no business in a stored set."""
        if not isinstance(pair.private, KeyHandle):
            raise RoomkeyError("bad-argument", "private key: expected a handle, got bytes")
        return cls(pair.public, pair.private.id.encode())

    def pair(self) -> KeyPair:
        return KeyPair(self.public, KeyHandle(self.handle.decode()))


# struct { StoredPair init; StoredPair encryption; StoredPair signature; } PrivatePackage;
class PrivatePackage(Struct):
    """What joining by one published KeyPackage takes."""

    init: StoredPair
    encryption: StoredPair
    signature: StoredPair


# struct { InitKeySet set; PrivatePackage packages<V>; } PrivateSet;
class PrivateSet(Struct):
    """A set of our own with the names of its private keys, as it is stored. It never leaves the client.

    `packages[i]` belongs to `set.key_packages[i]`.

    A Welcome for one KeyPackage of an ordinary set uses up the whole set: all of `handles` are then deleted, but for
    the encryption key of the leaf that joined.
    """

    set: InitKeySet
    packages: Annotated[tuple[PrivatePackage, ...], vector(PrivatePackage)]

    def check(self) -> None:
        if len(self.packages) != len(self.set.key_packages):
            raise malformed("packages", str(len(self.set.key_packages)), len(self.packages))

    def join_keys(self) -> list[JoinKeys]:
        """What joining by each of the KeyPackages takes, as `group.join` wants it."""
        return [
            JoinKeys(package, keys.init.pair(), OwnKeys(keys.signature.pair(), keys.encryption.pair()))
            for package, keys in zip(self.set.key_packages, self.packages, strict=True)
        ]

    def handles(self) -> list[KeyHandle]:
        """The private init and encryption keys. The signature keys are the client's and live on."""
        pairs = (stored.pair() for package in self.packages for stored in (package.init, package.encryption))
        return [pair.private for pair in pairs if isinstance(pair.private, KeyHandle)]


def set_id(packages: Sequence[KeyPackage]) -> bytes:
    """The id of a set of these KeyPackages: SHA-256 of the encoded vector."""
    return hashlib.sha256(KeyPackages.encode(tuple(packages))).digest()


async def make_init_key_sets(
    crypto: CryptoProvider,
    client: ClientKeys,
    suites: Sequence[int],
    count: int,
    now: float,
    *,
    lifetime: float = LIFETIME,
    last_resort: bool = False,
) -> list[PrivateSet]:
    """Fresh sets, signed; publish `.set` of each, keep the whole. More sets take no more provider calls than one.

    Args:
        suites: RFC 9420 numbers, in the order in which the index lists them.
        now: Unix seconds. lifetime: seconds from now.
        last_resort: marks the sets as ones that the service may hand out more than once; one of them is live at a time.
    Errors: "bad-argument" for no suite or one twice, "unsupported-suite".
    """
    if not suites or len(set(suites)) != len(suites):
        raise RoomkeyError("bad-argument", "suites: expected one or more, none twice")
    if count < 1:
        return []
    name = mls_credential.Credential.basic(client.identity.encode("ascii"))
    life = Lifetime(max(0, int(now) - CLOCK_ALLOWANCE), int(now + lifetime))
    marks = (Extension(ExtensionType.LAST_RESORT_KEY_PACKAGE, b""),) if last_resort else ()
    keys = await _generate(crypto, suites, count)
    columns: list[list[tuple[KeyPackage, PrivatePackage]]] = []
    for number in suites:
        suite = suite_by_number(number)
        signature = _signature_pair(client, suite.scheme)
        leaf_extensions = []
        if suite.scheme != client.scheme:
            credential_pair = client.pairs[client.scheme]
            leaf_extensions = [await client_extension(crypto, client.credential, credential_pair, signature.public)]
        packages = await make_key_packages(
            crypto, suite, name, signature, keys[number], life, own_capabilities(suites),
            leaf_extensions=leaf_extensions, extensions=marks,
        )  # fmt: skip
        kept = StoredPair.of(signature)
        columns.append([
            (package, PrivatePackage(StoredPair.of(pair.init), StoredPair.of(pair.encryption), kept))
            for package, pair in zip(packages, keys[number], strict=True)
        ])  # fmt: skip
    rows = list(zip(*columns, strict=True))
    unsigned = [_index(client.credential, [package for package, _ in row]) for row in rows]
    signed = await messages.sign(crypto, [(index, client.pairs[client.scheme]) for index in unsigned])
    return [
        PrivateSet(InitKeySet(index, tuple(package for package, _ in row)), tuple(keys for _, keys in row))
        for index, row in zip(signed, rows, strict=True)
    ]


async def make_client_keys(crypto: CryptoProvider, identity: str, scheme: Scheme, suites: Sequence[int]) -> ClientKeys:
    """Signature keys of a new client: the credential's of `scheme`, and one for each other scheme that `suites` need.

    Errors: "unsupported-suite".
    """
    schemes: list[Scheme] = [scheme]
    for number in suites:
        if suite_by_number(number).scheme not in schemes:
            schemes.append(suite_by_number(number).scheme)
    pairs: dict[Scheme, KeyPair] = {}
    for wanted in schemes:
        (pairs[wanted],) = await crypto.generate_keys(wanted, 1)
    return ClientKeys(identity, scheme, pairs)


def supported_suites(crypto: CryptoProvider, preference: Sequence[int]) -> tuple[int, ...]:
    """Those of `preference` that this host's cryptography can do, in that order."""
    able = (SUITES[number] for number in preference if number in SUITES)
    return tuple(suite.number for suite in able if crypto.supports(suite.scheme, suite.group, suite.aead))


async def _generate(crypto: CryptoProvider, suites: Sequence[int], count: int) -> dict[int, list[PackageKeys]]:
    """For each suite `count` pairs of init and encryption keys; one provider call per curve."""
    keys: dict[int, list[PackageKeys]] = {}
    for group in sorted({suite_by_number(number).group for number in suites}):
        numbers = [number for number in suites if suite_by_number(number).group == group]
        fresh = iter(await crypto.generate_keys(group, 2 * count * len(numbers)))
        for number in numbers:
            keys[number] = [PackageKeys(next(fresh), next(fresh)) for _ in range(count)]
    return keys


def _signature_pair(client: ClientKeys, scheme: Scheme) -> KeyPair:
    pair = client.pairs.get(scheme)
    if pair is None:
        raise RoomkeyError("bad-argument", f"client keys: expected one of scheme {scheme}, got none")
    return pair


def _index(credential: Credential, packages: Sequence[KeyPackage]) -> UserInitKey:
    suites = tuple(code_points.suite_to_draft(package.cipher_suite) for package in packages)
    return UserInitKey(set_id(packages), suites, tuple(package.init_key for package in packages), credential)
