"""Secret trees as version 1 of a stored group holds them: without the times of skipped keys. Read, never written."""

from __future__ import annotations

from typing import Annotated

from roomkey.mls import secret_tree
from roomkey.mls.secret_tree import StoredSecret
from roomkey.tls import U16, U32, Opaque, Struct, vector


class SkippedKey(Struct):
    generation: U32
    key: Opaque
    nonce: Opaque


class Ratchet(Struct):
    secret: Opaque
    generation: U32
    skipped: Annotated[tuple[SkippedKey, ...], vector(SkippedKey)]


class Leaf(Struct):
    handshake: Ratchet
    application: Ratchet


class StoredLeaf(Struct):
    leaf_index: U32
    leaf: Leaf


class StoredTree(Struct):
    cipher_suite: U16
    depth: U16
    secrets: Annotated[tuple[StoredSecret, ...], vector(StoredSecret)]
    leaves: Annotated[tuple[StoredLeaf, ...], vector(StoredLeaf)]


def upgraded(data: bytes) -> bytes:
    """A tree of version 1 as `SecretTree.decode` takes it; its keys are set aside anew. Errors: "malformed"."""
    old = StoredTree.decode(data)
    leaves = tuple(
        secret_tree.StoredLeaf(
            item.leaf_index, secret_tree.Leaf(_ratchet(item.leaf.handshake), _ratchet(item.leaf.application))
        )
        for item in old.leaves
    )
    return secret_tree.StoredTree(old.cipher_suite, old.depth, old.secrets, leaves).encode()


def _ratchet(old: Ratchet) -> secret_tree.Ratchet:
    skipped = tuple(secret_tree.SkippedKey(item.generation, item.key, item.nonce) for item in old.skipped)
    return secret_tree.Ratchet(old.secret, old.generation, skipped)
