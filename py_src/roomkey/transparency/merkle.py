"""Merkle trees of transparency logs (RFC 6962 section 2.1; the checks in the form of RFC 9162 section 2.1.3 and 2.1.4).

A tree is named by its size and root; hashes are 32 bytes, SHA-256. The makers of roots and proofs take the hashes of
all leaves of a range by a function, so that a log may keep them where it likes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from roomkey.errors import RoomkeyError

HASH_SIZE = 32
# Leaves that a log may have; more is nobody's log but somebody's number (RFC 6962 counts in 64 bits).
MAX_SIZE = 2**63 - 1
# A proof has at most one hash for each level of the tree, a consistency proof one more.
MAX_PROOF = 64

# The hash of the whole subtree of the leaves [start, end).
Subtree = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, in one pass."""
    if not leaves:
        return EMPTY_ROOT
    peaks: list[tuple[int, bytes]] = []  # (height, root) of the perfect subtrees so far, the highest first
    for leaf in leaves:
        height, top = 0, leaf
        while peaks and peaks[-1][0] == height:
            top = node_hash(peaks.pop()[1], top)
            height += 1
        peaks.append((height, top))
    top = peaks.pop()[1]
    while peaks:
        top = node_hash(peaks.pop()[1], top)
    return top


def inclusion_proof(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """PATH(index, D[0:size]) (RFC 6962 section 2.1.1): the hashes beside the way up, the lowest first."""
    if not 0 <= index < size:
        raise RoomkeyError("bad-argument", f"expected an index below the size {size}, got {index}")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency_proof(subtree: Subtree, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[0:new]) (RFC 6962 section 2.1.2): empty for old = 0 and old = new."""
    if not 0 <= old <= new:
        raise RoomkeyError("bad-argument", f"expected an old size of at most {new}, got {old}")
    if old in (0, new):
        return []
    start, end, whole, path = 0, new, True, []
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(subtree(start, end))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """That the leaf hash `leaf` stands at `index` in the tree (size, `expected`) (RFC 9162 section 2.1.3.2).

    1. the index lies in the tree; all hashes have their size; the proof has one for each level with a neighbour.
    2. leaf and proof give the root.

    Errors: "log-proof-invalid".
    """
    # 1.
    if not 0 <= index < size <= MAX_SIZE:
        raise _invalid(f"expected a leaf below the tree's size, got {index} of {size}")
    _check_hashes(proof, leaf, expected)
    inner = (index ^ (size - 1)).bit_length()  # levels up to where the way meets the tree's right edge
    border = (index >> inner).bit_count()  # neighbours to the left above it
    if len(proof) != inner + border:
        raise _invalid(f"expected {inner + border} hashes, got {len(proof)}")
    # 2.
    top = leaf
    for level, neighbour in enumerate(proof[:inner]):
        top = node_hash(neighbour, top) if index >> level & 1 else node_hash(top, neighbour)
    for neighbour in proof[inner:]:
        top = node_hash(neighbour, top)
    _expect_root(top, expected, "the leaf")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """That the tree (new, `new_root`) begins with the tree (old, `old_root`) (RFC 9162 section 2.1.4.2).

    An old tree without leaves is refused: everything begins with it, and a proof of that would say nothing.

    1. the new tree is no smaller; one of the same size has the same root and needs no proof.
    2. the proof has as many hashes as the two sizes ask for.
    3. it gives both roots.

    Errors: "log-proof-invalid".
    """
    # 1.
    if not 0 < old <= new <= MAX_SIZE:
        raise _invalid(f"expected an old tree with leaves and a new one of at least {old}, got {new}")
    if old == new:
        if proof:
            raise _invalid(f"expected no hashes, got {len(proof)}")
        _expect_root(new_root, old_root, "the old tree")
        return
    _check_hashes(proof, old_root, new_root)
    # 2. the way up from the last perfect subtree of the old tree
    shift = (old & -old).bit_length() - 1
    index, last = (old - 1) >> shift, (new - 1) >> shift
    inner = (index ^ last).bit_length()
    border = (index >> inner).bit_count()
    seed = 0 if old == 1 << shift else 1  # a perfect old tree is its own seed
    if len(proof) != seed + inner + border:
        raise _invalid(f"expected {seed + inner + border} hashes, got {len(proof)}")
    # 3.
    old_top = new_top = proof[0] if seed else old_root
    rest = proof[seed:]
    for level, neighbour in enumerate(rest[:inner]):
        if index >> level & 1:
            old_top, new_top = node_hash(neighbour, old_top), node_hash(neighbour, new_top)
        else:
            new_top = node_hash(new_top, neighbour)
    for neighbour in rest[inner:]:
        old_top, new_top = node_hash(neighbour, old_top), node_hash(neighbour, new_top)
    _expect_root(old_top, old_root, "the old tree")
    _expect_root(new_top, new_root, "the new tree")


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_hashes(proof: Sequence[bytes], *others: bytes) -> None:
    if len(proof) > MAX_PROOF:
        raise _invalid(f"expected at most {MAX_PROOF} hashes, got {len(proof)}")
    if any(len(item) != HASH_SIZE for item in (*proof, *others)):
        raise _invalid(f"expected hashes of {HASH_SIZE} bytes")


def _expect_root(got: bytes, expected: bytes, what: str) -> None:
    if not hmac.compare_digest(got, expected):
        raise _invalid(f"expected the root that {what} and the proof give, got another")


def _invalid(text: str) -> RoomkeyError:
    return RoomkeyError("log-proof-invalid", text)
