"""Conferences when things go wrong: races, lost answers, services that are down, full disks, bad members."""

from __future__ import annotations

import asyncio

import pytest
from roomkey.client import admitting
from roomkey.conference import ordering, records
from roomkey.conference.events import Ended
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import MessageDelivery
from roomkey.federation.negotiation import check_not_downgraded
from roomkey.federation.trust import ContactPin
from roomkey.mls.framing import PRIVATE_MESSAGE, WELCOME, MLSMessage, PrivateMessage, message
from roomkey.mls.leaf_node import COMMIT
from roomkey.mls.processing import protect

from tests.support.conferences import said
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, origin_of, until

ORDERING = origin_of("email1.example")
BOBS = origin_of("email2.example")


# -- races --


async def test_three_commits_at_once_all_happen(alice: Person, bob: Person, carol: Person) -> None:
    conference = await call(alice, bob, carol)
    before = conference.epoch
    await asyncio.gather(*(person.conference.update() for person in (alice, bob, carol)))
    await until(lambda: conference.epoch == before + 3, "three epochs")
    await together(conference, bob, carol)


async def test_two_remove_the_same_person(alice: Person, bob: Person, carol: Person) -> None:
    conference = await call(alice, bob, carol)
    before = conference.epoch
    await asyncio.gather(*(person.conference.remove(identity=carol.identity) for person in (alice, bob)))
    await together(conference, bob)
    assert (conference.epoch, len(conference.members)) == (before + 1, 2)


async def test_two_invite_the_same_person(alice: Person, bob: Person, carol: Person) -> None:
    conference = await call(alice, bob)
    fetched = [await person.client.fetch([carol.identity]) for person in (alice, bob)]
    added = await asyncio.gather(
        *(p.client.invite(p.conference, f.keys) for p, f in zip((alice, bob), fetched, strict=True))
    )
    assert [member.identity for result in added for member in result.members].count(carol.identity) >= 1
    await carol.invited()
    await together(conference, bob, carol)
    assert len(conference.members) == 3


async def test_who_lost_a_race_deletes_the_keys_it_made(alice: Person, bob: Person) -> None:
    await call(alice, bob)
    for _ in range(5):
        await asyncio.gather(alice.conference.update(), bob.conference.update())
        await together(alice.conference, bob)
    # Two signature keys (one for each scheme), the leaf's, and two for each KeyPackage of the sets in stock.
    await until(lambda: len(_sets(alice)) == 3, "a full stock")
    assert len(alice.host.disks[alice.identity].keys) == 2 + 1 + 3 * 6


def _sets(person: Person) -> list[str]:
    return [name for name in person.host.disks[person.identity].records if name.startswith("set/")]


# -- services --


async def test_a_commit_whose_answer_was_lost_is_found_to_have_won(
    simulation: Simulation, alice: Person, bob: Person
) -> None:
    conference = await call(alice, bob)
    before = conference.epoch
    simulation.network.lose_answers.add(f"{ORDERING} /v1/commits")
    with pytest.raises(RoomkeyError) as caught:
        await conference.update()
    assert (caught.value.code, caught.value.retryable, caught.value.details["pending"]) == ("timeout", True, True)
    simulation.network.lose_answers.clear()
    await until(lambda: conference.epoch == before + 1, "the commit to be resolved")
    await together(conference, bob)


async def test_a_commit_that_is_refused_uses_up_its_message_key(
    simulation: Simulation, alice: Person, bob: Person
) -> None:
    conference = await call(alice, bob)
    before = conference.epoch
    simulation.network.refuse.add(f"{ORDERING} /v1/commits")
    for _ in range(2):
        with pytest.raises(RoomkeyError) as caught:
            await conference.update()
        assert caught.value.code == "too-many-requests"
        assert "pending" not in caught.value.details
    await alice.power_cut()
    with pytest.raises(RoomkeyError, match="too-many-requests"):
        await alice.conference.update()
    simulation.network.refuse.clear()
    await alice.conference.update()
    assert alice.conference.epoch == before + 1
    await together(alice.conference, bob)


async def test_a_commit_that_never_arrived_is_submitted_again_after_a_restart(
    simulation: Simulation, alice: Person, bob: Person
) -> None:
    conference = await call(alice, bob)
    before = conference.epoch
    simulation.network.unreachable.add(ORDERING)
    with pytest.raises(RoomkeyError, match="service-unreachable"):
        await conference.update()
    assert conference.epoch == before
    await alice.power_cut()
    simulation.network.unreachable.clear()
    await until(lambda: alice.conference.epoch == before + 1, "the commit to be resolved")
    await together(alice.conference, bob)


async def test_a_lost_answer_and_then_a_lost_race(simulation: Simulation, alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    before = conference.epoch
    alice.host.unreachable.add(ORDERING)
    with pytest.raises(RoomkeyError, match="service-unreachable"):
        await conference.update()
    await bob.conference.update()
    assert bob.conference.epoch == before + 1
    alice.host.unreachable.clear()
    await together(conference, bob)
    assert conference.epoch == before + 1
    await conference.update()
    await together(conference, bob)


async def test_a_members_service_that_is_down_holds_up_nobody_else(
    simulation: Simulation, alice: Person, bob: Person, carol: Person
) -> None:
    conference = await call(alice, bob, carol)
    simulation.network.unreachable.add(BOBS)
    await conference.send(b"one")
    await conference.update()
    await until(lambda: said(carol) == [b"one"] and carol.conference.epoch == conference.epoch, "carol to follow")
    assert said(bob) == []
    simulation.network.unreachable.clear()
    await together(conference, bob, carol)
    await until(lambda: said(bob) == [b"one"], "bob to hear it")


async def test_a_message_of_a_later_epoch_waits_for_the_register(
    simulation: Simulation, alice: Person, bob: Person
) -> None:
    conference = await call(alice, bob)
    before = conference.epoch
    bob.host.unreachable.add(ORDERING)
    simulation.network.swallow = lambda origin, path, body: (
        path == "/v1/messages" and _content_type(body) == COMMIT and origin == BOBS
    )
    await conference.update()
    swallow, simulation.network.swallow = simulation.network.swallow, None
    # The commit is still in alice's outbox, and what follows is behind it: put the message in bob's inbox ourselves.
    group = conference._session.group
    assert group is not None
    _, wire = await protect(alice.client._store.crypto, group, b"of the next epoch")
    await alice.client._routes.by_domain["email2.example"].send(wire, [bob.client.client_id])
    await until(lambda: "service-unreachable" in bob.errors, "bob to ask the ordering service in vain")
    assert (bob.conference.epoch, said(bob)) == (before, [])
    bob.host.unreachable.clear()
    await until(lambda: bob.conference.epoch == before + 1, "the commit")
    await until(lambda: said(bob) == [b"of the next epoch"], "the held message")
    assert swallow is not None


def _content_type(body: bytes) -> int:
    inner = MLSMessage.decode(MessageDelivery.decode(body).message).body
    return inner.content_type if isinstance(inner, PrivateMessage) else 0


async def test_who_left_in_an_epoch_that_has_ended_since_is_seen_off(alice: Person, bob: Person, carol: Person) -> None:
    """Bob's word that he goes is on its way while the others go on to other epochs."""
    conference = await call(alice, bob, carol)
    bob.host.unreachable.add(ORDERING)
    await bob.conference.leave()
    for _ in range(2):
        await conference.update()
    bob.host.unreachable.clear()
    bob.client._outbox.wake()
    await until(lambda: len(conference.members) == 2, "bob to be seen off")
    await together(conference, carol)
    assert alice.errors == carol.errors == []


async def test_who_left_while_the_ordering_service_refused_is_seen_off(
    simulation: Simulation, alice: Person, bob: Person, carol: Person
) -> None:
    conference = await call(alice, bob, carol)
    simulation.network.refuse.add(f"{ORDERING} /v1/commits")
    await bob.conference.leave()
    await until(lambda: "too-many-requests" in alice.errors and "too-many-requests" in carol.errors, "both to fail")
    simulation.network.refuse.clear()
    await until(lambda: len(conference.members) == 2, "bob to be seen off")
    await together(conference, carol)


async def test_an_unknown_group_waits_for_its_welcome(simulation: Simulation, alice: Person, bob: Person) -> None:
    fetched = await alice.client.fetch([bob.identity])
    conference = await alice.client.create_conference("")
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"
    await alice.client.invite(conference, fetched.keys)
    await until(lambda: simulation.network.swallowed, "the Welcome to be lost")
    group = conference._session.group
    assert group is not None
    _, wire = await protect(alice.client._store.crypto, group, b"early")
    simulation.network.swallow = None
    await alice.client._routes.by_domain["email2.example"].send(wire, [bob.client.client_id])
    await bob.invited()
    for _ in range(6000):
        if [m.data for m in await bob.conference.history.messages()] == [b"early"]:
            break
        await asyncio.sleep(0.01)
    assert [m.data for m in await bob.conference.history.messages()] == [b"early"]


async def test_a_refused_registration_leaves_no_conference(simulation: Simulation, alice: Person) -> None:
    simulation.network.unreachable.add(ORDERING)
    with pytest.raises(RoomkeyError, match="service-unreachable"):
        await alice.client.create_conference("x")
    assert alice.client.conferences() == []
    assert not [name for name in alice.host.disks[alice.identity].records if name.startswith(("conference/", "group/"))]


# -- storage --


async def test_a_full_disk_changes_nothing(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    before = dict(alice.host.disks[alice.identity].records)
    alice.host.disk_full = True
    for work in (
        conference.update(),
        conference.send(b"x"),
        conference.remove(identity=bob.identity),
        conference.leave(),
    ):
        with pytest.raises(RoomkeyError, match="storage-failed"):
            await work
    assert alice.host.disks[alice.identity].records == before
    alice.host.disk_full = False
    await conference.send(b"y")
    await conference.update()
    await together(conference, bob)
    await until(lambda: said(bob) == [b"y"], "the message")


async def test_what_cannot_be_stored_is_not_acknowledged(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    bob.host.disk_full = True
    await conference.send(b"one")
    await until(lambda: "storage-failed" in bob.errors, "bob's disk to be full")
    assert said(bob) == []
    bob.host.disk_full = False
    await until(lambda: said(bob) == [b"one"], "the message to come again")


# -- bad members and bad services --


async def test_junk_in_the_inbox_is_reported_and_forgotten(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    service = alice.client._routes.by_domain["email2.example"]
    junk = message(PrivateMessage(conference.id, conference.epoch, 1, b"", bytes(28), bytes(64))).encode()
    for data in (b"junk", b"\x00\x01\x00\x02", junk):
        await service.send(data, [bob.client.client_id])
    await conference.send(b"after")
    await until(lambda: said(bob) == [b"after"], "bob to go on")
    assert len(bob.errors) == 3
    assert set(bob.errors) <= {"malformed", "decryption-failed", "invalid-message"}


async def test_a_message_that_comes_again_is_stored_once(simulation: Simulation, alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    await conference.send(b"once")
    await until(lambda: said(bob) == [b"once"], "the message")
    sent = [MessageDelivery.decode(body).message for body in simulation.network.bodies if _is_delivery(body)]
    for data in sent:
        await bob.conference.receive(data)
    assert said(bob) == [b"once"]
    assert bob.errors == []


def _is_delivery(body: bytes) -> bool:
    try:
        inner = MLSMessage.decode(MessageDelivery.decode(body).message)
    except RoomkeyError:
        return False
    return inner.wire_format == PRIVATE_MESSAGE


async def test_a_welcome_that_comes_again_is_refused(simulation: Simulation, alice: Person, bob: Person) -> None:
    await call(alice, bob)
    welcome = _welcomes(simulation)[0]
    await alice.client._routes.by_domain["email2.example"].send(welcome + b"", [bob.client.client_id])
    await bob.client._inbox.take(welcome)
    assert bob.errors == ["welcome-not-for-us"]
    assert len(bob.client.conferences()) == 1


def _welcomes(simulation: Simulation) -> list[bytes]:
    found = []
    for body in simulation.network.bodies:
        try:
            inner = MessageDelivery.decode(body).message
            if MLSMessage.decode(inner).wire_format == WELCOME:
                found.append(inner)
        except RoomkeyError:
            continue
    return found


async def test_a_last_resort_is_renewed_and_its_welcome_taken_once(simulation: Simulation, alice: Person) -> None:
    bob = await enrol(simulation, "bob@email2.example", publish=0)
    await bob.client._pool.top_up(bob.client.home, 0)  # nothing but the last resort
    (first,) = _sets(bob)
    fetched = await alice.client.fetch([bob.identity])
    assert fetched.keys[0].proved.sets[0].last_resort
    conference = alice.listen(await alice.client.create_conference(""))
    await alice.client.invite(conference, fetched.keys)
    await bob.invited()
    await until(lambda: conference.epoch == 2, "bob's leaf to be renewed")
    await together(conference, bob)
    group = bob.conference._session.group
    assert group is not None
    assert group.leaf.leaf_node_source == COMMIT
    assert first in _sets(bob)  # others may have been given it
    await bob.client._inbox.take(_welcomes(simulation)[0])
    assert bob.errors == ["welcome-not-for-us"]
    await bob.client._pool.top_up(bob.client.home, 0)
    assert len(_sets(bob)) == 2  # a new one took its place at the service
    # A second person may still come by the old one.
    again = await alice.client.fetch([bob.identity])
    assert again.keys[0].proved.sets[0].set_id.hex() not in first
    await bob.close()


async def test_a_commit_that_nobody_can_process_ends_the_group_and_not_the_conference(
    alice: Person, bob: Person
) -> None:
    """More of it in test_conference_branch.py."""
    conference = await call(alice, bob)
    group = conference._session.group
    assert group is not None
    junk = message(PrivateMessage(conference.id, group.epoch, COMMIT, b"", bytes(28), bytes(64))).encode()
    service = alice.client._routes.by_domain["email1.example"]
    await service.submit_commit(conference.id, group.epoch, junk, ordering.token(group), bytes(32))
    await bob.conference.update()
    await together(bob.conference, alice)
    assert bob.conference.id != group.group_id
    await bob.conference.send(b"we can still talk")
    await until(lambda: said(alice) == [b"we can still talk"], "the message")


async def test_a_member_whose_key_changed_is_not_accepted(alice: Person, bob: Person, carol: Person) -> None:
    conference = await call(alice, carol)
    pin_name = f"pin/{bob.identity}"
    other = ContactPin.decode(carol.host.disks[carol.identity].records[f"pin/{alice.identity}"])
    forged = other.replace(identity=bob.identity.encode())
    carol.host.disks[carol.identity].records[pin_name] = forged.encode()
    fetched = await alice.client.fetch([bob.identity])
    await alice.client.invite(conference, fetched.keys)
    await until(lambda: carol.conference.status == records.FAILED, "carol to go")
    (ended,) = [event for event in carol.told if isinstance(event, Ended)]
    assert ended.error is not None
    assert (ended.reason, ended.error.code) == ("failed", "identity-changed")
    await until(lambda: len(conference.members) == 2, "the others to see carol off")
    assert {member.identity for member in conference.members} == {alice.identity, bob.identity}


async def test_a_group_of_a_worse_suite_is_not_joined(
    simulation: Simulation, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomkey.client.client.choose", lambda offers, **how: 3)
    conference = await alice.client.create_conference("")
    fetched = await alice.client.fetch([bob.identity])
    with pytest.raises(RoomkeyError, match="downgrade"):
        await alice.client.invite(conference, fetched.keys)
    monkeypatch.setattr(admitting, "check_not_downgraded", lambda suite, offers: None)
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"  # bob's check is off as well
    await alice.client.invite(conference, fetched.keys)
    monkeypatch.setattr(admitting, "check_not_downgraded", check_not_downgraded)
    simulation.network.swallow = None
    alice.client._outbox.wake()
    await until(lambda: "downgrade" in bob.errors, "bob to refuse")
    assert bob.client.invitations() == []


async def test_removing_nobody_and_inviting_members_are_refused(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    for work, code in (
        (conference.remove(identity="x@email1.example"), "no-such-member"),
        (conference.remove(identity=alice.identity), "bad-argument"),
        (conference.history.forget(5), "no-such-message"),
        (conference.send(bytes((1 << 20) + 1)), "bad-argument"),
    ):
        with pytest.raises(RoomkeyError, match=code):
            await work
    fetched = await alice.client.fetch([bob.identity])
    with pytest.raises(RoomkeyError, match="already-member"):
        await alice.client.invite(conference, fetched.keys)
    for label in ("roomkey SRTP 1.0", "roomkey ordering 1.0", "SFrame 1.0 Base Key"):
        with pytest.raises(RoomkeyError, match="bad-argument"):
            conference.keys.export(label, b"", 32)
