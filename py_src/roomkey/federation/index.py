"""Step 3 of `proof`: a set's UserInitKey is the index of its KeyPackages, and of nothing else (wire.md section 2).

1. id: 32 bytes, SHA-256 of the encoded vector of KeyPackages.
2. counts: as many KeyPackages as suites; the i-th is for the i-th suite and has the i-th init key.
3. identities: every KeyPackage names the credential's identity.
4. leaf keys: under the credential's own signature scheme the credential's key; under another, a key of its own with the
   extension `roomkey_client` that names this very credential. Suites that we do not know are let off.
5. distinct keys: no init or encryption key stands twice.
6. last resort: the mark, which is empty, stands in all KeyPackages or in none.

A delivery service holds uploads to the same rules. Errors of all: "invalid-index".
"""

from __future__ import annotations

from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points
from roomkey.federation.client_leaf import read_claim
from roomkey.federation.init_keys import InitKeySet, set_id
from roomkey.federation.messages import BasicCredential
from roomkey.mls.credential import BASIC
from roomkey.mls.extensions import ExtensionType, duplicate_type, find_extension
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import LeafNode


def check_index(item: InitKeySet) -> None:
    """All six rules. Errors: "invalid-index" with `field`; "unsupported-credential"."""
    index, packages = item.user_init_key, item.key_packages
    basic = index.credential.require_basic()
    if index.user_init_key_id != set_id(packages):  # 1
        raise _invalid("user_init_key_id", "SHA-256 of the key packages", "another value")
    if len(packages) != len(index.cipher_suites):  # 2
        raise _invalid("key_packages", len(index.cipher_suites), len(packages))
    for draft_suite, init_key, package in zip(index.cipher_suites, index.init_keys, packages, strict=True):
        suite = code_points.suite_to_mls(draft_suite)
        if package.cipher_suite != suite:
            raise _invalid("cipher_suite", f"{suite:#06x}", f"{package.cipher_suite:#06x}")
        if package.init_key != init_key:
            raise _invalid("init_key", "the index's", "another")
        credential = package.leaf_node.credential
        if credential.credential_type != BASIC or credential.identity != basic.identity:  # 3
            raise _invalid("credential", "the index's identity", "another")
        if suite in SUITES:
            _check_leaf_key(SUITES[suite], package.leaf_node, basic)  # 4
    keys = [key for package in packages for key in (package.init_key, package.leaf_node.encryption_key)]
    if len(set(keys)) != len(keys):  # 5
        raise _invalid("init_key and encryption_key", "no key twice", "a repeated one")
    _check_last_resort(packages)  # 6


def _check_leaf_key(suite: CipherSuite, leaf: LeafNode, basic: BasicCredential) -> None:
    if duplicate_type(leaf.extensions) is not None:
        raise _invalid("extensions", "each type once", "one twice")
    try:
        claim = read_claim(suite, leaf)
    except RoomkeyError as error:
        raise _invalid("roomkey_client", "an extension that fits the leaf", error.text) from error
    if (claim.scheme, claim.public_key) != (code_points.scheme_of(basic.algorithm), basic.public_key):
        raise _invalid("signature_key", "the credential's, or one that it vouches for", "another")


def _check_last_resort(packages: tuple[KeyPackage, ...]) -> None:
    marks = [find_extension(package.extensions, ExtensionType.LAST_RESORT_KEY_PACKAGE) for package in packages]
    if any(mark not in (None, b"") for mark in marks):
        raise _invalid("last_resort_key_package", "an empty mark", "one with content")
    if len(set(marks)) > 1:
        raise _invalid("last_resort_key_package", "the mark in all or in none", "in some")


def _invalid(field: str, expected: object, got: object) -> RoomkeyError:
    return RoomkeyError("invalid-index", f"{field}: expected {expected}, got {got}", field=field)
