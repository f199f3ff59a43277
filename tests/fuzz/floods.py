"""Large messages to a group and to a newcomer, of insiders who can sign: as many of one thing as fit.

Unlike `bombs` these decode, and go as deep as the rules let them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from roomkey.crypto.labels import HPKECiphertext
from roomkey.mls.commit import Commit
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.framing import APPLICATION, COMMIT, MLSMessage, PrivateMessage, member, message
from roomkey.mls.group import Group
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.private_content import PrivateApplication, SenderData
from roomkey.mls.proposals import (
    Add,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    Remove,
    by_reference,
    by_value,
    proposal,
)
from roomkey.mls.psk import external_psk
from roomkey.mls.ratchet_tree import ParentNode, RatchetTree
from roomkey.mls.treekem import UpdatePath, UpdatePathNode
from roomkey.mls.welcome import EncryptedGroupSecrets, GroupInfo, GroupSecrets, PathSecret, Welcome

from tests.fuzz import group_targets, scene
from tests.fuzz.forgiving import signature_of

_SUITE = scene.SUITE
_TAG = bytes(16)


def _commit(group: Group, *items: Proposal, path: UpdatePath | None = None) -> bytes:
    content = Commit(tuple(by_value(item) for item in items), path)
    return scene.public(scene.frame(group, member(0), COMMIT, content))


def _key(number: int) -> bytes:
    return number.to_bytes(4, "big") * 8


def to_bob() -> dict[str, Callable[[int], bytes]]:
    """By name: a message with so many things in it."""
    group, package = group_targets.bob(), group_targets.erin().key_package
    leaf = package.leaf_node

    def add(number: int) -> Proposal:
        return proposal(Add(package.replace(leaf_node=leaf.replace(signature_key=_key(number)))))

    def nodes(count: int) -> UpdatePath:
        return UpdatePath(leaf, tuple(UpdatePathNode(_key(n), (HPKECiphertext(b"", b""),)) for n in range(count)))

    def application(size: int, padding: int) -> bytes:
        sealed = PrivateApplication(bytes(size), signature_of(b""), bytes(padding)).encode() + _TAG
        sender = SenderData(0, 0, bytes(4)).encode() + _TAG
        return message(PrivateMessage(group.group_id, group.epoch, APPLICATION, b"", sender, sealed)).encode()

    def extensions(count: int) -> tuple[Extension, ...]:
        return tuple(Extension(0x4000 + n, b"") for n in range(count))

    def able(count: int) -> LeafNode:
        numbers = tuple(number % 65536 for number in range(count))
        return leaf.replace(capabilities=leaf.capabilities.replace(extensions=numbers))

    empty = UpdatePath(leaf, (UpdatePathNode(_key(1), ()),))
    return {
        "adds": lambda n: _commit(group, *map(add, range(n))),
        "one add": lambda n: _commit(group, *(add(1) for _ in range(n))),
        "removes": lambda n: _commit(group, *(proposal(Remove(number)) for number in range(n))),
        "psks": lambda n: _commit(
            group, *(proposal(PreSharedKey(external_psk(b"psk", _key(number)))) for number in range(n))
        ),
        "unknown psks": lambda n: _commit(
            group, *(proposal(PreSharedKey(external_psk(_key(number), bytes(32)))) for number in range(n))
        ),
        "custom": lambda n: _commit(group, *(Proposal(scene.CUSTOM, b"") for _ in range(n)), path=empty),
        "unknown": lambda n: _commit(group, *(Proposal(0xF100, b"") for _ in range(n))),
        "extensions": lambda n: _commit(group, proposal(GroupContextExtensions(extensions(n)))),
        "references": lambda n: scene.public(
            scene.frame(
                group, member(0), COMMIT,
                Commit(tuple(by_reference(group.proposals[0].reference) for _ in range(n)), None),
            )
        ),
        "unknown references": lambda n: scene.public(
            scene.frame(group, member(0), COMMIT, Commit(tuple(by_reference(_key(k)) for k in range(n)), None))
        ),
        "path nodes": lambda n: _commit(group, path=nodes(n)),
        "application": lambda n: application(16 * n, 0),
        "padding": lambda n: application(0, 16 * n),
        "leaf extensions": lambda n: _commit(
            group, path=UpdatePath(leaf.replace(extensions=extensions(n)), ())
        ),
        "capabilities": lambda n: _commit(group, path=UpdatePath(able(n), ())),
    }  # fmt: skip


@cache
def _sealed() -> tuple[Welcome, GroupSecrets, GroupInfo]:
    welcome = MLSMessage.decode(group_targets.welcomes_to_erin()["bare"]).body
    assert isinstance(welcome, Welcome)
    secrets = GroupSecrets.decode(welcome.secrets[0].encrypted_group_secrets.ciphertext[:-16])
    return welcome, secrets, GroupInfo.decode(welcome.encrypted_group_info[:-16])


def _welcome(info: GroupInfo | bytes, secrets: GroupSecrets | None = None, strangers: int = 0) -> bytes:
    welcome, known, _ = _sealed()
    plain = info if isinstance(info, bytes) else info.encode()
    first = welcome.secrets[0]
    secret = HPKECiphertext(first.encrypted_group_secrets.kem_output, (secrets or known).encode() + _TAG)
    others = tuple(EncryptedGroupSecrets(_key(n), HPKECiphertext(b"", b"")) for n in range(strangers))
    entries = (*others, EncryptedGroupSecrets(first.new_member, secret))
    return message(Welcome(_SUITE.number, entries, plain + _TAG)).encode()


def to_erin() -> dict[str, Callable[[int], bytes]]:
    """By name: a Welcome with so many things in it."""
    _, secrets, info = _sealed()
    erin = group_targets.erin().key_package.leaf_node

    def with_tree(tree: RatchetTree) -> bytes:
        return _welcome(info.replace(extensions=(Extension(ExtensionType.RATCHET_TREE, tree.encode()),)))

    def members(count: int, parent: bool = False, unmerged: bool = False) -> RatchetTree:
        """Members in a tree of a power of two; with parents, whose unmerged leaves are all leaves below them."""
        width = 1 << (count - 1).bit_length()
        nodes: list[object] = []
        for number in range(width):
            nodes.append(erin.replace(encryption_key=_key(number), signature_key=_key(number)) if number else erin)
            nodes.append(None)
        if parent:
            for position in range(1, 2 * width - 1, 2):
                half = (~position & (position + 1)) >> 1
                below = tuple(range((position - 2 * half + 2) // 2, (position + 2 * half) // 2))
                nodes[position] = ParentNode(_key(width + position), b"", below[1:] if unmerged else ())
        return RatchetTree(_SUITE, nodes[:-1])  # type: ignore[arg-type]

    def psks(count: int) -> GroupSecrets:
        return secrets.replace(psks=tuple(external_psk(b"psk", _key(number)) for number in range(count)))

    return {
        "members": lambda n: with_tree(members(n)),
        "parents": lambda n: with_tree(members(n, True)),
        "unmerged": lambda n: with_tree(members(n, True, True)),
        "blanks": lambda n: with_tree(RatchetTree(_SUITE, [erin, *([None] * (2 * n - 1)), erin])),
        "strangers": lambda n: _welcome(info, strangers=n),
        "psks": lambda n: _welcome(info, psks(n)),
        "extensions": lambda n: _welcome(
            info.replace(extensions=(*info.extensions, *(Extension(0x4000 + k, b"") for k in range(n))))
        ),
        "noise": lambda n: _welcome(bytes(16 * n)),
        "path secret": lambda n: _welcome(info, secrets.replace(path_secret=PathSecret(bytes(16 * n)))),
    }
