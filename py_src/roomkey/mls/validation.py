"""The validation rules of RFC 9420 on the receiving side: each has an id, its clause, and what it asks.

Code names a rule by its id, `raise violation("commit-removes-committer")`; the error carries the id in
`details["rule"]`. `tests/unit/test_validation_rules.py` breaks each of them, and fails for an id that has no row here
or no test, and for a row that no code uses.

Not in the table: bytes that do not parse ("malformed", "too-large", raised by `tls`), ciphertexts that do not open
("decryption-failed"), and message keys used before or too far ahead ("key-consumed", "generation-too-far").
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
    "message-group": Rule("wrong-group", "6", "a message names this group"),
    "message-epoch": Rule("wrong-epoch", "6", "handshake messages belong to the current epoch, others to a recent one"),
    "message-sender-member": Rule("invalid-message", "6.1, 6.3.2", "a member sender's leaf is not blank"),
    "message-sender-type": Rule("invalid-message", "6.1", "the sender's type is one that may send such content"),
    "message-application-encrypted": Rule("invalid-message", "6", "application data come in PrivateMessages"),
    "message-membership-tag": Rule("invalid-tag", "6.2", "the membership tag of a member's PublicMessage holds"),
    "message-signature": Rule("invalid-signature", "6.1", "the sender's signature over the content holds"),
    "message-own": Rule("own-message", "9.2", "a message of our own is not processed as another's"),
    # -- leaf nodes --
    "leaf-source": Rule("invalid-leaf-node", "7.3", "a leaf's source is the one that its place demands"),
    "leaf-keys": Rule("invalid-leaf-node", "5.1, 7.2", "a leaf's public keys have the suite's sizes"),
    "leaf-extensions-unique": Rule("invalid-leaf-node", "13.4", "a leaf has no extension type twice"),
    "leaf-capabilities-extensions": Rule("invalid-leaf-node", "7.3", "a leaf's capabilities list its extensions"),
    "leaf-capabilities-version": Rule("invalid-leaf-node", "7.2", "a leaf's capabilities list the group's version"),
    "leaf-capabilities-suite": Rule("invalid-leaf-node", "7.2", "a leaf's capabilities list the group's suite"),
    "leaf-capabilities-credential": Rule("invalid-leaf-node", "7.2", "a leaf's capabilities list its credential"),
    "leaf-required-extensions": Rule("invalid-leaf-node", "7.3, 13.4", "a leaf supports the extensions in use"),
    "leaf-required-proposals": Rule("invalid-leaf-node", "7.3", "a leaf supports the proposals that are required"),
    "leaf-required-credentials": Rule("invalid-leaf-node", "7.3", "a leaf supports the credentials that are required"),
    "leaf-lifetime": Rule("invalid-leaf-node", "7.3", "whom we add has a lifetime that holds now"),
    "leaf-lifetime-length": Rule("invalid-leaf-node", "7.2", "a leaf's lifetime is of acceptable length"),
    "leaf-signature": Rule("invalid-signature", "7.3", "a leaf's signature holds under its own key"),
    # -- key packages --
    "key-package-version": Rule("invalid-key-package", "10.1", "a KeyPackage has the group's version"),
    "key-package-suite": Rule("invalid-key-package", "10.1", "a KeyPackage has the group's suite"),
    "key-package-init-key": Rule("invalid-key-package", "10", "a KeyPackage's init key has the suite's size"),
    "key-package-keys-differ": Rule("invalid-key-package", "10.1", "the init key is not the leaf's encryption key"),
    "key-package-extensions-unique": Rule("invalid-key-package", "13.4", "a KeyPackage has no extension type twice"),
    "key-package-extensions": Rule("invalid-key-package", "10", "the leaf's capabilities list the extensions"),
    "key-package-signature": Rule("invalid-signature", "10.1", "a KeyPackage's signature holds under its leaf's key"),
    # -- the tree --
    "tree-node-kinds": Rule("invalid-tree", "12.4.3.3", "leaves stand at even positions, parents at odd ones"),
    "tree-trailing-blank": Rule("invalid-tree", "12.4.3.3", "a ratchet tree's last node is not blank"),
    "tree-hash": Rule("invalid-tree", "12.4.3.1", "a joiner's tree is the one that the GroupInfo hashes"),
    "tree-parent-keys": Rule("invalid-tree", "5.1", "parents' public keys have the suite's form"),
    "tree-parent-hash": Rule("invalid-tree", "7.9.2, 12.4.3.1", "members made every parent node"),
    "tree-signature-keys": Rule("invalid-tree", "7.3", "no two members have the same signature key"),
    "tree-encryption-keys": Rule("invalid-tree", "7.3, 12.4.3.1", "no two nodes have the same encryption key"),
    "tree-credentials": Rule("invalid-tree", "7.3", "all members support the credential types of all"),
    "tree-unmerged-order": Rule("invalid-tree", "7.1", "unmerged leaves are sorted, each once"),
    "tree-unmerged-members": Rule("invalid-tree", "12.4.3.1", "unmerged leaves are members below their node"),
    "tree-unmerged-between": Rule("invalid-tree", "12.4.3.1", "the nodes between list an unmerged leaf as well"),
    "tree-member": Rule("invalid-tree", "7.8, 12.1.2, 12.1.3", "only members' leaves are updated or removed"),
    "tree-empty": Rule("invalid-tree", "12.1.3", "somebody stays in the group"),
    # -- proposals, one by one --
    "proposal-unknown": Rule("unsupported-proposal", "12.2, 13.2", "custom proposals are taken only by policy"),
    "proposal-external-type": Rule("invalid-proposal", "12.1.8", "external senders propose only what they may"),
    "proposal-external-sender": Rule("invalid-proposal", "12.1.8.1", "external_senders lists an external sender"),
    "proposal-new-member": Rule("invalid-proposal", "6.1, 12.1.8", "new members propose only an Add"),
    "proposal-new-member-off": Rule(
        "external-commit-refused", "12.1.8", "new members' own proposals are taken only by policy"
    ),
    "update-encryption-key": Rule("invalid-proposal", "7.3, 12.1.2", "the encryption key of an Update is new"),
    "remove-leaf": Rule("invalid-proposal", "12.1.3", "a removed leaf exists and is not blank"),
    "psk-type": Rule("invalid-proposal", "12.1.4", "a proposed PSK is external, or resumption for the application"),
    "psk-nonce": Rule("invalid-proposal", "12.1.4", "psk_nonce has the length of the KDF's output"),
    "psk-unknown": Rule("psk-unknown", "8.4, 12.4.2", "every pre-shared key in use is known here"),
    "reinit-version": Rule("invalid-proposal", "12.1.5", "ReInit does not lower the protocol version"),
    "reinit-extensions": Rule("invalid-proposal", "13.4", "ReInit has no extension type twice"),
    "psk-count": Rule("invalid-proposal", "8.4", "a commit or Welcome names no more PSKs than PSKLabel can count"),
    "context-policy": Rule("unsupported-policy", "12.2", "the group's policy is one that is known here"),
    "context-extensions": Rule("invalid-proposal", "12.1.7, 13.4", "all members support the new extensions, each once"),
    # -- proposals, as a list --
    "proposal-type-supported": Rule(
        "invalid-commit", "12.2, 13.2", "all who stay support the types of custom proposals"
    ),
    "commit-update-committer": Rule("invalid-commit", "12.2", "a commit has no Update by the committer"),
    "commit-removes-committer": Rule("invalid-commit", "12.2", "a commit does not remove the committer"),
    "commit-one-per-leaf": Rule("invalid-commit", "12.2", "a commit has at most one Update or Remove for a leaf"),
    "commit-add-twice": Rule("invalid-commit", "12.2", "a commit adds a client once"),
    "commit-add-member": Rule("invalid-commit", "12.2", "a commit adds no client that is a member and stays"),
    "commit-psk-twice": Rule("invalid-commit", "12.2", "a commit has no PreSharedKeyID twice"),
    "commit-one-context": Rule("invalid-commit", "12.2", "a commit has at most one GroupContextExtensions"),
    "commit-reinit-alone": Rule("invalid-commit", "12.2", "ReInit stands alone"),
    "commit-external-init": Rule("invalid-commit", "12.2", "ExternalInit stands in external commits only"),
    "external-one-init": Rule("invalid-commit", "12.2", "an external commit has exactly one ExternalInit"),
    "external-one-remove": Rule("invalid-commit", "12.2", "an external commit has at most one Remove"),
    "external-remove-self": Rule("invalid-commit", "12.2", "an external commit removes only who bears its credential"),
    "external-types": Rule(
        "invalid-commit", "12.2, 12.4.3.2", "an external commit holds no other proposals, and all by value"
    ),
    "external-path": Rule("invalid-commit", "12.4.3.2", "an external commit has a path"),
    "external-off": Rule("external-commit-refused", "12.4.3.2", "external commits are taken only by policy"),
    # -- commits and their paths --
    "commit-unknown-reference": Rule(
        "unknown-proposal", "12.4", "every proposal a commit refers to was received in this epoch"
    ),
    "commit-last-epoch": Rule("invalid-commit", "8.1", "the epoch that ends is not the last that a uint64 can number"),
    "commit-path-required": Rule("invalid-commit", "12.4.2", "a path stands where the proposals ask for one"),
    "commit-confirmation": Rule("invalid-commit", "6.1, 12.4.2", "the confirmation tag holds"),
    "path-length": Rule("invalid-update-path", "7.5", "a path has as many nodes as the filtered direct path"),
    "path-ciphertexts": Rule("invalid-update-path", "7.6", "a path's node has one ciphertext for each recipient"),
    "path-keys": Rule("invalid-update-path", "5.1, 7.6", "a path's public keys have the suite's form"),
    "path-keys-fresh": Rule("invalid-update-path", "12.4.2", "a path's public keys are new, each different"),
    "path-parent-hash": Rule("invalid-update-path", "7.9.2", "a path's leaf has the parent hash of the path"),
    "path-recipient": Rule("invalid-update-path", "7.5", "a path holds a secret for us"),
    "path-public-keys": Rule("invalid-update-path", "7.5", "a path's public keys are those that its secrets derive"),
    # -- joining --
    "welcome-for-us": Rule("welcome-not-for-us", "12.4.3.1", "a Welcome names one of our KeyPackages"),
    "welcome-suite": Rule("invalid-welcome", "12.4.3.1", "KeyPackage, Welcome and GroupInfo have the same suite"),
    "welcome-signature": Rule("invalid-welcome", "12.4.3.1", "the GroupInfo's signature holds under its signer's leaf"),
    "welcome-extensions": Rule("invalid-welcome", "13.4", "GroupInfo and GroupContext have no extension type twice"),
    "welcome-tree": Rule("invalid-welcome", "12.4.3.1", "the ratchet tree is in the GroupInfo or given beside it"),
    "welcome-own-leaf": Rule("invalid-welcome", "12.4.3.1", "our KeyPackage's leaf stands in the tree"),
    "welcome-path-secret": Rule(
        "invalid-welcome", "12.4.3.1", "we get the secret of every node above us that does not list us as unmerged"
    ),
    "welcome-confirmation": Rule("invalid-welcome", "12.4.3.1", "the confirmation tag holds"),
    "welcome-psk-usage": Rule("invalid-welcome", "12.4.3.1", "at most one PSK is of usage reinit or branch"),
    "welcome-psk-nonce": Rule("invalid-welcome", "8.4, 11.3", "each psk_nonce has the length of the KDF's output"),
    "welcome-epoch": Rule("invalid-welcome", "11.2, 11.3", "a branched or reinitialised group starts at epoch 1"),
    "welcome-external-pub": Rule(
        "invalid-welcome", "12.4.3.2", "a GroupInfo for external joins holds an external_pub of the suite's size"
    ),
    "successor-committed": Rule(
        "invalid-welcome", "11.2, 12.4.3.1", "the old group's last commit holds a ReInit, and the PSK is of its epoch"
    ),
    "successor-parameters": Rule(
        "invalid-welcome", "11.2, 12.4.3.1", "group id, version, suite and extensions are those of the ReInit"
    ),
    "successor-members": Rule(
        "invalid-welcome", "11.2, 12.4.1, 12.4.3.1", "the members are those of the reinitialised group"
    ),
    "branch-parameters": Rule("invalid-welcome", "11.3, 12.4.3.1", "a branch has the old group's version and suite"),
    "branch-members": Rule("invalid-welcome", "11.3, 12.4.3.1", "every member of a branch is one of the old group"),
}


def violation(rule: str, detail: str = "") -> RoomkeyError:
    """The error for a broken rule: it says the id, what was expected and, in `detail`, what came, without user data."""
    entry = RULES[rule]
    text = f"{rule}: expected that {entry.text} (RFC 9420 section {entry.clause})"
    return RoomkeyError(entry.code, f"{text}; {detail}" if detail else text, rule=rule)
