"""Somebody is brought into a conference who is never proved: their log, or their auditors, do not answer. The commit is
withheld by all who cannot prove them, and each person decides whether to wait or to go on without.
"""

from __future__ import annotations

import asyncio

import pytest
from roomkey.conference import records
from roomkey.conference.events import Failed, Succeeded
from roomkey.errors import RoomkeyError

from tests.support.logged_members import BOB, CAROL, DAVE, Member, together
from tests.support.logged_members import alice as alice
from tests.support.logged_members import bob as bob
from tests.support.logged_members import carol as carol
from tests.support.logged_members import dave as dave
from tests.support.logged_members import world as world
from tests.support.owners import ALICE
from tests.support.simulator import until


def names(member: Member) -> set[str]:
    return {item.identity for item in member.conference.members}


async def three(alice: Member, bob: Member, carol: Member) -> bytes:
    """A conference of these; its id."""
    await alice.begin()
    await alice.add(bob, carol)
    await bob.invited()
    await carol.invited()
    await together(alice, bob, carol)
    return alice.conference.id


async def withheld(dave: Member, alice: Member, *others: Member) -> None:
    """Alice brings Dave, whom the others cannot prove, each of whom hears so."""
    for member in others:
        member.unproved.add(DAVE)
    await alice.add(dave)
    await dave.invited()
    for member in others:
        await until(lambda member=member: "log-unproven" in member.failures, "an event")  # type: ignore[misc]
        (failure,) = (event.error for event in member.heard if isinstance(event, Failed))
        assert (failure.details["identity"], failure.details["inviter"]) == (DAVE, ALICE)


async def test_who_decides_goes_on_and_who_does_not_waits(
    alice: Member, bob: Member, carol: Member, dave: Member
) -> None:
    """Bob decides first, then Carol. Alice and Dave stay by themselves; each side sees who went."""
    before = await three(alice, bob, carol)
    epoch = carol.conference.epoch
    await withheld(dave, alice, bob, carol)
    await bob.conference.go_on_without()
    assert bob.conference.id != before
    assert DAVE not in names(bob)
    await until(lambda: BOB not in names(alice) and BOB not in names(dave), "alice to see bob off")
    await until(lambda: ALICE not in names(bob), "bob to see that alice did not come")
    assert (carol.conference.id, carol.conference.epoch) == (before, epoch)
    await carol.conference.go_on_without()
    await until(lambda: carol.conference.id == bob.conference.id, "carol in bob's group")
    await together(bob, carol)
    await until(lambda: names(alice) == names(dave) == {ALICE, DAVE}, "carol seen off")
    assert names(bob) == names(carol) == {BOB, CAROL}
    for member in (bob, carol):
        assert [event.reason for event in member.heard if isinstance(event, Succeeded)] == ["branch"]
    await bob.conference.send(b"without him")
    await until(lambda: carol.said[-1:] == [b"without him"], "the message")


async def test_nobody_goes_on_for_others(alice: Member, bob: Member, carol: Member, dave: Member) -> None:
    """Carol is only slow: when she proves Dave she stays with Alice, and Bob is by himself, whom all see go."""
    before = await three(alice, bob, carol)
    await withheld(dave, alice, bob, carol)
    await bob.conference.go_on_without()
    session = carol.conference._session
    async with asyncio.timeout(120):  # she declines what reached her before the others removed bob
        while not await session.around.store.list(records.welcome_name(session.key)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    carol.unproved.clear()
    await until(lambda: names(carol) == {ALICE, CAROL, DAVE}, "carol to prove dave")
    assert carol.conference.id == before
    await together(alice, carol, dave)
    await until(lambda: names(bob) == {BOB}, "bob to see that nobody came")


async def test_who_brought_them_stays_behind_where_people_say_so(
    alice: Member, bob: Member, carol: Member, dave: Member
) -> None:
    await three(alice, bob, carol)
    await withheld(dave, alice, bob, carol)
    await alice.client.close()
    await bob.conference.go_on_without(without_inviter=True)
    assert names(bob) == {BOB, CAROL}
    await carol.conference.go_on_without(without_inviter=True)
    await together(bob, carol)
    await alice.open()


async def test_it_is_for_good(alice: Member, bob: Member, carol: Member, dave: Member) -> None:
    """Bob decides while no service answers, and goes on after a restart, although Dave could be proved by then."""
    before = await three(alice, bob, carol)
    await withheld(dave, alice, bob, carol)
    bob.conference._session.succeeding = True  # nothing happens but that he decides
    with pytest.raises(RoomkeyError) as caught:
        await bob.conference.go_on_without()
    assert caught.value.code == "group-succeeding"
    await bob.client.close()
    await bob.open()
    bob.conference.listen(bob.heard.append)
    bob.unproved.clear()
    await until(lambda: bob.conference.id != before, "bob's branch")
    assert DAVE not in names(bob)


async def test_where_nothing_is_withheld(alice: Member, bob: Member, carol: Member) -> None:
    before = await three(alice, bob, carol)
    with pytest.raises(RoomkeyError) as caught:
        await bob.conference.go_on_without()
    assert caught.value.code == "bad-argument"
    assert bob.conference.id == before
