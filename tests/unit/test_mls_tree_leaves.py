"""Leaf nodes and key packages that break one rule each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.credential import X509, Certificate, Credential
from roomkey.mls.extensions import (
    GREASE,
    Extension,
    ExtensionType,
    ExternalSender,
    ExternalSenders,
    RequiredCapabilities,
    external_senders,
)
from roomkey.mls.key_package import (
    KeyPackage,
    PackageKeys,
    check_key_package,
    key_package_failures,
    make_key_packages,
    verify_key_packages,
)
from roomkey.mls.leaf_node import (
    COMMIT,
    KEY_PACKAGE,
    MAX_LIFETIME,
    UPDATE,
    LeafNode,
    Lifetime,
    check_leaf,
    leaf_signed,
    own_capabilities,
    requirements,
    sign_leaf,
)

from tests.unit.tree_members import GROUP_ID, make_member

SUITE = SUITES[1]
NOW = 1000.0
CAN = own_capabilities([1, 2, 3, 0xF0C1], 4)
GOOD = LeafNode(
    b"e" * 32, b"s" * 32, Credential.basic(b"alice@email1.example"), CAN, KEY_PACKAGE,
    lifetime=Lifetime(0, 86400), signature=b"-" * 64,
)  # fmt: skip
APPLICATION_ID = Extension(ExtensionType.APPLICATION_ID, b"phone")
UNKNOWN = Extension(0x1234, b"")
LAST_RESORT = Extension(ExtensionType.LAST_RESORT_KEY_PACKAGE, b"")
NEEDS = (
    Extension(ExtensionType.ROOMKEY_GROUP, b""),
    Extension(ExtensionType.REQUIRED_CAPABILITIES, RequiredCapabilities((0x000A, 0x0001), (0x0001,), (1,)).encode()),
)


@pytest.mark.parametrize(
    "leaf",
    [
        GOOD,
        GOOD.replace(extensions=(APPLICATION_ID,)),
        GOOD.replace(extensions=(Extension(GREASE[4], b"any"),)),
        GOOD.replace(lifetime=Lifetime(1000, 1000)),
        GOOD.replace(leaf_node_source=UPDATE, lifetime=None),
        GOOD.replace(leaf_node_source=COMMIT, lifetime=None, parent_hash=b""),
    ],
)
def test_good_leaves(leaf: LeafNode) -> None:
    check_leaf(SUITE, LeafNode.decode(leaf.encode()), now=NOW, needs=requirements(NEEDS))


@pytest.mark.parametrize(
    ("rule", "leaf"),
    [
        ("leaf-source", GOOD.replace(leaf_node_source=UPDATE, lifetime=None)),
        ("leaf-keys", GOOD.replace(encryption_key=b"e" * 33)),
        ("leaf-keys", GOOD.replace(signature_key=b"")),
        ("leaf-extensions-unique", GOOD.replace(extensions=(APPLICATION_ID, APPLICATION_ID))),
        ("leaf-capabilities-extensions", GOOD.replace(extensions=(UNKNOWN,))),
        ("leaf-capabilities-version", GOOD.replace(capabilities=CAN.replace(versions=(2,)))),
        ("leaf-capabilities-suite", GOOD.replace(capabilities=CAN.replace(cipher_suites=(2, 3)))),
        ("leaf-capabilities-credential", GOOD.replace(capabilities=CAN.replace(credentials=(2,)))),
        ("leaf-capabilities-credential", GOOD.replace(credential=Credential(X509, None, (Certificate(b"c"),)))),
        ("leaf-required-extensions", GOOD.replace(capabilities=CAN.replace(extensions=(0xF0C2,)))),
        ("leaf-required-extensions", GOOD.replace(capabilities=CAN.replace(extensions=(0x000A,)))),
        ("leaf-required-proposals", GOOD.replace(capabilities=CAN.replace(proposals=()))),
        ("leaf-required-credentials", GOOD.replace(capabilities=CAN.replace(credentials=(1,)))),
        ("leaf-lifetime", GOOD.replace(lifetime=Lifetime(1001, 86400))),
        ("leaf-lifetime", GOOD.replace(lifetime=Lifetime(0, 999))),
        ("leaf-lifetime", GOOD.replace(lifetime=Lifetime(2000, 500))),
        ("leaf-lifetime-length", GOOD.replace(lifetime=Lifetime(0, MAX_LIFETIME + 1))),
        ("leaf-lifetime-length", GOOD.replace(lifetime=Lifetime(0, 2**64 - 1))),
    ],
)
def test_leaves_that_break_a_rule(rule: str, leaf: LeafNode) -> None:
    required = RequiredCapabilities((0x000A,), (0x0A0A + 4 * 0x1010,), (1, 0x0A0A + 4 * 0x1010)).encode()
    needs = requirements((NEEDS[0], Extension(ExtensionType.REQUIRED_CAPABILITIES, required)))
    check_leaf(SUITE, GOOD, now=NOW, source=KEY_PACKAGE, needs=needs)
    with pytest.raises(RoomkeyError) as caught:
        check_leaf(SUITE, leaf, now=NOW, source=KEY_PACKAGE, needs=needs)
    assert (caught.value.code, caught.value.details["rule"]) == ("invalid-leaf-node", rule)


def test_old_leaves_pass_without_a_clock() -> None:
    check_leaf(SUITE, GOOD.replace(lifetime=Lifetime(2, 5)), now=None)


@pytest.mark.parametrize("lifetime", [Lifetime(5, 2), Lifetime(0, MAX_LIFETIME + 1)], ids=["inverted", "too long"])
def test_a_lifetimes_length_needs_no_clock(lifetime: Lifetime) -> None:
    with pytest.raises(RoomkeyError, match="leaf-lifetime-length"):
        check_leaf(SUITE, GOOD.replace(lifetime=lifetime), now=None)


def test_unknown_credentials_are_malformed() -> None:
    with pytest.raises(RoomkeyError, match="malformed"):
        Credential.decode(b"\x00\x03\x01a")


def test_external_senders() -> None:
    sender = ExternalSender(b"k" * 32, Credential.basic(b"service"))
    data = ExternalSenders((sender,)).encode()
    assert external_senders((Extension(ExtensionType.EXTERNAL_SENDERS, data),)) == (sender,)
    assert external_senders(()) == ()


@pytest.mark.parametrize("number", sorted(SUITES))
async def test_leaf_signatures_bind_the_place(number: int) -> None:
    crypto, suite = NativeCrypto(), SUITES[number]
    member = await make_member(crypto, suite)
    leaf = member.leaf.replace(leaf_node_source=UPDATE, lifetime=None)
    signed = await sign_leaf(crypto, suite, leaf, member.signature, GROUP_ID, 5)
    right = leaf_signed(signed, GROUP_ID, 5)
    for other in (leaf_signed(signed, GROUP_ID, 6), leaf_signed(signed, b"", 5)):
        assert other != right
    # a leaf of a key package goes anywhere
    assert leaf_signed(member.leaf, GROUP_ID, 5) == leaf_signed(member.leaf)


def without_capabilities(package: KeyPackage) -> KeyPackage:
    can = package.leaf_node.capabilities.replace(extensions=())
    return package.replace(leaf_node=package.leaf_node.replace(capabilities=can))


PACKAGE_RULES: list[tuple[str, Callable[[KeyPackage], KeyPackage]]] = [
    ("key-package-version", lambda p: p.replace(version=2)),
    ("key-package-suite", lambda p: p.replace(cipher_suite=3)),
    ("key-package-init-key", lambda p: p.replace(init_key=b"i" * 31)),
    ("key-package-keys-differ", lambda p: p.replace(init_key=p.leaf_node.encryption_key)),
    ("key-package-extensions-unique", lambda p: p.replace(extensions=(APPLICATION_ID, APPLICATION_ID))),
    ("key-package-extensions", lambda p: without_capabilities(p).replace(extensions=(LAST_RESORT,))),
    ("leaf-source", lambda p: p.replace(leaf_node=p.leaf_node.replace(leaf_node_source=UPDATE, lifetime=None))),
    ("leaf-lifetime", lambda p: p.replace(leaf_node=p.leaf_node.replace(lifetime=Lifetime(0, 1)))),
    ("leaf-signature", lambda p: p.replace(leaf_node=p.leaf_node.replace(signature=bytes(64)))),
    ("leaf-signature", lambda p: p.replace(leaf_node=p.leaf_node.replace(signature_key=bytes(32)))),
    ("key-package-signature", lambda p: p.replace(signature=bytes(64))),
    ("key-package-signature", lambda p: p.replace(init_key=b"i" * 32)),
    ("key-package-signature", lambda p: p.replace(signature=b"")),
]


async def test_key_packages_that_break_a_rule() -> None:
    crypto = NativeCrypto()
    (signature,) = await crypto.generate_keys(SUITE.scheme, 1)
    pairs = await crypto.generate_keys(SUITE.group, 2 * (len(PACKAGE_RULES) + 1))
    keys = [PackageKeys(*two) for two in zip(pairs[::2], pairs[1::2], strict=True)]
    packages = await make_key_packages(
        crypto, SUITE, GOOD.credential, signature, keys, Lifetime(0, 86400), CAN,
        leaf_extensions=(APPLICATION_ID,), extensions=(LAST_RESORT, UNKNOWN),
    )  # fmt: skip
    packages = [KeyPackage.decode(package.encode()) for package in packages]
    assert all(package.last_resort for package in packages)
    assert len({package.ref(SUITE) for package in packages}) == len(packages)
    await verify_key_packages(crypto, SUITE, packages, NOW)

    altered = [alter(package) for (_, alter), package in zip(PACKAGE_RULES, packages, strict=False)]
    failures = await key_package_failures(crypto, SUITE, [*altered, packages[-1]], NOW)
    assert failures.pop() is None
    rules = [failure.details["rule"] if failure else None for failure in failures]
    assert rules == [rule for rule, _ in PACKAGE_RULES]
    with pytest.raises(RoomkeyError, match="key-package-version"):
        await verify_key_packages(crypto, SUITE, [packages[-1], altered[0]], NOW)
    with pytest.raises(RoomkeyError, match="leaf-lifetime-length"):
        check_key_package(SUITE, packages[0], now=NOW, max_lifetime=3600)
