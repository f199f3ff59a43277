"""Members whom their own manifest no longer lists leave running conferences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from roomkey.client.log_records import MANIFESTS, ProvedManifest
from roomkey.conference.events import Ended, EpochChanged, Failed
from roomkey.errors import RoomkeyError

from tests.support.logged_members import BOB, CAROL, Member, make_old, together
from tests.support.logged_members import alice as alice
from tests.support.logged_members import bob as bob
from tests.support.logged_members import carol as carol
from tests.support.logged_members import dave as dave
from tests.support.logged_members import world as world
from tests.support.owners import ALICE, Logged, device
from tests.support.simulator import until


@pytest.fixture
async def laptop(world: Logged, bob: Member) -> AsyncIterator[Member]:
    """Bob's second device."""
    made = Member(await device(world, BOB))
    await made.admitted_by(bob)
    await made.listed(2)
    await made.client.publish(3)
    yield made
    await made.close()


def present(one: Member) -> set[bytes]:
    return {item.client for item in one.conference.members}


async def all_in(alice: Member, *others: Member) -> None:
    """A conference that Alice begins, with all of Bob's devices and the others."""
    await alice.begin()
    await alice.add(*{other.identity: other for other in others}.values())
    for other in others:
        await other.invited()
    await together(alice, *others)


async def gone(one: Member) -> str:
    """Waits for the end of a conference; the reason."""
    await until(lambda: any(isinstance(event, Ended) for event in one.heard), f"the end for {one.identity}")
    return next(event.reason for event in one.heard if isinstance(event, Ended))


async def removed_elsewhere(bob: Member, laptop: Member) -> None:
    """Bob removes his laptop from a phone that is in no conference, until the log says so."""
    assert bob.client.conferences() == []
    await bob.client.remove_device(laptop.client.client_id)
    await until(lambda: bob.proved_version() == 3, "the removal in the log")


async def only_laptop_in(alice: Member, bob: Member, laptop: Member, *others: Member) -> None:
    """A conference in which Bob is by his laptop alone."""
    await all_in(alice, bob, laptop, *others)
    await bob.conference.leave()
    await together(alice, laptop, *others)
    await until(lambda: bob.client.client_id not in present(alice), "Bob's phone to go")


async def test_who_removes_a_device_has_it_out_of_the_conference_at_once(
    alice: Member, bob: Member, laptop: Member
) -> None:
    await all_in(alice, bob, laptop)
    epoch, keys = bob.conference.epoch, bob.conference.verification_digits
    await bob.client.remove_device(laptop.client.client_id)
    assert present(bob) == {alice.client.client_id, bob.client.client_id}
    assert bob.conference.epoch == epoch + 1
    assert bob.conference.verification_digits != keys
    await together(alice, bob)
    assert await gone(laptop) == "removed"
    assert alice.failures == bob.failures == []


async def test_a_service_that_is_down_delays_it(
    world: Logged, alice: Member, bob: Member, laptop: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest goes out, the commit does not; it is tried again, and by then the manifest stands."""
    await all_in(alice, bob, laptop)
    ordering, route = alice.conference.ordering, bob.client._routes.service_of
    assert ordering == "email1.example"
    down = True

    def service_of(domain: str) -> object:
        if down and domain == ordering:
            raise RoomkeyError("service-unreachable", "expected an answer, got none")
        return route(domain)

    monkeypatch.setattr(bob.client._routes, "service_of", service_of)
    monkeypatch.setattr(alice.client._around.admission, "unlisted", _nobody)
    await bob.client.remove_device(laptop.client.client_id)
    await until(lambda: bob.failures, "the commit to be tried in vain")
    assert laptop.client.client_id in present(bob)
    down = False
    await until(lambda: laptop.client.client_id not in present(bob), "the laptop to go")
    await together(alice, bob)
    assert [*bob.failures] == ["service-unreachable"]


async def _nobody(members: object) -> list[int]:
    return []


async def test_others_learn_it_within_the_hour_and_one_of_them_removes_it(
    alice: Member, bob: Member, laptop: Member, dave: Member
) -> None:
    await only_laptop_in(alice, bob, laptop, dave)
    await removed_elsewhere(bob, laptop)
    epoch = alice.conference.epoch
    for one in (alice, dave):
        await one.client._roster.look()  # what was proved in the last hour is not asked for again
        assert one.asked == (asked := one.asked)
        make_old(one, BOB)
        await one.client._roster.look()
        assert one.asked == asked + 1
    await until(lambda: laptop.client.client_id not in present(dave), "the laptop to go")
    await together(alice, dave)
    assert await gone(laptop) == "removed"
    assert alice.conference.epoch == epoch + 1
    assert alice.failures == dave.failures == []


async def test_an_invitation_takes_it_along(alice: Member, bob: Member, laptop: Member, dave: Member) -> None:
    """Who is invited would refuse a conference with a member whom no manifest lists."""
    await only_laptop_in(alice, bob, laptop)
    await removed_elsewhere(bob, laptop)
    pin = alice.client._logs._pins[BOB]
    alice.client._logs._pins[BOB] = pin.replace(proved=pin.proved - 61)
    alice.client._roster.moved = lambda people: None  # type: ignore[method-assign]  # the commit would be too early
    epoch = alice.conference.epoch
    await alice.add(dave)
    assert present(alice) == {alice.client.client_id, dave.client.client_id}
    assert alice.conference.epoch == epoch + 1
    await dave.invited()
    await together(alice, dave)
    assert await gone(laptop) == "removed"
    assert alice.failures == dave.failures == []


async def test_a_log_that_does_not_answer_keeps_nobody_from_inviting(
    alice: Member, bob: Member, laptop: Member, carol: Member, dave: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    await all_in(alice, bob, laptop)
    make_old(alice, BOB)
    alice.unproved = {BOB}
    await alice.add(dave)
    assert dave.client.client_id in present(alice)
    assert alice.failures == []


async def test_what_was_learnt_is_done_after_a_restart(alice: Member, bob: Member, laptop: Member) -> None:
    """Between the proof and the commit Alice's device loses power."""
    await only_laptop_in(alice, bob, laptop)
    await removed_elsewhere(bob, laptop)
    alice.client._roster.moved = lambda people: None  # type: ignore[method-assign]
    assert (await alice.client.fetch([BOB])).keys
    data = alice.host.disks[ALICE].records[MANIFESTS + BOB]
    assert ProvedManifest.decode(data).manifest.version == 3
    assert laptop.client.client_id in present(alice)
    await alice.client.close()
    await alice.open()
    alice.conference.listen(alice.heard.append)
    await until(lambda: present(alice) == {alice.client.client_id}, "the laptop to go")
    assert await gone(laptop) == "removed"


async def test_a_life_before_a_reset_goes_once_people_agreed(
    world: Logged, alice: Member, bob: Member, carol: Member
) -> None:
    await all_in(alice, bob, carol)
    again = await device(world, CAROL)
    await again.create(await world.reset_code(CAROL), reset=True)
    async with asyncio.timeout(120):
        while not alice.failures:
            make_old(alice, CAROL)
            await alice.client._roster.look()
    await alice.client._roster.look()
    (failure,) = (event.error for event in alice.heard if isinstance(event, Failed))
    assert (failure.code, failure.details["identity"]) == ("identity-reset", CAROL)
    assert carol.client.client_id in present(alice)  # nobody goes by a word that nobody agreed to
    await alice.client.accept_reset(CAROL, bytes.fromhex(str(failure.details["manifest"])))
    await until(lambda: carol.client.client_id not in present(alice), "the old Carol to go")
    await together(alice, bob)
    await again.close()


async def test_a_log_in_doubt_removes_nobody(
    alice: Member, bob: Member, laptop: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    await only_laptop_in(alice, bob, laptop)
    await removed_elsewhere(bob, laptop)
    monkeypatch.setattr(alice.client._logs, "_is_whole", _in_doubt)
    assert (await alice.client.fetch([BOB])).keys
    await alice.client._roster.look()
    assert laptop.client.client_id in present(alice)
    monkeypatch.undo()
    alice.client._roster.moved([BOB])
    await until(lambda: laptop.client.client_id not in present(alice), "the laptop to go")


async def _in_doubt(identity: str) -> bool:
    return False


async def test_an_invitation_that_was_not_accepted_removes_nobody(
    alice: Member, bob: Member, laptop: Member, dave: Member
) -> None:
    await only_laptop_in(alice, bob, laptop)
    await alice.add(dave)
    await until(dave.client.invitations, "an invitation")
    (invitation,) = dave.client.invitations()
    heard: list[object] = []
    invitation.listen(heard.append)
    epoch = invitation.epoch
    await removed_elsewhere(bob, laptop)
    make_old(dave, BOB)
    await dave.client._logs.prove([BOB])
    invitation.see_off(at_once=True)
    await dave.client._roster.look()
    assert invitation.epoch == epoch
    assert not any(isinstance(event, EpochChanged) for event in heard)
