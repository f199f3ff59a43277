"""A hypothesis state machine over whole groups: what members do in any order, and what then must hold.

It plays the same examples each time. For more, and other ones each time: ROOMKEY_STATE_EXAMPLES=500 (the seed of a
failure is printed, and `@seed` repeats it).
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import commit, group_info, propose, propose_update
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.external import external_commit
from roomkey.mls.framing import PRIVATE_MESSAGE, PUBLIC_MESSAGE, message
from roomkey.mls.group import Group
from roomkey.mls.joining import join
from roomkey.mls.policy import EXTERNAL_JOINS, policy_extension
from roomkey.mls.processing import protect
from roomkey.mls.proposals import Add, GroupContextExtensions, PreSharedKey, Proposal, ReInit, Remove, proposal
from roomkey.mls.psk import USAGE_APPLICATION, external_psk, resumption_psk
from roomkey.mls.state import decode_group, encode_group
from roomkey.mls.successor import branch_group, reinit_group
from roomkey.mls.tree_validation import verify_tree
from roomkey.mls.version import MLS10

from tests.support.group_play import PSKS, Letter, Person, Play, any_suite, drive
from tests.support.mls_world import NOW, join_keys

MOST = 8  # members at a time
MORE = int(os.environ.get("ROOMKEY_STATE_EXAMPLES", "0"))
SUITES = any_suite()
picks = st.integers(0, 1 << 16)
forms = st.sampled_from([PRIVATE_MESSAGE, PUBLIC_MESSAGE])


class Groups(RuleBasedStateMachine):
    play: Play

    @initialize(suite=st.sampled_from(SUITES), outsiders=st.booleans(), size=st.integers(1, 5), stores=st.booleans())
    def begin(self, suite: object, outsiders: bool, size: int, stores: bool) -> None:
        """`stores`: everybody's state goes to the disk and back after every step."""
        self.stores = stores
        extensions = (policy_extension(EXTERNAL_JOINS),) if outsiders else ()
        self.play = Play(suite, extensions)  # type: ignore[arg-type]
        self.outsiders = outsiders
        (first,) = self.play.inside
        if size > 1:
            self._make(first, self._adds(first, size - 1), True, PRIVATE_MESSAGE)
            assert self.play.submit(first)

    # -- helpers --

    def _one(self, people: list[Person], pick: int) -> Person:
        return people[pick % len(people)]

    def _adds(self, person: Person, count: int) -> list[Proposal]:
        added = []
        for _ in range(count):
            name, _, keys = self.play.candidate(person.group.suite)
            person.newcomers[name] = keys
            added.append(proposal(Add(keys.key_package)))
        return added

    def _make(self, person: Person, items: list[Proposal], path: bool | None, wire_format: int) -> None:
        made = drive(
            commit(
                person.crypto, person.group, NOW, proposals=items, path=path, psks=PSKS, wire_format=wire_format,
                referenced=True,
            )
        )  # fmt: skip
        person.group, person.pending = made.current, made

    def _others(self, person: Person) -> list[int]:
        return [index for index, _ in person.group.tree.members() if index != person.group.own_leaf]

    def _psk(self, person: Person, pick: int) -> Proposal:
        nonce = person.crypto.random(person.group.suite.nh)
        epochs = [epoch for epoch, _ in person.group.resumption]
        # Who joined later knows no older epoch: the newest is everybody's.
        psk_id = resumption_psk(USAGE_APPLICATION, b"group", epochs[-1], nonce) if pick % 2 else None
        return proposal(PreSharedKey(psk_id or external_psk(b"door", nonce)))

    def _context(self, pick: int) -> Proposal:
        name = Extension(ExtensionType.ROOMKEY_NAME, bytes([1, 97 + pick % 26]))
        return proposal(GroupContextExtensions((*self.play.extensions, name)))

    # -- commits --

    @rule(who=picks, what=st.sampled_from(["nothing", "add", "remove", "psk", "context", "two"]), pick=picks,
          path=st.sampled_from([None, True]), wire_format=forms, at_once=st.booleans())  # fmt: skip
    def make_commit(self, who: int, what: str, pick: int, path: bool | None, wire_format: int, at_once: bool) -> None:
        """Anyone, also one who is behind, makes a commit; what they heard of its epoch's proposals goes into it. It is
        submitted at once, or races against what others do meanwhile.
        """
        people = [person for person in self.play.inside if person.pending is None]
        if not people:
            return
        person = self._one(people, who)
        if at_once:
            self.play.catch_up(person)
            if person.out:
                return
            self.play.take_proposals(person)
        person.newcomers = {}
        items: list[Proposal] = []
        others = self._others(person)
        if what in ("add", "two") and len(self.play.inside) < MOST:
            items += self._adds(person, 1 + pick % 2)
        if what in ("remove", "two") and len(others) > 1:
            items.append(proposal(Remove(others[pick % len(others)])))
        if what == "psk":
            items.append(self._psk(person, pick))
        if what == "context":
            items.append(self._context(pick))
        self._make(person, items, path, wire_format)
        if at_once:
            assert self.play.submit(person)

    @precondition(lambda self: any(person.pending for person in self.play.inside))
    @rule(who=picks)
    def submit(self, who: int) -> None:
        self.play.submit(self._one([person for person in self.play.inside if person.pending], who))

    @precondition(lambda self: any(person.pending for person in self.play.inside))
    @rule(who=picks)
    def withdraw(self, who: int) -> None:
        """A commit that never arrived is forgotten; its message key is gone all the same."""
        person = self._one([person for person in self.play.inside if person.pending], who)
        person.pending, person.newcomers = None, {}

    @precondition(lambda self: any(person.group.epoch < self.play.head for person in self.play.inside))
    @rule(who=picks, all_the_way=st.booleans(), proposals_first=st.booleans())
    def follow(self, who: int, all_the_way: bool, proposals_first: bool) -> None:
        person = self._one([one for one in self.play.inside if one.group.epoch < self.play.head], who)
        if not proposals_first:
            code = self.play.refusal(person, self.play.register[person.group.epoch][1])
            if code is not None:
                assert code == "unknown-proposal"
                self.play.take_proposals(person)
            self.play.follow(person)
        else:
            self.play.take_proposals(person)
            self.play.follow(person)
        if all_the_way:
            self.play.catch_up(person)

    # -- proposals --

    @rule(who=picks, what=st.sampled_from(["update", "remove", "leave", "add", "psk", "context"]), pick=picks,
          wire_format=forms)  # fmt: skip
    def propose(self, who: int, what: str, pick: int, wire_format: int) -> None:
        people = [person for person in self.play.current if person.pending is None]
        if not people:
            return
        person = self._one(people, who)
        if what == "update":
            person.group, data = drive(propose_update(person.crypto, person.group, wire_format=wire_format))
        else:
            others = self._others(person)
            item = self._psk(person, pick)
            if what == "remove" and others:
                item = proposal(Remove(others[pick % len(others)]))
            if what == "leave":
                item = proposal(Remove(person.group.own_leaf))
            if what == "context":
                item = self._context(pick)
            person.group, data = drive(propose(person.crypto, person.group, item, wire_format=wire_format))
        self.play.proposed[person.group.epoch].append((person.name, data))

    @rule(who=picks)
    def hear_proposals(self, who: int) -> None:
        people = [person for person in self.play.inside if person.pending is None]
        if people:
            self.play.take_proposals(self._one(people, who))

    # -- letters --

    @rule(who=picks, size=st.integers(0, 400))
    def write(self, who: int, size: int) -> None:
        people = [person for person in self.play.inside if not Play.ended(person)]
        person = self._one(people, who)
        text = bytes(size)
        number = sum((one.epoch, one.sender) == (person.group.epoch, person.name) for one in self.play.letters)
        person.group, data = drive(protect(person.crypto, person.group, text, waiting="unsafe-send"))
        self.play.letters.append(Letter(person.group.epoch, person.name, number, text, data))

    @precondition(lambda self: self.play.letters)
    @rule(who=picks, which=picks, recent=st.booleans())
    def deliver(self, who: int, which: int, recent: bool) -> None:
        """To anyone, in any order, again, too late, or to those who are out: they must not read what came after."""
        letters = self.play.letters[-6:] if recent else self.play.letters
        letter = letters[which % len(letters)]
        person = self._one(list(self.play.people.values()), who)
        self.play.deliver(person, letter)

    @precondition(lambda self: self.play.letters)
    @rule(who=picks, backwards=st.booleans())
    def deliver_all(self, who: int, backwards: bool) -> None:
        person = self._one(self.play.inside, who)
        for letter in self.play.letters[:: -1 if backwards else 1]:
            self.play.deliver(person, letter)

    @precondition(lambda self: self.play.letters or self.play.register)
    @rule(who=picks, which=picks, place=picks, flip=st.integers(0, 255))
    def corrupt(self, who: int, which: int, place: int, flip: int) -> None:
        """One byte altered, or the end cut off (0): refused, and nothing changes."""
        person = self._one(self.play.inside, who)
        sent = [letter.data for letter in self.play.letters] + [data for _, data in self.play.register if data]
        if person.group.epoch < self.play.head and which % 2:
            sent = [self.play.register[person.group.epoch][1]]
        if not sent:
            return
        data = bytearray(sent[which // 2 % len(sent)])
        if flip:
            data[place % len(data)] ^= flip
        else:
            del data[place % len(data) :]
        assert self.play.refusal(person, bytes(data)) is not None

    # -- storage and time --

    @rule(who=picks)
    def reload(self, who: int) -> None:
        person = self._one(list(self.play.people.values()), who)
        self.play.reload(person)
        if person.pending is not None:
            kept = encode_group(replace(person.pending.group, past=()))
            person.pending = replace(person.pending, group=decode_group(kept))

    @rule(who=picks)
    def sleep(self, who: int) -> None:
        self.play.sleep(self._one(self.play.inside, who))

    # -- from outside, and what follows --

    @precondition(lambda self: self.play.current and len(self.play.inside) < MOST)
    @rule(who=picks)
    def enter(self, who: int) -> None:
        """A stranger joins by itself, where the group's policy lets it."""
        person = self._one(self.play.current, who)
        info = message(drive(group_info(person.crypto, person.group, external=True))).encode()
        name, crypto, keys = self.play.candidate(person.group.suite)
        if not self.outsiders:
            # The group says nothing: a client of another make may try, and is refused.
            made = drive(external_commit(crypto, info, keys, NOW))
            assert self.play.refusal(person, made.message) == "external-commit-refused"
            return
        made = drive(external_commit(crypto, info, keys, NOW))
        self.play.entered(name, crypto, made.message, made.group)

    @precondition(lambda self: self.outsiders and self.play.current and len(self.play.inside) > 1)
    @rule(who=picks, by=picks)
    def come_back(self, who: int, by: int) -> None:
        """A member who lost its state takes its own place again."""
        lost, shown = self._one(self.play.inside, who), self._one(self.play.current, by)
        if lost is shown or all(m.leaf.credential.identity != lost.name.encode() for m in shown.group.members()):
            return
        info = message(drive(group_info(shown.crypto, shown.group, external=True))).encode()
        keys = drive(join_keys(lost.crypto, shown.group.suite, lost.name.encode()))
        place = next(m.index for m in shown.group.members() if m.leaf.credential.identity == lost.name.encode())
        made = drive(external_commit(lost.crypto, info, keys, NOW, replaces=place))
        self.play.entered(lost.name, lost.crypto, made.message, made.group)

    @precondition(lambda self: self.play.current)
    @rule(who=picks, count=st.integers(0, 3))
    def branch(self, who: int, count: int) -> None:
        """Some members make a group of their own; the old one goes on."""
        founder = self._one(self.play.current, who)
        guests = [person for person in self.play.current if person is not founder][:count]
        keys = {
            one.name: drive(join_keys(one.crypto, one.group.suite, one.name.encode())) for one in (founder, *guests)
        }
        made = drive(
            branch_group(
                founder.crypto, founder.group, keys[founder.name], [keys[one.name].key_package for one in guests],
                founder.crypto.random(16), NOW,
            )
        )  # fmt: skip
        for guest in guests:
            assert made.welcome is not None
            joined = drive(join(guest.crypto, made.welcome, [keys[guest.name]], former=[guest.group])).group
            assert joined.epoch_authenticator == made.group.epoch_authenticator

    @precondition(lambda self: self.play.head > 3)
    @rule(who=picks, by=picks, suite=st.sampled_from(SUITES))
    def reinitialise(self, who: int, by: int, suite: object) -> None:
        """The group ends in favour of another one with the same members, perhaps of another suite."""
        for person in self.play.inside:
            person.pending, person.newcomers = None, {}
        self._everybody_catches_up()
        first = self._one(self.play.inside, who)
        extensions = self.play.extensions
        if first.group.proposals:  # a ReInit stands alone: end this epoch first
            self._make(first, [], True, PRIVATE_MESSAGE)
            assert self.play.submit(first)
            self._everybody_catches_up()
        wanted = ReInit(b"group", MLS10, suite.number, extensions)  # type: ignore[attr-defined]
        self._make(first, [proposal(wanted)], None, PRIVATE_MESSAGE)
        assert self.play.submit(first)
        self._everybody_catches_up()
        members = self.play.inside
        for person in members:
            with pytest.raises(RoomkeyError) as over:
                drive(protect(person.crypto, person.group, b"too late"))
            assert over.value.code == "group-ended"
        founder = self._one(members, by)
        keys = {one.name: drive(join_keys(one.crypto, suite, one.name.encode())) for one in members}  # type: ignore[arg-type]
        others = [keys[one.name].key_package for one in members if one is not founder]
        made = drive(reinit_group(founder.crypto, founder.group, keys[founder.name], others, NOW))
        groups: dict[str, Group] = {founder.name: made.group}
        for one in members:
            if one is not founder:
                assert made.welcome is not None
                groups[one.name] = drive(join(one.crypto, made.welcome, [keys[one.name]], former=[one.group])).group
        self._start_anew(groups)

    def _start_anew(self, groups: dict[str, Group]) -> None:
        play = self.play
        play.people = {name: Person(name, play.people[name].crypto, group, 1) for name, group in groups.items()}
        play.register, play.proposed, play.letters, play.truth = [("", b"")], [[], []], [], {}

    def _everybody_catches_up(self) -> None:
        for person in self.play.inside:
            self.play.catch_up(person)

    # -- what always holds --

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "play"):
            for person in self.play.people.values() if self.stores else ():
                self.play.reload(person)
            self.play.check()

    def teardown(self) -> None:
        """The network heals: all catch up, agree, and hear each other."""
        if not hasattr(self, "play") or any(Play.ended(person) for person in self.play.inside):
            return  # not begun, or a failure is on its way
        for person in self.play.inside:
            person.pending = None
        self._everybody_catches_up()
        self.play.check()
        members = self.play.inside
        assert len({person.group.epoch_authenticator for person in members}) <= 1
        for person in members:
            person.group, data = drive(protect(person.crypto, person.group, b"after all", waiting="unsafe-send"))
            number = sum((one.epoch, one.sender) == (self.play.head, person.name) for one in self.play.letters)
            self.play.letters.append(Letter(self.play.head, person.name, number, b"after all", data))
        for person in self.play.people.values():
            for letter in self.play.letters[-len(members) :]:
                self.play.deliver(person, letter)
        if members:
            group = members[0].group
            needs = group.context
            drive(verify_tree(members[0].crypto, group.tree, needs.group_id, needs.tree_hash, now=None))


TestGroups = Groups.TestCase
TestGroups.settings = settings(
    max_examples=MORE or 60,
    stateful_step_count=50,
    derandomize=not MORE,
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
