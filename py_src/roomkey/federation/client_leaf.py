"""Which client stands behind a leaf (wire.md section 2).

A client is known by its credential's key. A leaf of the credential's own signature scheme is signed by that key. A leaf
of another scheme (P-256 beside an Ed25519 credential) has a key of its own, and carries the extension `roomkey_client`,
by which the credential's key vouches for it, so that every member can prove whose it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite, Scheme
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points
from roomkey.federation.identity import check_identity
from roomkey.federation.messages import Credential
from roomkey.mls.credential import BASIC
from roomkey.mls.extensions import Extension, ExtensionType, find_extension
from roomkey.mls.leaf_node import LeafNode
from roomkey.tls import Opaque, Struct

_LABEL: Final = b"RoomkeyClient"
# SignWithLabel wants a suite and uses its scheme alone.
_SUITE_OF: Final[dict[Scheme, CipherSuite]] = {"ed25519": SUITES[0x0001], "ecdsa_secp256r1_sha256": SUITES[0x0002]}


# struct {
#     Credential credential;                  /* the draft's */
#     opaque signature<V>;                    /* SignWithLabel(credential key, "RoomkeyClient", leaf signature_key) */
# } RoomkeyClient;
class RoomkeyClient(Struct):
    """Content of the leaf extension `roomkey_client` (0xF0C1)."""

    credential: Credential
    signature: Opaque


class ClientClaim(NamedTuple):
    """Who a leaf says it is; true once `vouched` says so, and then still to be trusted (`trust`).

    identity: canonical. scheme and public_key: the credential's.
    """

    identity: str
    scheme: Scheme
    public_key: bytes

    @property
    def client_id(self) -> bytes:
        """SHA-256 of the credential's public key."""
        return hashlib.sha256(self.public_key).digest()


async def client_extension(
    crypto: CryptoProvider, credential: Credential, key: KeyPair, leaf_signature_key: bytes
) -> Extension:
    """The extension by which `credential`, with its key, vouches for a leaf's signature key of another scheme."""
    suite = _SUITE_OF[code_points.scheme_of(credential.require_basic().algorithm)]
    (signature,) = await labels.sign_with_label(crypto, suite, [labels.Signing(key, _LABEL, leaf_signature_key)])
    return Extension(ExtensionType.ROOMKEY_CLIENT, RoomkeyClient(credential, signature).encode())


def read_claim(suite: CipherSuite, leaf: LeafNode) -> ClientClaim:
    """Who a leaf says it is.

    Errors: "unsupported-credential", "identity-not-canonical", "identity-mismatch" (the two credentials differ),
    "malformed" (the extension, also one that vouches for a key of the credential's own scheme).
    """
    name = leaf.credential.identity
    if leaf.credential.credential_type != BASIC or name is None:
        raise RoomkeyError("unsupported-credential", "leaf credential: expected basic, got another type")
    identity = check_identity(name)
    vouch = _vouch(leaf)
    if vouch is None:
        return ClientClaim(identity, suite.scheme, leaf.signature_key)
    basic = vouch.credential.require_basic()
    if basic.identity != name:
        raise RoomkeyError("identity-mismatch", "roomkey_client: expected the leaf's identity, got another")
    scheme = code_points.scheme_of(basic.algorithm)
    if scheme == suite.scheme:
        raise RoomkeyError("malformed", "roomkey_client: expected a credential of another scheme, got the leaf's own")
    return ClientClaim(identity, scheme, basic.public_key)


def named_client(leaf: LeafNode) -> tuple[str, bytes]:
    """The identity and the client id that a leaf names, whatever suite it is of: to compare leaves that were proved.

    Errors: "unsupported-credential", "identity-not-canonical", "malformed".
    """
    vouch = _vouch(leaf)
    if leaf.credential.identity is None:
        raise RoomkeyError("unsupported-credential", "leaf credential: expected basic, got another type")
    key = leaf.signature_key if vouch is None else vouch.credential.require_basic().public_key
    return check_identity(leaf.credential.identity), hashlib.sha256(key).digest()


async def vouched(crypto: CryptoProvider, suite: CipherSuite, leaves: Sequence[LeafNode]) -> list[bool]:
    """Whether each leaf's claim is signed by the client it names; at most one provider call per scheme.

    A leaf without the extension speaks for itself: its own signature, checked by RFC 9420 section 7.3, is the client's.
    """
    results = [True] * len(leaves)
    asked: dict[Scheme, list[tuple[int, labels.Signed]]] = {}
    for index, leaf in enumerate(leaves):
        vouch = _vouch(leaf)
        if vouch is not None:
            claim = read_claim(suite, leaf)
            item = labels.Signed(claim.public_key, _LABEL, leaf.signature_key, vouch.signature)
            asked.setdefault(claim.scheme, []).append((index, item))
    for scheme, entries in asked.items():
        good = await labels.verify_with_label(crypto, _SUITE_OF[scheme], [item for _, item in entries])
        for (index, _), verdict in zip(entries, good, strict=True):
            results[index] = verdict
    return results


def _vouch(leaf: LeafNode) -> RoomkeyClient | None:
    data = find_extension(leaf.extensions, ExtensionType.ROOMKEY_CLIENT)
    return None if data is None else RoomkeyClient.decode(data)
