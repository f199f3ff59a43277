"""Joining by a Welcome (RFC 9420 section 12.4.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.mls import key_schedule
from roomkey.mls.framing import MLSMessage
from roomkey.mls.group import NO_PSKS, Group, JoinKeys, Psks, begin_epoch
from roomkey.mls.leaf_node import MAX_LIFETIME
from roomkey.mls.open_group import verify_info
from roomkey.mls.psk import PSK_EXTERNAL, USAGE_APPLICATION, PreSharedKeyID, psk_secret
from roomkey.mls.successor import Agreed, Who, by_credential, check_successor, nothing_agreed
from roomkey.mls.transcript import check_confirmation_tag
from roomkey.mls.treekem import joiner_keys
from roomkey.mls.validation import violation
from roomkey.mls.welcome import (
    Welcome,
    find_secrets,
    open_group_info,
    open_group_secrets,
)


class Joined(NamedTuple):
    """The group, the KeyPackage that the Welcome used, and the leaf index of who signed it: who added us. `link` is the
    PSK by which it follows on a former group of ours, None for one that follows on none.
    """

    group: Group
    keys: JoinKeys
    signer: int
    link: PreSharedKeyID | None = None


async def join(
    crypto: CryptoProvider,
    data: bytes,
    ours: Sequence[JoinKeys],
    *,
    tree: bytes | None = None,
    psks: Psks = NO_PSKS,
    former: Sequence[Group] = (),
    who: Who = by_credential,
    again: Agreed = nothing_agreed,
    max_lifetime: float = MAX_LIFETIME,
) -> Joined:
    """Joins by an encoded MLSMessage that carries a Welcome. In this order:

    1. welcome-for-us: it names one of our KeyPackages, and has that one's suite (welcome-suite).
    2. its group secrets and GroupInfo decrypt; PSKs obey their usage (welcome-psk-usage, welcome-epoch), are known
       (psk-unknown), those of a reinitialised or branched group by `former` alone, and have nonces of the right length
       (welcome-psk-nonce); no extension stands twice (welcome-extensions), and the group's policy is one we know
       (context-policy).
    3. the ratchet tree, from the GroupInfo or beside it, is there (welcome-tree) and valid (`verify_tree`).
    4. welcome-signature: the GroupInfo is signed by its signer's leaf.
    5. welcome-own-leaf: our KeyPackage's leaf stands in the tree; the path secret derives what stands above it, and
       is there unless all of that lists us as unmerged (welcome-path-secret).
    6. welcome-confirmation: the confirmation tag holds.
    7. a group that follows on another has in common with it what it must (`successor.check_successor`).

    Still owed: the truth of the members' identities, and that we are not in a group of this id. That now lies in the
    lifetimes of the members' leaves is not checked; it was when they were added.

    Args:
        ours: KeyPackages that may have been used, with their keys.
        tree: content of a ratchet_tree extension, if the GroupInfo has none.
        psks: external PSKs, and resumption PSKs of usage application.
        former: groups of ours that this one may follow on, each in our newest epoch; who: whom a leaf stands for.
        again: as for `check_successor`.
        max_lifetime: as in `Policy`.
    Errors: "welcome-not-for-us", "invalid-welcome", "invalid-tree", "invalid-leaf-node", "invalid-signature",
    "invalid-update-path", "decryption-failed", "psk-unknown", "malformed", "unsupported-suite", "unsupported-policy".
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
    link = _link(secrets.psks)
    old = None if link is None else _former(link, former)
    linked = {} if link is None or old is None else {link: old.psk(link, NO_PSKS)}
    used = [(psk_id, linked.get(psk_id) or psks.key(psk_id)) for psk_id in secrets.psks]
    psk = psk_secret(suite, used)
    for psk_id in secrets.psks:
        if len(psk_id.psk_nonce) != suite.nh:
            raise violation("welcome-psk-nonce", f"expected {suite.nh} bytes, got {len(psk_id.psk_nonce)}")
    opener = key_schedule.welcome_secret(suite, secrets.joiner_secret, psk)
    info = await open_group_info(crypto, suite, welcome, opener)
    context = info.group_context
    if context.cipher_suite != suite.number:
        raise violation("welcome-suite", f"expected {suite.number}, got {context.cipher_suite}")
    if link is not None and context.epoch != 1:
        raise violation("welcome-epoch", f"got epoch {context.epoch}")
    # 3. and 4.
    ratchet_tree = await verify_info(crypto, suite, info, tree, max_lifetime)
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
    # 7.
    if link is not None and old is not None:
        check_successor(old, link, context, ratchet_tree, who, again)
    group = begin_epoch(suite, context, ratchet_tree, own, keys.leaf.signature, path_keys, epoch, info.confirmation_tag)
    return Joined(group, keys, info.signer, link)


async def link_of(crypto: CryptoProvider, welcome: Welcome, ours: JoinKeys) -> PreSharedKeyID | None:
    """Which group of ours a Welcome says that it follows on, before anything of it is proved; None if on none.

    Args:
        ours: the KeyPackage that it names, with its keys.
    Errors: "welcome-not-for-us", "invalid-welcome", "decryption-failed", "malformed", "unsupported-suite".
    """
    suite = suite_by_number(welcome.cipher_suite)
    _, entry = find_secrets(welcome, [ours.key_package.ref(suite_by_number(ours.key_package.cipher_suite))])
    if ours.key_package.cipher_suite != suite.number:
        raise violation("welcome-suite", f"expected {ours.key_package.cipher_suite}, got {suite.number}")
    return _link((await open_group_secrets(crypto, suite, welcome, entry, ours.init)).psks)


def _link(psk_ids: Sequence[PreSharedKeyID]) -> PreSharedKeyID | None:
    """The PSK that links the group to one it reinitialises or branches, at most one (RFC 9420 section 12.4.3.1)."""
    links = [p for p in psk_ids if p.psktype != PSK_EXTERNAL and p.usage != USAGE_APPLICATION]
    if len(links) > 1:
        raise violation("welcome-psk-usage", f"expected at most one for reinit or branch, got {len(links)}")
    return links[0] if links else None


def _former(link: PreSharedKeyID, former: Sequence[Group]) -> Group:
    for group in former:
        if group.group_id == link.psk_group_id:
            return group
    raise violation("psk-unknown", "got one of a former group that was not given")
