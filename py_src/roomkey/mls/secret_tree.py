"""The secret tree: one-time message keys of every sender (RFC 9420 section 9).

The tree is a value: taking a key answers with the tree that no longer holds it. It is expanded where it is used, so a
sender's first message costs log2(n) derivations; afterwards only the ratchet and the path to it are made anew,
everything else is shared between the old value and the new one.

What is deleted, and when (section 9.2): a node's secret as soon as one of its children's is used, a ratchet secret as
soon as the next one is derived, a key when it is taken. Keys that were skipped are kept for messages out of order,
within the limits below of number and, by `aged`, of time. A caller keeps the new tree only when the message proved
good; a forged one must not cost the true one its key.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

from roomkey.crypto.labels import derive_tree_secret, expand_with_label
from roomkey.crypto.suites import CipherSuite, suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.tls import U16, U32, U64, Opaque, Struct, malformed, vector

# A message may be this many generations ahead of the last one of its sender. Delivery is in order and at least once, so
# gaps are rare; one message cannot ask for more than about 1,500 derivations (10 ms in the browser).
MAX_FORWARD = 1024
# Skipped keys kept for one ratchet: a burst that arrives in another order, not an archive. The oldest go first.
MAX_SKIPPED = 256
# Skipped keys kept in the whole tree, some 40 kB stored: members who skip on purpose cannot fill the memory.
MAX_SKIPPED_TOTAL = 1024
# Seconds for which a skipped key is kept: a device that fell asleep with messages to send wakes up within a day. What
# comes later was lost, or held back by somebody who waits for the key's device to be taken.
MAX_SKIPPED_AGE = 86400
# A tree of this depth has more leaves than a message can describe (`tls.MAX_MESSAGE`).
_MAX_DEPTH = 24
_LAST_GENERATION = 0xFFFFFFFF

Kind = Literal["handshake", "application"]


class MessageKey(NamedTuple):
    """Key and nonce of one message; the nonce before its reuse guard."""

    key: bytes
    nonce: bytes

    def __repr__(self) -> str:
        return "<MessageKey>"


class SkippedKey(Struct):
    """A key not used yet whose ratchet has moved on. `since`: when it was set aside, in Unix seconds; 0 until `aged`
    has seen it.
    """

    generation: U32
    key: Opaque
    nonce: Opaque
    since: U64 = 0


class Ratchet(Struct):
    """A sender ratchet before `generation`; `skipped` in rising order."""

    secret: Opaque
    generation: U32
    skipped: Annotated[tuple[SkippedKey, ...], vector(SkippedKey)]


class Leaf(Struct):
    """Both ratchets of a sender."""

    handshake: Ratchet
    application: Ratchet


# A secret (not expanded yet), a parent, or a leaf in use.
Node: TypeAlias = "bytes | tuple[Node, Node] | Leaf"


class StoredSecret(Struct):
    """A subtree not expanded yet. Nodes are numbered from the root, 1, with children 2i and 2i + 1."""

    node: U32
    secret: Opaque


class StoredLeaf(Struct):
    """A leaf in use."""

    leaf_index: U32
    leaf: Leaf


class StoredTree(Struct):
    """The tree as it is stored. Never sent."""

    cipher_suite: U16
    depth: U16
    secrets: Annotated[tuple[StoredSecret, ...], vector(StoredSecret)]
    leaves: Annotated[tuple[StoredLeaf, ...], vector(StoredLeaf)]


class SecretTree:
    """The message keys of one epoch, made by `create`. Methods answer with a new tree and leave this one as it is."""

    __slots__ = ("_depth", "_root", "_skipped", "suite")

    def __init__(self, suite: CipherSuite, depth: int, root: Node, skipped: int) -> None:
        self.suite = suite
        self._depth = depth
        self._root = root
        self._skipped = skipped  # keys kept in all ratchets together

    @classmethod
    def create(cls, suite: CipherSuite, leaf_count: int, encryption_secret: bytes) -> SecretTree:
        """The tree over a ratchet tree of `leaf_count` leaves (rounded up to a power of two), with nothing used yet."""
        depth = (leaf_count - 1).bit_length()
        if leaf_count < 1 or depth > _MAX_DEPTH:
            raise RoomkeyError("bad-argument", f"expected 1 to {1 << _MAX_DEPTH} leaves, got {leaf_count}")
        return cls(suite, depth, encryption_secret, 0)

    def next_key(self, leaf_index: int, kind: Kind) -> tuple[SecretTree, int, MessageKey]:
        """For sending: the tree after it, the generation, and its key. Leaf index: our own."""
        leaf, siblings = self._descend(leaf_index)
        ratchet = _ratchet(leaf, kind)
        after, key = self._advance(ratchet, ratchet.generation)
        return self._rebuilt(leaf_index, siblings, leaf, kind, after), ratchet.generation, key

    def take_key(self, leaf_index: int, kind: Kind, generation: int) -> tuple[SecretTree, MessageKey]:
        """For receiving: the tree without that key, and the key.

        Errors: "generation-too-far" (refused before any derivation in the ratchet), "key-consumed" (used before, or too
        old to be kept), "invalid-message" (no such leaf).
        """
        leaf, siblings = self._descend(leaf_index)
        ratchet = _ratchet(leaf, kind)
        if generation < ratchet.generation:
            after, key = _take_skipped(ratchet, generation)
        else:
            after, key = self._advance(ratchet, generation)
        return self._rebuilt(leaf_index, siblings, leaf, kind, after), key

    def aged(self, now: int) -> SecretTree:
        """The tree as of `now` (Unix seconds, at least 1): without keys that were skipped more than `MAX_SKIPPED_AGE`
        ago. The very same one if that changes nothing.

        A key's time begins with the first call that sees it. One that seems to be of the future was seen by a clock
        that has been set back since; its time begins anew.
        """
        if not self._skipped:
            return self
        left = 0

        def walk(node: Node) -> Node:
            nonlocal left
            if isinstance(node, bytes):
                return node
            if isinstance(node, Leaf):
                after = Leaf(_aged(node.handshake, now), _aged(node.application, now))
                left += len(after.handshake.skipped) + len(after.application.skipped)
                same = after.handshake is node.handshake and after.application is node.application
                return node if same else after
            halves = walk(node[0]), walk(node[1])
            return node if halves[0] is node[0] and halves[1] is node[1] else halves

        root = walk(self._root)
        return self if root is self._root else SecretTree(self.suite, self._depth, root, left)

    def _descend(self, leaf_index: int) -> tuple[Leaf, list[Node]]:
        """The leaf, expanded from its secret if need be, and the siblings of the nodes above it, from the root down."""
        if not 0 <= leaf_index < 1 << self._depth:
            raise RoomkeyError("invalid-message", f"expected a sender below {1 << self._depth}, got {leaf_index}")
        suite, node = self.suite, self._root
        siblings: list[Node] = []
        for level in range(self._depth - 1, -1, -1):
            if isinstance(node, bytes):
                node = (
                    expand_with_label(suite, node, b"tree", b"left", suite.nh),
                    expand_with_label(suite, node, b"tree", b"right", suite.nh),
                )
            assert isinstance(node, tuple)
            side = leaf_index >> level & 1
            siblings.append(node[1 - side])
            node = node[side]
        if isinstance(node, bytes):
            node = Leaf(
                Ratchet(expand_with_label(suite, node, b"handshake", b"", suite.nh), 0, ()),
                Ratchet(expand_with_label(suite, node, b"application", b"", suite.nh), 0, ()),
            )
        assert isinstance(node, Leaf)
        return node, siblings

    def _rebuilt(self, leaf_index: int, siblings: list[Node], leaf: Leaf, kind: Kind, after: Ratchet) -> SecretTree:
        skipped = self._skipped + len(after.skipped) - len(_ratchet(leaf, kind).skipped)
        node: Node = Leaf(after, leaf.application) if kind == "handshake" else Leaf(leaf.handshake, after)
        for level, sibling in enumerate(reversed(siblings)):
            node = (sibling, node) if leaf_index >> level & 1 else (node, sibling)
        return SecretTree(self.suite, self._depth, node, skipped)

    def _advance(self, ratchet: Ratchet, generation: int) -> tuple[Ratchet, MessageKey]:
        """The ratchet moved past `generation`, and that generation's key."""
        ahead = generation - ratchet.generation
        if ahead > MAX_FORWARD or generation >= _LAST_GENERATION:
            raise RoomkeyError("generation-too-far", f"expected at most {MAX_FORWARD} generations ahead, got {ahead}")
        room = min(MAX_SKIPPED, MAX_SKIPPED_TOTAL - (self._skipped - len(ratchet.skipped)))
        suite, secret = self.suite, ratchet.secret
        skipped = list(ratchet.skipped)
        for passed in range(ratchet.generation, generation):
            if generation - passed <= room:  # else it would be dropped again below
                skipped.append(SkippedKey(passed, *_message_key(suite, secret, passed)))
            secret = derive_tree_secret(suite, secret, b"secret", passed, suite.nh)
        key = _message_key(suite, secret, generation)
        secret = derive_tree_secret(suite, secret, b"secret", generation, suite.nh)
        return Ratchet(secret, generation + 1, tuple(skipped[max(0, len(skipped) - room) :])), key

    def encode(self) -> bytes:
        """The tree for storage, with all its secrets."""
        secrets: list[StoredSecret] = []
        leaves: list[StoredLeaf] = []

        def walk(node: Node, number: int) -> None:
            if isinstance(node, bytes):
                secrets.append(StoredSecret(number, node))
            elif isinstance(node, Leaf):
                leaves.append(StoredLeaf(number - (1 << self._depth), node))
            else:
                walk(node[0], 2 * number)
                walk(node[1], 2 * number + 1)

        walk(self._root, 1)
        return StoredTree(self.suite.number, self._depth, tuple(secrets), tuple(leaves)).encode()

    @classmethod
    def decode(cls, data: bytes) -> SecretTree:
        """The tree that `encode` stored. Errors: "malformed", "unsupported-suite"."""
        stored = StoredTree.decode(data)
        if stored.depth > _MAX_DEPTH:
            raise malformed("depth", f"at most {_MAX_DEPTH}", stored.depth)
        nodes: dict[int, Node] = {entry.node: entry.secret for entry in stored.secrets}
        nodes.update(((1 << stored.depth) + entry.leaf_index, entry.leaf) for entry in stored.leaves)
        total = len(stored.secrets) + len(stored.leaves)

        def build(number: int, level: int) -> Node:
            node = nodes.pop(number, None)
            if node is not None:
                return node
            if level == 0:
                raise malformed("secrets", "a secret for every leaf", "none for one")
            return build(2 * number, level - 1), build(2 * number + 1, level - 1)

        if len(nodes) != total:
            raise malformed("secrets", "every node once", "one twice")
        root = build(1, stored.depth)
        if nodes:
            raise malformed("secrets", "nodes that have no secret above", "others")
        skipped = sum(len(e.leaf.handshake.skipped) + len(e.leaf.application.skipped) for e in stored.leaves)
        return cls(suite_by_number(stored.cipher_suite), stored.depth, root, skipped)


def _ratchet(leaf: Leaf, kind: Kind) -> Ratchet:
    return leaf.handshake if kind == "handshake" else leaf.application


def _aged(ratchet: Ratchet, now: int) -> Ratchet:
    if all(0 < entry.since <= now <= entry.since + MAX_SKIPPED_AGE for entry in ratchet.skipped):
        return ratchet
    stamped = [entry if 0 < entry.since <= now else entry.replace(since=now) for entry in ratchet.skipped]
    return ratchet.replace(skipped=tuple(entry for entry in stamped if now <= entry.since + MAX_SKIPPED_AGE))


def _message_key(suite: CipherSuite, secret: bytes, generation: int) -> MessageKey:
    return MessageKey(
        derive_tree_secret(suite, secret, b"key", generation, suite.nk),
        derive_tree_secret(suite, secret, b"nonce", generation, suite.nn),
    )


def _take_skipped(ratchet: Ratchet, generation: int) -> tuple[Ratchet, MessageKey]:
    for position, entry in enumerate(ratchet.skipped):
        if entry.generation == generation:
            rest = ratchet.skipped[:position] + ratchet.skipped[position + 1 :]
            return ratchet.replace(skipped=rest), MessageKey(entry.key, entry.nonce)
    raise RoomkeyError("key-consumed", f"expected generation {ratchet.generation} or later, got {generation}")
