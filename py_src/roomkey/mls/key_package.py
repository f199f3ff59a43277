"""Key packages (RFC 9420 section 10): what a client publishes so that others can add it to groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import (
    DEFAULT_EXTENSIONS,
    Extension,
    Extensions,
    ExtensionType,
    duplicate_type,
    find_extension,
)
from roomkey.mls.leaf_node import (
    KEY_PACKAGE,
    MAX_LIFETIME,
    NO_REQUIREMENTS,
    Capabilities,
    LeafNode,
    Lifetime,
    Requirements,
    check_leaf,
    leaf_signed,
    leaf_signing,
    unsigned_bytes,
)
from roomkey.mls.validation import violation
from roomkey.mls.version import MLS10
from roomkey.tls import U16, Opaque, Struct

_LABEL = b"KeyPackageTBS"
_KNOWN_EXTENSIONS = frozenset(ExtensionType)


class KeyPackage(Struct):
    """One client's offer to be added once (or, as a last resort, more often).

    struct {
        ProtocolVersion version;
        CipherSuite cipher_suite;
        HPKEPublicKey init_key;
        LeafNode leaf_node;
        Extension extensions<V>;
        /* SignWithLabel(., "KeyPackageTBS", KeyPackageTBS) */
        opaque signature<V>;
    } KeyPackage;

    KeyPackageTBS is the same without the signature.
    """

    version: U16
    cipher_suite: U16
    init_key: Opaque
    leaf_node: LeafNode
    extensions: Extensions = ()
    signature: Opaque = b""

    def ref(self, suite: CipherSuite) -> bytes:
        """KeyPackageRef (RFC 9420 section 5.2), the suite's hash size."""
        return labels.ref_hash(suite, b"MLS 1.0 KeyPackage Reference", self.encode())

    @property
    def last_resort(self) -> bool:
        return find_extension(self.extensions, ExtensionType.LAST_RESORT_KEY_PACKAGE) is not None


class PackageKeys(NamedTuple):
    """The key pairs made for one key package: of init_key and of leaf_node.encryption_key, never the same."""

    init: KeyPair
    encryption: KeyPair


async def make_key_packages(
    crypto: CryptoProvider,
    suite: CipherSuite,
    credential: Credential,
    signature: KeyPair,
    keys: Sequence[PackageKeys],
    lifetime: Lifetime,
    capabilities: Capabilities,
    *,
    leaf_extensions: Sequence[Extension] = (),
    extensions: Sequence[Extension] = (),
) -> list[KeyPackage]:
    """One signed key package per entry of `keys`; two border crossings for any number.

    Args:
        signature: the pair whose public half becomes the leaves' signature key.
        lifetime: of all of them.
        leaf_extensions, extensions: of each leaf and each package; non-default ones must stand in `capabilities`.
    """
    unsigned = [
        LeafNode(
            pair.encryption.public, signature.public, credential, capabilities, KEY_PACKAGE,
            lifetime=lifetime, extensions=tuple(leaf_extensions),
        )
        for pair in keys
    ]  # fmt: skip
    signatures = await labels.sign_with_label(crypto, suite, [leaf_signing(leaf, signature) for leaf in unsigned])
    packages = [
        KeyPackage(MLS10, suite.number, pair.init.public, leaf.replace(signature=signed), tuple(extensions))
        for pair, leaf, signed in zip(keys, unsigned, signatures, strict=True)
    ]
    items = [labels.Signing(signature, _LABEL, unsigned_bytes(package, b"")) for package in packages]
    signatures = await labels.sign_with_label(crypto, suite, items)
    return [package.replace(signature=signed) for package, signed in zip(packages, signatures, strict=True)]


async def make_key_package(
    crypto: CryptoProvider,
    suite: CipherSuite,
    credential: Credential,
    signature: KeyPair,
    init: KeyPair,
    encryption: KeyPair,
    lifetime: Lifetime,
    capabilities: Capabilities,
    *,
    leaf_extensions: Sequence[Extension] = (),
    extensions: Sequence[Extension] = (),
) -> KeyPackage:
    """One key package, as `make_key_packages`."""
    (package,) = await make_key_packages(
        crypto, suite, credential, signature, [PackageKeys(init, encryption)], lifetime, capabilities,
        leaf_extensions=leaf_extensions, extensions=extensions,
    )  # fmt: skip
    return package


def check_key_package(
    suite: CipherSuite,
    package: KeyPackage,
    *,
    now: float | None,
    needs: Requirements = NO_REQUIREMENTS,
    max_lifetime: float = MAX_LIFETIME,
) -> None:
    """Checks all of a key package but its signatures (RFC 9420 section 10.1), each rule by its id.

    1. key-package-version, key-package-suite: the group's.
    2. key-package-init-key: of the suite's size; key-package-keys-differ: not the leaf's encryption key.
    3. key-package-extensions-unique, key-package-extensions: each type once, and those that we know among the leaf's
       capabilities. Others are ignored, as section 10 asks: foreign clients grease this list with types that their
       capabilities do not name (section 13.5 asks that of a leaf's extensions only).
    4. the leaf's rules (`check_leaf`), with source key_package.

    Errors: "invalid-key-package" and "invalid-leaf-node", with `rule`.
    """
    if package.version != MLS10:
        raise violation("key-package-version", f"expected {MLS10}, got {package.version}")
    if package.cipher_suite != suite.number:
        raise violation("key-package-suite", f"expected {suite.number}, got {package.cipher_suite}")
    if len(package.init_key) != suite.npk:
        raise violation("key-package-init-key", f"expected {suite.npk} bytes, got {len(package.init_key)}")
    leaf = package.leaf_node
    if package.init_key == leaf.encryption_key:
        raise violation("key-package-keys-differ")
    twice = duplicate_type(package.extensions)
    if twice is not None:
        raise violation("key-package-extensions-unique", f"got type {twice} twice")
    known = _KNOWN_EXTENSIONS.intersection(extension.extension_type for extension in package.extensions)
    unlisted = known.difference(DEFAULT_EXTENSIONS, leaf.capabilities.extensions)
    if unlisted:
        raise violation("key-package-extensions", f"got type {min(unlisted)}")
    check_leaf(suite, leaf, now=now, source=KEY_PACKAGE, needs=needs, max_lifetime=max_lifetime)


async def key_package_failures(
    crypto: CryptoProvider,
    suite: CipherSuite,
    packages: Sequence[KeyPackage],
    now: float | None,
    *,
    needs: Requirements = NO_REQUIREMENTS,
    max_lifetime: float = MAX_LIFETIME,
) -> list[RoomkeyError | None]:
    """For each package what is wrong with it, None if nothing is: `check_key_package`, then both signatures.

    All signatures take one border crossing. Their rules: leaf-signature, key-package-signature ("invalid-signature").
    """
    failures: list[RoomkeyError | None] = []
    for package in packages:
        try:
            check_key_package(suite, package, now=now, needs=needs, max_lifetime=max_lifetime)
            failures.append(None)
        except RoomkeyError as error:
            failures.append(error)
    sound = [index for index, failure in enumerate(failures) if failure is None]
    items: list[labels.Signed] = []
    for index in sound:
        package = packages[index]
        leaf = package.leaf_node
        items.append(leaf_signed(leaf))
        unsigned = unsigned_bytes(package, package.signature)
        items.append(labels.Signed(leaf.signature_key, _LABEL, unsigned, package.signature))
    good = await labels.verify_with_label(crypto, suite, items)
    for place, index in enumerate(sound):
        leaf_good, package_good = good[2 * place : 2 * place + 2]
        if not (leaf_good and package_good):
            failures[index] = violation("key-package-signature" if leaf_good else "leaf-signature")
    return failures


async def verify_key_packages(
    crypto: CryptoProvider,
    suite: CipherSuite,
    packages: Sequence[KeyPackage],
    now: float | None,
    *,
    needs: Requirements = NO_REQUIREMENTS,
    max_lifetime: float = MAX_LIFETIME,
) -> None:
    """Raises the first of `key_package_failures`. Still owed: the identities' truth, the group's rules at the Add."""
    for failure in await key_package_failures(crypto, suite, packages, now, needs=needs, max_lifetime=max_lifetime):
        if failure is not None:
            raise failure
