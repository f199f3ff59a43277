"""Cases that break one rule each. A case makes something to refuse; `test_validation_rules` runs and judges it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from roomkey.mls.group import NO_PSKS, STRICT, Group, Policy, Psks
from roomkey.mls.joining import join
from roomkey.mls.processing import process

from tests.support.mls_forge import Scene

OPEN = Policy(external_commits=True)


class Attempt(NamedTuple):
    """`run` must be refused, and the scene must be as before and go on."""

    scene: Scene
    run: Callable[[], Awaitable[object]]


class Case(NamedTuple):
    rule: str
    code: str
    make: Callable[[Scene], Awaitable[Attempt]]


CASES: list[Case] = []


def breaks(
    rule: str, code: str
) -> Callable[[Callable[[Scene], Awaitable[Attempt]]], Callable[[Scene], Awaitable[Attempt]]]:
    """Registers a case: it breaks this rule and is refused with this code."""

    def register(make: Callable[[Scene], Awaitable[Attempt]]) -> Callable[[Scene], Awaitable[Attempt]]:
        CASES.append(Case(rule, code, make))
        return make

    return register


def heard(scene: Scene, data: bytes, *, by: str = "alice", policy: Policy = STRICT, psks: Psks = NO_PSKS) -> Attempt:
    """A member gets this message."""
    return Attempt(scene, lambda: process(scene.crypto(by), scene.group(by), data, psks=psks, policy=policy))


def invited(
    scene: Scene, data: bytes, *, name: str = "dave", psks: Psks = NO_PSKS, former: Sequence[Group] = ()
) -> Attempt:
    """A newcomer gets this Welcome."""
    return Attempt(scene, lambda: join(scene.crypto(name), data, [scene.world.keys[name]], psks=psks, former=former))
