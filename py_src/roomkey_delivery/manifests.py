"""The service's rules for manifests, where it keeps a log (wire.md section 6).

Who enrols brings a manifest that lists it (`POST /v1/clients`, member `manifest`), or is listed already:

1. The newest manifest lists the client, which brings none or this one: an older client admitted it, or an earlier
   answer was lost. No code is needed.
2. A code, and version 1 signed by the enrolling client: a new name. Where anything is logged, the log refuses it with
   "identity-taken".
3. A code that the operator made for a reset, `reset`, and a later version signed by the enrolling client: begins anew.
   The code is that client's from then on, and once it is enrolled, only for what it said already.
4. No code, and the next version, signed by the recovery key of the newest: a recovery.
   (Or version 1 without a code, where the operator lets anybody take free names.)

The log itself holds all of them to one chain (`Log.submit`); here stands who may speak at all. Publishing takes a
client that the newest manifest lists and a quorum of auditors has seen; claims hand out such clients' sets alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from roomkey.errors import RoomkeyError
from roomkey.federation.init_keys import InitKeySet
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.devices import check_recovery
from roomkey.transparency.devices import client_id as client_of
from roomkey.transparency.manifest import Manifest, ManifestClient, ManifestKey, SignedManifest

from roomkey_delivery.store.interface import Client

if TYPE_CHECKING:  # which holds the log
    from roomkey_delivery.service import Service

_crypto = NativeCrypto()


class ManifestLog(Protocol):
    """What these rules ask of the service's log."""

    async def newest(self, identity: str) -> SignedManifest | None:
        """The newest manifest that was submitted, perhaps not cosigned yet."""
        ...

    async def cosigned(self, identity: str) -> SignedManifest | None:
        """The newest manifest under a checkpoint that a quorum of auditors cosigned."""
        ...

    async def submit(self, signed: SignedManifest, now: float, *, reset: bool = False) -> int:
        """Stores it, durably, as the next version of its identity, whose number it gives; the same bytes again are
        fine. Without `reset` it must be version 1 of a new identity, or signed by who the version before lets.

        Errors: "identity-taken", "manifest-refused", "manifest-conflict".
        """
        ...


async def enrol_logged(
    service: Service, log: ManifestLog, client: Client, code: bytes | None, manifest: bytes | None, *, reset: bool
) -> int:
    """Enrols a client by the rules above; its manifest's version.

    Args:
        code: its hash.
    Errors: "enrolment-refused", "already-enrolled", "identity-taken", "manifest-refused", "manifest-conflict".
    """
    now = service.clock()
    newest = await log.newest(client.identity)
    if newest is not None and lists(newest, client) and manifest in (None, newest.encode()):  # 1
        await service.store.enrol(client, code, now, listed=True)
        return int(newest.manifest.version)
    if code is None and manifest is None:
        raise RoomkeyError("enrolment-refused", "expected a code, a manifest, or a client that is listed")
    resets = code is not None and await service.store.check_code(client, code, now)
    if resets != reset:
        raise RoomkeyError("enrolment-refused", "expected a reset exactly where the operator allowed one")
    if manifest is None:
        raise _refused("expected a manifest with the code")
    signed = SignedManifest.decode(manifest)
    is_open = service.config.unsafe_open_enrolment and signed.manifest.version == 1
    recovers = code is None and not is_open
    _check(signed, client, recovers=recovers)
    if recovers:  # 4
        if newest is None or signed.signer.hash() != newest.manifest.recovery:
            raise _refused("expected the recovery key of the newest manifest")
    elif not reset and signed.manifest.version != 1:  # 2
        raise _refused(f"expected version 1, got {signed.manifest.version}")
    if resets and code is not None:
        await service.store.bind_code(client, code)
        resets = await service.store.client(client.id) is None
    version = await log.submit(signed, now, reset=resets)
    await service.store.enrol(client, code, now, listed=True)
    return version


async def newest_for(
    service: Service, log: ManifestLog, client: Client, code: bytes | None, recovery: tuple[ManifestKey, bytes] | None
) -> SignedManifest | None:
    """The newest manifest, for a client that is to follow it: by a recovery key and its proof, which speaks for this
    client alone, or by the hash of a code for a reset. Whom neither lets in learns nothing of the identity.

    Errors: "manifest-refused", "enrolment-refused", "already-enrolled".
    """
    newest = await log.newest(client.identity)
    if recovery is not None:
        key, proof = recovery
        try:
            await check_recovery(_crypto, key, client.id, proof)
        except RoomkeyError as error:
            raise _refused("expected a proof by the recovery key for the client that asks") from error
        if newest is None or newest.manifest.recovery != key.hash():
            raise _refused("expected the recovery key of the newest manifest")
    elif code is None or not await service.store.check_code(client, code, service.clock()):
        raise RoomkeyError("enrolment-refused", "expected a recovery key or a code for a reset")
    return newest


async def check_publishable(log: ManifestLog, sender: Client, sets: Sequence[InitKeySet]) -> None:
    """That the sender's sets are those that the log promises: the newest manifest lists the client with the suites of
    every set, and so does the one that a quorum of auditors has seen.

    Errors: "not-in-manifest"; "manifest-unproven", until the auditors have seen it.
    """
    newest, seen = await log.newest(sender.identity), await log.cosigned(sender.identity)
    if newest is None or not _promises(newest.manifest, sender, sets):
        raise RoomkeyError("not-in-manifest", "expected a client of the newest manifest, with all its suites in a set")
    if seen is None or not _promises(seen.manifest, sender, sets):
        raise RoomkeyError("manifest-unproven", "expected a manifest under a cosigned checkpoint", retry_after=1)


async def claimable(log: ManifestLog, identity: str) -> frozenset[bytes]:
    """The ids of the clients whose sets may be handed out: those that the newest cosigned manifest lists."""
    seen = await log.cosigned(identity)
    return frozenset() if seen is None else frozenset(client_of(item.key) for item in seen.manifest.clients)


def _check(signed: SignedManifest, client: Client, *, recovers: bool) -> None:
    """A manifest that brings its client in: of its name, listing it, and signed by it unless a recovery key does."""
    own = ManifestKey(client.algorithm, client.public_key)
    if signed.manifest.identity != client.identity.encode("ascii") or not signed.manifest.has_client(own):
        raise _refused("expected a manifest of the client's own name that lists it")
    if not recovers and signed.signer != own:
        raise _refused("expected a manifest signed by the client that enrols")


def lists(signed: SignedManifest, client: Client) -> bool:
    """Whether a manifest names this client's key."""
    return _listed(signed.manifest, client) is not None


def _listed(manifest: Manifest, client: Client) -> ManifestClient | None:
    key = ManifestKey(client.algorithm, client.public_key)
    return next((item for item in manifest.clients if item.key == key), None)


def _promises(manifest: Manifest, sender: Client, sets: Sequence[InitKeySet]) -> bool:
    listed = _listed(manifest, sender)
    return listed is not None and all(
        {package.cipher_suite for package in item.key_packages} == set(listed.suites) for item in sets
    )


def _refused(text: str) -> RoomkeyError:
    return RoomkeyError("manifest-refused", text)
