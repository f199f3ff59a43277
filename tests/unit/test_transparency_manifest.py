"""Manifests: chains that follow, resets told apart, forged ones refused."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from roomkey.crypto.provider import KeyPair
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.manifest import (
    MAX_CHAIN,
    NO_PREVIOUS,
    FirstSeen,
    Followed,
    Manifest,
    ManifestClient,
    ManifestKey,
    Reset,
    SignedManifest,
    check_chain,
    commitment,
    sign_manifest,
)

CRYPTO = NativeCrypto()
CAROL = b"carol@email2.example"


class Key:
    """A signature key and its public half as manifests write it."""

    def __init__(self, pair: KeyPair, algorithm: int) -> None:
        self.pair, self.public = pair, ManifestKey(algorithm, pair.public)
        self.client = ManifestClient(self.public, (1, 3), (1,))


async def key(scheme: Scheme = "ed25519") -> Key:
    (pair,) = await CRYPTO.generate_keys(scheme, 1)
    return Key(pair, 0x0807 if scheme == "ed25519" else 0x0403)


def first(*clients: Key, recovery: Key) -> Manifest:
    return Manifest(CAROL, 1, NO_PREVIOUS, tuple(c.client for c in clients), 86400, recovery.public.hash())


def after(before: Manifest, *clients: Key) -> Manifest:
    return before.replace(version=before.version + 1, previous=before.hash(), clients=tuple(c.client for c in clients))


async def signed(manifest: Manifest, by: Key) -> SignedManifest:
    return SignedManifest.decode((await sign_manifest(CRYPTO, manifest, by.public, by.pair)).encode())


async def refused(code: str, pin: Manifest | None, *chain: SignedManifest, identity: bytes = CAROL) -> None:
    with pytest.raises(RoomkeyError) as error:
        await check_chain(CRYPTO, identity, pin, chain)
    assert error.value.code == code


async def test_a_chain_of_devices_follows_and_recovery_too() -> None:
    phone, laptop, recovery = await key(), await key("ecdsa_secp256r1_sha256"), await key()
    one = first(phone, recovery=recovery)
    two = after(one, phone, laptop)
    three = after(two, laptop)
    four = after(three, phone)
    chain = [await signed(two, phone), await signed(three, laptop), await signed(four, recovery)]
    assert await check_chain(CRYPTO, CAROL, one, chain) == Followed(four)
    assert await check_chain(CRYPTO, CAROL, four, []) == Followed(four)
    alone = await signed(one, phone)
    assert await check_chain(CRYPTO, CAROL, None, [alone]) == FirstSeen(one, alone.signer)


async def test_what_was_not_signed_by_who_could_is_a_reset() -> None:
    phone, stranger, recovery = await key(), await key(), await key()
    one = first(phone, recovery=recovery)
    two = after(one, stranger)
    three = after(two, stranger, phone)
    chain = [await signed(two, stranger), await signed(three, stranger)]
    assert await check_chain(CRYPTO, CAROL, one, chain) == Reset(three, 2)


async def test_a_client_that_was_removed_signs_no_more() -> None:
    phone, lost, recovery = await key(), await key(), await key()
    one = first(phone, lost, recovery=recovery)
    two = after(one, phone)
    back = after(two, phone, lost)
    chain = [await signed(two, phone), await signed(back, lost)]
    assert await check_chain(CRYPTO, CAROL, one, chain) == Reset(back, 3)


async def test_forged_chains_are_refused() -> None:
    phone, stranger, recovery = await key(), await key(), await key()
    one = first(phone, recovery=recovery)
    two = after(one, phone)
    good = await signed(two, phone)
    await refused("invalid-signature", one, good.replace(manifest=two.replace(maximum_lifetime=1)))
    await refused("invalid-signature", one, good.replace(signer=stranger.public))
    await refused("log-proof-invalid", one, await signed(two, stranger))  # a client of neither version
    await refused("log-proof-invalid", None, await signed(one, stranger))
    await refused("log-proof-invalid", one, await signed(two.replace(version=3), phone))
    await refused("log-proof-invalid", one, await signed(two.replace(previous=bytes([1] * 32)), phone))
    await refused("log-proof-invalid", two, await signed(one, phone))  # T4: older than the pin
    await refused("log-proof-invalid", None)
    await refused("too-large", one, *[good] * (MAX_CHAIN + 1))


async def test_a_manifest_is_of_one_identity() -> None:
    phone, recovery = await key(), await key()
    one = first(phone, recovery=recovery)
    await refused("identity-mismatch", None, await signed(one, phone), identity=b"car0l@email2.example")
    await refused("identity-mismatch", one, identity=b"mallory@email2.example")
    await refused("identity-mismatch", one, await signed(after(one, phone).replace(identity=b"x@y.example"), phone))


async def test_manifests_that_contradict_themselves_do_not_parse() -> None:
    phone, recovery = await key(), await key()
    one = first(phone, recovery=recovery)
    for wrong in (
        one.replace(version=0),
        one.replace(version=2),
        one.replace(previous=b"\x01" * 32),
        one.replace(clients=(phone.client, phone.client)),
        one.replace(clients=(phone.client.replace(suites=(1, 1)),)),
        one.replace(clients=(phone.client.replace(key=ManifestKey(0x0403, phone.pair.public)),)),
        one.replace(clients=tuple([(await key()).client for _ in range(33)])),
    ):
        with pytest.raises(RoomkeyError, match="malformed"):
            Manifest.decode(wrong.encode())


async def test_the_commitment_is_hmac_and_hides_without_the_opening() -> None:
    phone, recovery = await key(), await key()
    one = first(phone, recovery=recovery)
    assert commitment(bytes(16), one) == hmac.new(bytes(16), one.encode(), hashlib.sha256).digest()
    assert commitment(bytes(15) + b"\x01", one) != commitment(bytes(16), one)
    with pytest.raises(RoomkeyError, match="bad-argument"):
        commitment(b"", one)


def test_an_epoch_is_hashed_as_a_leaf() -> None:
    leaf = EpochLeaf(1, 2, b"\x03" * 32, b"\x04" * 32, b"\x05" * 32)
    data = (1).to_bytes(8, "big") + (2).to_bytes(8, "big") + b"\x03" * 32 + b"\x04" * 32 + b"\x05" * 32
    assert leaf.leaf_hash() == hashlib.sha256(b"\x00" + data).digest()
    assert EpochLeaf.decode(data) == leaf
