"""What a new client hands to an older one, and what a recovery key proves."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.devices import (
    DeviceRequest,
    check_device_request,
    check_recovery,
    make_device_request,
    prove_recovery,
    recovery_key,
    recovery_pair,
)
from roomkey.transparency.manifest import ManifestClient, ManifestKey

CRYPTO = NativeCrypto()
CAROL = b"carol@email2.example"
SEED = bytes(range(32))


async def made(scheme: int = 0x0807) -> DeviceRequest:
    (pair,) = await CRYPTO.generate_keys("ed25519" if scheme == 0x0807 else "ecdsa_secp256r1_sha256", 1)
    client = ManifestClient(ManifestKey(scheme, pair.public), (1, 3), (1,))
    return DeviceRequest.decode((await make_device_request(CRYPTO, CAROL, client, pair)).encode())


async def refused(request: DeviceRequest) -> str:
    with pytest.raises(RoomkeyError) as caught:
        await check_device_request(CRYPTO, request)
    return caught.value.code


@pytest.mark.parametrize("scheme", [0x0807, 0x0403])
async def test_a_request_is_signed_whole(scheme: int) -> None:
    request, other = await made(scheme), await made()
    await check_device_request(CRYPTO, request)
    assert await refused(request.replace(identity=b"mallory@email2.example")) == "invalid-signature"
    assert await refused(request.replace(client=request.client.replace(suites=(1,)))) == "invalid-signature"
    assert await refused(request.replace(client=other.client)) == "invalid-signature"
    assert await refused(request.replace(signature=other.signature)) == "invalid-signature"


async def test_a_request_is_small_and_exact() -> None:
    request = (await made()).encode()
    for data in (request[:-1], request + b"\0", bytes(1 << 13)):
        with pytest.raises(RoomkeyError):
            DeviceRequest.decode(data)


async def test_the_recovery_key_of_a_seed_is_ed25519_s() -> None:
    expected = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert recovery_pair(CRYPTO, SEED).public == expected
    with pytest.raises(RoomkeyError, match="bad-argument"):
        recovery_pair(CRYPTO, SEED[:31])


async def test_a_recovery_proof_is_one_client_s() -> None:
    pair, other = recovery_pair(CRYPTO, SEED), recovery_pair(CRYPTO, SEED[::-1])
    proof = await prove_recovery(CRYPTO, pair, b"c" * 32)
    await check_recovery(CRYPTO, recovery_key(pair), b"c" * 32, proof)
    for key, client in ((pair, b"d" * 32), (other, b"c" * 32)):
        with pytest.raises(RoomkeyError, match="invalid-signature"):
            await check_recovery(CRYPTO, recovery_key(key), client, proof)
