"""A group as its GroupInfo shows it to those who are not in it yet (RFC 9420 section 12.4.3)."""

from __future__ import annotations

from dataclasses import dataclass

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite, suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.mls.extensions import ExtensionType, duplicate_type, find_extension
from roomkey.mls.framing import MLSMessage
from roomkey.mls.group_context import GroupContext
from roomkey.mls.leaf_node import MAX_LIFETIME, requirements
from roomkey.mls.policy import policy_name
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.tree_validation import verify_tree
from roomkey.mls.validation import violation
from roomkey.mls.welcome import GroupInfo, verify_group_info


@dataclass(frozen=True)
class OpenGroup:
    """A group as its GroupInfo shows it to an outsider, proved by `read_group_info`."""

    suite: CipherSuite
    info: GroupInfo
    tree: RatchetTree

    @property
    def context(self) -> GroupContext:
        return self.info.group_context


async def read_group_info(
    crypto: CryptoProvider, group_info: bytes, *, tree: bytes | None = None, max_lifetime: float = MAX_LIFETIME
) -> OpenGroup:
    """Reads an encoded MLSMessage that carries a GroupInfo, in this order:

    1. its suite is one of ours (unsupported-suite), no extension stands twice (welcome-extensions), the group's policy
       is one we know (context-policy).
    2. the ratchet tree, from the GroupInfo or beside it, is there (welcome-tree) and valid (`verify_tree`).
    3. welcome-signature: the GroupInfo is signed by its signer's leaf.

    What this cannot prove: the confirmation tag, which only members can compute, and that the epoch is the newest. An
    insider could show a wrong tag or external_pub, and the members then refuse our commit. Still owed: the truth of
    the members' identities, and that we are not in a group of this id.

    Args:
        tree: content of a ratchet_tree extension, if the GroupInfo has none.
        max_lifetime: as in `Policy`; leaves that live longer are refused, those whose time is over are not.
    Errors: "invalid-message" for another kind of message, "invalid-welcome", "invalid-tree", "invalid-leaf-node",
    "invalid-signature", "unsupported-suite", "unsupported-policy", "malformed".
    """
    body = MLSMessage.decode(group_info).body
    if not isinstance(body, GroupInfo):
        raise RoomkeyError("invalid-message", f"expected a GroupInfo, got {type(body).__name__}")
    # 1.
    suite = suite_by_number(body.group_context.cipher_suite)
    return OpenGroup(suite, body, await verify_info(crypto, suite, body, tree, max_lifetime))


async def verify_info(
    crypto: CryptoProvider, suite: CipherSuite, info: GroupInfo, beside: bytes | None, max_lifetime: float
) -> RatchetTree:
    """The ratchet tree of a GroupInfo, after the checks that every reader of one makes: those of `read_group_info`."""
    context = info.group_context
    for extensions in (info.extensions, context.extensions):
        twice = duplicate_type(extensions)
        if twice is not None:
            raise violation("welcome-extensions", f"got type {twice} twice")
    policy_name(context.extensions)
    # 2.
    data = find_extension(info.extensions, ExtensionType.RATCHET_TREE)
    data = beside if data is None else data
    if data is None:
        raise violation("welcome-tree", "got none")
    tree = RatchetTree.decode(suite, data)
    needs = requirements(context.extensions)
    await verify_tree(
        crypto, tree, context.group_id, context.tree_hash, now=None, needs=needs, max_lifetime=max_lifetime
    )
    # 3.
    signer = tree.leaf(info.signer)
    if signer is None:
        raise violation("welcome-signature", "got a signer whose leaf is blank")
    await verify_group_info(crypto, suite, signer.signature_key, info)
    return tree
