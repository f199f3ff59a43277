"""The validation rules of RFC 9420 on the receiving side, each with an id, its clause and what it asks.

Code refers to a rule by its id, `raise violation("commit-removes-committer")`; the error carries the id in
`details["rule"]`. `tests/unit/test_validation_rules.py` holds one test per id and fails for a rule without one.
"""

from __future__ import annotations

from typing import NamedTuple

from roomkey.errors import RoomkeyError


class Rule(NamedTuple):
    code: str  # of the RoomkeyError
    clause: str  # of RFC 9420
    text: str


RULES: dict[str, Rule] = {
    # -- framing --
    "message-group": Rule("wrong-group", "6", "the message names this group"),
    "message-epoch": Rule("wrong-epoch", "6", "handshake messages belong to the current epoch"),
    "message-sender-member": Rule("invalid-message", "6.1", "a member sender's leaf is not blank"),
    "message-sender-type": Rule("invalid-message", "6", "the sender type is allowed for the content"),
    "message-application-encrypted": Rule("invalid-message", "6", "application messages are PrivateMessages"),
    "message-signature": Rule("invalid-signature", "6.1", "the sender's signature over the content holds"),
    "message-own": Rule("own-message", "15.2", "a message of our own is not processed as another's"),
    # -- proposals, one by one --
    "proposal-type-supported": Rule(
        "invalid-proposal", "12.1, 12.2", "every member's capabilities list a non-default proposal type"
    ),
    "proposal-unknown": Rule("unsupported-proposal", "12.1.8", "custom proposals are taken only by policy"),
    "proposal-external-type": Rule(
        "invalid-proposal", "12.1.8", "external senders propose only what section 12.1.8 lists"
    ),
    "proposal-external-sender": Rule(
        "invalid-proposal", "12.1.8.1", "an external sender is listed in external_senders"
    ),
    "proposal-new-member": Rule(
        "invalid-proposal", "12.1.8", "new_member_proposal carries an Add signed by its KeyPackage's leaf"
    ),
    "add-key-package": Rule(
        "invalid-proposal", "12.1.1", "the KeyPackage is valid (section 10.1) for the group's version and suite"
    ),
    "update-leaf-source": Rule(
        "invalid-proposal", "12.1.2", "the leaf_node_source of an Update is update, its leaf is valid"
    ),
    "update-encryption-key": Rule("invalid-proposal", "12.1.2", "the encryption key of an Update is new"),
    "update-sender": Rule("invalid-proposal", "12.1.2", "an Update comes from a member"),
    "remove-leaf": Rule("invalid-proposal", "12.1.3", "the removed leaf exists and is not blank"),
    "psk-type": Rule(
        "invalid-proposal", "12.1.4", "a PreSharedKey proposal is external, or resumption with usage application"
    ),
    "psk-nonce": Rule("invalid-proposal", "12.1.4", "psk_nonce has the length of the KDF's output"),
    "psk-unknown": Rule("psk-unknown", "8.4", "every PreSharedKey that a commit uses is known here"),
    "reinit-version": Rule("invalid-proposal", "12.1.5", "ReInit does not lower the protocol version"),
    "context-extensions": Rule(
        "invalid-proposal", "12.1.7", "all members support the new extensions and required capabilities"
    ),
    # -- proposals, as a list --
    "commit-update-committer": Rule("invalid-commit", "12.2", "no Update by the committer"),
    "commit-removes-committer": Rule("invalid-commit", "12.2", "no Remove of the committer"),
    "commit-one-per-leaf": Rule("invalid-commit", "12.2", "at most one Update or Remove for a leaf"),
    "commit-add-twice": Rule("invalid-commit", "12.2", "no two Adds for the same client"),
    "commit-add-member": Rule("invalid-commit", "12.2", "no Add of a client that is already a member"),
    "commit-psk-twice": Rule("invalid-commit", "12.2", "no PreSharedKeyID twice"),
    "commit-one-context": Rule("invalid-commit", "12.2", "at most one GroupContextExtensions"),
    "commit-reinit-alone": Rule("invalid-commit", "12.2", "ReInit stands alone"),
    "commit-external-init": Rule("invalid-commit", "12.2", "ExternalInit only in an external commit"),
    "external-one-init": Rule("invalid-commit", "12.2", "an external commit has exactly one ExternalInit"),
    "external-one-remove": Rule("invalid-commit", "12.2", "an external commit has at most one Remove"),
    "external-types": Rule(
        "invalid-commit", "12.2", "an external commit holds ExternalInit, Remove and PreSharedKey only, by value"
    ),
    "external-path": Rule("invalid-commit", "12.4.3.2", "an external commit has a path"),
    "external-off": Rule(
        "external-commit-refused", "12.4.3.2", "external commits are off unless the policy names them"
    ),
    # -- commits --
    "commit-unknown-reference": Rule(
        "unknown-proposal", "12.4.2", "every proposal a commit refers to was received in this epoch"
    ),
    "commit-path-required": Rule("invalid-commit", "12.4", "a path stands where the proposals ask for one"),
    "commit-path-leaf": Rule("invalid-commit", "12.4.2", "the path's leaf is valid, of source commit"),
    "commit-path-new-key": Rule(
        "invalid-commit", "12.4.2", "the path's leaf has a new encryption key, and no path key is in the tree"
    ),
    "commit-path-keys": Rule("invalid-commit", "7.5", "the path's public keys are the ones its secrets derive"),
    "commit-parent-hash": Rule("invalid-commit", "7.9.2", "the path's parent hashes hold"),
    "commit-confirmation": Rule("invalid-commit", "8.1", "the confirmation tag holds"),
    "commit-tree-leaves": Rule(
        "invalid-commit", "7.3", "the new tree's leaves have unique keys and common capabilities"
    ),
    # -- joining --
    "welcome-for-us": Rule("welcome-not-for-us", "12.4.3.1", "the Welcome names one of our KeyPackages"),
    "welcome-suite": Rule("invalid-welcome", "12.4.3.1", "the Welcome's suite is the KeyPackage's and the GroupInfo's"),
    "welcome-signature": Rule("invalid-welcome", "12.4.3.1", "the GroupInfo's signature holds under its signer's leaf"),
    "welcome-tree": Rule(
        "invalid-welcome", "12.4.3.1", "the ratchet tree is there and is the one the GroupInfo hashes"
    ),
    "welcome-own-leaf": Rule("invalid-welcome", "12.4.3.1", "our KeyPackage's leaf stands in the tree"),
    "welcome-path-secret": Rule(
        "invalid-welcome", "12.4.3.1", "the path secret derives the public keys of our ancestors"
    ),
    "welcome-confirmation": Rule("invalid-welcome", "12.4.3.1", "the confirmation tag holds"),
    "welcome-psk-usage": Rule("invalid-welcome", "12.4.3.1", "resumption PSKs of a Welcome obey their usage"),
    "welcome-epoch": Rule("invalid-welcome", "11.2, 11.3", "a branched or reinitialised group starts at epoch 1"),
    "welcome-extensions": Rule(
        "invalid-welcome", "12.4.3.1", "we support the group's extensions and required capabilities"
    ),
}


def violation(rule: str, detail: str = "") -> RoomkeyError:
    """The error for a broken rule; `detail` says expected and got, without user data."""
    entry = RULES[rule]
    text = f"expected that {entry.text} (RFC 9420 section {entry.clause})"
    return RoomkeyError(entry.code, f"{text}; {detail}" if detail else text, rule=rule)
