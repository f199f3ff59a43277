"""Our own manifests: what is stored of them, and how the next version is made (wire.md section 6).

    own/manifest     OwnManifests
    own/recovery     RecoverySeed: until a person has taken it

    (nothing) --enrolment--> pending --the log proves it--> proved --a change of ours--> proved and pending --> proved

What is pending is durable before it is sent: whoever goes on after a power cut sends the same bytes again, which the
service takes for the same version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from roomkey.client.account import AccountRecord
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points
from roomkey.federation.init_keys import ClientKeys
from roomkey.host.interface import Store
from roomkey.mls.leaf_node import MAX_LIFETIME
from roomkey.mls.version import MLS10
from roomkey.tls import U8, U64, Struct, fixed, one_of, optional, uint16, vector
from roomkey.transparency.devices import RECOVERY_SEED_SIZE, client_id, recovery_key, recovery_pair
from roomkey.transparency.manifest import (
    NO_PREVIOUS,
    Manifest,
    ManifestClient,
    ManifestKey,
    SignedManifest,
    sign_manifest,
)

OWN: Final = "own/manifest"
RECOVERY: Final = "own/recovery"

_FORM: Final = 1


class OwnManifests(Struct):
    """proved: the newest that the log proved to be ours, or an older one of our chain while none newer is.
    pending: made here and not proved yet. While enrolling, one for each choice of suites that was tried; the last is
    the one that is wanted. Later one at most.
    alarm: 1 while the log says something else of us.
    since: the version that listed us first, as our service says, where an older device of ours made it.
    """

    form: Annotated[int, one_of(uint16, _FORM)]
    proved: Annotated[Manifest | None, optional(Manifest)]
    pending: Annotated[tuple[SignedManifest, ...], vector(SignedManifest)]
    alarm: U8 = 0
    since: U64 = 0

    @property
    def newest(self) -> Manifest | None:
        """What we say of ourselves, proved or not."""
        return self.pending[-1].manifest if self.pending else self.proved


NOTHING: Final = OwnManifests(_FORM, None, ())


class RecoverySeed(Struct):
    seed: Annotated[bytes, fixed(RECOVERY_SEED_SIZE)]


async def load(store: Store) -> OwnManifests | None:
    """What is stored; None for an identity without a log. Errors: "unsupported-state" for a later version's."""
    data = await store.get(OWN)
    if data is None:
        return None
    if len(data) >= 2 and int.from_bytes(data[:2]) != _FORM:
        raise RoomkeyError("unsupported-state", f"expected own manifests of version {_FORM}, got a later one")
    return OwnManifests.decode(data)


async def recovery_seed(store: Store) -> bytes | None:
    """The recovery key that waits to be taken."""
    data = await store.get(RECOVERY)
    return None if data is None else RecoverySeed.decode(data).seed


def own_key(keys: ClientKeys) -> ManifestKey:
    """Our credential's key as manifests name it."""
    return ManifestKey(code_points.algorithm_of(keys.scheme), keys.pairs[keys.scheme].public)


def own_client(record: AccountRecord) -> ManifestClient:
    """Ourselves as manifests list us: our key, all our suites, MLS 1.0."""
    return ManifestClient(own_key(record.client_keys()), record.suites, (MLS10,))


def listed(manifest: Manifest, client: bytes) -> ManifestClient | None:
    """The client of this id (32 bytes) in a manifest."""
    return next((item for item in manifest.clients if client_id(item.key) == client), None)


def first(crypto: CryptoProvider, record: AccountRecord, seed: bytes) -> Manifest:
    """Version 1: ourselves alone, and the hash of the key that `seed` makes."""
    recovery = recovery_key(recovery_pair(crypto, seed)).hash()
    return Manifest(record.identity, 1, NO_PREVIOUS, (own_client(record),), MAX_LIFETIME, recovery)


def anew(crypto: CryptoProvider, record: AccountRecord, seed: bytes, before: Manifest | None) -> Manifest:
    """What follows a loss: ourselves alone, with a new recovery key, after the newest there is."""
    manifest = first(crypto, record, seed)
    return manifest if before is None else manifest.replace(version=before.version + 1, previous=before.hash())


def after(before: Manifest, clients: Sequence[ManifestClient]) -> Manifest:
    """The next version with these clients; all else stays."""
    return before.replace(version=before.version + 1, previous=before.hash(), clients=tuple(clients))


async def signed_by_us(crypto: CryptoProvider, keys: ClientKeys, manifest: Manifest) -> SignedManifest:
    """The manifest with our credential key's signature."""
    return await sign_manifest(crypto, manifest, own_key(keys), keys.pairs[keys.scheme])
