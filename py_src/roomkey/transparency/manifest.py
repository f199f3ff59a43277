"""Manifests: what an identity says of its own clients, one version after the other (wire.md section 6).

Each version names the one before by its hash, and is signed by a client of the one before or by its recovery key, so
that whoever holds one version can prove all that follow. What does not follow so is a reset: it may be somebody who
lost everything, or somebody else. Nothing here decides that; it is told apart, for people to see and consent to.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.tls import U32, U64, Struct, fixed, malformed, one_of, opaque, uint16, vector
from roomkey.transparency.merkle import HASH_SIZE

OPENING_SIZE: Final = 16
# A person's devices; more are refused, so that a manifest of three suites stays below 4 KB.
MAX_CLIENTS: Final = 32
# Local part, sign, domain (section 1).
MAX_IDENTITY: Final = 64 + 1 + 253
# Versions since a pin that one answer may hold: a new device each day for most of a year.
MAX_CHAIN: Final = 256
# Answers by which one check follows a longer chain. With 256 versions each it is a new one on each day of eleven years,
# and 204 days of as many as a service takes (20); 16 MB at most, and below half a second's signatures for most.
MAX_PAGES: Final = 16
MAX_FOLLOWED: Final = MAX_PAGES * MAX_CHAIN

_LABEL: Final = b"RoomkeyManifest"
_ECDSA: Final = 0x0403
_ED25519: Final = 0x0807
_KEY_SIZE: Final = {_ECDSA: 65, _ED25519: 32}
# SignWithLabel wants a suite and uses its scheme alone.
_SUITE_OF: Final[dict[int, CipherSuite]] = {_ED25519: SUITES[0x0001], _ECDSA: SUITES[0x0002]}

Hash = fixed(HASH_SIZE)
NO_PREVIOUS: Final = bytes(HASH_SIZE)
_Numbers = vector(uint16, uint16, 2, 0x100)


# enum { ecdsa_secp256r1_sha256(0x0403), ed25519(0x0807), (0xFFFF) } SignatureScheme;
#
# struct { SignatureScheme algorithm; opaque public_key<1..2^16-1>; } ManifestKey;
class ManifestKey(Struct):
    """A signature key: of a client's credential, or for recovery."""

    algorithm: Annotated[int, one_of(uint16, _ECDSA, _ED25519)]
    public_key: Annotated[bytes, opaque(uint16, 1, 0xFFFF)]

    def check(self) -> None:
        size = _KEY_SIZE[self.algorithm]
        if len(self.public_key) != size:
            raise malformed("public_key", f"{size} bytes for algorithm {self.algorithm:#06x}", len(self.public_key))

    def hash(self) -> bytes:
        """SHA-256 of the struct: as what a manifest names its recovery key."""
        return hashlib.sha256(self.encode()).digest()


# struct { ManifestKey key; uint16 suites<2..2^8>; uint16 versions<2..2^8>; } ManifestClient;
class ManifestClient(Struct):
    """A client: its credential's key, the suites (RFC 9420's numbers) and MLS versions that it offers."""

    key: ManifestKey
    suites: Annotated[tuple[int, ...], _Numbers]
    versions: Annotated[tuple[int, ...], _Numbers]

    def check(self) -> None:
        for field in ("suites", "versions"):
            numbers = getattr(self, field)
            if len(set(numbers)) != len(numbers):
                raise malformed(field, "each number once", "one twice")


# struct {
#     opaque identity<1..318>;                2 bytes of length
#     uint64 version;                         from 1
#     opaque previous[32];                    SHA-256 of the version before, zeros for version 1
#     ManifestClient clients<1..2^16-1>;
#     uint32 maximum_lifetime;                seconds
#     opaque recovery[32];                    SHA-256 of the recovery key's ManifestKey
# } Manifest;
class Manifest(Struct):
    """One version of what an identity says of itself. Nothing is proved of it by being decoded."""

    _limit = 1 << 16
    identity: Annotated[bytes, opaque(uint16, 1, MAX_IDENTITY)]
    version: U64
    previous: Annotated[bytes, Hash]
    clients: Annotated[tuple[ManifestClient, ...], vector(ManifestClient, uint16, 1, 0xFFFF)]
    maximum_lifetime: U32
    recovery: Annotated[bytes, Hash]

    def check(self) -> None:
        if self.version == 0 or (self.version == 1) != (self.previous == NO_PREVIOUS):
            raise malformed("version", "a version from 1, which alone has none before", self.version)
        if len(self.clients) > MAX_CLIENTS:
            raise malformed("clients", f"at most {MAX_CLIENTS}", len(self.clients))
        if len({client.key for client in self.clients}) != len(self.clients):
            raise malformed("clients", "each key once", "one twice")

    def hash(self) -> bytes:
        """SHA-256 of the struct: as what the next version names this one."""
        return hashlib.sha256(self.encode()).digest()

    def has_client(self, key: ManifestKey) -> bool:
        return any(client.key == key for client in self.clients)

    def lets_follow(self, key: ManifestKey) -> bool:
        """Whether the next version may be signed with the key."""
        return self.has_client(key) or hmac.compare_digest(key.hash(), self.recovery)


# struct {
#     Manifest manifest;
#     ManifestKey signer;
#     opaque signature<0..2^16-1>;            SignWithLabel(signer, "RoomkeyManifest", manifest)
# } SignedManifest;
class SignedManifest(Struct):
    """A manifest and who says to have signed it."""

    _limit = 1 << 17
    manifest: Manifest
    signer: ManifestKey
    signature: Annotated[bytes, opaque(uint16, 0, 0xFFFF)]


class Followed(NamedTuple):
    """The newest manifest follows from the pin, version by version."""

    manifest: Manifest


class FirstSeen(NamedTuple):
    """There was no pin: this is what the log says, and nothing was known before. `signer`: who signed it, proved."""

    manifest: Manifest
    signer: ManifestKey


class Reset(NamedTuple):
    """Version `version` was not signed by who could: to be shown to people, and used after their consent alone.

    0: there are more versions than a check follows, so nobody knows who signed them.
    """

    manifest: Manifest
    version: int


Chain = Followed | FirstSeen | Reset


async def sign_manifest(
    crypto: CryptoProvider, manifest: Manifest, signer: ManifestKey, pair: KeyPair
) -> SignedManifest:
    """The manifest, signed with the key of a client or for recovery."""
    item = labels.Signing(pair, _LABEL, manifest.encode())
    (signature,) = await labels.sign_with_label(crypto, _SUITE_OF[signer.algorithm], [item])
    return SignedManifest(manifest, signer, signature)


def commitment(opening: bytes, manifest: Manifest) -> bytes:
    """What the map holds of a manifest: HMAC-SHA-256(opening[16], manifest), which shows nothing by itself."""
    if len(opening) != OPENING_SIZE:
        raise RoomkeyError("bad-argument", f"expected an opening of {OPENING_SIZE} bytes, got {len(opening)}")
    return hmac.digest(opening, manifest.encode(), "sha256")


async def check_chain(
    crypto: CryptoProvider, identity: bytes, pin: Manifest | None, chain: Sequence[SignedManifest]
) -> Chain:
    """What the manifests since the pin say. With a pin the chain may be empty; without, it is the newest alone.

    1. at most MAX_CHAIN manifests, one exactly where there is no pin; all name `identity`.
    2. each follows on the one before: its version is one more, and it names the other's hash.
    3. each is signed by its signer.
    4. each signer is a client of the version before or its recovery key; of version 1, a client of its own.
       The first that is not makes the whole a reset, and must at least be a client of its own version.

    Errors: "too-large", "identity-mismatch", "log-proof-invalid", "invalid-signature".
    """
    # 1.
    if len(chain) > MAX_CHAIN:
        raise RoomkeyError("too-large", f"expected at most {MAX_CHAIN} manifests, got {len(chain)}")
    if pin is None and len(chain) != 1:
        raise _invalid(f"expected the newest manifest alone where none is known, got {len(chain)}")
    manifests = [signed.manifest for signed in chain]
    if any(manifest.identity != identity for manifest in (*manifests, *(() if pin is None else (pin,)))):
        raise RoomkeyError("identity-mismatch", "manifest: expected the identity asked for, got another")
    # 2.
    before = pin
    for manifest in manifests:
        if before is not None and (manifest.version != before.version + 1 or manifest.previous != before.hash()):
            raise _invalid("expected each manifest to follow on the one before")
        before = manifest
    # 3.
    for algorithm, suite in _SUITE_OF.items():
        items = [
            labels.Signed(signed.signer.public_key, _LABEL, signed.manifest.encode(), signed.signature)
            for signed in chain
            if signed.signer.algorithm == algorithm
        ]
        if not all(await labels.verify_with_label(crypto, suite, items)):
            raise RoomkeyError("invalid-signature", "expected manifests signed by who they say")
    # 4.
    return _outcome(pin, chain)


def _outcome(pin: Manifest | None, chain: Sequence[SignedManifest]) -> Chain:
    reset, before = 0, pin
    for signed in chain:
        manifest, own = signed.manifest, signed.manifest.has_client(signed.signer)
        if before is None and manifest.version == 1 and not own:
            raise _invalid("expected a first manifest signed by a client of its own")
        if before is not None and not before.lets_follow(signed.signer):
            if not own:
                raise _invalid("expected a manifest signed by a client, of this version or the one before")
            reset = reset or manifest.version
        before = manifest
    assert before is not None  # no pin and no chain was refused
    if reset:
        return Reset(before, reset)
    return FirstSeen(before, chain[0].signer) if pin is None else Followed(before)


def _invalid(text: str) -> RoomkeyError:
    return RoomkeyError("log-proof-invalid", text)
