"""A group of four as bob sees it, the same in every process, and what others may send to it.

alice (leaf 0) made it, bob (1), carol (2) and dave (3) joined, carol made the last path. Its context requires an
extension and names an external sender. Bob offers one external PSK, takes custom proposals of one type and external
commits, and has received proposals of every kind. `Forgiving` seals and signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roomkey.crypto.suites import SUITES
from roomkey.mls.commit import Commit
from roomkey.mls.committing import PendingCommit, commit, propose, propose_update
from roomkey.mls.creation import create_group
from roomkey.mls.credential import BASIC, Credential
from roomkey.mls.extensions import Extension, ExtensionType, ExternalSender, ExternalSenders, RequiredCapabilities
from roomkey.mls.framing import (
    COMMIT,
    EXTERNAL,
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    PRIVATE_MESSAGE,
    PROPOSAL,
    PUBLIC_MESSAGE,
    Content,
    FramedContent,
    PublicMessage,
    Sender,
    member,
    message,
)
from roomkey.mls.group import Group, JoinKeys, Policy, Psks
from roomkey.mls.joining import join
from roomkey.mls.leaf_node import Capabilities, own_capabilities
from roomkey.mls.processing import process, protect
from roomkey.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    by_reference,
    by_value,
    proposal,
)
from roomkey.mls.psk import USAGE_APPLICATION, external_psk, resumption_psk
from roomkey.mls.treekem import UpdatePath, new_path, seal_path
from roomkey.mls.version import MLS10

from tests.fuzz.forgiving import Forgiving, signature_of
from tests.support.mls_world import NOW, join_keys

SUITE = SUITES[1]
CUSTOM = 0xF001
POLICY = Policy(external_commits=True, custom_proposals=frozenset((CUSTOM,)), stranger_adds=True)
PSKS = Psks({b"psk": bytes(32)})
CAPABILITIES: Capabilities = own_capabilities((1, 2, 3)).replace(proposals=(CUSTOM,), credentials=(BASIC,))


@dataclass
class Scene:
    """`groups` are the members' views of the group, `keys` what each joined by."""

    cryptos: dict[str, Forgiving]
    groups: dict[str, Group]
    keys: dict[str, JoinKeys]
    late: bytes = b""  # application data by alice of the epoch before

    @property
    def bob(self) -> Group:
        return self.groups["bob"]

    async def client(self, name: str) -> JoinKeys:
        self.cryptos[name] = Forgiving(name)
        self.keys[name] = await join_keys(self.cryptos[name], SUITE, name.encode(), CAPABILITIES)
        return self.keys[name]

    async def everybody(self, sender: str, data: bytes) -> None:
        for name, group in self.groups.items():
            if name != sender:
                done = await process(self.cryptos[name], group, data, policy=POLICY, psks=PSKS)
                self.groups[name] = done.group

    async def commit(
        self, name: str, *items: Proposal, path: bool | None = None, wire_format: int = PUBLIC_MESSAGE
    ) -> PendingCommit:
        return await commit(
            self.cryptos[name], self.groups[name], NOW, proposals=items, referenced=False, path=path, psks=PSKS,
            policy=POLICY, wire_format=wire_format,
        )  # fmt: skip


async def make_scene() -> Scene:
    """The group, before bob received its proposals."""
    scene = Scene({}, {}, {})
    service = ExternalSenders((ExternalSender(signature_of(b"")[:32], Credential.basic(b"service")),))
    extensions = [
        Extension(ExtensionType.REQUIRED_CAPABILITIES, RequiredCapabilities((ExtensionType.ROOMKEY_NAME,)).encode()),
        Extension(ExtensionType.EXTERNAL_SENDERS, service.encode()),
    ]
    keys = await scene.client("alice")
    scene.groups["alice"] = await create_group(scene.cryptos["alice"], keys, b"group", NOW, extensions=extensions)
    adds = [proposal(Add((await scene.client(name)).key_package)) for name in ("bob", "carol", "dave")]
    added = await scene.commit("alice", *adds, path=True)
    scene.groups["alice"] = added.group
    for name in ("bob", "carol", "dave"):
        assert added.welcome is not None
        scene.groups[name] = (await join(scene.cryptos[name], added.welcome, [scene.keys[name]])).group
    _, scene.late = await protect(scene.cryptos["alice"], scene.groups["alice"], b"late")
    path = await scene.commit("carol", path=True)
    await scene.everybody("carol", path.message)
    scene.groups["carol"] = path.group
    return scene


async def make_pair() -> Group:
    """A small group with something of everything that is stored: alice's, of two, with a proposal of her own."""
    scene = Scene({}, {}, {})
    crypto = Forgiving("alice")
    scene.cryptos["alice"], keys = crypto, await join_keys(crypto, SUITE, b"alice", CAPABILITIES)
    scene.groups["alice"] = await create_group(crypto, keys, b"pair", NOW)
    added = await scene.commit("alice", proposal(Add((await scene.client("bob")).key_package)), path=True)
    after, _ = await propose_update(crypto, added.group)
    return after


def frame(group: Group, sender: Sender, kind: int, content: Content) -> FramedContent:
    return FramedContent(group.group_id, group.epoch, sender, b"", kind, content)


def public(framed: FramedContent) -> bytes:
    """A PublicMessage with a signature and tags that `Forgiving` takes."""
    tag = bytes(32)
    confirmation = tag if framed.content_type == COMMIT else None
    membership = tag if framed.sender.leaf_index is not None else None
    return message(PublicMessage(framed, signature_of(b""), confirmation, membership)).encode()


def kinds(scene: Scene, newcomer: JoinKeys) -> dict[str, Proposal]:
    """A proposal of every kind but Update and ExternalInit, as alice would make them."""
    required = scene.bob.context.extensions
    return {
        "add": proposal(Add(newcomer.key_package)),
        "remove": proposal(Remove(3)),
        "psk": proposal(PreSharedKey(external_psk(b"psk", bytes(32)))),
        "resumption": proposal(PreSharedKey(resumption_psk(USAGE_APPLICATION, b"group", 1, bytes(32)))),
        "reinit": proposal(ReInit(b"next", MLS10, 1, required)),
        "context": proposal(GroupContextExtensions((*required, Extension(ExtensionType.ROOMKEY_NAME, b"\x04name")))),
        "custom": Proposal(CUSTOM, b"custom"),
    }


async def messages(scene: Scene) -> dict[str, bytes]:
    """Messages to bob, all of which he takes; the proposals among them he has received when he gets the others."""
    found = {"late": scene.late}
    alice, crypto = scene.groups["alice"], scene.cryptos["alice"]
    _, found["application"] = await protect(crypto, alice, b"text", b"data")
    erin, frank = await scene.client("erin"), await scene.client("frank")
    proposals = kinds(scene, erin)
    for name, item in proposals.items():
        _, found[f"proposal-{name}"] = await propose(crypto, alice, item, wire_format=PUBLIC_MESSAGE)
        found[f"commit-{name}"] = (await scene.commit("alice", item, path=name == "add")).message
    _, found["proposal-private"] = await propose(crypto, alice, proposals["remove"])
    _, found["proposal-update"] = await propose_update(
        scene.cryptos["dave"], scene.groups["dave"], wire_format=PUBLIC_MESSAGE
    )
    found["commit-path"] = (await scene.commit("alice", path=True)).message
    found["commit-private"] = (await scene.commit("alice", proposals["remove"], wire_format=PRIVATE_MESSAGE)).message
    outside = Sender(EXTERNAL, sender_index=0)
    found["external-remove"] = public(frame(alice, outside, PROPOSAL, proposals["remove"]))
    stranger = Sender(NEW_MEMBER_PROPOSAL)
    found["new-member-add"] = public(frame(alice, stranger, PROPOSAL, proposal(Add(frank.key_package))))
    found["external-commit"] = await external_commit(scene, frank)
    return found


async def external_commit(scene: Scene, keys: JoinKeys) -> bytes:
    alice, crypto = scene.groups["alice"], scene.cryptos["frank"]
    items = (proposal(ExternalInit(bytes(range(32)))),)
    tree, place = alice.tree.make_room()
    leaf = keys.key_package.leaf_node
    new = await new_path(crypto, tree, place, leaf, keys.leaf.encryption, keys.leaf.signature, alice.group_id)
    path: UpdatePath = await seal_path(crypto, new, (), b"")
    content = Commit(tuple(by_value(item) for item in items), path)
    return public(frame(alice, Sender(NEW_MEMBER_COMMIT), COMMIT, content))


async def welcomes(scene: Scene) -> tuple[JoinKeys, dict[str, bytes]]:
    """Welcomes to erin, with and without a path and PSKs; erin's keys."""
    erin = await scene.client("erin")
    proposals = kinds(scene, erin)
    sent: dict[str, Sequence[Proposal]] = {
        "path": (proposals["add"],),
        "bare": (proposals["add"],),
        "psk": (proposals["add"], proposals["psk"]),
        "two": (proposals["add"], proposal(Add((await scene.client("frank")).key_package))),
    }
    found: dict[str, bytes] = {}
    for name, items in sent.items():
        welcome = (await scene.commit("alice", *items, path=name != "bare")).welcome
        assert welcome is not None
        found[name] = welcome
    return erin, found


async def bob_with_proposals(scene: Scene, sent: dict[str, bytes]) -> Group:
    """Bob's group once he has received all proposals and proposed an Update himself."""
    group = scene.bob
    for name, data in sent.items():
        if name.startswith(("proposal-", "external-remove", "new-member")) and name != "proposal-private":
            group = (await process(scene.cryptos["bob"], group, data, policy=POLICY, psks=PSKS)).group
    after, _ = await propose_update(scene.cryptos["bob"], group)
    return after


def by_references(group: Group) -> dict[str, bytes]:
    """Commits by alice of proposals that bob's group remembers: those that need no path, and all of them."""
    sender = member(0)
    free = [item for item in group.proposals if isinstance(item.proposal.body, Add | PreSharedKey)]
    return {
        name: public(frame(group, sender, COMMIT, Commit(tuple(by_reference(i.reference) for i in items), None)))
        for name, items in {"commit-references": free, "refused-all": group.proposals}.items()
    }
