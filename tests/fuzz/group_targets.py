"""Targets that change a group: messages to a member, Welcomes to a newcomer. Both are sent by insiders who can sign."""

from __future__ import annotations

from functools import cache

from roomkey.errors import RoomkeyError
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.framing import MLSMessage
from roomkey.mls.group import Group, JoinKeys
from roomkey.mls.joining import join
from roomkey.mls.processing import process
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.state import decode_group, encode_group
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.tree_validation import check_members, check_unmerged_leaves

from tests.fuzz import scene
from tests.fuzz.forgiving import Forgiving, forgiving_tags
from tests.fuzz.inside import inside
from tests.fuzz.target import DECODING, Finding, Target, finish, refused

# As `process` documents them.
PROCESSING = DECODING | {
    "wrong-group", "wrong-epoch", "own-message", "invalid-message", "invalid-signature", "invalid-tag",
    "decryption-failed", "key-consumed", "generation-too-far", "too-many-proposals", "invalid-proposal",
    "invalid-commit", "invalid-update-path", "invalid-tree", "invalid-key-package", "invalid-leaf-node", "invalid-key",
    "unknown-proposal", "unsupported-proposal", "external-commit-refused", "psk-unknown", "unsupported-policy",
}  # fmt: skip
# As `join` documents them.
JOINING = DECODING | {
    "welcome-not-for-us", "invalid-welcome", "invalid-message", "invalid-tree", "invalid-leaf-node",
    "invalid-signature", "invalid-update-path", "decryption-failed", "psk-unknown", "unsupported-suite",
    "unsupported-policy",
}  # fmt: skip


@cache
def _played() -> tuple[Group, dict[str, bytes], JoinKeys, dict[str, bytes]]:
    """Bob with proposals, messages to him, erin's keys, Welcomes to her."""
    with forgiving_tags():
        played = finish(scene.make_scene())
        sent = finish(scene.messages(played))
        group = finish(scene.bob_with_proposals(played, sent))
        erin, welcomes = finish(scene.welcomes(played))
    return group, sent | scene.by_references(group), erin, welcomes


@cache
def _bob() -> tuple[Group, bytes]:
    group = _played()[0]
    return group, encode_group(group)


def check_group(group: Group) -> None:
    """Whatever was accepted: a group that is whole, and can be stored and loaded again."""
    check_members(group.tree)
    check_unmerged_leaves(group.tree)
    if tree_hash(RatchetTree(group.suite, group.tree.nodes)) != group.context.tree_hash:
        raise Finding("expected the context's tree hash, got another")
    if group.tree.leaf(group.own_leaf) is None:
        raise Finding("expected our own leaf in the tree")
    stored = encode_group(group)
    if encode_group(decode_group(stored)) != stored:
        raise Finding("expected the group that was stored, got another")


def run_process(data: bytes) -> bool:
    group, before = _bob()
    with forgiving_tags():
        try:
            done = finish(process(Forgiving("run"), group, data, policy=scene.POLICY, psks=scene.PSKS))
        except RoomkeyError as error:
            taken = refused(error, PROCESSING)
        else:
            taken = True
            if isinstance(done.event, CommitProcessed) and not done.event.self_removed:
                if done.group.epoch != group.epoch + 1:
                    raise Finding("expected the next epoch after a commit")
                check_group(done.group)
            elif done.group.epoch != group.epoch:
                raise Finding("expected the same epoch")
    if encode_group(group) != before:
        raise Finding("expected a group that stays as it was")
    return taken


def run_join(data: bytes) -> bool:
    keys = erin()
    with forgiving_tags():
        try:
            joined = finish(join(Forgiving("run"), data, [keys], psks=scene.PSKS))
        except RoomkeyError as error:
            return refused(error, JOINING)
        if joined.group.leaf != keys.key_package.leaf_node:
            raise Finding("expected our own leaf")
        # A Welcome's GroupInfo may state any tree hash here: `Forgiving` takes every one for the right one.
        tree = joined.group.tree
        check_members(tree)
        check_unmerged_leaves(tree)
        stored = encode_group(joined.group)
        if encode_group(decode_group(stored)) != stored:
            raise Finding("expected the group that was stored, got another")
    return True


def bob() -> Group:
    """The group as bob sees it, with proposals of every kind."""
    return _played()[0]


def messages_to_bob() -> dict[str, bytes]:
    return _played()[1]


def erin() -> JoinKeys:
    return _played()[2]


def welcomes_to_erin() -> dict[str, bytes]:
    return _played()[3]


def targets() -> list[Target]:
    return [
        Target("process", run_process, messages_to_bob, MLSMessage.codec(), inside),
        Target("join", run_join, welcomes_to_erin, MLSMessage.codec(), inside),
    ]
