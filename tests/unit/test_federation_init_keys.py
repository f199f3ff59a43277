"""Init-key sets: how they are made, and that each step of their proof refuses what it is there for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from roomkey.crypto.provider import CryptoProvider, DhItem, KeyHandle, KeyPair, SignItem, VerifyItem
from roomkey.crypto.suites import suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.federation import messages
from roomkey.federation.init_keys import (
    ClientKeys,
    InitKeySet,
    InitKeySetBundle,
    PrivateSet,
    make_client_keys,
    make_init_key_sets,
    set_id,
    supported_suites,
)
from roomkey.federation.messages import Credential, GetUserInitKeyResponse, UserInitKeyBundle
from roomkey.federation.negotiation import PREFERENCE, own_offer
from roomkey.federation.proof import ProvedIdentity, Terms, UnverifiedInitKeySets, prove
from roomkey.federation.trust import FirstUse, PinnedOnly, UnsafeTrustAnyone
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls import credential as mls_credential
from roomkey.mls.extensions import Extension
from roomkey.mls.key_package import KeyPackage, make_key_package
from roomkey.mls.leaf_node import Capabilities, Lifetime, own_capabilities

NOW = 1_800_000_000.0
BOB = "bob@email2.example"
SUITES = (1, 3, 2)


def terms(**changes: Any) -> Terms:
    base = Terms(NOW, own_offer("alice@email1.example", SUITES), FirstUse(), None)
    return base._replace(**changes)


def bundle(item: InitKeySet, identity: str = BOB) -> InitKeySetBundle:
    return InitKeySetBundle(identity.encode(), item)


async def bob(scheme: str = "ed25519") -> tuple[NativeCrypto, ClientKeys]:
    crypto = NativeCrypto()
    kind = "ed25519" if scheme == "ed25519" else "ecdsa_secp256r1_sha256"
    return crypto, await make_client_keys(crypto, BOB, kind, SUITES)  # type: ignore[arg-type]


async def one_set(crypto: CryptoProvider, client: ClientKeys, **options: Any) -> PrivateSet:
    (made,) = await make_init_key_sets(crypto, client, SUITES, 1, NOW, **options)
    return made


async def check(crypto: CryptoProvider, items: Sequence[InitKeySet], **changes: Any) -> ProvedIdentity:
    answer = UnverifiedInitKeySets(BOB, tuple(bundle(item) for item in items))
    return await prove(crypto, answer, terms(**changes))


async def refused(
    crypto: CryptoProvider, items: Sequence[InitKeySet], code: str, step: int, **changes: Any
) -> RoomkeyError:
    with pytest.raises(RoomkeyError) as caught:
        await check(crypto, items, **changes)
    assert (caught.value.code, caught.value.details["step"]) == (code, step)
    assert BOB not in caught.value.text
    return caught.value


async def resigned(crypto: CryptoProvider, client: ClientKeys, item: InitKeySet, **changes: Any) -> InitKeySet:
    """The set with a changed index, signed anew by its own client: what an insider could publish."""
    (signed,) = await messages.sign(crypto, [(item.user_init_key.replace(**changes), client.pairs[client.scheme])])
    return item.replace(user_init_key=signed)


async def reindexed(
    crypto: CryptoProvider, client: ClientKeys, item: InitKeySet, packages: Sequence[KeyPackage]
) -> InitKeySet:
    """A set of other KeyPackages under a sound index."""
    changed = item.replace(key_packages=tuple(packages))
    keys = tuple(package.init_key for package in packages)
    return await resigned(crypto, client, changed, user_init_key_id=set_id(packages), init_keys=keys)


# -- making --


@pytest.mark.parametrize("scheme", ["ed25519", "ecdsa"])
async def test_what_is_made_is_proved(scheme: str) -> None:
    crypto, client = await bob(scheme)
    made = await make_init_key_sets(crypto, client, SUITES, 3, NOW)
    for private in made:
        item = InitKeySet.decode(private.set.encode())
        proved = await check(crypto, [item])
        (verified,) = proved.sets
        assert verified.client.client_id == client.client_id
        assert client.client_id == hashlib.sha256(client.pairs[client.scheme].public).digest()
        assert set(verified.packages) == {1, 2, 3}
        assert verified.package_for(2).encode() == item.key_packages[2].encode()
        assert (proved.trust.by, proved.trust.since, verified.last_resort) == ("first-use", int(NOW), False)
        assert verified.expires == int(NOW) + 30 * 86400
        assert item.user_init_key.cipher_suites == (1, 3, 0)  # the draft's numbers
        assert len(item.user_init_key.user_init_key_id) == 32
    assert len({private.set.set_id for private in made}) == 3
    keys = [key for p in made for kp in p.set.key_packages for key in (kp.init_key, kp.leaf_node.encryption_key)]
    assert len(set(keys)) == 18


async def test_the_private_part_holds_the_keys_of_each_package() -> None:
    crypto, client = await bob()
    private = PrivateSet.decode((await one_set(crypto, client)).encode())
    assert len(private.handles()) == 6
    for join, package in zip(private.join_keys(), private.set.key_packages, strict=True):
        assert join.key_package == package
        group = "P-256" if package.cipher_suite == 2 else "X25519"
        for pair, public in ((join.init, package.init_key), (join.leaf.encryption, package.leaf_node.encryption_key)):
            (other,) = await crypto.generate_keys(group, 1)  # type: ignore[arg-type]
            one, two = await crypto.dh([DhItem(group, pair, other.public), DhItem(group, other, public)])  # type: ignore[arg-type]
            assert one is not None
            assert one == two
        assert join.leaf.signature.public == package.leaf_node.signature_key
    await crypto.forget_keys(private.handles())
    assert set(crypto.keys) & {handle.id for handle in private.handles()} == set()


async def test_the_drafts_view_is_signed_as_well() -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    response = GetUserInitKeyResponse((UserInitKeyBundle(BOB.encode(), item.user_init_key),))
    (seen,) = GetUserInitKeyResponse.decode(response.encode()).user_init_keys
    assert await messages.verify(crypto, [seen.user_init_key]) == [True]


async def test_last_resort_sets() -> None:
    crypto, client = await bob()
    private = await one_set(crypto, client, last_resort=True)
    assert private.set.last_resort
    proved = await check(crypto, [private.set], seen={private.set.set_id})  # may come again
    assert proved.sets[0].last_resort


async def test_what_cannot_be_made() -> None:
    crypto, client = await bob()
    without_p256 = client._replace(pairs={"ed25519": client.pairs["ed25519"]})
    for suites, keys in (((), client), ((1, 1), client), ((1, 9), client), ((2,), without_p256)):
        with pytest.raises(RoomkeyError) as caught:
            await make_init_key_sets(crypto, keys, suites, 1, NOW)
        assert caught.value.code in ("bad-argument", "unsupported-suite")
    assert await make_init_key_sets(crypto, client, SUITES, 0, NOW) == []
    assert supported_suites(crypto, PREFERENCE) == PREFERENCE


class Counting(NativeCrypto):
    """Counts border crossings and keeps what was signed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.signed: list[bytes] = []

    async def generate_keys(self, kind, count):  # type: ignore[no-untyped-def]
        self.calls += 1
        return await super().generate_keys(kind, count)

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        self.calls += 1
        self.signed += [item.message for item in items]
        return await super().sign(items)

    async def verify(self, items: Sequence[VerifyItem]) -> list[bool]:
        self.calls += 1
        return await super().verify(items)


async def test_more_sets_take_no_more_provider_calls() -> None:
    crypto = Counting()
    client = await make_client_keys(crypto, BOB, "ed25519", SUITES)
    calls = []
    for count in (1, 20):
        crypto.calls = 0
        await make_init_key_sets(crypto, client, SUITES, count, NOW)
        calls.append(crypto.calls)
    assert calls[0] == calls[1] <= 10


async def test_domain_separation_of_what_the_identity_key_signs() -> None:
    crypto = Counting()
    client = await make_client_keys(crypto, BOB, "ed25519", SUITES)
    await make_init_key_sets(crypto, client, SUITES, 1, NOW)
    indices = [message for message in crypto.signed if message[0] == 0x20]
    labelled = [message for message in crypto.signed if message[1:9] == b"MLS 1.0 "]
    assert len(indices) == 1
    assert len(labelled) == len(crypto.signed) - 1
    assert not {message[0] for message in labelled} & {0x20, 0x22}  # 0x22 begins an RFC 9421 signature base


# -- the proof, step by step --


async def test_step_1_names() -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    mallory = await make_client_keys(crypto, "mallory@email2.example", "ed25519", SUITES)
    foreign = (await one_set(crypto, mallory)).set
    await refused(crypto, [foreign], "identity-mismatch", 1)  # the credential's
    await refused(crypto, [item, foreign], "identity-mismatch", 1)
    answer = UnverifiedInitKeySets(BOB, (bundle(item, "mallory@email2.example"),))  # the bundle's
    with pytest.raises(RoomkeyError) as caught:
        await prove(crypto, answer, terms())
    assert caught.value.code == "identity-mismatch"
    shouting = UnverifiedInitKeySets(BOB.upper(), (bundle(item, BOB.upper()),))
    with pytest.raises(RoomkeyError) as caught:
        await prove(crypto, shouting, terms())
    assert caught.value.code == "identity-not-canonical"
    x509 = item.replace(user_init_key=item.user_init_key.replace(credential=Credential(1, cert_data=b"\x30\x00")))
    with pytest.raises(RoomkeyError) as caught:
        await check(crypto, [x509])
    assert caught.value.code == "unsupported-credential"
    with pytest.raises(RoomkeyError) as caught:
        await check(crypto, [])
    assert caught.value.code == "no-init-keys"


async def test_step_2_signature() -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    index = item.user_init_key
    (other,) = await crypto.generate_keys("ed25519", 1)
    for changed in (
        index.replace(signature=index.signature[:-1] + bytes([index.signature[-1] ^ 1])),
        index.replace(signature=b""),
        index.replace(user_init_key_id=bytes(32)),
        index.replace(cipher_suites=(3, 1, 0)),
        index.replace(credential=Credential.of(BOB.encode(), 0x0807, other.public)),
    ):
        await refused(crypto, [item.replace(user_init_key=changed)], "invalid-signature", 2)


Change = Callable[[InitKeySet], InitKeySet]


async def test_step_3_altered_by_a_service() -> None:
    crypto, client = await bob()
    one, two = [private.set for private in await make_init_key_sets(crypto, client, SUITES, 2, NOW)]
    packages = one.key_packages
    changes: list[Change] = [
        lambda s: s.replace(key_packages=packages[:2]),  # a package withheld
        lambda s: s.replace(key_packages=(packages[1], packages[0], packages[2])),  # swapped
        lambda s: s.replace(key_packages=two.key_packages),  # another set's
        lambda s: s.replace(key_packages=(*packages[:2], two.key_packages[2])),
        lambda s: s.replace(key_packages=()),
    ]
    for change in changes:
        error = await refused(crypto, [change(one)], "invalid-index", 3)
        assert error.details["step"] == 3
    await refused(crypto, [one, two], "invalid-index", 3)  # two sets of one client


async def test_step_3_false_under_a_true_signature() -> None:
    crypto, client = await bob()
    one, two = [private.set for private in await make_init_key_sets(crypto, client, SUITES, 2, NOW)]
    packages, index = one.key_packages, one.user_init_key
    twin = packages[1].replace(init_key=packages[0].init_key)
    fields = []
    for item in (
        await resigned(crypto, client, one, user_init_key_id=index.user_init_key_id[:31]),
        await resigned(crypto, client, one, user_init_key_id=b""),
        await resigned(crypto, client, one, init_keys=two.user_init_key.init_keys),
        await resigned(crypto, client, one, cipher_suites=(3, 1, 0)),
        await reindexed(crypto, client, one, [packages[0], twin, packages[2]]),
    ):
        fields.append((await refused(crypto, [item], "invalid-index", 3)).details.get("field"))
    id_field = "user_init_key_id"
    assert fields == [id_field, id_field, "init_key", "cipher_suite", "init_key and encryption_key"]


async def test_step_3_leaf_keys_and_identities() -> None:
    crypto, client = await bob()
    mallory = await make_client_keys(crypto, "mallory@email2.example", "ed25519", SUITES)
    second = await make_client_keys(crypto, BOB, "ed25519", SUITES)
    item = (await one_set(crypto, client)).set
    for foreign, place, field in (
        (mallory, 0, "credential"),
        (second, 0, "signature_key"),  # the same name, another client's key
        (second, 2, "signature_key"),  # P-256, vouched for by another client
    ):
        packages = list(item.key_packages)
        packages[place] = (await one_set(crypto, foreign)).set.key_packages[place]
        error = await refused(crypto, [await reindexed(crypto, client, item, packages)], "invalid-index", 3)
        assert error.details["field"] == field
    bare = item.key_packages[2].replace(leaf_node=item.key_packages[2].leaf_node.replace(extensions=()))
    changed = await reindexed(crypto, client, item, [*item.key_packages[:2], bare])
    error = await refused(crypto, [changed], "invalid-index", 3)
    assert error.details["field"] == "signature_key"
    extensions = item.key_packages[2].leaf_node.extensions  # beside a leaf of the credential's own scheme
    vouched = item.key_packages[0].replace(leaf_node=item.key_packages[0].leaf_node.replace(extensions=extensions))
    changed = await reindexed(crypto, client, item, [vouched, *item.key_packages[1:]])
    error = await refused(crypto, [changed], "invalid-index", 3)
    assert error.details["field"] == "roomkey_client"


async def test_step_3_last_resort_marks() -> None:
    crypto, client = await bob()
    marked = (await one_set(crypto, client, last_resort=True)).set
    bare = marked.key_packages[0].replace(extensions=())
    for packages in (
        [bare, *marked.key_packages[1:]],
        [p.replace(extensions=(Extension(0x000A, b"\0"),)) for p in marked.key_packages],
    ):
        error = await refused(crypto, [await reindexed(crypto, client, marked, packages)], "invalid-index", 3)
        assert error.details["field"] == "last_resort_key_package"


async def test_step_3_counts_unknown_suites() -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    strange = item.key_packages[0].replace(cipher_suite=0x0A0A, init_key=b"\x01" * 40)
    strange = strange.replace(leaf_node=strange.leaf_node.replace(encryption_key=b"\x02" * 40))
    grown = await resigned(
        crypto, client, item.replace(key_packages=(*item.key_packages, strange)),
        user_init_key_id=set_id([*item.key_packages, strange]), cipher_suites=(1, 3, 0, 0x0A0A),
        init_keys=(*item.user_init_key.init_keys, strange.init_key),
    )  # fmt: skip
    proved = await check(crypto, [grown])
    assert set(proved.sets[0].packages) == {1, 2, 3}
    assert (1, 0x0A0A) in proved.sets[0].offer.pairs
    await refused(crypto, [grown.replace(key_packages=item.key_packages)], "invalid-index", 3)


async def test_step_4_negotiation() -> None:
    crypto, client = await bob()
    (weak,) = await make_init_key_sets(crypto, client, (2,), 1, NOW)
    error = await refused(crypto, [weak.set], "no-common-suite", 4, own=own_offer("alice@email1.example", [1, 3]))
    assert error.details["offers"] == f"alice@email1.example: 0x0001 0x0003; {BOB}: 0x0002"
    proved = await check(crypto, [(await one_set(crypto, client)).set], own=own_offer("alice@email1.example", [3]))
    assert set(proved.sets[0].packages) == {3}
    with pytest.raises(RoomkeyError) as caught:
        proved.sets[0].package_for(1)
    assert caught.value.code == "no-common-suite"


async def test_step_5_trust() -> None:
    crypto, client = await bob()
    second = await make_client_keys(crypto, BOB, "ed25519", SUITES)
    mine, other = (await one_set(crypto, client)).set, (await one_set(crypto, second)).set
    await refused(crypto, [mine], "untrusted-identity", 5, policy=PinnedOnly())
    both = await check(crypto, [mine, other])
    assert len(both.trust.pin.clients) == 2
    only = await check(crypto, [mine])
    again = (await one_set(crypto, client)).set
    proved = await check(crypto, [again], pin=only.trust.pin, now=NOW + 60)
    assert (proved.trust.by, proved.trust.since) == ("pinned", int(NOW))
    assert (await check(crypto, [again], pin=only.trust.pin, policy=PinnedOnly())).trust.by == "pinned"
    await refused(crypto, [other], "identity-changed", 5, pin=only.trust.pin)
    await refused(crypto, [again, other], "identity-changed", 5, pin=only.trust.pin)
    withheld = await check(crypto, [again], pin=both.trust.pin)
    assert withheld.trust.absent == (second.client_id,)
    (weak,) = await make_init_key_sets(crypto, client, (2,), 1, NOW)
    error = await refused(crypto, [weak.set], "suite-withheld", 5, pin=only.trust.pin)
    assert error.details["suite"] == 1
    believed = await check(crypto, [other], pin=only.trust.pin, policy=UnsafeTrustAnyone())
    assert believed.trust.by == "unsafe"


@pytest.mark.parametrize(
    ("at", "life", "code"),
    [
        (NOW + 31 * 86400, None, "keys-expired"),
        (NOW - 7200, None, "keys-not-yet-valid"),
        (NOW, (0, 2**63), "lifetime-too-long"),
        (NOW, (int(NOW), int(NOW) - 1), "invalid-key-package"),
        (NOW, (int(NOW) - 90 * 86400 - 3600, int(NOW) + 1), "lifetime-too-long"),
    ],
)
async def test_step_6_lifetimes(at: float, life: tuple[int, int] | None, code: str) -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    if life is not None:
        item = await with_package(crypto, client, item, lifetime=Lifetime(*life))
    await refused(crypto, [item], code, 6, now=at)


async def with_package(crypto: NativeCrypto, client: ClientKeys, item: InitKeySet, **changes: Any) -> InitKeySet:
    """The set with its first KeyPackage made anew by the client itself, some arguments changed."""
    init, encryption = await crypto.generate_keys("X25519", 2)
    arguments: dict[str, Any] = {
        "init": init,
        "encryption": encryption,
        "lifetime": Lifetime(int(NOW), int(NOW) + 60),
        "capabilities": own_capabilities(SUITES),
    }
    arguments.update(changes)
    name = mls_credential.Credential.basic(BOB.encode())
    package = await make_key_package(crypto, suite_by_number(1), name, client.pairs["ed25519"], **arguments)
    return await reindexed(crypto, client, item, [package, *item.key_packages[1:]])


async def test_step_6_key_packages_and_keys() -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    await check(crypto, [await with_package(crypto, client, item)])
    short = KeyPair(b"\x05" * 31, KeyHandle("none"))
    low = KeyPair(bytes(32), KeyHandle("none"))
    lacking = Capabilities((1,), (3,))
    for changes, code in (
        ({"capabilities": lacking}, "invalid-key-package"),
        ({"encryption": short}, "invalid-key-package"),
        ({"encryption": low}, "invalid-key"),
        ({"init": low}, "invalid-key"),
    ):
        await refused(crypto, [await with_package(crypto, client, item, **changes)], code, 6)
    first = item.key_packages[0]
    for forged, rule in (
        (first.replace(signature=item.key_packages[1].signature), "key-package-signature"),
        (first.replace(leaf_node=first.leaf_node.replace(signature=bytes(64))), "leaf-signature"),
    ):
        changed = await reindexed(crypto, client, item, [forged, *item.key_packages[1:]])
        error = await refused(crypto, [changed], "invalid-key-package", 6)
        assert error.details["rule"] == rule


async def test_step_6_a_leaf_nobody_vouches_for() -> None:
    crypto, client = await bob()
    thief = replace_pair(client, (await make_client_keys(crypto, BOB, "ed25519", SUITES)).pairs["ed25519"])
    item = (await one_set(crypto, client)).set
    forged = await one_set(Forging(crypto, thief.pairs["ed25519"]), client)
    packages = [*item.key_packages[:2], forged.set.key_packages[2]]
    error = await refused(crypto, [await reindexed(crypto, client, item, packages)], "invalid-key-package", 6)
    assert error.details["rule"] == "roomkey-client"


def replace_pair(client: ClientKeys, pair: KeyPair) -> ClientKeys:
    return client._replace(pairs={**client.pairs, "ed25519": pair})


class Forging(NativeCrypto):
    """Signs with the thief's key where the credential's is asked for."""

    def __init__(self, real: NativeCrypto, key: KeyPair) -> None:
        super().__init__()
        self.keys = real.keys
        self.key = key

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        return await super().sign([i._replace(key=self.key) if i.scheme == "ed25519" else i for i in items])


async def test_step_6_policy_can_narrow_lifetimes() -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    await refused(crypto, [item], "lifetime-too-long", 6, max_lifetime=7 * 86400)


async def test_step_7_replay() -> None:
    crypto, client = await bob()
    item = (await one_set(crypto, client)).set
    await refused(crypto, [item], "replayed", 7, seen={item.set_id})
    await check(crypto, [item], seen={bytes(32)})


async def test_steps_are_taken_in_order() -> None:
    """A set false in every way is refused for the first of them, then for the next."""
    crypto, client = await bob()
    (weak,) = await make_init_key_sets(crypto, client, (2,), 1, NOW)
    item = weak.set
    signature = item.user_init_key.signature
    hostile: dict[str, object] = {
        "own": own_offer("a@b.example", [1]), "policy": PinnedOnly(), "now": NOW + 9e6, "seen": {item.set_id},
    }  # fmt: skip
    steps = []
    broken_index = await resigned(crypto, client, item, user_init_key_id=bytes(32))
    unsigned = broken_index.replace(user_init_key=broken_index.user_init_key.replace(signature=signature))
    answers: list[tuple[str, InitKeySet, dict[str, object]]] = [
        ("x@email2.example", unsigned, {}),
        (BOB, unsigned, {}),
        (BOB, broken_index, {}),
        (BOB, item, {}),
        (BOB, item, {"own": own_offer("a@b.example", [2])}),
        (BOB, item, {"own": own_offer("a@b.example", [2]), "policy": FirstUse()}),
        (BOB, item, {"own": own_offer("a@b.example", [2]), "policy": FirstUse(), "now": NOW}),
    ]
    for identity, value, mended in answers:
        with pytest.raises(RoomkeyError) as caught:
            await prove(crypto, UnverifiedInitKeySets(BOB, (bundle(value, identity),)), terms(**{**hostile, **mended}))
        steps.append(caught.value.details["step"])
    assert steps == [1, 2, 3, 4, 5, 6, 7]


async def test_verified_sets_are_values() -> None:
    crypto, client = await bob()
    (verified,) = (await check(crypto, [(await one_set(crypto, client)).set])).sets
    with pytest.raises(AttributeError):
        verified.expires = 0  # type: ignore[misc]
    assert replace(verified, last_resort=True) != verified
