"""Who makes manifests for a log, without a client: one client key, one recovery key."""

from __future__ import annotations

from roomkey.crypto.provider import KeyPair
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.manifest import (
    NO_PREVIOUS,
    Manifest,
    ManifestClient,
    ManifestKey,
    SignedManifest,
    sign_manifest,
)

from tests.delivery.people import Person

CRYPTO = NativeCrypto()
ED25519 = 0x0807


class Owner:
    """`last` is the version that the next one follows on."""

    def __init__(self, crypto: NativeCrypto, identity: str, pair: KeyPair, recovery: KeyPair) -> None:
        self.crypto, self.identity, self.pair, self.recovery = crypto, identity, pair, recovery
        self.last: Manifest | None = None

    @classmethod
    async def make(cls, identity: str = "alice@email1.example") -> Owner:
        return cls(CRYPTO, identity, *await CRYPTO.generate_keys("ed25519", 2))

    @classmethod
    async def of(cls, who: Person) -> Owner:
        """With the key of a client that makes requests (Ed25519)."""
        (recovery,) = await who.crypto.generate_keys("ed25519", 1)
        return cls(who.crypto, who.keys.identity, who.signer.key, recovery)

    async def next(self, *, by: KeyPair | None = None, clients: int = 1) -> SignedManifest:
        """The next version: this client's, signed by it or with another key."""
        version, previous = (1, NO_PREVIOUS) if self.last is None else (self.last.version + 1, self.last.hash())
        keys = [self.pair, *(await self.crypto.generate_keys("ed25519", clients - 1))]
        listed = tuple(ManifestClient(_key(pair), (1, 3), (1,)) for pair in keys)
        # A lifetime of its own, so that no two versions are the same.
        self.last = Manifest(
            self.identity.encode(), version, previous, listed, 86400 + version, _key(self.recovery).hash()
        )
        signer = by or self.pair
        return await sign_manifest(self.crypto, self.last, _key(signer), signer)

    async def begin_anew(self, version: int, previous: bytes) -> SignedManifest:
        """A version that follows on nothing of ours, signed by ourselves."""
        recovery = _key(self.recovery).hash()
        client = ManifestClient(_key(self.pair), (1,), (1,))
        self.last = Manifest(self.identity.encode(), version, previous, (client,), 86400, recovery)
        return await sign_manifest(self.crypto, self.last, _key(self.pair), self.pair)


def _key(pair: KeyPair) -> ManifestKey:
    return ManifestKey(ED25519, pair.public)
