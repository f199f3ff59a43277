"""Forgeries by insiders: messages that are right but for one field, signed, tagged and sealed as their maker could.

`Scene` is a group of alice (leaf 0), bob (1) and carol (2) in epoch 2, bob having made the last path. It requires an
extension, a custom proposal type and a credential type, and has one external sender, the service. Without `change`
each of its messages is valid (`test_validation_rules` proves that), so a refusal is the altered field's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from roomkey.crypto.labels import Signing, mac, sign_with_label
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls import protection
from roomkey.mls.commit import Commit
from roomkey.mls.committing import PendingCommit, commit
from roomkey.mls.credential import BASIC, Credential
from roomkey.mls.extensions import (
    Extension,
    ExtensionType,
    ExternalSender,
    ExternalSenders,
    RequiredCapabilities,
)
from roomkey.mls.framing import (
    APPLICATION,
    COMMIT,
    MEMBER,
    NEW_MEMBER_COMMIT,
    PRIVATE_MESSAGE,
    PROPOSAL,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    Content,
    FramedContent,
    FramedContentTBS,
    MLSMessage,
    PublicMessage,
    Sender,
    member,
    message,
)
from roomkey.mls.group import NO_PSKS, Group, JoinKeys, Policy, Psks
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.key_schedule import external_key_pair, make_external_init, next_epoch, start_epoch
from roomkey.mls.leaf_node import UPDATE, LeafNode, sign_leaf, unsigned_bytes
from roomkey.mls.proposals import ExternalInit, Proposal, Remove, Update, by_value, proposal
from roomkey.mls.protection import AuthenticatedContentTBM
from roomkey.mls.psk import PreSharedKeyID, psk_secret
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.transcript import confirmation_tag, confirmed_transcript_hash
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.treekem import new_path, seal_path
from roomkey.mls.version import MLS10
from roomkey.mls.welcome import Joiner, seal_welcome, sign_group_info

from tests.support.mls_world import CAPABILITIES, NOW, World

SUITE = SUITES[1]
CUSTOM_PROPOSAL = 0xF001  # all must support it
OPTIONAL_PROPOSAL = 0xF002  # alice, bob and carol do
EXOTIC_CREDENTIAL = 0xF003
REQUIRED = RequiredCapabilities((ExtensionType.ROOMKEY_NAME,), (CUSTOM_PROPOSAL,), (EXOTIC_CREDENTIAL,))

CUSTOM = Policy(custom_proposals=frozenset((CUSTOM_PROPOSAL, OPTIONAL_PROPOSAL)))

Change = Callable[[Commit], Commit]


def unchanged(item: Commit) -> Commit:
    return item


@dataclass
class Scene:
    """The group, and what insiders and outsiders can send to it."""

    world: World
    service: KeyPair  # the external sender's, in `crypto("service")`
    private: bool = False  # whether members' forgeries travel as PrivateMessages

    @classmethod
    async def create(cls) -> Scene:
        crypto = NativeCrypto()
        (service,) = await crypto.generate_keys(SUITE.scheme, 1)
        senders = ExternalSenders((ExternalSender(service.public, Credential.basic(b"service")),))
        world = await World.create(
            SUITE, "alice", "bob", "carol",
            extensions=[
                Extension(ExtensionType.REQUIRED_CAPABILITIES, REQUIRED.encode()),
                Extension(ExtensionType.EXTERNAL_SENDERS, senders.encode()),
            ],
            capabilities=CAPABILITIES.replace(
                proposals=(CUSTOM_PROPOSAL, OPTIONAL_PROPOSAL), credentials=(BASIC, EXOTIC_CREDENTIAL)
            ),
        )  # fmt: skip
        await world.commit("bob", path=True)
        world.cryptos["service"] = crypto
        return cls(world, service)

    def group(self, name: str) -> Group:
        return self.world.groups[name]

    def crypto(self, name: str) -> CryptoProvider:
        return self.world.cryptos[name]

    # -- handshake messages of members and others --

    async def public(
        self,
        name: str,
        content: Content,
        *,
        sender: Sender | None = None,
        key: KeyPair | None = None,
        confirmation: bytes | None = None,
        change: Callable[[FramedContent], FramedContent] = lambda framed: framed,
    ) -> bytes:
        """A PublicMessage that `name` signs with `key` (a member's own if none is given), tagged if from a member. In a
        private scene a member's proposals and commits come as PrivateMessages.
        """
        group = self.world.groups.get(name) or self.group("alice")  # outsiders know the group's public side
        kind = APPLICATION if isinstance(content, bytes) else COMMIT if isinstance(content, Commit) else PROPOSAL
        sender = member(group.own_leaf) if sender is None else sender
        framed = change(FramedContent(group.group_id, group.epoch, sender, b"", kind, content))
        if kind == COMMIT and confirmation is None:
            confirmation = bytes(SUITE.nh)
        wire_format = PRIVATE_MESSAGE if self.private and sender.sender_type == MEMBER else PUBLIC_MESSAGE
        signing = (group.signature if key is None else key, wire_format, framed)
        (signature,) = await protection.sign(self.crypto(name), SUITE, group.context, [signing])
        if wire_format == PUBLIC_MESSAGE:
            return message(tagged(group, PublicMessage(framed, signature, confirmation))).encode()
        after, (sealed,) = await protection.protect_private(
            self.crypto(name), group.context, group.secrets.sender_data_secret, group.messages,
            [AuthenticatedContent(PRIVATE_MESSAGE, framed, signature, confirmation)],
        )  # fmt: skip
        self.world.groups[name] = replace(group, messages=after)
        return message(sealed).encode()

    async def proposed(self, name: str, item: Proposal) -> bytes:
        """A proposal by `name` that everybody remembers; its reference."""
        data = await self.public(name, item)
        await self.world.everybody(name, data)
        other = next(other for other in self.world.groups if other != name)
        return self.group(other).proposals[-1].reference

    async def honest(
        self, name: str, *proposals: Proposal, path: bool | None = None, psks: Psks = NO_PSKS
    ) -> PendingCommit:
        return await commit(
            self.crypto(name), self.group(name), NOW, proposals=proposals, referenced=False, path=path, psks=psks,
            policy=CUSTOM, wire_format=PUBLIC_MESSAGE,
        )  # fmt: skip

    async def commit(
        self,
        name: str,
        *proposals: Proposal,
        change: Change = unchanged,
        path: bool | None = None,
        psks: Psks = NO_PSKS,
    ) -> bytes:
        """A commit that was valid before `change`, signed and tagged again. Its confirmation tag stays as it was."""
        body = MLSMessage.decode((await self.honest(name, *proposals, path=path, psks=psks)).message).body
        assert isinstance(body, PublicMessage)
        assert isinstance(body.content.content, Commit)
        return await self.public(name, change(body.content.content), confirmation=body.confirmation_tag)

    async def commit_of(self, name: str, *items: Proposal) -> bytes:
        """A commit of proposals that no honest member would commit, with a path that was good without them."""
        entries = tuple(by_value(item) for item in items)
        return await self.commit(name, change=lambda commit: commit.replace(proposals=entries), path=True)

    async def path_with_leaf(self, name: str, *, signer: str | None = None, **leaf: Any) -> bytes:
        """A commit with a path whose leaf is altered and signed again."""
        honest = await self.honest(name, path=True)
        signed = await self.leaf(name, honest.group.leaf, signer=signer, **leaf)
        body = MLSMessage.decode(honest.message).body
        assert isinstance(body, PublicMessage)
        item = body.content.content
        assert isinstance(item, Commit)
        assert item.path is not None
        altered = item.replace(path=item.path.replace(leaf_node=signed))
        return await self.public(name, altered, confirmation=body.confirmation_tag)

    # -- leaves and key packages --

    async def package(self, name: str, change: Callable[[KeyPackage], KeyPackage], **leaf: Any) -> KeyPackage:
        """A new client's KeyPackage with its leaf's fields altered by `leaf`, then itself by `change`; both are signed
        again by their owner.
        """
        keys = await self.world.client(name)
        signed = await self.leaf(name, keys.key_package.leaf_node, **leaf)
        package = change(keys.key_package.replace(leaf_node=signed))
        unsigned = unsigned_bytes(package.replace(signature=b""), b"")
        signing = Signing(keys.leaf.signature, b"KeyPackageTBS", unsigned)
        (signature,) = await sign_with_label(self.crypto(name), SUITE, [signing])
        return package.replace(signature=signature)

    async def leaf(self, name: str, leaf: LeafNode, *, signer: str | None = None, **changes: Any) -> LeafNode:
        """A leaf altered and signed again by `signer` (its owner): for a member's place if `name` is one, else as a
        key package's.
        """
        who = name if signer is None else signer
        group = self.world.groups.get(name)
        place = (group.group_id, group.own_leaf) if group else ()
        return await sign_leaf(
            self.crypto(who), SUITE, leaf.replace(**changes), self.world.keys[who].leaf.signature, *place
        )

    async def update(
        self, name: str, *, place: str | None = None, signer: str | None = None, **changes: Any
    ) -> Proposal:
        """An Update of a member: fresh keys, then `changes`; signed for `place` by `signer` if not as it should be."""
        (pair,) = await self.crypto(name).generate_keys(SUITE.group, 1)
        fresh = self.group(name).leaf.replace(
            encryption_key=pair.public, leaf_node_source=UPDATE, lifetime=None, parent_hash=None
        )
        return proposal(Update(await self.leaf(place or name, fresh, signer=signer or name, **changes)))

    # -- external commits --

    async def external(
        self,
        name: str,
        *,
        removed: int | None = None,
        change: Change = unchanged,
        signer: KeyPair | None = None,
        by: str | None = None,
        **leaf: Any,
    ) -> bytes:
        """An external commit by a new client `name`, which may remove a leaf; `leaf` alters what its own leaf says.
        The message is signed with `signer`, a key of `by`'s, if not with the leaf's.
        """
        keys, crypto, group = await self.world.client(name), self.crypto(name), self.group("alice")
        door = await external_key_pair(self.crypto("alice"), SUITE, group.secrets.external_secret)
        kem_output, init_secret = await make_external_init(crypto, SUITE, door.public)
        items = [proposal(ExternalInit(kem_output))]
        tree = group.tree
        if removed is not None:
            items.append(proposal(Remove(removed)))
            tree = tree.remove([removed])
        tree, place = tree.make_room()
        wanted = keys.key_package.leaf_node.replace(**leaf)
        encryption = KeyPair(leaf.get("encryption_key", keys.leaf.encryption.public), keys.leaf.encryption.private)
        new = await new_path(crypto, tree, place, wanted, encryption, keys.leaf.signature, group.group_id)
        provisional = group.context.replace(epoch=group.epoch + 1, tree_hash=tree_hash(new.tree))
        path = await seal_path(crypto, new, (), provisional.encode())
        content = change(Commit(tuple(by_value(item) for item in items), path))
        framed = FramedContent(group.group_id, group.epoch, Sender(NEW_MEMBER_COMMIT), b"", COMMIT, content)
        signing = (signer or keys.leaf.signature, PUBLIC_MESSAGE, framed)
        (signature,) = await protection.sign(self.crypto(by or name), SUITE, group.context, [signing])
        confirmed = confirmed_transcript_hash(SUITE, group.interim_transcript_hash, PUBLIC_MESSAGE, framed, signature)
        context = provisional.replace(confirmed_transcript_hash=confirmed)
        epoch = next_epoch(SUITE, init_secret, new.commit_secret, bytes(SUITE.nh), context)
        tag = confirmation_tag(SUITE, epoch.secrets.confirmation_key, confirmed)
        return message(PublicMessage(framed, signature, tag)).encode()

    # -- Welcomes --

    async def welcome(
        self,
        keys: JoinKeys,
        *,
        tree: RatchetTree | None = None,
        tree_data: bytes | None = None,
        context: Mapping[str, Any] | None = None,
        extensions: tuple[Extension, ...] = (),
        signer: int = 1,
        sign_with: str = "bob",
        psks: Sequence[tuple[PreSharedKeyID, bytes]] = (),
        named: Sequence[PreSharedKeyID] | None = None,
        tag: bytes | None = None,
        path_secret: bytes | None = None,
    ) -> bytes:
        """A Welcome by bob into an epoch he made up: the tree with the newcomer added without a path, unless given.

        Args:
            tree_data: content of the ratchet_tree extension if not the tree's; empty for no extension.
            named: the PSKs that it names, if not those that it uses.
            context: fields of the GroupContext to alter; extensions: of the GroupInfo, beside the tree.
        """
        group = self.group("bob")
        tree = group.tree.add([keys.key_package.leaf_node])[0] if tree is None else tree
        told = group.context.replace(epoch=group.epoch + 1, tree_hash=tree_hash(tree)).replace(**(context or {}))
        joiner_secret, psk = bytes(range(SUITE.nh)), psk_secret(SUITE, psks)
        epoch = start_epoch(SUITE, joiner_secret, psk, told)
        if tag is None:
            tag = confirmation_tag(SUITE, epoch.secrets.confirmation_key, told.confirmed_transcript_hash)
        data = tree.encode() if tree_data is None else tree_data
        shown = (Extension(ExtensionType.RATCHET_TREE, data), *extensions) if data else extensions
        info = await sign_group_info(
            self.crypto(sign_with), SUITE, self.world.keys[sign_with].leaf.signature, signer, told, shown, tag
        )
        joiner = Joiner(keys.key_package.ref(SUITE), keys.key_package.init_key, path_secret)
        ids = tuple(psk_id for psk_id, _ in psks) if named is None else tuple(named)
        return message(
            await seal_welcome(self.crypto("bob"), SUITE, epoch.welcome_secret, joiner_secret, info, ids, [joiner])
        ).encode()


def tagged(group: Group, body: PublicMessage) -> PublicMessage:
    """The message with the membership tag it should have."""
    framed = body.content
    if framed.sender.sender_type != MEMBER:
        return body
    tbs = FramedContentTBS(MLS10, PUBLIC_MESSAGE, framed, group.context)
    tbm = AuthenticatedContentTBM(tbs, body.signature, body.confirmation_tag)
    return body.replace(membership_tag=mac(SUITE, group.secrets.membership_key, tbm.encode()))
