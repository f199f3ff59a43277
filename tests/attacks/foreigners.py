"""A group of alice, who runs our engine, with bob and carol, who run ts-mls; bob keeps to no rule.

What bob sends is made by ts-mls, altered in one field, and signed again by ts-mls with bob's key: an insider's message
that no code of ours has made. `refused` says what must come of it: a typed error, the old state, nothing sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls import key_schedule
from roomkey.mls.commit import Commit
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.framing import PUBLIC_MESSAGE, FramedContent, FramedContentTBS, MLSMessage, PublicMessage, message
from roomkey.mls.group import STRICT, Group, Policy
from roomkey.mls.group_context import GroupContext
from roomkey.mls.joining import join
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import LeafNode, leaf_tbs, unsigned_bytes
from roomkey.mls.processing import process
from roomkey.mls.proposals import Add, Proposal, by_value, proposal
from roomkey.mls.psk import psk_secret
from roomkey.mls.ratchet_tree import Node, RatchetTree
from roomkey.mls.state import encode_group
from roomkey.mls.transcript import confirmation_tag
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.version import MLS10
from roomkey.mls.welcome import GroupInfo, Joiner, Welcome, open_group_info, open_group_secrets, seal_welcome

from tests.interop.members import COMMIT, read_key_package
from tests.interop.members import Commit as Made
from tests.interop.peer import Peer, unpack
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.ts_mls_member import TsMlsMember
from tests.support.mls_forge import tagged

SUITE = SUITES[1]

TreeChange = Callable[[list[Node | None]], None]
InfoChange = Callable[[GroupInfo], GroupInfo]


def unchanged(info: GroupInfo) -> GroupInfo:
    return info


@dataclass
class Table:
    """The three, in epoch 2: bob has made the last path."""

    alice: RoomkeyMember
    bob: TsMlsMember
    carol: TsMlsMember

    @classmethod
    async def create(cls, peer: Peer) -> Table:
        alice = RoomkeyMember("alice", SUITE)
        bob, carol = TsMlsMember("bob", SUITE, peer), TsMlsMember("carol", SUITE, peer)
        await alice.create(b"three at a table")
        adds = [proposal(Add(read_key_package(await member.key_package()))) for member in (bob, carol)]
        made = await alice.commit(adds, path=True, public=True, psks={}, tree_inside=True)
        alice.adopt()
        assert made.welcome is not None
        for member in (bob, carol):
            await member.join(made.welcome, None, {})
        table = cls(alice, bob, carol)
        await table.goes_on()
        return table

    @property
    def group(self) -> Group:
        """The group as alice has it."""
        assert self.alice.group is not None
        return self.alice.group

    async def honest(self, *proposals: Proposal) -> Made:
        """A commit of bob's, who does not take it himself yet."""
        return await self.bob.commit(proposals, path=True, public=True, psks={}, tree_inside=True)

    async def goes_on(self) -> None:
        """Bob behaves for once, and all follow him."""
        made = await self.honest()
        assert (await self.alice.process(made.message, {})).kind == COMMIT
        assert (await self.carol.process(made.message, {})).kind == COMMIT
        self.bob.adopt()
        views = [await member.view() for member in (self.alice, self.bob, self.carol)]
        assert views.count(views[0]) == len(views)

    # -- what bob and his accomplices sign --

    def sign(self, who: TsMlsMember, label: str, content: bytes) -> bytes:
        """ts-mls signs these bytes with the key of a member, or of who is none yet."""
        place = {"keys": who.keys} if who.state is None else {"state": who.state}
        return unpack(who.ask("sign", label=label, content=content, **place)["signature"])

    def message(self, framed: FramedContent, confirmation: bytes | None) -> PublicMessage:
        """Bob's PublicMessage with this content, signed and tagged."""
        tbs = FramedContentTBS(MLS10, PUBLIC_MESSAGE, framed, self.group.context).encode()
        return tagged(self.group, PublicMessage(framed, self.sign(self.bob, "FramedContentTBS", tbs), confirmation))

    async def commit(self, change: Callable[[Commit], Commit], *proposals: Proposal) -> bytes:
        """Bob's commit of these proposals, altered."""
        body = MLSMessage.decode((await self.honest(*proposals)).message).body
        assert isinstance(body, PublicMessage)
        assert isinstance(body.content.content, Commit)
        framed = body.content.replace(content=change(body.content.content))
        return message(self.message(framed, body.confirmation_tag)).encode()

    async def list_of(self, *items: Proposal) -> bytes:
        """Bob's commit with these proposals in place of none: a list that ts-mls itself would not commit."""
        return await self.commit(lambda item: item.replace(proposals=tuple(map(by_value, items))))

    def leaf(self, who: TsMlsMember, leaf: LeafNode) -> LeafNode:
        """A leaf signed again for its member's place, or as a key package's."""
        tbs = leaf_tbs(leaf, self.group.group_id, who.leaf)
        return leaf.replace(signature=self.sign(who, "LeafNodeTBS", tbs))

    async def path_with(self, change: Callable[[LeafNode], LeafNode]) -> bytes:
        """Bob's commit, its path's leaf altered and signed again."""

        def altered(item: Commit) -> Commit:
            assert item.path is not None
            leaf = self.leaf(self.bob, change(item.path.leaf_node))
            return item.replace(path=item.path.replace(leaf_node=leaf))

        return await self.commit(altered)

    async def package(
        self,
        change: Callable[[LeafNode], LeafNode] = lambda leaf: leaf,
        outer: Callable[[KeyPackage], KeyPackage] = lambda package: package,
    ) -> KeyPackage:
        """A KeyPackage of dave, bob's accomplice: its leaf altered by `change`, then itself by `outer`, both signed."""
        dave = TsMlsMember("dave", SUITE, self.bob.peer)
        package = read_key_package(await dave.key_package())
        package = outer(package.replace(leaf_node=self.leaf(dave, change(package.leaf_node))))
        tbs = unsigned_bytes(package.replace(signature=b""), b"")
        return package.replace(signature=self.sign(dave, "KeyPackageTBS", tbs))

    # -- Welcomes --

    async def welcome(
        self,
        *,
        tree: TreeChange | None = None,
        info: InfoChange = unchanged,
        context: Callable[[GroupContext], GroupContext] = lambda context: context,
    ) -> tuple[RoomkeyMember, bytes]:
        """A newcomer who runs our engine, and bob's Welcome to them: its tree, its GroupContext or the rest of its
        GroupInfo altered; hashed, confirmed, signed and sealed again.
        """
        erin = RoomkeyMember("erin", SUITE)
        made = await self.honest(proposal(Add(read_key_package(await erin.key_package()))))
        assert made.welcome is not None
        assert erin.keys is not None
        body = MLSMessage.decode(made.welcome).body
        assert isinstance(body, Welcome)
        # bob knows all this; the test reads it as erin, who can
        secrets = await open_group_secrets(erin.crypto, SUITE, body, body.secrets[0], erin.keys.init)
        opener = key_schedule.welcome_secret(SUITE, secrets.joiner_secret, psk_secret(SUITE, []))
        found = await open_group_info(erin.crypto, SUITE, body, opener)
        if tree is not None:
            found = _with_tree(found, tree)
        told = context(found.group_context)
        epoch = key_schedule.start_epoch(SUITE, secrets.joiner_secret, psk_secret(SUITE, []), told)
        tag = confirmation_tag(SUITE, epoch.secrets.confirmation_key, told.confirmed_transcript_hash)
        altered = info(found.replace(group_context=told, confirmation_tag=tag))
        signed = self.sign(self.bob, "GroupInfoTBS", unsigned_bytes(altered.replace(signature=b""), b""))
        package = erin.keys.key_package
        path_secret = secrets.path_secret.path_secret if secrets.path_secret else None
        sealed = await seal_welcome(
            erin.crypto, SUITE, epoch.welcome_secret, secrets.joiner_secret, altered.replace(signature=signed), (),
            [Joiner(package.ref(SUITE), package.init_key, path_secret)],
        )  # fmt: skip
        return erin, message(sealed).encode()


def _with_tree(info: GroupInfo, change: TreeChange) -> GroupInfo:
    """The GroupInfo with altered nodes, which it hashes."""

    def rebuilt(extension: Extension) -> Extension:
        nonlocal info
        if extension.extension_type != ExtensionType.RATCHET_TREE:
            return extension
        nodes = RatchetTree.decode(SUITE, extension.extension_data).nodes
        change(nodes)
        tree = RatchetTree(SUITE, nodes)
        info = info.replace(group_context=info.group_context.replace(tree_hash=tree_hash(tree)))
        return extension.replace(extension_data=tree.encode())

    extensions = tuple(rebuilt(extension) for extension in info.extensions)
    return info.replace(extensions=extensions)


# -- outcomes --


def named(error: RoomkeyError) -> str:
    """The rule that it names, else its code."""
    return str(error.details.get("rule", error.code))


async def refused(table: Table, data: bytes, *expected: str, policy: Policy = STRICT) -> None:
    """Alice refuses the message by one of these rules or codes, is as before, and the group goes on."""
    group, before, keys = table.group, encode_group(table.group), dict(table.alice.crypto.keys)  # type: ignore[attr-defined]
    with pytest.raises(RoomkeyError) as caught:
        await process(table.alice.crypto, group, data, policy=policy)
    assert named(caught.value) in expected
    assert encode_group(table.group) == before
    assert table.alice.crypto.keys == keys  # type: ignore[attr-defined]
    await table.goes_on()


async def not_joined(erin: RoomkeyMember, welcome: bytes, *expected: str) -> None:
    """The newcomer refuses the Welcome by one of these rules or codes."""
    assert erin.keys is not None
    with pytest.raises(RoomkeyError) as caught:
        await join(erin.crypto, welcome, [erin.keys])
    assert named(caught.value) in expected
    assert erin.group is None


def add(*packages: KeyPackage) -> Sequence[Proposal]:
    return [proposal(Add(package)) for package in packages]
