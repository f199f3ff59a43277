"""Random steps for a mixed group, from a seed: what the members of `Room` may do next, within the rules of RFC 9420 and
around the faults of ts-mls.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from tests.interop import faults
from tests.interop.room import Room
from tests.interop.steps import Commit, Create, Enter, Open, Propose, Reload, Say, Seal, Step

# Both engines keep the keys of three ended epochs or more, for application data and resumption PSKs.
PAST_EPOCHS = 3
# ts-mls keeps ten skipped keys of a sender; letters on their way stay below.
MAX_LETTERS = 5

Item = TypeVar("Item")

OURS, THEIRS = "a", "b"


@dataclass
class Play:
    """Draws the next steps from `rng` and the state of the room. Members come with fresh names, so that a failing
    play is named by its seed and the number of its steps.
    """

    rng: random.Random
    room: Room
    limit: int  # members at most
    names: dict[str, int] = field(default_factory=lambda: {OURS: 1, THEIRS: 0})
    letters: int = 0

    def steps(self) -> Iterator[Step]:
        """Without end: one step at a time, each drawn when the one before was played."""
        yield Create("a1")
        yield Commit("a1", add=(self._newcomer(THEIRS), self._newcomer(OURS), self._newcomer(THEIRS)))
        while True:
            draw = self.rng.random()
            if self.room.refused:
                yield Commit(self._one(), remove=tuple(self.room.refused), public=self._coin())
            elif draw < 0.55:
                yield from self._change()
            elif draw < 0.6 and len(self.room.inside) < self.limit:
                yield Enter(self._newcomer(self.rng.choice((OURS, THEIRS))), self._one())
            elif draw < 0.75:
                yield Say(self._one())
            elif draw < 0.85:
                yield from self._seal()
            elif draw < 0.95:
                yield from self._open()
            else:
                yield Reload(self._one())

    def _change(self) -> Iterator[Step]:
        """Proposals by several members, and the commit that carries them and some of its own."""
        committer = self._one()
        leave = self._leaving(committer, self.rng.choice((0, 0, 0, 1, 1, 2)))
        update = [name for name in self.room.inside if name not in leave and name != committer]
        update = self.rng.sample(update, min(len(update), self.rng.choice((0, 0, 0, 1, 2))))
        room_left = self.limit - len(self.room.inside) + len(leave)
        join = [
            self._newcomer(self.rng.choice((OURS, THEIRS)))
            for _ in range(min(room_left, self.rng.choice((0, 0, 1, 1, 2, 3))))
        ]
        psks = [b"psk %d" % number for number in range(self.rng.choice((0, 0, 0, 1, 2)))]
        resume = [] if join or self.rng.random() < 0.8 else self._epochs()[:1]
        extension = b"%d" % self.rng.getrandbits(16) if committer[0] == OURS and self.rng.random() < 0.15 else None
        for name in update:
            yield Propose(name, public=self._coin())
        join, wait = self._split(join)
        for name in wait:
            yield Propose(self._one(), add=name, public=self._coin())
        leave, wait = self._split(leave)
        for name in wait:
            yield Propose(self._one(without=name), remove=name, public=self._coin())
        psks, others = self._split(psks)
        for psk in others:
            yield Propose(self._one(), psk=psk, public=self._coin())
        yield Commit(
            committer, tuple(join), tuple(leave), tuple(psks), tuple(resume), extension,
            path=self.rng.random() < 0.3, public=self._coin(), tree_inside=self._coin(),
        )  # fmt: skip

    def _seal(self) -> Iterator[Step]:
        waiting = [letter for letter in self.room.letters.values() if letter.readers]
        if len(waiting) < MAX_LETTERS:
            self.letters += 1
            yield Seal(self._one(), f"letter {self.letters}")

    def _open(self) -> Iterator[Step]:
        """One letter, by one of those who can still read it."""
        for label, letter in list(self.room.letters.items()):
            letter.readers.intersection_update(self.room.inside)
            if self.room.epoch - letter.epoch > PAST_EPOCHS or not letter.readers:
                del self.room.letters[label]
        if self.room.letters:
            label = self.rng.choice(sorted(self.room.letters))
            yield Open(self.rng.choice(sorted(self.room.letters[label].readers)), label)

    def _leaving(self, committer: str, count: int) -> list[str]:
        """So many who can go, or fewer: one of each engine stays, and the tree keeps a shape that ts-mls masters."""
        stay = list(self.room.inside)
        for name in self.rng.sample(stay, len(stay)):
            rest = [other for other in stay if other != name]
            both = {other[0] for other in rest} == {OURS, THEIRS}
            if len(self.room.inside) - len(stay) == count:
                break
            if name != committer and both and not faults.blank_root(self.room.person(other).leaf for other in rest):
                stay = rest
        return [name for name in self.room.inside if name not in stay]

    def _epochs(self) -> list[int]:
        """Ended epochs, and this one, that all members were there in and still hold, in random order."""
        first = max(self.room.epoch - PAST_EPOCHS, *(self.room.since[name] for name in self.room.inside))
        epochs = list(range(first, self.room.epoch + 1))
        self.rng.shuffle(epochs)
        return epochs

    def _split(self, items: list[Item]) -> tuple[list[Item], list[Item]]:
        """By value, and by reference."""
        cut = self.rng.randint(0, len(items))
        return items[:cut], items[cut:]

    def _one(self, without: str = "") -> str:
        return self.rng.choice([name for name in self.room.inside if name != without])

    def _newcomer(self, side: str) -> str:
        self.names[side] += 1
        return f"{side}{self.names[side]}"

    def _coin(self) -> bool:
        return self.rng.random() < 0.5
