"""Decoders of RFC 9420's messages, of what is sealed inside them, and of what a group keeps of them."""

from __future__ import annotations

from functools import cache
from typing import Any

from roomkey.conference.ordering import RoomkeyGroup
from roomkey.conference.tickets import RoomkeyTicket
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import RoomkeyClient
from roomkey.federation.messages import Credential as DraftCredential
from roomkey.mls.commit import Commit
from roomkey.mls.committing import group_info
from roomkey.mls.credential import Certificate, Credential
from roomkey.mls.extensions import ExternalPub, ExternalSender, ExternalSenders, RequiredCapabilities
from roomkey.mls.framing import APPLICATION, COMMIT, PROPOSAL, AuthenticatedContent, MLSMessage, PrivateMessage, message
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.policy import RoomkeyPolicy
from roomkey.mls.private_content import PrivateApplication, PrivateCommit, PrivateProposal, SenderData, decode_inner
from roomkey.mls.proposals import Proposal
from roomkey.mls.psk import PreSharedKeyID
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.secret_tree import SecretTree, StoredTree
from roomkey.mls.state import StoredGroup, decode_group, encode_group
from roomkey.mls.tree_validation import verify_tree
from roomkey.mls.welcome import GroupInfo, GroupSecrets, PathSecret

from tests.fuzz import choice, group_targets, scene
from tests.fuzz.choice import Choice
from tests.fuzz.forgiving import Forgiving, forgiving_tags
from tests.fuzz.inside import TREE, inside
from tests.fuzz.target import DECODING, Finding, Target, decodes, finish, refused
from tests.support.mls_world import NOW

_SUITE = SUITES[1]


@cache
def _group_info() -> GroupInfo:
    with forgiving_tags():
        played = finish(scene.make_scene())
        return finish(group_info(played.cryptos["alice"], played.groups["alice"], external=True))


def _messages() -> dict[str, bytes]:
    sent = group_targets.messages_to_bob()
    chosen = ("application", "commit-add", "commit-path", "proposal-update", "external-commit", "commit-references")
    found = {name: sent[name] for name in chosen} | {"welcome": group_targets.welcomes_to_erin()["path"]}
    return found | {
        "group-info": message(_group_info()).encode(),
        "key-package": message(group_targets.erin().key_package).encode(),
    }


def run_inner(data: bytes) -> bool:
    """What a sender sealed: `uint8 content_type; PrivateMessageContent`."""
    if data[:1] not in (bytes((kind,)) for kind in (APPLICATION, PROPOSAL, COMMIT)):
        return False
    outer = PrivateMessage(b"group", 1, data[0], b"", b"", b"")
    try:
        content = decode_inner(outer, SenderData(0, 0, bytes(4)), data[1:])
    except RoomkeyError as error:
        return refused(error, DECODING)
    again = AuthenticatedContent.decode(content.encode())
    if again != content:
        raise Finding("expected the content that was encoded, got another")
    return True


_TEXT = PrivateApplication(b"text", bytes(64), bytes(9))
_EMPTY = PrivateCommit(Commit((), None), bytes(64), bytes(32), bytes(20))
# By content type: 1, 2 and 3.
_PADDED = [
    choice.struct(PrivateApplication),
    choice.struct(PrivateApplication, text=_TEXT),
    choice.struct(PrivateProposal),
    choice.struct(PrivateCommit, empty=_EMPTY),
]


def _parts() -> list[Choice]:
    """Structs that stand inside others, or inside an opaque field of others."""
    info, package = _group_info(), group_targets.erin().key_package
    proposals = [item.proposal for item in group_targets.bob().proposals]
    draft = DraftCredential.of(b"alice@a.example", 0x0807, bytes(32))
    x509 = Credential(2, certificates=(Certificate(b"one"), Certificate(b"two")))
    return [
        choice.struct(KeyPackage, plain=package),
        choice.struct(LeafNode, plain=package.leaf_node, certified=package.leaf_node.replace(credential=x509)),
        choice.struct(GroupContext, plain=info.group_context),
        choice.struct(GroupInfo, plain=info),
        choice.struct(GroupSecrets, plain=GroupSecrets(bytes(32), PathSecret(bytes(32)), (_psk(proposals),))),
        Choice(Proposal.decode, Proposal.codec(), {f"p{n}": item.encode() for n, item in enumerate(proposals)}),
        choice.struct(SenderData, plain=SenderData(1, 2, bytes(4))),
        choice.struct(RequiredCapabilities, plain=RequiredCapabilities((5,), (6, 7), (1,))),
        choice.struct(ExternalSenders, plain=ExternalSenders((ExternalSender(bytes(32), Credential.basic(b"s")),))),
        choice.struct(RoomkeyClient, plain=RoomkeyClient(draft, bytes(64))),
        choice.struct(RoomkeyGroup, plain=RoomkeyGroup(b"a.example")),
        choice.struct(RoomkeyTicket, plain=RoomkeyTicket(b"a.example", bytes(32))),
        choice.struct(RoomkeyPolicy, plain=RoomkeyPolicy(b"external-joins")),
        choice.struct(ExternalPub, plain=ExternalPub(bytes(32))),
    ]


def _psk(proposals: list[Proposal]) -> PreSharedKeyID:
    return next(item.body.psk for item in proposals if hasattr(item.body, "psk"))


def run_tree(data: bytes) -> bool:
    """A ratchet tree decodes to what it was, and is either whole or refused."""
    try:
        tree = RatchetTree.decode(_SUITE, data)
    except RoomkeyError as error:
        return refused(error, DECODING | {"invalid-tree"})
    for node in tree.nodes:
        node and node.__dict__.update(_encoded=None)
    if tree.encode() != data:
        raise Finding("expected the tree that was decoded, got another")
    with forgiving_tags():
        try:
            finish(verify_tree(Forgiving("run"), tree, b"group", bytes(32), now=NOW))
        except RoomkeyError as error:
            return refused(error, frozenset({"invalid-tree", "invalid-leaf-node", "invalid-signature"}))
    return True


def _trees() -> dict[str, bytes]:
    unmerged = group_targets.bob().tree.add([group_targets.erin().key_package.leaf_node])[0]
    return {"four": group_targets.bob().tree.encode(), "five": unmerged.encode(), "hole": unmerged.remove([3]).encode()}


def run_stored_group(data: bytes) -> bool:
    """What is loaded, also of an older version, is stored as it was from then on."""
    try:
        stored = encode_group(decode_group(data))
    except RoomkeyError as error:
        return refused(error, DECODING | {"invalid-tree", "unsupported-suite", "unsupported-state"}, None)
    if stored != data and encode_group(decode_group(stored)) != stored:
        raise Finding("expected the group that was stored, got another")
    return True


def run_secret_tree(data: bytes) -> bool:
    """As `run_stored_group`."""
    try:
        stored = SecretTree.decode(data).encode()
    except RoomkeyError as error:
        return refused(error, DECODING | {"unsupported-suite"})
    if SecretTree.decode(stored).encode() != stored:
        raise Finding("expected the secret tree that was stored, got another")
    return True


def _stored() -> dict[str, bytes]:
    return {"pair": encode_group(finish(scene.make_pair()))}


def _secret_trees() -> dict[str, bytes]:
    tree = SecretTree.create(_SUITE, 4, bytes(32))
    used = tree.take_key(1, "application", 3)[0].next_key(2, "handshake")[0]
    return {"fresh": tree.encode(), "used": used.encode()}


def targets() -> list[Target]:
    parts = _parts()
    padded: Any = choice.shape_of(_PADDED)
    return [
        Target("mls-message", decodes(MLSMessage.decode), _messages, MLSMessage.codec(), inside),
        Target("mls-inner", run_inner, lambda: choice.seeds_of(_PADDED), padded, inside),
        Target("mls-parts", choice.run_of(parts), lambda: choice.seeds_of(parts), choice.shape_of(parts), inside),
        Target("ratchet-tree", run_tree, _trees, TREE, inside),
        Target("stored-group", run_stored_group, _stored, StoredGroup.codec(), inside),
        Target("secret-tree", run_secret_tree, _secret_trees, StoredTree.codec(), inside),
    ]
