"""Leaf nodes (RFC 9420 sections 7.2 and 7.3): one client's appearance in a group, signed by that client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, NamedTuple

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.mls.credential import BASIC, Credential
from roomkey.mls.extensions import (
    DEFAULT_EXTENSIONS,
    DEFAULT_PROPOSALS,
    GREASE,
    Extension,
    Extensions,
    ExtensionType,
    duplicate_type,
    required_capabilities,
)
from roomkey.mls.validation import violation
from roomkey.mls.version import MLS10
from roomkey.tls import U64, Codec, Opaque, Reader, Struct, When, one_of, opaque, uint8, uint16, uint32, varint, vector

# LeafNodeSource
KEY_PACKAGE: Final = 1
UPDATE: Final = 2
COMMIT: Final = 3

# Seconds. RFC 9420 section 7.2 makes every application set the longest lifetime it accepts: a quarter of a year bounds
# how long an unused private key has to leak. An hour more, for clients that begin it in the past as clocks disagree.
MAX_LIFETIME: Final = 90 * 86400 + 3600

_LABEL = b"LeafNodeTBS"
_opaque = opaque()


class Capabilities(Struct):
    """What a client supports; unknown values are ignored.

    struct {
        ProtocolVersion versions<V>;
        CipherSuite cipher_suites<V>;
        ExtensionType extensions<V>;
        ProposalType proposals<V>;
        CredentialType credentials<V>;
    } Capabilities;
    """

    versions: Annotated[tuple[int, ...], vector(uint16)]
    cipher_suites: Annotated[tuple[int, ...], vector(uint16)]
    extensions: Annotated[tuple[int, ...], vector(uint16)] = ()
    proposals: Annotated[tuple[int, ...], vector(uint16)] = ()
    credentials: Annotated[tuple[int, ...], vector(uint16)] = (BASIC,)


class SharedCapabilities(Codec[Capabilities]):
    """Reads capabilities, each different one once: most members of a group run the same software.

    Half the work of decoding a tree is in these lists. What is remembered is bounded: 64 values of at most 256 bytes.
    """

    def __init__(self) -> None:
        self._plain = Capabilities.codec()
        self._seen: dict[bytes, Capabilities] = {}

    def read(self, r: Reader) -> Capabilities:
        start = r.pos
        for _ in range(5):  # past the lists, by their lengths
            size = varint.read(r)
            r.pos += size
        known = self._seen.get(r.data[start : r.pos]) if r.pos <= r.end else None
        if known is None:
            r.pos = start
            known = self._plain.read(r)
            data = known.encode()
            if len(data) <= 256:
                if len(self._seen) == 64:
                    self._seen.clear()
                self._seen[data] = known
        return known

    def write(self, out: bytearray, value: Capabilities) -> None:
        self._plain.write(out, value)


class Lifetime(Struct):
    """`struct { uint64 not_before; uint64 not_after; } Lifetime;` Unix seconds, both included."""

    not_before: U64
    not_after: U64


class LeafNode(Struct):
    """A client in a group or in a key package.

    enum { reserved(0), key_package(1), update(2), commit(3), (255) } LeafNodeSource;
    struct {
        HPKEPublicKey encryption_key;
        SignaturePublicKey signature_key;
        Credential credential;
        Capabilities capabilities;
        LeafNodeSource leaf_node_source;
        select (LeafNode.leaf_node_source) {
            case key_package: Lifetime lifetime;
            case update:      struct{};
            case commit:      opaque parent_hash<V>;
        };
        Extension extensions<V>;
        /* SignWithLabel(., "LeafNodeTBS", LeafNodeTBS) */
        opaque signature<V>;
    } LeafNode;
    """

    encryption_key: Opaque
    signature_key: Opaque
    credential: Credential
    capabilities: Annotated[Capabilities, SharedCapabilities()]
    leaf_node_source: Annotated[int, one_of(uint8, KEY_PACKAGE, UPDATE, COMMIT)]
    lifetime: Annotated[Lifetime | None, When("leaf_node_source", {KEY_PACKAGE: Lifetime})] = None
    parent_hash: Annotated[bytes | None, When("leaf_node_source", {COMMIT: opaque()})] = None
    extensions: Extensions = ()
    signature: Opaque = b""


def leaf_tbs(leaf: LeafNode, group_id: bytes, index: int) -> bytes:
    """LeafNodeTBS: the leaf's fields above the signature and, unless it came in a key package, its place.

    struct {
        /* the fields of LeafNode above signature */
        select (LeafNodeTBS.leaf_node_source) {
            case key_package:    struct{};
            case update, commit: opaque group_id<V>; uint32 leaf_index;
        };
    } LeafNodeTBS;
    """
    out = bytearray(unsigned_bytes(leaf, leaf.signature))
    if leaf.leaf_node_source != KEY_PACKAGE:
        _opaque.write(out, group_id)
        uint32.write(out, index)
    return bytes(out)


def unsigned_bytes(struct: Struct, signature: bytes) -> bytes:
    """The encoding of a struct whose last field is `opaque signature<V>`, without that field."""
    data = struct.encode()
    size = len(signature)
    prefix = 1 if size < 0x40 else 2 if size < 0x4000 else 4
    return data[: len(data) - prefix - size]


def leaf_signing(leaf: LeafNode, key: KeyPair, group_id: bytes = b"", index: int = 0) -> labels.Signing:
    """What must be signed for this leaf, for a batch."""
    return labels.Signing(key, _LABEL, leaf_tbs(leaf, group_id, index))


def leaf_signed(leaf: LeafNode, group_id: bytes = b"", index: int = 0) -> labels.Signed:
    """The leaf's signature as an item to verify, for a batch. One of a key package is bound to no group."""
    return labels.Signed(leaf.signature_key, _LABEL, leaf_tbs(leaf, group_id, index), leaf.signature)


async def sign_leaf(
    crypto: CryptoProvider, suite: CipherSuite, leaf: LeafNode, key: KeyPair, group_id: bytes = b"", index: int = 0
) -> LeafNode:
    """The leaf with a fresh signature in place of the one it has."""
    (signature,) = await labels.sign_with_label(crypto, suite, [leaf_signing(leaf, key, group_id, index)])
    return leaf.replace(signature=signature)


def own_capabilities(suites: Iterable[int], grease: int | None = None) -> Capabilities:
    """What this implementation supports, for its own leaves.

    Args:
        suites: numbers of the cipher suites this host can do.
        grease: which GREASE value to mix in (RFC 9420 section 13.5), 0 to 14; None for none.
    """
    extra = () if grease is None else (GREASE[grease],)
    ours = (
        ExtensionType.LAST_RESORT_KEY_PACKAGE,
        ExtensionType.ROOMKEY_CLIENT,
        ExtensionType.ROOMKEY_GROUP,
        ExtensionType.ROOMKEY_NAME,
        ExtensionType.ROOMKEY_POLICY,
    )
    return Capabilities((MLS10,), (*suites, *extra), (*map(int, ours), *extra), extra, (BASIC, *extra))


class Requirements(NamedTuple):
    """What a group asks of each leaf: non-default types, from its context's extensions and `required_capabilities`."""

    extensions: frozenset[int] = frozenset()
    proposals: frozenset[int] = frozenset()
    credentials: frozenset[int] = frozenset()


NO_REQUIREMENTS: Final = Requirements()


def requirements(group_extensions: Sequence[Extension]) -> Requirements:
    """What the extensions of a GroupContext ask of members (RFC 9420 sections 11.1 and 13.4). Errors: "malformed"."""
    required = required_capabilities(group_extensions)
    present = {extension.extension_type for extension in group_extensions}
    return Requirements(
        frozenset(present.union(required.extension_types) - DEFAULT_EXTENSIONS),
        frozenset(required.proposal_types) - DEFAULT_PROPOSALS,
        frozenset(required.credential_types),
    )


def check_leaf(
    suite: CipherSuite,
    leaf: LeafNode,
    *,
    now: float | None,
    source: int | None = None,
    needs: Requirements = NO_REQUIREMENTS,
    max_lifetime: float = MAX_LIFETIME,
) -> None:
    """Checks all that one leaf shows by itself (RFC 9420 section 7.3), each rule by its id.

    1. leaf-source: it came as its place demands.
    2. leaf-keys: its public keys have the suite's sizes.
    3. leaf-extensions-unique: no extension type twice.
    4. leaf-capabilities-version, -suite: it supports the group's version and suite.
    5. leaf-capabilities-credential: it supports its own credential's type.
    6. leaf-capabilities-extensions: it supports the extensions it carries.
    7. leaf-required-extensions, -proposals, -credentials: it supports what the group needs.
    8. leaf-lifetime: now lies in its lifetime. leaf-lifetime-length: that is not too long, and ends after it begins.

    Still owed: the signature (`leaf_signed`), the identity's truth, and what only other members show (`check_members`).

    Args:
        now: Unix seconds; None leaves leaf-lifetime out, for leaves that were admitted in the past.
        source: KEY_PACKAGE, UPDATE or COMMIT, where the leaf's place demands one.
        max_lifetime: seconds.
    Errors: "invalid-leaf-node" with `rule`.
    """
    if source is not None and leaf.leaf_node_source != source:
        raise violation("leaf-source", f"expected {source}, got {leaf.leaf_node_source}")
    if len(leaf.encryption_key) != suite.npk:
        raise violation("leaf-keys", f"expected encryption key of {suite.npk} bytes, got {len(leaf.encryption_key)}")
    if len(leaf.signature_key) != suite.spk:
        raise violation("leaf-keys", f"expected signature key of {suite.spk} bytes, got {len(leaf.signature_key)}")

    can = leaf.capabilities
    if leaf.extensions:
        twice = duplicate_type(leaf.extensions)
        if twice is not None:
            raise violation("leaf-extensions-unique", f"got type {twice} twice")
        types = {extension.extension_type for extension in leaf.extensions}
        unlisted = types.difference(DEFAULT_EXTENSIONS, can.extensions)
        if unlisted:
            raise violation("leaf-capabilities-extensions", f"got type {min(unlisted)}")
    if MLS10 not in can.versions:
        raise violation("leaf-capabilities-version", f"expected {MLS10}, got others")
    if suite.number not in can.cipher_suites:
        raise violation("leaf-capabilities-suite", f"expected {suite.number}, got others")
    if leaf.credential.credential_type not in can.credentials:
        raise violation("leaf-capabilities-credential", f"got type {leaf.credential.credential_type}")

    for rule, needed, has in (
        ("leaf-required-extensions", needs.extensions, can.extensions),
        ("leaf-required-proposals", needs.proposals, can.proposals),
        ("leaf-required-credentials", needs.credentials, can.credentials),
    ):
        if not needed.issubset(has):
            raise violation(rule, f"expected type {min(needed.difference(has))}, got others")

    if leaf.lifetime is not None:
        begin, end = leaf.lifetime.not_before, leaf.lifetime.not_after
        if now is not None and not begin <= now <= end:
            raise violation("leaf-lifetime", f"got {'an earlier time' if now < begin else 'a later time'}")
        if not 0 <= end - begin <= max_lifetime:
            raise violation("leaf-lifetime-length", f"expected at most {max_lifetime:.0f} seconds, got {end - begin}")
