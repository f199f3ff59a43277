"""What clients outside a group send to it: external commits and external proposals (RFC 9420 sections 12.4.3.2 and
12.1.8).

    read_group_info     a GroupInfo, proved as far as an outsider can (`open_group`)
    external_commit     joins by oneself, or comes back in place of one's old leaf
    propose_external    a proposal by a sender whom the group's external_senders list
    propose_own_add     a proposal to be added

Whether members take them is the group's policy (`policy`), members-only unless told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import suite_by_number
from roomkey.mls import protection
from roomkey.mls.commit import Commit
from roomkey.mls.extensions import ExtensionType, ExternalPub, external_senders, find_extension
from roomkey.mls.framing import (
    COMMIT,
    EXTERNAL,
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    PROPOSAL,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    PublicMessage,
    Sender,
    message,
)
from roomkey.mls.group import NO_PSKS, Group, JoinKeys, Psks, begin_epoch
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_package import check_key_package
from roomkey.mls.key_schedule import make_external_init, next_epoch
from roomkey.mls.leaf_node import MAX_LIFETIME, requirements
from roomkey.mls.open_group import read_group_info as read_group_info
from roomkey.mls.policy import STRICT, Policy, in_force
from roomkey.mls.proposal_list import check_psk, may_come_from_outside
from roomkey.mls.proposals import Add, ExternalInit, PreSharedKey, Proposal, Remove, by_value, proposal
from roomkey.mls.psk import PreSharedKeyID, psk_secret
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.transcript import confirmation_tag, confirmed_transcript_hash, interim_transcript_hash
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.tree_validation import check_members
from roomkey.mls.treekem import new_path, seal_path
from roomkey.mls.validation import violation

# What a group is asked to take when nobody says otherwise: a group without a policy of its own decides by itself.
_HOPED = Policy(external_commits=True, stranger_adds=True)


@dataclass(frozen=True, repr=False)
class ExternalCommit:
    """A commit by which we join; it has not won yet.

    Attributes:
        message: the commit, an encoded MLSMessage (a PublicMessage).
        group: the group once it has won.
        replaced: the leaf index that it removes; None where it only joins.
        made_keys: pairs generated for `group`: to be forgotten if the commit loses.
    """

    message: bytes
    group: Group
    replaced: int | None
    made_keys: tuple[KeyPair, ...]


async def external_commit(
    crypto: CryptoProvider,
    group_info: bytes,
    ours: JoinKeys,
    now: float | None,
    *,
    tree: bytes | None = None,
    psk_ids: Sequence[PreSharedKeyID] = (),
    psks: Psks = NO_PSKS,
    replaces: int | None = None,
    authenticated_data: bytes = b"",
    max_lifetime: float = MAX_LIFETIME,
) -> ExternalCommit:
    """Joins a group by an external commit (RFC 9420 section 12.4.3.2), after these checks:

    1. those of `read_group_info`.
    2. external-off: the group's policy, if it has one, lets strangers join; welcome-external-pub: it says by which key.
    3. welcome-suite and what `check_key_package` asks: our KeyPackage fits the group.
    4. who comes back removes their own leaf: it is there (remove-leaf), bears our credential (external-remove-self).
    5. what `check_members` asks of the new tree: our keys are nobody else's.

    Args:
        ours: a KeyPackage of ours, whose leaf says what ours will; the leaf's encryption key is made anew, the init
            key not used. It may, but need not be published.
        now: Unix seconds, for its lifetime; None leaves that unchecked.
        tree: as for `read_group_info`.
        psk_ids: PSKs to bring in, of usage application; their keys are in `psks`.
        replaces: leaf index of our old leaf; None takes the one that has our signature key, if one does.
        max_lifetime: as in `Policy`.
    Errors: those of `read_group_info`; "external-commit-refused", "invalid-key-package", "invalid-proposal",
    "invalid-commit", "psk-unknown", "invalid-key".
    """
    # 1.
    known = await read_group_info(crypto, group_info, tree=tree, max_lifetime=max_lifetime)
    suite, info, context = known.suite, known.info, known.context
    # 2.
    if not in_force(context.extensions, _HOPED).external_commits:
        raise violation("external-off")
    data = find_extension(info.extensions, ExtensionType.EXTERNAL_PUB)
    external_pub = b"" if data is None else ExternalPub.decode(data).external_pub
    if len(external_pub) != suite.npk:
        raise violation("welcome-external-pub", f"expected {suite.npk} bytes, got {len(external_pub)}")
    # 3.
    package = ours.key_package
    if package.cipher_suite != suite.number:
        raise violation("welcome-suite", f"expected {suite.number}, got {package.cipher_suite}")
    check_key_package(suite, package, now=now, needs=requirements(context.extensions))
    context.expect_another()
    # 4.
    old = _old_leaf(known.tree, ours, replaces)
    kem_output, init_secret = await make_external_init(crypto, suite, external_pub)
    items = [proposal(ExternalInit(kem_output))]
    after = known.tree
    if old is not None:
        items.append(proposal(Remove(old)))
        after = after.remove([old])
    for psk_id in psk_ids:
        check_psk(suite, psk_id)
    if len(set(psk_ids)) != len(psk_ids):
        raise violation("commit-psk-twice")
    items += [proposal(PreSharedKey(psk_id)) for psk_id in psk_ids]
    psk = psk_secret(suite, [(psk_id, psks.key(psk_id)) for psk_id in psk_ids])

    after, place = after.make_room()
    (encryption,) = await crypto.generate_keys(suite.group, 1)
    leaf, signature = package.leaf_node, ours.leaf.signature
    new = await new_path(crypto, after, place, leaf, encryption, signature, context.group_id)
    # 5.
    check_members(new.tree)
    provisional = context.following(tree_hash(new.tree), context.extensions)
    path = await seal_path(crypto, new, (), provisional.encode())
    content = Commit(tuple(by_value(item) for item in items), path)
    sender = Sender(NEW_MEMBER_COMMIT)
    framed = FramedContent(context.group_id, context.epoch, sender, authenticated_data, COMMIT, content)
    (signed,) = await protection.sign(crypto, suite, context, [(signature, PUBLIC_MESSAGE, framed)])
    interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, info.confirmation_tag)
    confirmed = confirmed_transcript_hash(suite, interim, PUBLIC_MESSAGE, framed, signed)
    new_context = provisional.replace(confirmed_transcript_hash=confirmed)
    epoch = next_epoch(suite, init_secret, new.commit_secret, psk, new_context)
    tag = confirmation_tag(suite, epoch.secrets.confirmation_key, confirmed)
    group = begin_epoch(suite, new_context, new.tree, place, signature, new.keys, epoch, tag)
    data = message(PublicMessage(framed, signed, tag)).encode()
    return ExternalCommit(data, group, old, (encryption,))


async def propose_external(
    crypto: CryptoProvider,
    context: GroupContext,
    key: KeyPair,
    item: Proposal,
    *,
    policy: Policy = STRICT,
    authenticated_data: bytes = b"",
) -> bytes:
    """A proposal from outside by a sender whom the group's external_senders list (RFC 9420 section 12.1.8), an encoded
    MLSMessage.

    Args:
        context: of the group's current epoch, as a GroupInfo shows it.
        key: the sender's; its public half says which entry we are.
        policy: which custom proposals may come from outside.
    Errors: "invalid-proposal" with rule proposal-external-type or proposal-external-sender, "unsupported-suite".
    """
    if not may_come_from_outside(item, policy):
        raise violation("proposal-external-type", f"got type {item.proposal_type}")
    known = external_senders(context.extensions)
    place = next((index for index, sender in enumerate(known) if sender.signature_key == key.public), None)
    if place is None:
        raise violation("proposal-external-sender", f"got none of its {len(known)}")
    return await _propose(crypto, context, Sender(EXTERNAL, sender_index=place), key, item, authenticated_data)


async def propose_own_add(
    crypto: CryptoProvider, context: GroupContext, ours: JoinKeys, now: float | None, *, authenticated_data: bytes = b""
) -> bytes:
    """A proposal that we be added, which any member may commit (RFC 9420 section 12.1.8), an encoded MLSMessage; the
    Welcome will name our KeyPackage.

    Args:
        context: as for `propose_external`.
        now: Unix seconds, for our KeyPackage's lifetime; None leaves that unchecked.
    Errors: "external-commit-refused" where the group's policy says so, "invalid-key-package", "invalid-leaf-node",
    "unsupported-suite", "unsupported-policy".
    """
    if not in_force(context.extensions, _HOPED).stranger_adds:
        raise violation("proposal-new-member-off")
    package = ours.key_package
    check_key_package(suite_by_number(context.cipher_suite), package, now=now, needs=requirements(context.extensions))
    item = proposal(Add(package))
    return await _propose(crypto, context, Sender(NEW_MEMBER_PROPOSAL), ours.leaf.signature, item, authenticated_data)


async def _propose(
    crypto: CryptoProvider,
    context: GroupContext,
    sender: Sender,
    key: KeyPair,
    item: Proposal,
    authenticated_data: bytes,
) -> bytes:
    suite = suite_by_number(context.cipher_suite)
    framed = FramedContent(context.group_id, context.epoch, sender, authenticated_data, PROPOSAL, item)
    (signature,) = await protection.sign(crypto, suite, context, [(key, PUBLIC_MESSAGE, framed)])
    content = AuthenticatedContent(PUBLIC_MESSAGE, framed, signature)
    # There is no membership tag to make: that is a member's.
    return message(protection.protect_public(suite, context, b"", content)).encode()


def _old_leaf(tree: RatchetTree, ours: JoinKeys, replaces: int | None) -> int | None:
    """Step 4. A client is its signature key, unless the caller knows better (credentials may be shared by devices)."""
    leaf = ours.key_package.leaf_node
    if replaces is None:
        replaces = next((i for i, other in tree.members() if other.signature_key == leaf.signature_key), None)
        if replaces is None:
            return None
    before = tree.leaf(replaces)
    if before is None:
        raise violation("remove-leaf", f"got leaf {replaces}")
    if before.credential != leaf.credential:
        raise violation("external-remove-self", "got another's leaf")
    return replaces
