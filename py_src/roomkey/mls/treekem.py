"""TreeKEM (RFC 9420 sections 7.4 to 7.6): new keys along a member's path, for all who stay in the group.

A member's private keys of the tree are a value, `PathKeys`: its leaf's and those of the nodes above that it knows, by
node position. The leaf's pair is made by the host, not derived, so its private half may be a handle; nodes' are raw.

Making a path and sealing it are two steps, as are applying and opening it, because the path secrets are encrypted under
the provisional GroupContext, which holds the hash of the tree with the path in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from roomkey.crypto import hpke, labels
from roomkey.crypto.labels import HPKECiphertext
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls import tree_math
from roomkey.mls.leaf_node import COMMIT, LeafNode, sign_leaf
from roomkey.mls.ratchet_tree import ParentNode, RatchetTree
from roomkey.mls.tree_hash import path_parents
from roomkey.mls.tree_validation import check_dh_key
from roomkey.mls.validation import violation
from roomkey.tls import Opaque, Struct, vector

_LABEL = b"UpdatePathNode"

PathKeys = Mapping[int, KeyPair]


class UpdatePathNode(Struct):
    """`struct { HPKEPublicKey encryption_key; HPKECiphertext encrypted_path_secret<V>; } UpdatePathNode;`"""

    encryption_key: Opaque
    encrypted_path_secret: Annotated[tuple[HPKECiphertext, ...], vector(HPKECiphertext)]


class UpdatePath(Struct):
    """`struct { LeafNode leaf_node; UpdatePathNode nodes<V>; } UpdatePath;`"""

    leaf_node: LeafNode
    nodes: Annotated[tuple[UpdatePathNode, ...], vector(UpdatePathNode)]


@dataclass(frozen=True, slots=True, repr=False)
class NewPath:
    """A path made and not sealed yet: `tree` is the tree with it, `keys` the private keys that its maker then has."""

    sender: int
    tree: RatchetTree
    leaf_node: LeafNode
    path: tuple[tuple[int, int], ...]
    secrets: tuple[bytes, ...]
    keys: PathKeys
    commit_secret: bytes

    def secret_for(self, leaf_index: int) -> bytes:
        """The path secret for a member added in the same commit: of the lowest node above both (section 12.4.1)."""
        for (_, copath), secret in zip(self.path, self.secrets, strict=True):
            if tree_math.covers(copath, leaf_index):
                return secret
        raise RoomkeyError("bad-argument", "expected another member's leaf index")


class OpenedPath(NamedTuple):
    """What a receiver has from a path: its private keys from now on, the commit secret, and the secret it decrypted."""

    keys: PathKeys
    commit_secret: bytes
    path_secret: bytes

    def __repr__(self) -> str:
        return "<OpenedPath>"


async def new_path(
    crypto: CryptoProvider,
    tree: RatchetTree,
    sender: int,
    leaf: LeafNode,
    encryption: KeyPair,
    signature: KeyPair,
    group_id: bytes,
) -> NewPath:
    """Fresh keys along the sender's filtered direct path (RFC 9420 sections 7.4 and 7.5).

    Args:
        tree: with the commit's proposals applied; the sender's leaf may be blank (external commits, see `make_room`).
        leaf: what the new leaf says beside its keys; source, lifetime, parent hash and signature are set here.
        encryption: the new leaf's freshly generated pair.
        signature: the pair that signs the leaf and whose public half it names.
    """
    suite = tree.suite
    path = tree.filtered_direct_path(sender)
    secrets: list[bytes] = []
    secret = crypto.random(suite.nh)
    for _ in path:
        secrets.append(secret)
        secret = _next_secret(suite, secret)
    pairs = await _node_keys(crypto, suite, secrets)
    parents, above = path_parents(tree, path, [pair.public for pair in pairs])
    unsigned = leaf.replace(
        encryption_key=encryption.public, signature_key=signature.public,
        leaf_node_source=COMMIT, lifetime=None, parent_hash=above, signature=b"",
    )  # fmt: skip
    signed = await sign_leaf(crypto, suite, unsigned, signature, group_id, sender)
    keys = {2 * sender: encryption}
    keys.update(zip((node for node, _ in path), pairs, strict=True))
    merged = tree.with_path(sender, signed, parents)
    return NewPath(sender, merged, signed, tuple(path), tuple(secrets), keys, secret)


async def seal_path(crypto: CryptoProvider, new: NewPath, added: Collection[int], context: bytes) -> UpdatePath:
    """Encrypts the path secrets to all who were members before (RFC 9420 sections 7.5 and 7.6), in one batch.

    Args:
        added: leaf indexes of the members that the same commit adds.
        context: the provisional GroupContext, encoded.
    """
    tree = new.tree
    sealing: list[labels.Sealing] = []
    counts: list[int] = []
    for (_, copath), secret in zip(new.path, new.secrets, strict=True):
        targets = _targets(tree, copath, added)
        counts.append(len(targets))
        for target in targets:
            node = tree.nodes[target]
            assert node is not None
            sealing.append(labels.Sealing(node.encryption_key, _LABEL, context, secret))
    sealed = iter(await labels.encrypt_with_label(crypto, tree.suite, sealing))
    nodes = [
        UpdatePathNode(new.keys[node].public, tuple(next(sealed) for _ in range(count)))
        for (node, _), count in zip(new.path, counts, strict=True)
    ]
    return UpdatePath(new.leaf_node, tuple(nodes))


def apply_path(tree: RatchetTree, sender: int, path: UpdatePath, added: Collection[int]) -> RatchetTree:
    """The tree with a received path merged in (RFC 9420 sections 7.5 and 12.4.2), each rule by its id.

    1. path-length, path-ciphertexts: as many nodes as the filtered direct path, as many ciphertexts as recipients.
    2. path-keys, path-keys-fresh: keys that can be sealed to, all different, none of them in the tree.
    3. path-parent-hash: the leaf signs the path's parent hash.

    Still owed: the leaf's own rules (`check_leaf`, source COMMIT) and signature, and what `check_members` asks.

    Args:
        tree: with the commit's proposals applied; the sender's leaf may be blank, as in `new_path`.
        added: leaf indexes of the members that the same commit adds.
    Errors: "invalid-update-path" with `rule`.
    """
    steps = tree.filtered_direct_path(sender)
    if len(path.nodes) != len(steps):
        raise violation("path-length", f"expected {len(steps)}, got {len(path.nodes)}")
    for (_, copath), node in zip(steps, path.nodes, strict=True):
        recipients = len(_targets(tree, copath, added))
        if len(node.encrypted_path_secret) != recipients:
            raise violation("path-ciphertexts", f"expected {recipients}, got {len(node.encrypted_path_secret)}")
    keys = [node.encryption_key for node in path.nodes]
    for key in keys:
        check_dh_key(tree.suite, key, "path-keys")
    fresh = {*keys, path.leaf_node.encryption_key}
    if len(fresh) != len(keys) + 1 or not fresh.isdisjoint(tree.encryption_keys()):
        raise violation("path-keys-fresh")
    parents, above = path_parents(tree, steps, keys)
    if path.leaf_node.parent_hash != above:
        raise violation("path-parent-hash", "got another or none")
    return tree.with_path(sender, path.leaf_node, parents)


async def open_path(
    crypto: CryptoProvider,
    tree: RatchetTree,
    sender: int,
    own: int,
    keys: PathKeys,
    path: UpdatePath,
    added: Collection[int],
    context: bytes,
) -> OpenedPath:
    """Decrypts what a received path holds for us and derives our new keys (RFC 9420 section 7.5).

    Args:
        tree: with the path applied by `apply_path`.
        own: our leaf index, not the sender's.
        keys: our private keys before the commit.
        added, context: as in `seal_path`.
    Errors: "decryption-failed"; "invalid-update-path" with rule path-recipient or path-public-keys.
    """
    steps = tree.filtered_direct_path(sender)
    start = _first_shared(steps, own)
    ours = current_keys(tree, keys)
    for place, target in enumerate(_targets(tree, steps[start][1], added)):
        pair = ours.get(target)
        if pair is not None:
            sealed = path.nodes[start].encrypted_path_secret[place]
            break
    else:
        raise violation("path-recipient", "got none whose key we hold")
    secret = await labels.decrypt_with_label(crypto, tree.suite, pair, _LABEL, context, sealed)
    fresh, commit_secret = await _derive_up(crypto, tree, [node for node, _ in steps[start:]], secret)
    return OpenedPath({**ours, **fresh}, commit_secret, secret)


async def joiner_keys(
    crypto: CryptoProvider, tree: RatchetTree, sender: int, own: int, encryption: KeyPair, path_secret: bytes | None
) -> PathKeys:
    """A new member's private keys (RFC 9420 section 12.4.3.1).

    Args:
        tree: the group's, validated.
        sender: leaf index of the committer who added us (GroupInfo.signer).
        encryption: the pair of our leaf.
        path_secret: of GroupSecrets; None where the commit had no path.
    Errors: "invalid-update-path" with rule path-public-keys or path-recipient; "invalid-welcome" with rule
    welcome-path-secret.
    """
    keys: dict[int, KeyPair] = {2 * own: encryption}
    if path_secret is not None:
        steps = tree.filtered_direct_path(sender)
        start = _first_shared(steps, own)
        fresh, _ = await _derive_up(crypto, tree, [node for node, _ in steps[start:]], path_secret)
        keys.update(fresh)
    for position in tree_math.direct_path(2 * own, tree.width):
        node = tree.nodes[position]
        if isinstance(node, ParentNode) and position not in keys and own not in node.unmerged_leaves:
            raise violation("welcome-path-secret", f"got none for {position}")
    return keys


def current_keys(tree: RatchetTree, keys: PathKeys) -> dict[int, KeyPair]:
    """Those of our private keys whose public halves still stand in the tree; the others must be forgotten."""
    nodes = tree.nodes
    current: dict[int, KeyPair] = {}
    for position, pair in keys.items():
        node = nodes[position] if position < len(nodes) else None
        if node is not None and node.encryption_key == pair.public:
            current[position] = pair
    return current


def _targets(tree: RatchetTree, copath: int, added: Collection[int]) -> list[int]:
    """The resolution of a copath node without the leaves that the same commit adds."""
    resolution = tree.resolution(copath)
    if not added:
        return resolution
    new = {2 * leaf for leaf in added}
    return [position for position in resolution if position not in new]


def _first_shared(steps: Sequence[tuple[int, int]], own: int) -> int:
    """Which step of the sender's filtered direct path is the lowest node above us too."""
    for place, (_, copath) in enumerate(steps):
        if tree_math.covers(copath, own):
            return place
    raise violation("path-recipient", "got our own or one that does not reach us")


async def _derive_up(
    crypto: CryptoProvider, tree: RatchetTree, nodes: Sequence[int], secret: bytes
) -> tuple[dict[int, KeyPair], bytes]:
    """These nodes' key pairs from the first one's path secret, checked against the tree, and the commit secret."""
    secrets: list[bytes] = []
    for _ in nodes:
        secrets.append(secret)
        secret = _next_secret(tree.suite, secret)
    pairs = await _node_keys(crypto, tree.suite, secrets)
    for position, pair in zip(nodes, pairs, strict=True):
        node = tree.nodes[position]
        if node is None or node.encryption_key != pair.public:
            raise violation("path-public-keys")
    return dict(zip(nodes, pairs, strict=True)), secret


def _next_secret(suite: CipherSuite, secret: bytes) -> bytes:
    return labels.derive_secret(suite, secret, b"path")


async def _node_keys(crypto: CryptoProvider, suite: CipherSuite, secrets: Sequence[bytes]) -> list[KeyPair]:
    node_secrets = [labels.derive_secret(suite, secret, b"node") for secret in secrets]
    return await hpke.derive_key_pairs(crypto, suite, node_secrets)
