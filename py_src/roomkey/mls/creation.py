"""How a group begins (RFC 9420 section 11): with one member, in epoch 0."""

from __future__ import annotations

from collections.abc import Sequence

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import suite_by_number
from roomkey.mls import key_schedule
from roomkey.mls.extensions import Extension
from roomkey.mls.group import Group, JoinKeys, begin_epoch
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_package import check_key_package
from roomkey.mls.leaf_node import requirements
from roomkey.mls.policy import policy_name
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.transcript import confirmation_tag
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.version import MLS10


async def create_group(
    crypto: CryptoProvider,
    key_package: JoinKeys,
    group_id: bytes,
    now: float | None,
    *,
    extensions: Sequence[Extension] = (),
) -> Group:
    """A new group with us as its only member, in epoch 0 (RFC 9420 section 11).

    Args:
        key_package: one of ours, never published: its leaf becomes ours, its suite the group's.
        group_id: unique, chosen by the caller; 32 random bytes are a good choice.
        now: Unix seconds; None leaves the leaf's lifetime unchecked.
        extensions: of the group context.
    Errors: "invalid-key-package", "invalid-leaf-node" with `rule`, if our own leaf lacks what the extensions require;
    "unsupported-policy".
    """
    package, _, keys = key_package
    policy_name(extensions)
    suite = suite_by_number(package.cipher_suite)
    check_key_package(suite, package, now=now, needs=requirements(extensions))
    tree = RatchetTree.of(suite, package.leaf_node)
    context = GroupContext(MLS10, suite.number, group_id, 0, tree_hash(tree), b"", tuple(extensions))
    encryption_secret, secrets = key_schedule.epoch_secrets(suite, crypto.random(suite.nh))
    epoch = key_schedule.NewEpoch(b"", b"", encryption_secret, secrets)
    tag = confirmation_tag(suite, secrets.confirmation_key, b"")
    return begin_epoch(suite, context, tree, 0, keys.signature, {0: keys.encryption}, epoch, tag)
