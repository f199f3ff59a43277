"""Leaves of a group: whose they are, and whether that is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roomkey.crypto.suites import suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import RoomkeyClient, read_claim
from roomkey.federation.init_keys import ClientKeys, make_client_keys, make_init_key_sets
from roomkey.federation.members import check_member_leaf, check_members
from roomkey.federation.messages import Credential
from roomkey.federation.trust import ClientPin, ContactPin, FirstUse, PinnedOnly, judge_pinned, pin_of
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls import credential as mls_credential
from roomkey.mls.extensions import Extension
from roomkey.mls.leaf_node import Capabilities, LeafNode

NOW = 1_800_000_000.0
SUITES = (1, 3, 2)
ALICE, BOB = "alice@email1.example", "bob@email2.example"


async def leaf_of(crypto: NativeCrypto, client: ClientKeys, suite: int) -> LeafNode:
    (made,) = await make_init_key_sets(crypto, client, SUITES, 1, NOW)
    return made.set.key_packages[SUITES.index(suite)].leaf_node


@pytest.mark.parametrize("suite", SUITES)
async def test_members_are_first_seen_then_pinned(suite: int) -> None:
    crypto = NativeCrypto()
    clients = [await make_client_keys(crypto, who, "ed25519", SUITES) for who in (ALICE, BOB, BOB)]
    leaves = [await leaf_of(crypto, client, suite) for client in clients]
    first = await check_members(crypto, suite_by_number(suite), leaves, FirstUse(), {}, NOW)
    assert [claim.client_id for claim in first.clients] == [client.client_id for client in clients]
    assert {name: trust.by for name, trust in first.trust.items()} == {ALICE: "first-use", BOB: "first-use"}
    pins = {name: ContactPin.decode(trust.pin.encode()) for name, trust in first.trust.items()}
    assert len(pins[BOB].clients) == 2
    again = [await leaf_of(crypto, client, suite) for client in clients[:2]]
    second = await check_members(crypto, suite_by_number(suite), again, PinnedOnly(), pins, NOW + 5)
    assert second.trust[BOB].since == int(NOW)
    assert second.trust[BOB].absent == (clients[2].client_id,)
    with pytest.raises(RoomkeyError) as caught:
        await check_members(crypto, suite_by_number(suite), again, PinnedOnly(), {ALICE: pins[ALICE]}, NOW)
    assert caught.value.code == "untrusted-identity"


async def test_the_same_client_in_every_suite() -> None:
    crypto = NativeCrypto()
    client = await make_client_keys(crypto, BOB, "ed25519", SUITES)
    ids = {read_claim(suite_by_number(n), await leaf_of(crypto, client, n)).client_id for n in SUITES}
    assert ids == {client.client_id}


async def test_a_stranger_under_a_pinned_name() -> None:
    crypto = NativeCrypto()
    real, false = [await make_client_keys(crypto, BOB, "ed25519", SUITES) for _ in range(2)]
    for number in SUITES:
        suite = suite_by_number(number)
        leaf = await leaf_of(crypto, real, number)
        _, trust = await check_member_leaf(crypto, suite, leaf, FirstUse(), None, NOW)
        with pytest.raises(RoomkeyError) as caught:
            await check_member_leaf(crypto, suite, await leaf_of(crypto, false, number), FirstUse(), trust.pin, NOW)
        assert caught.value.code == "identity-changed"


async def test_a_vouch_moved_to_another_leaf_key() -> None:
    crypto = NativeCrypto()
    real, thief = [await make_client_keys(crypto, BOB, "ed25519", SUITES) for _ in range(2)]
    vouch = (await leaf_of(crypto, real, 2)).extensions
    stolen = (await leaf_of(crypto, thief, 2)).replace(extensions=vouch)
    with pytest.raises(RoomkeyError) as caught:
        await check_member_leaf(crypto, suite_by_number(2), stolen, FirstUse(), None, NOW)
    assert caught.value.code == "invalid-signature"


async def test_leaves_that_claim_nothing_usable() -> None:
    crypto = NativeCrypto()
    client = await make_client_keys(crypto, BOB, "ed25519", SUITES)
    leaf = await leaf_of(crypto, client, 2)
    vouch = RoomkeyClient.decode(leaf.extensions[0].extension_data)
    mallory = vouch.replace(credential=Credential.of(b"m@email.example", 0x0807, client.pairs["ed25519"].public))
    p256 = client.pairs["ecdsa_secp256r1_sha256"].public
    same_scheme = vouch.replace(credential=Credential.of(BOB.encode(), 0x0403, p256))
    x509 = mls_credential.Credential(2, certificates=())
    for changed, code in (
        (leaf.replace(credential=mls_credential.Credential.basic(BOB.upper().encode())), "identity-not-canonical"),
        (leaf.replace(credential=x509), "unsupported-credential"),
        (leaf.replace(extensions=(Extension(0xF0C1, mallory.encode()),)), "identity-mismatch"),
        (leaf.replace(extensions=(Extension(0xF0C1, same_scheme.encode()),)), "malformed"),
        (leaf.replace(extensions=(Extension(0xF0C1, b"\0"),)), "malformed"),
        (leaf.replace(encryption_key=b"\x04" + bytes(64)), "invalid-key"),
    ):
        with pytest.raises(RoomkeyError) as caught:
            await check_member_leaf(crypto, suite_by_number(2), changed, FirstUse(), None, NOW)
        assert caught.value.code == code


async def test_a_leaf_keeps_its_identity_and_its_offer() -> None:
    crypto = NativeCrypto()
    alice, bob = [await make_client_keys(crypto, who, "ed25519", SUITES) for who in (ALICE, BOB)]
    suite = suite_by_number(1)
    before, after = await leaf_of(crypto, bob, 1), await leaf_of(crypto, bob, 1)
    _, trust = await check_member_leaf(crypto, suite, before, FirstUse(), None, NOW)
    _, kept = await check_member_leaf(crypto, suite, after, FirstUse(), trust.pin, NOW, before=before)
    assert kept.by == "pinned"
    with pytest.raises(RoomkeyError) as caught:
        await check_member_leaf(crypto, suite, await leaf_of(crypto, alice, 1), FirstUse(), None, NOW, before=before)
    assert caught.value.code == "identity-mismatch"
    less = after.replace(capabilities=Capabilities((1,), (1,)))
    with pytest.raises(RoomkeyError) as caught:
        await check_member_leaf(crypto, suite, less, FirstUse(), trust.pin, NOW)
    assert caught.value.code == "suite-withheld"
    assert caught.value.details["suite"] == 2


def pin(key: bytes, *suites: int, versions: tuple[int, ...] = (1,)) -> ClientPin:
    return ClientPin(0x0807, key, versions, suites)


@pytest.mark.parametrize(
    ("clients", "code"),
    [
        ([pin(b"a", 1, 2)], None),
        ([pin(b"a", 1, 2, 3)], None),
        ([pin(b"a", 1, 2), pin(b"b", 1)], None),
        ([pin(b"a", 1)], "suite-withheld"),
        ([pin(b"a", 1, 2, versions=())], "suite-withheld"),
        ([pin(b"c", 1, 2)], "identity-changed"),
        ([pin(b"a", 1, 2), pin(b"c", 1)], "identity-changed"),
        ([pin(b"a", 1, 2).replace(algorithm=0x0403)], "identity-changed"),
    ],
)
def test_pins(clients: list[ClientPin], code: str | None) -> None:
    held = pin_of(BOB, [pin(b"a", 1, 2), pin(b"b", 1)], NOW)
    if code is not None:
        with pytest.raises(RoomkeyError) as caught:
            judge_pinned(BOB, held, clients)
        assert caught.value.code == code
        return
    trust = judge_pinned(BOB, held, clients)
    kept = {client.public_key: client for client in trust.pin.clients}
    assert all(kept[client.public_key] == client for client in clients)
    assert len(kept) == 2
    assert trust.since == int(NOW)


def test_a_pin_of_somebody_else_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(RoomkeyError) as caught:
        judge_pinned(ALICE, pin_of(BOB, [], NOW), [])
    assert caught.value.code == "bad-argument"


@given(st.lists(st.tuples(st.binary(max_size=70), st.sets(st.integers(1, 3))), max_size=5), st.integers(0, 2**63))
def test_pins_survive_storage(clients: list[tuple[bytes, set[int]]], now: int) -> None:
    value = pin_of(BOB, [pin(key, *sorted(suites)) for key, suites in clients], now)
    again = ContactPin.decode(value.encode())
    assert again == value
    assert again.clients == value.clients
