"""M2: every validation rule of RFC 9420, broken: a typed error, no state change, nothing sent.

The cases are those of `tests/unit/validation_rules`. Each is played as it is and, where a member forged it, once more
in PrivateMessages: nobody outside the group could then see what was wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from roomkey.crypto.provider import SealItem, SignItem
from roomkey.errors import CODES, RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.processing import protect
from roomkey.mls.state import encode_group
from roomkey.mls.validation import RULES

from tests.support.mls_forge import Scene
from tests.unit import test_validation_rules
from tests.unit.validation_rules.registry import CASES, Case

# These are about PublicMessages, or about leaves whose ratchets nobody has.
PUBLIC_ONLY = {"message-application-encrypted", "message-membership-tag"}
OUTSIDE_THE_TREE = {"a_leaf_beyond_the_tree"}

FRAMINGS = [
    pytest.param(case, private, id=f"{'private' if private else 'public'}-{case.rule}-{case.make.__name__}")
    for case in CASES
    for private in (False, True)
    if not private or (case.rule not in PUBLIC_ONLY and case.make.__name__ not in OUTSIDE_THE_TREE)
]


class Watched(NativeCrypto):
    """A host that notes whatever would be needed to send something."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        super().__init__()
        self.keys = keys
        self.sealed_or_signed = 0

    async def sign(self, items: Sequence[SignItem]) -> list[bytes]:
        self.sealed_or_signed += 1
        return await super().sign(items)

    async def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        self.sealed_or_signed += 1
        return await super().seal(items)


@pytest.mark.parametrize(("case", "private"), FRAMINGS)
async def test_a_broken_rule(case: Case, private: bool) -> None:
    scene = await Scene.create()
    scene.private = private
    attempt = await case.make(scene)
    world = scene.world
    watched = {name: Watched(crypto.keys) for name, crypto in world.cryptos.items() if isinstance(crypto, NativeCrypto)}
    assert watched.keys() == world.cryptos.keys()
    world.cryptos.update(watched)
    groups, stored = dict(world.groups), {name: encode_group(group) for name, group in world.groups.items()}
    keys = {name: dict(crypto.keys) for name, crypto in watched.items()}

    with pytest.raises(RoomkeyError) as refused:
        await attempt.run()

    # a typed error, by its rule
    assert refused.value.code == case.code
    assert refused.value.code in CODES
    assert refused.value.details["rule"] == case.rule
    # no state change, neither of values nor of stored bytes nor of keys
    assert all(world.groups[name] is group for name, group in groups.items())
    assert world.groups.keys() == groups.keys()
    assert {name: encode_group(group) for name, group in world.groups.items()} == stored
    assert {name: crypto.keys for name, crypto in watched.items()} == keys
    # nothing sent: nothing was signed or sealed
    assert sum(crypto.sealed_or_signed for crypto in watched.values()) == 0


def test_every_rule_is_broken_here() -> None:
    assert {case.rule for case in CASES} == set(RULES)
    assert test_validation_rules.MODULES  # their import fills CASES


async def test_what_is_sent_is_noted() -> None:
    scene = await Scene.create()
    crypto = scene.crypto("alice")
    assert isinstance(crypto, NativeCrypto)
    watched = Watched(crypto.keys)
    await protect(watched, scene.group("alice"), b"hello")
    assert watched.sealed_or_signed == 3  # a signature, the content, the sender data
