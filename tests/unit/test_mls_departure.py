"""A member's own removal that comes an epoch late still says that they want to go; nothing else that is late does."""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import propose, propose_update
from roomkey.mls.framing import PRIVATE_MESSAGE, PUBLIC_MESSAGE
from roomkey.mls.group import PAST_EPOCHS
from roomkey.mls.processing import process_departure, protect
from roomkey.mls.proposals import Remove, proposal

from tests.support.mls_world import World

SUITE = SUITES[1]
CAROL = 2


async def late(kind: str) -> tuple[World, bytes]:
    """What carol said just before an epoch ended; alice's group has gone on."""
    world = await World.create(SUITE, "alice", "bob", "carol")
    crypto, carol = world.cryptos["carol"], world.groups["carol"]
    if kind == "update":
        _, data = await propose_update(crypto, carol)
    elif kind == "text":
        _, data = await protect(crypto, carol, b"x")
    else:
        removed = CAROL if kind != "another" else 1
        form = PUBLIC_MESSAGE if kind == "public" else PRIVATE_MESSAGE
        _, data = await propose(crypto, carol, proposal(Remove(removed)), wire_format=form)
    await world.commit("bob", path=True)
    return world, data


async def refused(world: World, data: bytes) -> str:
    with pytest.raises(RoomkeyError) as caught:
        await process_departure(world.cryptos["alice"], world.groups["alice"], data)
    return caught.value.code


async def test_it_is_heard_once() -> None:
    world, data = await late("own")
    group, leaf = await process_departure(world.cryptos["alice"], world.groups["alice"], data)
    assert leaf == CAROL
    assert group.proposals == ()
    world.groups["alice"] = group
    assert await refused(world, data) == "key-consumed"


@pytest.mark.parametrize("kind", ["another", "update", "text", "public"])
async def test_nothing_else_is(kind: str) -> None:
    world, data = await late(kind)
    assert await refused(world, data) == "invalid-message"


async def test_who_is_gone_is_not_named_again() -> None:
    world, data = await late("own")
    await world.remove("bob", "carol")
    assert await refused(world, data) == "wrong-epoch"
    await world.add("bob", "dave")
    assert world.groups["dave"].own_leaf == CAROL  # the place is somebody else's now
    assert await refused(world, data) == "wrong-epoch"


async def test_it_may_come_too_late() -> None:
    world, data = await late("own")
    for _ in range(PAST_EPOCHS):
        await world.commit("bob", path=True)
    assert await refused(world, data) == "wrong-epoch"
    other = await World.create(SUITE, "alice", "bob")
    await other.commit("bob", path=True)
    assert await refused(other, data) in ("decryption-failed", "malformed")
