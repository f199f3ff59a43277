"""Joining by a Welcome (RFC 9420 section 12.4.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite, suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.mls import key_schedule
from roomkey.mls.extensions import ExtensionType, duplicate_type, find_extension
from roomkey.mls.framing import MLSMessage
from roomkey.mls.group import NO_PSKS, Group, JoinKeys, Psks, begin_epoch
from roomkey.mls.leaf_node import requirements
from roomkey.mls.psk import PSK_EXTERNAL, USAGE_APPLICATION, PreSharedKeyID, psk_secret
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.transcript import check_confirmation_tag
from roomkey.mls.tree_validation import verify_tree
from roomkey.mls.treekem import joiner_keys
from roomkey.mls.validation import violation
from roomkey.mls.welcome import (
    GroupInfo,
    Welcome,
    find_secrets,
    open_group_info,
    open_group_secrets,
    verify_group_info,
)


class Joined(NamedTuple):
    """The group, the KeyPackage that the Welcome used, and the leaf index of who signed it: who added us."""

    group: Group
    keys: JoinKeys
    signer: int


async def join(
    crypto: CryptoProvider,
    data: bytes,
    ours: Sequence[JoinKeys],
    *,
    tree: bytes | None = None,
    psks: Psks = NO_PSKS,
) -> Joined:
    """Joins by an encoded MLSMessage that carries a Welcome. In this order:

    1. welcome-for-us: it names one of our KeyPackages, and has that one's suite (welcome-suite).
    2. its group secrets and GroupInfo decrypt; PSKs obey their usage (welcome-psk-usage, welcome-epoch) and are known
       (psk-unknown); no extension stands twice (welcome-extensions).
    3. the ratchet tree, from the GroupInfo or beside it, is there (welcome-tree) and valid (`verify_tree`).
    4. welcome-signature: the GroupInfo is signed by its signer's leaf.
    5. welcome-own-leaf: our KeyPackage's leaf stands in the tree; the path secret derives what stands above it, and
       is there unless all of that lists us as unmerged (welcome-path-secret).
    6. welcome-confirmation: the confirmation tag holds.

    Still owed: the truth of the members' identities; that we are not in a group of this id; and what a reinitialised
    or branched group must have in common with the old one (RFC 9420 sections 11.2 and 11.3), for whoever offers
    resumption PSKs. Lifetimes of the members' leaves are not checked; they were when they were added.

    Args:
        ours: KeyPackages that may have been used, with their keys.
        tree: content of a ratchet_tree extension, if the GroupInfo has none.
    Errors: "welcome-not-for-us", "invalid-welcome", "invalid-tree", "invalid-leaf-node", "invalid-signature",
    "invalid-update-path", "decryption-failed", "psk-unknown", "malformed", "unsupported-suite".
    """
    welcome = MLSMessage.decode(data).body
    if not isinstance(welcome, Welcome):
        raise RoomkeyError("invalid-message", f"expected a Welcome, got {type(welcome).__name__}")
    suite = suite_by_number(welcome.cipher_suite)
    # 1.
    references = [keys.key_package.ref(suite_by_number(keys.key_package.cipher_suite)) for keys in ours]
    place, entry = find_secrets(welcome, references)
    keys = ours[place]
    if keys.key_package.cipher_suite != suite.number:
        raise violation("welcome-suite", f"expected {keys.key_package.cipher_suite}, got {suite.number}")
    # 2.
    secrets = await open_group_secrets(crypto, suite, welcome, entry, keys.init)
    psk = psk_secret(suite, [(psk_id, _psk(psk_id, psks)) for psk_id in secrets.psks])
    opener = key_schedule.welcome_secret(suite, secrets.joiner_secret, psk)
    info = await open_group_info(crypto, suite, welcome, opener)
    context = info.group_context
    if context.cipher_suite != suite.number:
        raise violation("welcome-suite", f"expected {suite.number}, got {context.cipher_suite}")
    _check_psks(secrets.psks, context.epoch)
    for extensions in (info.extensions, context.extensions):
        twice = duplicate_type(extensions)
        if twice is not None:
            raise violation("welcome-extensions", f"got type {twice} twice")
    # 3.
    ratchet_tree = _tree(suite, info, tree)
    needs = requirements(context.extensions)
    await verify_tree(crypto, ratchet_tree, context.group_id, context.tree_hash, now=None, needs=needs)
    # 4.
    signer = ratchet_tree.leaf(info.signer)
    if signer is None:
        raise violation("welcome-signature", "got a signer whose leaf is blank")
    await verify_group_info(crypto, suite, signer.signature_key, info)
    # 5.
    own = next((index for index, leaf in ratchet_tree.members() if leaf == keys.key_package.leaf_node), None)
    if own is None:
        raise violation("welcome-own-leaf")
    path_secret = secrets.path_secret.path_secret if secrets.path_secret else None
    path_keys = await joiner_keys(crypto, ratchet_tree, info.signer, own, keys.leaf.encryption, path_secret)
    # 6.
    epoch = key_schedule.start_epoch(suite, secrets.joiner_secret, psk, context)
    confirmed = context.confirmed_transcript_hash
    check_confirmation_tag(
        suite, epoch.secrets.confirmation_key, confirmed, info.confirmation_tag, "welcome-confirmation"
    )
    group = begin_epoch(suite, context, ratchet_tree, own, keys.leaf.signature, path_keys, epoch, info.confirmation_tag)
    return Joined(group, keys, info.signer)


def _tree(suite: CipherSuite, info: GroupInfo, beside: bytes | None) -> RatchetTree:
    data = find_extension(info.extensions, ExtensionType.RATCHET_TREE)
    if data is None:
        data = beside
    if data is None:
        raise violation("welcome-tree", "got none")
    return RatchetTree.decode(suite, data)


def _psk(psk_id: PreSharedKeyID, offered: Psks) -> bytes:
    """A joiner knows no epoch of the group yet, so all keys come from the caller."""
    if psk_id.psktype == PSK_EXTERNAL:
        found = offered.external.get(psk_id.psk_id or b"")
    else:
        found = offered.resumption.get((psk_id.psk_group_id or b"", psk_id.psk_epoch or 0))
    if found is None:
        raise violation("psk-unknown")
    return found


def _check_psks(psk_ids: Sequence[PreSharedKeyID], epoch: int) -> None:
    """Resumption PSKs for ReInit or branch: at most one, and only in a group's first epoch (RFC 9420 sections 11.2
    and 11.3).
    """
    special = [p for p in psk_ids if p.psktype != PSK_EXTERNAL and p.usage != USAGE_APPLICATION]
    if len(special) > 1:
        raise violation("welcome-psk-usage", f"expected at most one for reinit or branch, got {len(special)}")
    if special and epoch != 1:
        raise violation("welcome-epoch", f"got epoch {epoch}")
