"""How further clients come into a manifest: by an older one that is handed a `DeviceRequest`, or by the recovery key.

The recovery key signs nothing but the next manifest and the proof by which a new client asks for the newest one. Its
public half is shown when it is used, and a recovery makes a new one; until then the log holds its hash alone.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.tls import Opaque, Struct, opaque, uint16
from roomkey.transparency import vrf
from roomkey.transparency.manifest import MAX_IDENTITY, ManifestClient, ManifestKey

RECOVERY_SEED_SIZE: Final = 32
MAX_DEVICE_REQUEST: Final = 1 << 12

_REQUEST_LABEL: Final = b"RoomkeyDevice"
_RECOVERY_LABEL: Final = b"RoomkeyRecovery"
_ED25519: Final = 0x0807
_ECDSA: Final = 0x0403
# SignWithLabel wants a suite and uses its scheme alone.
_SUITE_OF: Final[dict[int, CipherSuite]] = {_ED25519: SUITES[0x0001], _ECDSA: SUITES[0x0002]}


# struct { opaque identity<V>; ManifestClient client; } DeviceRequestTBS;
class DeviceRequestTBS(Struct):
    """What a device request's signature covers."""

    identity: Opaque
    client: ManifestClient


# struct {
#     opaque identity<1..318>;                2 bytes of length
#     ManifestClient client;
#     opaque signature<0..2^16-1>;            SignWithLabel(client.key, "RoomkeyDevice", DeviceRequestTBS)
# } DeviceRequest;
class DeviceRequest(Struct):
    """A new client that asks an older one to be listed. Nothing in it is secret, and nothing says who brought it:
    the person compares the client's id on both devices.
    """

    _limit = MAX_DEVICE_REQUEST
    identity: Annotated[bytes, opaque(uint16, 1, MAX_IDENTITY)]
    client: ManifestClient
    signature: Annotated[bytes, opaque(uint16, 0, 0xFFFF)]

    @property
    def client_id(self) -> bytes:
        """SHA-256 of the credential's public key."""
        return client_id(self.client.key)


def client_id(key: ManifestKey) -> bytes:
    """The id of the client of this key: SHA-256 of its public key."""
    return hashlib.sha256(key.public_key).digest()


async def make_device_request(
    crypto: CryptoProvider, identity: bytes, client: ManifestClient, pair: KeyPair
) -> DeviceRequest:
    """The request of a new client, signed with its credential's key."""
    item = labels.Signing(pair, _REQUEST_LABEL, DeviceRequestTBS(identity, client).encode())
    (signature,) = await labels.sign_with_label(crypto, _SUITE_OF[client.key.algorithm], [item])
    return DeviceRequest(identity, client, signature)


async def check_device_request(crypto: CryptoProvider, request: DeviceRequest) -> None:
    """That who made the request holds the key. Errors: "invalid-signature"."""
    content = DeviceRequestTBS(request.identity, request.client).encode()
    await _check(crypto, request.client.key, _REQUEST_LABEL, content, request.signature)


def recovery_pair(crypto: CryptoProvider, seed: bytes) -> KeyPair:
    """The Ed25519 pair of a recovery key's seed. Errors: "bad-argument".

    A host makes keys that it never shows; this one is for a person to keep, so it comes from a seed, whose public half
    is computed here as for the identity map's key (RFC 8032 section 5.1.5).
    """
    if len(seed) != RECOVERY_SEED_SIZE:
        raise RoomkeyError("bad-argument", f"recovery key: expected {RECOVERY_SEED_SIZE} bytes, got {len(seed)}")
    return KeyPair(vrf.public_key(crypto, seed), seed)


def recovery_key(pair: KeyPair) -> ManifestKey:
    """The public half as manifests name it."""
    return ManifestKey(_ED25519, pair.public)


async def prove_recovery(crypto: CryptoProvider, pair: KeyPair, client: bytes) -> bytes:
    """SignWithLabel(recovery key, "RoomkeyRecovery", client id): lets this client alone ask for the newest manifest."""
    item = labels.Signing(pair, _RECOVERY_LABEL, client)
    (signature,) = await labels.sign_with_label(crypto, _SUITE_OF[_ED25519], [item])
    return signature


async def check_recovery(crypto: CryptoProvider, key: ManifestKey, client: bytes, proof: bytes) -> None:
    """That the recovery key speaks for this client (id, 32 bytes). Errors: "invalid-signature"."""
    await _check(crypto, key, _RECOVERY_LABEL, client, proof)


async def _check(crypto: CryptoProvider, key: ManifestKey, label: bytes, content: bytes, signature: bytes) -> None:
    item = labels.Signed(key.public_key, label, content, signature)
    if not all(await labels.verify_with_label(crypto, _SUITE_OF[key.algorithm], [item])):
        raise RoomkeyError("invalid-signature", "expected a signature by the key that is named")
