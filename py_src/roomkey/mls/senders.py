"""Who may have sent a content, and the key that its signature must verify with (RFC 9420 section 6.1)."""

from __future__ import annotations

from roomkey.mls.commit import Commit
from roomkey.mls.extensions import external_senders
from roomkey.mls.framing import (
    EXTERNAL,
    MEMBER,
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    PROPOSAL,
    FramedContent,
)
from roomkey.mls.group import Group
from roomkey.mls.policy import Policy
from roomkey.mls.proposal_list import may_come_from_outside
from roomkey.mls.proposals import Add, Proposal
from roomkey.mls.validation import violation


def expect_other(group: Group, index: int) -> None:
    """That a leaf index is another member's. Errors: "invalid-message", "own-message"."""
    if group.tree.leaf(index) is None:
        raise violation("message-sender-member", f"got leaf {index}")
    if index == group.own_leaf:
        raise violation("message-own")


def sender_key(group: Group, framed: FramedContent, policy: Policy) -> bytes:
    """The public key that a content's signature must verify with (RFC 9420 section 6.1).

    Errors: "invalid-message", "own-message", "invalid-proposal", "invalid-commit", "external-commit-refused".
    """
    sender, content = framed.sender, framed.content
    if sender.sender_type == MEMBER:
        index = sender.leaf_index or 0
        expect_other(group, index)
        leaf = group.tree.leaf(index)
        assert leaf is not None
        return leaf.signature_key
    if sender.sender_type == EXTERNAL:
        known = external_senders(group.context.extensions)
        if framed.content_type != PROPOSAL:
            raise violation("message-sender-type", f"got content type {framed.content_type} from outside")
        if sender.sender_index is None or sender.sender_index >= len(known):
            raise violation("proposal-external-sender", f"got sender {sender.sender_index} of {len(known)}")
        if not (isinstance(content, Proposal) and may_come_from_outside(content, policy)):
            raise violation("proposal-external-type")
        return known[sender.sender_index].signature_key
    if sender.sender_type == NEW_MEMBER_PROPOSAL:
        if not isinstance(content, Proposal) or not isinstance(content.body, Add):
            raise violation("proposal-new-member")
        if not policy.stranger_adds:
            raise violation("proposal-new-member-off")
        return content.body.key_package.leaf_node.signature_key
    assert sender.sender_type == NEW_MEMBER_COMMIT
    if not isinstance(content, Commit) or content.path is None:
        raise violation("external-path" if isinstance(content, Commit) else "message-sender-type")
    return content.path.leaf_node.signature_key
