"""A mixed group that plays steps. Its messages go through memory, or a delivery service (`carriers`).

After each commit all members must agree on the epoch, the group context, the epoch authenticator, the tree hash that
each computes from its own tree, and an exported key.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from roomkey.crypto.suites import CipherSuite
from roomkey.mls.credential import BASIC, X509
from roomkey.mls.extensions import Extension
from roomkey.mls.group import STRICT, Policy
from roomkey.mls.proposals import Add, GroupContextExtensions, PreSharedKey, Proposal, Remove, proposal
from roomkey.mls.psk import USAGE_APPLICATION, external_psk, resumption_psk
from roomkey.mls.ratchet_tree import RatchetTree

from tests.interop import faults
from tests.interop.carriers import Carrier, Memory
from tests.interop.core_crypto_member import CoreCryptoMember
from tests.interop.entering import enter
from tests.interop.members import (
    APPLICATION,
    COMMIT,
    PROPOSAL,
    REMOVED,
    ClientId,
    Member,
    Received,
    Refused,
    View,
    client_id,
    read_key_package,
)
from tests.interop.members import Commit as Made
from tests.interop.peer import Peer
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.steps import Commit, Create, Enter, Open, Propose, Reload, Say, Seal, Step
from tests.interop.ts_mls_member import TsMlsMember

# Members whose talk is heard by all others at the end of a scenario; in large groups these few.
SPEAKERS = 6

# The group context extension of scenarios: of a private type (0xFxxx), so that members must list it.
EXTENSION_TYPE = 0xF0FF


class Letter(NamedTuple):
    """Application data on its way; `readers` have not opened it yet."""

    message: bytes
    epoch: int
    readers: set[str]


@dataclass
class Room:
    """The group's members by name, and everybody who ever was one."""

    suite: CipherSuite
    peer: Peer
    ours: str = "a"  # members whose name begins with it run our engine, all others ts-mls
    group_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    policy: Policy = STRICT  # of our engine's members
    carrier: Carrier = field(default_factory=Memory)
    core_crypto: Peer | None = None  # with it, members named c... run core-crypto, which takes PublicMessages only
    people: dict[str, Member] = field(default_factory=dict)
    inside: list[str] = field(default_factory=list)
    joining: list[str] = field(default_factory=list)  # by proposals that wait for a commit
    leaving: list[str] = field(default_factory=list)
    psks: dict[bytes, bytes] = field(default_factory=dict)
    letters: dict[str, Letter] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)  # who could not join for a fault of ts-mls, and their leaves
    since: dict[str, int] = field(default_factory=dict)  # the epoch in which a member came
    epoch: int = 0

    def person(self, name: str) -> Member:
        """Somebody new, or the one of that name."""
        if name not in self.people:
            if name.startswith(self.ours):
                types = (BASIC,) if self.core_crypto is None else (BASIC, X509)
                self.people[name] = RoomkeyMember(
                    name, self.suite, (EXTENSION_TYPE,), policy=self.policy, credential_types=types,
                    identity=self.carrier.identity(name),
                )  # fmt: skip
            elif self.core_crypto is not None and name.startswith("c"):
                self.people[name] = CoreCryptoMember(name, self.suite, self.core_crypto, self.group_id, self._at)
            else:
                identity = self.carrier.identity(name)
                self.people[name] = TsMlsMember(name, self.suite, self.peer, (EXTENSION_TYPE,), identity=identity)
        return self.people[name]

    async def play(self, step: Step) -> None:
        match step:
            case Create(by, extension):
                await self.person(by).create(self.group_id, _extensions(extension))
                await self.carrier.created(self.person(by))
                self.inside.append(by)
                self.since[by] = 0
            case Propose():
                await self.propose(step)
            case Commit():
                await self.commit(step)
            case Say(by):
                await self.say(by)
            case Seal(by, label):
                message = await self.person(by).protect(label.encode())
                await self._send(message, by)
                self.letters[label] = Letter(message, self.epoch, set(self.others(by)))
            case Open(by, label):
                letter = await self.carrier.take(self.letters[label].message, self.person(by))
                received = await self.person(by).process(letter, {})
                assert received == (APPLICATION, label.encode())
                self.letters[label].readers.discard(by)
            case Reload(by):
                await self.person(by).reload()
            case Enter(name, by):
                await enter(self, name, by)

    async def propose(self, step: Propose) -> None:
        item: Proposal | None = None
        if step.add:
            item = await self.add(step.add, step.by)
            self.joining.append(step.add)
        elif step.remove:
            item = self.remove(step.remove)
            self.leaving.append(step.remove)
        elif step.psk:
            item = self._psk(step.psk)
        elif step.resume is not None:
            item = self._resume(step.resume)
        elif step.extension is not None:
            item = proposal(GroupContextExtensions(_extensions(step.extension)))
        message = await self.person(step.by).propose(item, public=step.public or self.core_crypto is not None)
        await self._send(message, step.by)
        for name in self.others(step.by):
            taken = await self.carrier.take(message, self.person(name))
            received = await self.person(name).process(taken, self.psks)
            assert received.kind == PROPOSAL, name

    async def commit(self, step: Commit) -> None:
        items = [await self.add(name, step.by) for name in step.add]
        items += [self.remove(name) for name in step.remove]
        items += [self._psk(name) for name in step.psk]
        items += [self._resume(epoch) for epoch in step.resume]
        if step.extension is not None:
            items.append(proposal(GroupContextExtensions(_extensions(step.extension))))
        committer = self.person(step.by)
        made = await committer.commit(
            items,
            path=step.path,
            public=step.public or self.core_crypto is not None,
            psks=self.psks,
            tree_inside=step.tree_inside,
        )
        await self.carrier.order(committer, made.message)
        committer.adopt()
        await self._send(made.message, step.by)
        joining, leaving = [*self.joining, *step.add], [*self.leaving, *step.remove]
        left: dict[str, str] = {}
        for name in self.others(step.by):
            if name in leaving:
                left[name] = await self._last_words(name, made.message)
            else:
                assert (await self._take_commit(name, made.message)).kind == COMMIT, name
        self.epoch += 1
        self.inside = [name for name in self.inside if name not in leaving]
        if joining:
            assert made.welcome is not None
            await self.carrier.send(made.welcome, committer, [self.person(name) for name in joining])
        for name in joining:
            await self._join(name, made)
        for name in leaving:
            self._part(name, left.get(name), joining)
        self.joining, self.leaving = [], []
        assert (await self.agree()).epoch == self.epoch

    async def _join(self, name: str, made: Made) -> None:
        """Somebody joins; ts-mls refuses exactly the trees that its fault makes it refuse."""
        assert made.welcome is not None
        newcomer = self.person(name)
        tree = self.tree()
        faulty = isinstance(newcomer, TsMlsMember) and tree is not None and faults.refuses_tree(tree)
        refusal = ""
        try:
            await newcomer.join(await self.carrier.take(made.welcome, newcomer), made.tree, self.psks)
        except Refused as refused:
            refusal = refused.text
        if faulty:
            assert faults.UNMERGED_LEAVES in refusal, name
            self.refused[name] = self.leaf(name)
        else:
            assert not refusal, refusal
            self.inside.append(name)
            self.since[name] = self.epoch

    def _part(self, name: str, words: str | None, joined: Sequence[str]) -> None:
        """Somebody is gone, who comes back comes as a new client. `words`: what they made of the commit."""
        gone = self.people.pop(name)
        if self.refused.pop(name, None) is not None:
            return
        taken_over = {self.refused.get(other, self.person(other).leaf) for other in joined}
        if isinstance(gone, TsMlsMember) and gone.leaf in taken_over:
            assert words is not None
            assert faults.LEAF_TAKEN_OVER in words, name
        else:
            assert words == REMOVED, name

    async def _last_words(self, name: str, message: bytes) -> str:
        """What somebody who is removed makes of the commit: its kind, or the words of a refusal."""
        try:
            return (await self._take_commit(name, message)).kind
        except Refused as refused:
            return refused.text

    async def _take_commit(self, name: str, message: bytes) -> Received:
        member = self.person(name)
        return await member.process(await self.carrier.take_commit(message, member), self.psks)

    async def _send(self, message: bytes, by: str) -> None:
        """To all others who are members now."""
        await self.carrier.send(message, self.person(by), [self.person(name) for name in self.others(by)])

    async def say(self, by: str) -> None:
        text = f"{by} says {secrets.token_hex(4)}".encode()
        message = await self.person(by).protect(text, b"authenticated")
        await self._send(message, by)
        for name in self.others(by):
            received = await self.person(name).process(await self.carrier.take(message, self.person(name)), {})
            assert received == (APPLICATION, text), name

    async def talk(self) -> None:
        """Everybody speaks and is heard, as far as SPEAKERS goes."""
        for name in self.inside[:SPEAKERS]:
            await self.say(name)

    async def agree(self) -> View:
        """What all members agree on, each as far as its engine shows it."""
        views = {name: await self.person(name).view() for name in self.inside}
        for part in View._fields:
            shown = {name: getattr(view, part) for name, view in views.items() if getattr(view, part) is not None}
            assert len(set(shown.values())) <= 1, f"{part} differs: {shown}"
        return next(iter(views.values()))

    def tree(self) -> RatchetTree | None:
        """The tree, as one of our engine's members holds it."""
        for name in self.inside:
            person = self.people[name]
            if isinstance(person, RoomkeyMember) and person.group is not None:
                return person.group.tree
        return None

    def others(self, name: str) -> Sequence[str]:
        return [other for other in self.inside if other != name]

    async def add(self, name: str, by: str) -> Proposal:
        """An Add of somebody, whose KeyPackage a member gets."""
        package = await self.carrier.key_package(self.person(name), self.person(by))
        return proposal(Add(read_key_package(package)))

    def remove(self, name: str) -> Proposal:
        return proposal(Remove(self.leaf(name)))

    def leaf(self, name: str) -> int:
        """The leaf index of somebody in the tree, read off it where our engine has a member."""
        tree = self.tree()
        if tree is None:
            return self.person(name).leaf
        identity = self.person(name).identity.encode()
        return next(index for index, leaf in tree.members() if leaf.credential.identity == identity)

    def _at(self, index: int) -> ClientId:
        return next(client_id(name) for name in self.inside if self.leaf(name) == index)

    def _psk(self, name: bytes) -> Proposal:
        self.psks.setdefault(name, secrets.token_bytes(32))
        return proposal(PreSharedKey(external_psk(name, secrets.token_bytes(self.suite.nh))))

    def _resume(self, epoch: int) -> Proposal:
        nonce = secrets.token_bytes(self.suite.nh)
        return proposal(PreSharedKey(resumption_psk(USAGE_APPLICATION, self.group_id, epoch, nonce)))


def _extensions(data: bytes | None) -> tuple[Extension, ...]:
    return () if data is None else (Extension(EXTENSION_TYPE, data),)
