"""One group and its ordering, as a model that knows what each member must be able to do: for state machines.

`Play.register` is the ordering service: one commit an epoch. Members fall behind it and catch up; letters (application
messages) reach them in any order, late, twice or never. Nothing here suspends: `drive` runs a coroutine to its end.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from roomkey.crypto.provider import SealItem
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.committing import PendingCommit
from roomkey.mls.creation import create_group
from roomkey.mls.extensions import Extension
from roomkey.mls.group import MAX_PAST_AGE, PAST_EPOCHS, RESUMPTION_EPOCHS, Group, JoinKeys, Psks
from roomkey.mls.joining import join
from roomkey.mls.processing import ApplicationMessage, Event, process
from roomkey.mls.secret_tree import MAX_SKIPPED_AGE
from roomkey.mls.state import decode_group, encode_group
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.tree_validation import check_members, check_unmerged_leaves

from tests.support.mls_world import NOW, join_keys

T = TypeVar("T")

PSKS = Psks({b"door": b"k" * 32})
# What processing.process documents.
REFUSALS = frozenset({
    "malformed", "wrong-group", "wrong-epoch", "own-message", "invalid-message", "invalid-signature", "invalid-tag",
    "decryption-failed", "key-consumed", "generation-too-far", "invalid-proposal", "invalid-commit",
    "invalid-update-path", "invalid-tree", "invalid-key-package", "invalid-leaf-node", "unknown-proposal",
    "unsupported-proposal", "external-commit-refused", "psk-unknown", "too-large", "invalid-key",
})  # fmt: skip


def drive(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("expected a coroutine that never suspends")


class WatchedCrypto(NativeCrypto):
    """Holds that no AEAD key seals two texts, whoever's it is."""

    def __init__(self, sealed: dict[bytes, bytes]) -> None:
        super().__init__()
        self._sealed = sealed

    async def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        texts = await super().seal(items)
        for item, text in zip(items, texts, strict=True):
            assert self._sealed.setdefault(item.key, text) == text, "a message key was used twice"
        return texts


@dataclass(frozen=True)
class Letter:
    """An application message; `number` is its place among the sender's of that epoch."""

    epoch: int
    sender: str
    number: int
    text: bytes
    data: bytes


@dataclass
class Person:
    """A member, or somebody who was one (`out`)."""

    name: str
    crypto: WatchedCrypto
    group: Group
    joined: int
    pending: PendingCommit | None = None
    newcomers: dict[str, JoinKeys] = field(default_factory=dict)  # whom the pending commit adds
    read: set[Letter] = field(default_factory=set)
    proposals: set[bytes] = field(default_factory=set)  # messages that were delivered
    slept: tuple[int, frozenset[Letter]] = (-1, frozenset())  # epochs before, and letters, that are past reading
    secrets: dict[int, list[bytes]] = field(default_factory=dict)  # of epochs that have ended here
    out: bool = False


class Play:
    def __init__(self, suite: CipherSuite, extensions: Sequence[Extension]) -> None:
        self.sealed: dict[bytes, bytes] = {}
        self.clock = NOW
        self.names = 0
        self.extensions = tuple(extensions)
        self.people: dict[str, Person] = {}
        self.register: list[tuple[str, bytes]] = []  # (committer, commit) of epoch 0, 1, ...
        self.proposed: list[list[tuple[str, bytes]]] = [[]]  # (proposer, message) of each epoch
        self.letters: list[Letter] = []
        self.cryptos: dict[str, WatchedCrypto] = {}  # of clients who are no members yet
        self.truth: dict[int, tuple[object, ...]] = {}
        name = self.new_name()
        crypto = WatchedCrypto(self.sealed)
        keys = drive(join_keys(crypto, suite, name.encode()))
        group = drive(create_group(crypto, keys, b"group", NOW, extensions=extensions))
        self.people[name] = Person(name, crypto, group, 0)

    @property
    def head(self) -> int:
        return len(self.register)

    @property
    def inside(self) -> list[Person]:
        return [person for person in self.people.values() if not person.out]

    @property
    def current(self) -> list[Person]:
        """Members who are at the newest epoch, as far as they know: a pending commit of theirs may be one more."""
        return [person for person in self.inside if person.group.epoch == self.head and not self.ended(person)]

    @staticmethod
    def ended(person: Person) -> bool:
        return person.group.reinit is not None

    def new_name(self) -> str:
        self.names += 1
        return f"m{self.names}"

    def candidate(self, suite: CipherSuite) -> tuple[str, WatchedCrypto, JoinKeys]:
        """A client who is no member yet."""
        name = self.new_name()
        self.cryptos[name] = crypto = WatchedCrypto(self.sealed)
        return name, crypto, drive(join_keys(crypto, suite, name.encode()))

    # -- the ordering service --

    def submit(self, person: Person) -> bool:
        """Whether the pending commit wins its epoch."""
        made = person.pending
        assert made is not None
        person.pending = None
        newcomers, person.newcomers = person.newcomers, {}
        if made.group.epoch != self.head + 1 or person.group.epoch != self.head:
            return False
        self._won(person.name, made.message)
        self._moved(person, made.group.following(person.group))
        if made.welcome is not None:
            for name, keys in newcomers.items():
                crypto = self.cryptos.pop(name)
                # A newcomer gets the group's own resumption PSKs from whoever invited them.
                known = PSKS._replace(resumption={(b"group", epoch): psk for epoch, psk in person.group.resumption})
                joined = drive(join(crypto, made.welcome, [keys], psks=known))
                self.people[name] = Person(name, crypto, joined.group, joined.group.epoch)
        return True

    def entered(self, name: str, crypto: WatchedCrypto, message: bytes, group: Group) -> None:
        """An external commit won."""
        self._won(name, message)
        self.people[name] = Person(name, crypto, group, group.epoch)

    def _won(self, committer: str, message: bytes) -> None:
        self.register.append((committer, message))
        self.proposed.append([])

    # -- members --

    def receive(self, person: Person, data: bytes) -> Event:
        """Processes a message that must be taken."""
        done = drive(process(person.crypto, person.group, data, psks=PSKS))
        if isinstance(done.event, CommitProcessed) and done.event.self_removed:
            person.out = True
        elif isinstance(done.event, CommitProcessed):
            self._moved(person, done.group)
        else:
            person.group = done.group
        return done.event

    def refusal(self, person: Person, data: bytes) -> str | None:
        """The code with which a message is refused: a documented one, nothing changes. None if it would be taken."""
        before = encode_group(person.group)
        error: RoomkeyError | None = None
        try:
            drive(process(person.crypto, person.group, data, psks=PSKS))
        except RoomkeyError as caught:
            error = caught
        assert encode_group(person.group) == before
        if error is None:
            return None
        assert error.code in REFUSALS
        assert error.fault in ("peer", "caller")
        return error.code

    def take_proposals(self, person: Person) -> None:
        """Delivers what was proposed in the member's epoch."""
        for proposer, message in self.proposed[person.group.epoch]:
            if proposer != person.name and message not in person.proposals:
                person.proposals.add(message)
                self.receive(person, message)

    def follow(self, person: Person) -> None:
        """The member takes the commit that ended its epoch."""
        committer, message = self.register[person.group.epoch]
        assert committer != person.name
        event = self.receive(person, message)
        assert isinstance(event, CommitProcessed)

    def catch_up(self, person: Person) -> None:
        while not person.out and person.group.epoch < self.head:
            self.take_proposals(person)
            self.follow(person)

    def _moved(self, person: Person, group: Group) -> None:
        person.secrets[person.group.epoch] = [
            value for name, value in vars(person.group.secrets).items() if isinstance(value, bytes) and name[0] != "_"
        ]
        person.group = group
        stored = encode_group(group)
        for epoch, secrets in person.secrets.items():
            for secret in secrets:
                kept = secret in stored
                sender_data, resumption = secrets[0], secrets[5]
                late = secret == sender_data and epoch >= group.epoch - PAST_EPOCHS
                assert not kept or late or (secret == resumption and epoch > group.epoch - RESUMPTION_EPOCHS)

    def sleep(self, person: Person) -> None:
        """Time passes until everything that waits is too old."""
        self.clock += 10
        person.group = person.group.aged(self.clock)
        self.clock += max(MAX_PAST_AGE, MAX_SKIPPED_AGE) + 1
        person.group = person.group.aged(self.clock)
        last = {letter.sender: 0 for letter in person.read}
        now = [letter for letter in person.read if letter.epoch == person.group.epoch]
        for letter in now:
            last[letter.sender] = max(last[letter.sender], letter.number)
        lost = {
            letter
            for letter in self.letters
            if letter.epoch == person.group.epoch and letter.number < last.get(letter.sender, 0)
        }
        person.slept = (person.group.epoch, frozenset(lost | person.slept[1]))
        assert person.group.past == ()

    def expected(self, person: Person, letter: Letter) -> set[str]:
        """The codes with which the member must refuse a letter; none if it must read it."""
        epoch = person.group.epoch
        if letter.sender == person.name:
            return {"own-message", "key-consumed", "wrong-epoch"}
        if letter.epoch > epoch or letter.epoch < max(epoch - PAST_EPOCHS, person.joined, 0):
            return {"wrong-epoch"}
        if letter.epoch < person.slept[0]:
            return {"wrong-epoch"}
        if letter in person.read or letter in person.slept[1]:
            return {"key-consumed"}
        return set()

    def deliver(self, person: Person, letter: Letter) -> None:
        expected = self.expected(person, letter)
        if expected:
            code = self.refusal(person, letter.data)
            assert code in expected, (code, expected)
            return
        event = self.receive(person, letter.data)
        assert isinstance(event, ApplicationMessage)
        assert (event.data, event.epoch) == (letter.text, letter.epoch)
        person.read.add(letter)

    def reload(self, person: Person) -> None:
        """Stores and loads a member's state, exactly."""
        stored = encode_group(person.group)
        person.group = decode_group(stored)
        assert encode_group(person.group) == stored

    # -- what always holds --

    def check(self) -> None:
        for person in self.inside:
            group, tree = person.group, person.group.tree
            view = (group.epoch_authenticator, group.context, tree.encode(), group.export(b"test", b"x", 32))
            assert self.truth.setdefault(group.epoch, view) == view, "members of an epoch differ"
            assert tree_hash(tree) == group.context.tree_hash
            check_members(tree)
            check_unmerged_leaves(tree)
            public = dict(group.path_keys)
            assert all(pair.public in tree.encryption_keys() for pair in public.values())
            assert group.leaf.credential.identity == person.name.encode()
            names = [member.leaf.credential.identity for member in group.members()]
            assert len(set(names)) == len(names)
        for person in self.people.values():
            if person.out and person.group.epoch in self.truth and self.head > person.group.epoch:
                assert person.group.epoch_authenticator == self.truth[person.group.epoch][0]


def any_suite() -> list[CipherSuite]:
    """The suites that this machine has."""
    crypto = NativeCrypto()
    return [suite for suite in SUITES.values() if crypto.supports(suite.scheme, suite.group, suite.aead)]
