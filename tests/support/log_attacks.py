"""What a service can alter in its log's answers (T8 to T10, T18), and the code by which clients refuse it.

The same lies are told to native clients and to pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from roomkey.transparency.answer import Answer
from roomkey.transparency.exchange import Answers
from roomkey.transparency.notes import Note

Alter = Callable[[Answer], Answer]
Proof = tuple[bytes, ...]


class Lie(NamedTuple):
    """Something altered in every answer on its way. `name`: its id first."""

    name: str
    alter: Callable[[Answers], Answers]
    code: str = "log-proof-invalid"


def flipped(data: bytes) -> bytes:
    """With another last bit."""
    return data[:-1] + bytes((data[-1] ^ 1,))


def each(alter: Alter) -> Callable[[Answers], Answers]:
    return lambda answers: answers.replace(answers=tuple(item and alter(item) for item in answers.answers))


def signed_by(change: Callable[[Note], Note]) -> Callable[[Answers], Answers]:
    """With other signatures under the head."""
    return each(lambda item: item.replace(checkpoint=change(Note.decode(item.checkpoint)).encode()))


def _consistency(change: Callable[[Proof], Proof]) -> Callable[[Answers], Answers]:
    def alter(answers: Answers) -> Answers:
        proof = change(answers.consistency)
        assert proof != answers.consistency, "expected a log that went on"
        return answers.replace(consistency=proof)

    return alter


def _in_the_tree(change: Callable[[Proof], Proof]) -> Callable[[Answers], Answers]:
    return each(lambda item: item.replace(inclusion=change(item.inclusion)))


def _on_the_way(change: Callable[[tuple[bytes | None, ...]], tuple[bytes | None, ...]]) -> Callable[[Answers], Answers]:
    return each(lambda item: item.replace(map_proof=item.map_proof.replace(siblings=change(item.map_proof.siblings))))


def _presence(item: Answer) -> Answer:
    assert item.presence is not None
    return item.replace(presence=item.presence.replace(opening=bytes(16)))


# Told to who holds an older head of a log that went on since.
CONSISTENCY = (
    Lie("T8 none", _consistency(lambda proof: ())),
    Lie("T8 altered at its end", _consistency(lambda proof: (*proof[:-1], flipped(proof[-1])))),
    Lie("T8 altered at its beginning", _consistency(lambda proof: (flipped(proof[0]), *proof[1:]))),
    Lie("T8 longer", _consistency(lambda proof: (*proof, bytes(32)))),
)
# Told to who never proved the identity's place; it is the same for good, and nobody looks at its proof twice.
PLACE = Lie("T9 another place in the map", each(lambda item: item.replace(vrf_proof=flipped(item.vrf_proof))))
PLACES = (
    Lie("T9 an epoch not in the tree", each(lambda item: item.replace(epoch=item.epoch.replace(map_root=bytes(32))))),
    Lie("T9 another place in the tree", _in_the_tree(lambda path: (flipped(path[0]), *path[1:]))),
    Lie("T9 a node for an epoch", _in_the_tree(lambda path: path[1:])),
    PLACE,
    Lie("T9 a node for a leaf", _on_the_way(lambda path: path[:-1])),
    Lie("T9 a way that is longer", _on_the_way(lambda path: (*path, bytes(32)))),
    Lie("T9 another opening", each(_presence)),
)
SIGNATURES = (
    Lie(
        "T10 the log's line alone",
        signed_by(lambda note: note._replace(signatures=note.signatures[:1])),
        "log-unproven",
    ),
    Lie("T10 no line", signed_by(lambda note: note._replace(signatures=())), "malformed"),
)
ABSENCE = (
    Lie("T18 left out", each(lambda item: item.replace(presence=None))),
    Lie(
        "T18 by a shorter way",
        each(lambda item: item.replace(presence=None, map_proof=item.map_proof.replace(siblings=()))),
    ),
    Lie(
        "T18 by an empty map",
        each(lambda item: item.replace(presence=None, epoch=item.epoch.replace(map_root=bytes(32)))),
    ),
)
