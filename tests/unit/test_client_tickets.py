"""Tickets: people outside come into a conference by themselves, where its policy lets them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

import pytest
from roomkey.client.events import Appeared
from roomkey.client.opening import CREDENTIAL_SCHEME
from roomkey.conference import entering, records, tickets
from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, MembersChanged
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points, init_keys
from roomkey.federation.fanout import Routes
from roomkey.federation.init_keys import ClientKeys
from roomkey.federation.trust import ClientPin, ContactPin
from roomkey.mls.external import external_commit
from roomkey.mls.framing import MLSMessage, message
from roomkey.mls.leaf_node import Capabilities, own_capabilities
from roomkey.mls.policy import EXTERNAL_JOINS, MEMBERS_ONLY
from roomkey.mls.welcome import GroupInfo
from roomkey_delivery.store.sqlite import COMMITS_KEPT

from tests.attacks.mallory import crypto_of
from tests.support.conferences import said
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, origin_of, until


async def open_call(caller: Person, *others: Person) -> Conference:
    """A conference with tickets; others than the caller come in by one each."""
    conference = caller.listen(await caller.client.create_conference("open", policy=EXTERNAL_JOINS))
    for person in others:
        await come_in(person, conference)
    return conference


async def come_in(person: Person, conference: Conference) -> Conference:
    joined = person.listen(await person.client.join_conference(await conference.ticket()))
    await until(lambda: conference.epoch == joined.epoch, "one epoch")
    return joined


async def refused(person: Person, ticket: bytes) -> str:
    """The code by which a ticket is refused; nothing is left of it."""
    disk = person.host.disks[person.identity]
    before = sorted(disk.records), sorted(disk.keys)
    with pytest.raises(RoomkeyError) as caught:
        await person.client.join_conference(ticket)
    assert (sorted(disk.records), sorted(disk.keys)) == before
    return caught.value.code


def entered(person: Person) -> list[str]:
    changes = [event for event in person.told if isinstance(event, MembersChanged)]
    return [member.identity for event in changes for member in event.entered]


async def test_people_come_in_by_themselves(alice: Person, bob: Person, carol: Person) -> None:
    conference = await open_call(alice, bob)
    assert (conference.policy, bob.conference.policy, bob.conference.name) == (EXTERNAL_JOINS, EXTERNAL_JOINS, "open")
    assert (bob.conference.ordering, bob.conference.status) == ("email1.example", records.ACTIVE)
    await come_in(carol, bob.conference)
    await together(conference, bob, carol)
    assert entered(alice) == [bob.identity, carol.identity]
    assert entered(bob) == [carol.identity]
    assert [member.by for member in carol.conference.members] == ["first-use", "first-use", "self"]
    for person in (alice, bob, carol):
        await person.conference.send(person.identity.encode())
    everybody = sorted(person.identity.encode() for person in (alice, bob, carol))
    for person in (alice, bob, carol):
        others = sorted({*everybody} - {person.identity.encode()})
        await until(lambda person=person, others=others: sorted(set(said(person)) & {*others}) == others, "all words")  # type: ignore[misc]
    await conference.remove(identity=bob.identity)
    await until(lambda: bob.conference.status == records.REMOVED, "bob to be gone")
    assert bob.conference.policy is None


async def test_invitations_and_tickets_side_by_side(alice: Person, bob: Person, carol: Person) -> None:
    conference = await open_call(alice, bob)
    fetched = await alice.client.fetch([carol.identity])
    await alice.client.invite(conference, fetched.keys)
    await carol.invited()
    await together(conference, bob, carol)
    assert entered(alice) == [bob.identity]


async def test_off_by_default(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    assert conference.policy == bob.conference.policy == MEMBERS_ONLY
    with pytest.raises(RoomkeyError, match="ticket-not-allowed"):
        await conference.ticket()
    with pytest.raises(RoomkeyError, match="bad-argument"):
        await alice.client.create_conference("", policy="everybody")
    assert len(alice.client.conferences()) == 1


async def test_a_ticket_of_a_members_only_conference(
    monkeypatch: pytest.MonkeyPatch, alice: Person, bob: Person, carol: Person
) -> None:
    """Alice's engine makes one all the same, with the token. Carol's refuses to use it."""
    conference = await call(alice, bob)
    with monkeypatch.context() as patch:
        patch.setattr(tickets, "_expect_external_joins", lambda context: None)
        ticket = await conference.ticket()
    assert await refused(carol, ticket) == "ticket-not-allowed"


async def test_a_leaked_token_of_a_members_only_conference(
    monkeypatch: pytest.MonkeyPatch, alice: Person, bob: Person, carol: Person
) -> None:
    """The same, and carol's engine uses it: as any commit that nobody can follow (S13), it moves the others to a group
    without her.
    """
    conference = await call(alice, bob)
    before = conference.id
    with monkeypatch.context() as patch:
        patch.setattr(tickets, "_expect_external_joins", lambda context: None)
        joined = await carol.client.join_conference(await conference.ticket())
    await until(lambda: bob.conference.id == conference.id != before, "a new group")
    assert len(conference.members) == len(bob.conference.members) == 2
    await conference.send(b"we can still talk")
    await until(lambda: said(bob) == [b"we can still talk"], "the message")
    await joined.send(b"hello?")
    assert said(alice) == []


async def test_one_epoch_only(alice: Person, bob: Person, carol: Person) -> None:
    conference = await open_call(alice, bob)
    ticket = await conference.ticket()
    await conference.update()
    assert await refused(carol, ticket) == "ticket-expired"
    await come_in(carol, conference)
    await together(conference, bob, carol)


async def test_a_member_who_has_not_heard_of_the_last_change(
    simulation: Simulation, alice: Person, bob: Person, carol: Person
) -> None:
    conference = await open_call(alice, bob)
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"
    await bob.conference.update()
    assert conference.epoch == 1
    carol.listen(await carol.client.join_conference(await conference.ticket()))
    simulation.network.swallow = None
    await together(conference, bob, carol)


async def test_one_that_the_register_has_forgotten(simulation: Simulation, alice: Person, bob: Person) -> None:
    conference = await open_call(alice)
    ticket = await conference.ticket()
    await conference.update()
    service = simulation.network.services[origin_of("email1.example")].service
    await service.store.prune(service.clock() + COMMITS_KEPT + 1)
    assert await refused(bob, ticket) == "ticket-expired"


async def test_two_with_one_ticket(alice: Person, bob: Person, carol: Person) -> None:
    conference = await open_call(alice)
    ticket = await conference.ticket()
    outcomes = await asyncio.gather(
        bob.client.join_conference(ticket), carol.client.join_conference(ticket), return_exceptions=True
    )
    (winner,) = [item for item in outcomes if isinstance(item, Conference)]
    (error,) = [item for item in outcomes if isinstance(item, RoomkeyError)]
    assert (error.code, error.retryable) == ("ticket-expired", False)
    await until(lambda: len(conference.members) == 2, "one of them")
    assert winner.verification_digits == conference.verification_digits


async def test_every_part_of_a_ticket_is_signed(alice: Person, bob: Person, carol: Person) -> None:
    conference = await open_call(alice, bob)
    ticket = await conference.ticket()
    for place in range(0, len(ticket), 37):
        altered = ticket[:place] + bytes([ticket[place] ^ 1]) + ticket[place + 1 :]
        assert await refused(carol, altered) in ("invalid-ticket", "unsupported-suite", "unsupported-policy"), place
    assert await refused(carol, ticket[:-1]) == "invalid-ticket"
    assert await refused(carol, b"") == "invalid-ticket"
    info = MLSMessage.decode(ticket).body
    assert isinstance(info, GroupInfo)
    bare = info.replace(extensions=info.extensions[1:])
    assert await refused(carol, message(bare).encode()) == "invalid-ticket"
    await come_in(carol, conference)


async def test_who_was_removed_and_an_old_ticket(alice: Person, bob: Person, carol: Person) -> None:
    """Kept from before the removal, it opens nothing; a new one lets them back to what they had."""
    conference = await open_call(alice, bob, carol)
    await conference.send(b"one")
    await until(lambda: said(bob) == [b"one"], "the message")
    old = await bob.conference.ticket()
    await conference.remove(identity=bob.identity)
    await until(lambda: bob.conference.status == records.REMOVED, "bob to be gone")
    assert await refused(bob, old) == "ticket-expired"
    await conference.send(b"not for bob")
    before = bob.conference
    joined = await come_in(bob, conference)
    assert before.gone
    assert bob.conference is joined
    await together(conference, bob, carol)
    await conference.send(b"two")
    await until(lambda: b"two" in said(bob), "the message")
    assert [item.data for item in await joined.history.messages()] == [b"one", b"two"]


async def test_who_is_in_needs_none(alice: Person, bob: Person) -> None:
    conference = await open_call(alice, bob)
    assert await refused(bob, await conference.ticket()) == "already-member"
    assert await refused(alice, await bob.conference.ticket()) == "already-member"


async def test_back_in_place_of_a_lost_leaf(simulation: Simulation, alice: Person, bob: Person, carol: Person) -> None:
    """Bob's conference is lost, his account is not. His old leaf goes by the commit that brings the new one."""
    conference = await open_call(alice, bob, carol)
    leaf = next(member.leaf for member in conference.members if member.identity == bob.identity)
    await bob.host.bury()
    disk = bob.host.disks[bob.identity].records
    for name in [name for name in disk if name.split("/")[0] in ("conference", "members", "group", "held")]:
        del disk[name]
    await bob.power_cut()
    assert bob.client.conferences() == []
    await come_in(bob, conference)
    await together(conference, bob, carol)
    assert [member.leaf for member in conference.members if member.identity == bob.identity] == [leaf]
    assert entered(alice) == [bob.identity, carol.identity, bob.identity]


async def test_who_left_and_comes_back_before_the_others_have_removed_them(alice: Person, bob: Person) -> None:
    """Their wish to go was for the old leaf."""
    conference = await open_call(alice, bob)
    ticket = await conference.ticket()
    alice.host.unreachable.add(origin_of("email1.example"))  # she would be the quicker one
    await bob.conference.leave()
    await until(lambda: conference._session.record.departing, "alice to hear of it")
    bob.listen(await bob.client.join_conference(ticket))
    alice.host.unreachable.clear()
    await together(conference, bob)
    await conference.send(b"welcome back")
    await until(lambda: b"welcome back" in said(bob), "the message")
    assert (len(conference.members), bob.conference.status) == (2, records.ACTIVE)


async def test_a_late_word_of_who_left_and_is_back(simulation: Simulation, alice: Person, bob: Person) -> None:
    """Bob's wish to go is on its way while he comes back: it is of a leaf that is gone."""
    conference = await open_call(alice, bob)
    ticket = await conference.ticket()
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"
    await bob.conference.leave()
    await bob.client.join_conference(ticket)
    await conference.catch_up()
    assert conference.epoch == bob.conference.epoch == 2
    simulation.network.swallow = None
    await until(lambda: not [n for n in bob.host.disks[bob.identity].records if n.startswith("out/")], "bob's words")
    await bob.conference.send(b"still here")
    await until(lambda: said(alice) == [b"still here"], "the message")
    await asyncio.sleep(0.3)  # alice's turn to remove a leaver comes in a twentieth of a second
    await conference.update()
    await together(conference, bob)
    assert (conference.epoch, len(conference.members)) == (3, 2)


async def test_a_stranger_under_the_name_of_somebody_known(alice: Person, bob: Person, mallory: Person) -> None:
    """Nobody is taken for bob whose keys are others than his. The commit stands, so alice goes, as at an Add."""
    await call(alice, bob)
    conference = alice.listen(await alice.client.create_conference("open", policy=EXTERNAL_JOINS))
    mallory.client._entrance._keys = await stolen_name(mallory, bob.identity)
    await mallory.client.join_conference(await conference.ticket())
    await until(lambda: conference.status == records.FAILED, "alice to go")
    (end,) = [event for event in alice.told if isinstance(event, Ended)]
    assert end.error is not None
    assert end.error.code == "identity-changed"
    assert [member.identity for member in conference.members] == [alice.identity]


async def test_a_stranger_in_place_of_somebody(
    alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Her commit removes bob and lets her in under his name; a credential is no secret. No member removed him."""
    conference = await open_call(alice, bob)
    leaf = next(member.leaf for member in conference.members if member.identity == bob.identity)
    mallory.client._entrance._keys = await stolen_name(mallory, bob.identity)
    monkeypatch.setattr(entering, "external_commit", partial(external_commit, replaces=leaf))
    await mallory.client.join_conference(await conference.ticket())
    await bob.conference.catch_up()
    (end,) = [event for event in bob.told if isinstance(event, Ended)]
    assert (end.reason, end.by) == ("failed", None)
    assert end.error is not None
    assert end.error.code == "identity-mismatch"
    await until(lambda: conference.status == records.FAILED, "alice to go")


async def test_a_ticket_by_a_stranger_under_a_known_name(alice: Person, bob: Person, mallory: Person) -> None:
    await call(bob, alice)
    mallory.client._keys = await stolen_name(mallory, alice.identity)
    conference = await mallory.client.create_conference("open", policy=EXTERNAL_JOINS)
    assert await refused(bob, await conference.ticket()) == "identity-changed"
    await conference.catch_up()
    assert conference.epoch == 0


async def test_a_member_whose_keys_change_while_we_wait(simulation: Simulation, alice: Person, bob: Person) -> None:
    """Bob learns other keys of alice's after his commit was sent and before its answer came: he goes again."""
    conference = await open_call(alice)
    lost = f"{origin_of('email1.example')} /v1/commits"
    simulation.network.lose_answers.add(lost)
    with pytest.raises(RoomkeyError, match="timeout"):
        await bob.client.join_conference(await conference.ticket())
    other = await stolen_name(bob, alice.identity)
    pinned = ClientPin(code_points.algorithm_of(other.scheme), other.pairs[other.scheme].public, (1,), (1,))
    disk = bob.host.disks[bob.identity].records
    disk[f"pin/{alice.identity}"] = ContactPin(alice.identity.encode(), 1, (pinned,)).encode()
    simulation.network.lose_answers.discard(lost)
    await until(lambda: bob.client.conferences() and bob.conference.status == records.FAILED, "bob to go")
    await until(lambda: "identity-changed" in bob.errors, "an event that says why")
    await until(lambda: conference.epoch == 2, "alice to see bob come and go")
    assert [member.identity for member in conference.members] == [alice.identity]
    assert entered(alice) == [bob.identity]


async def test_a_suite_that_we_lack(simulation: Simulation, bob: Person) -> None:
    dora = await enrol(simulation, "dora@email1.example", choice="experimental")
    conference = await dora.client.create_conference("open", policy=EXTERNAL_JOINS)
    assert conference.suite == 0xF0C1
    assert await refused(bob, await conference.ticket()) == "unsupported-suite"
    await dora.close()


async def test_no_way_to_the_ordering_service(alice: Person, bob: Person) -> None:
    conference = await open_call(alice)
    ticket = await conference.ticket()
    services = bob.client._routes.by_domain
    bob.client._routes = Routes({"email2.example": services["email2.example"]})
    assert await refused(bob, ticket) == "no-route"
    await bob.client.set_service(origin_of("email1.example"), ["email1.example"])
    bob.listen(await bob.client.join_conference(ticket))
    await until(lambda: conference.epoch == 1, "bob to be seen")


async def test_an_answer_that_is_lost(simulation: Simulation, alice: Person, bob: Person) -> None:
    """Whether the commit won is open; the background finds out, and what came meanwhile is read."""
    conference = await open_call(alice)
    ticket = await conference.ticket()
    lost = f"{origin_of('email1.example')} /v1/commits"
    simulation.network.lose_answers.add(lost)
    with pytest.raises(RoomkeyError) as caught:
        await bob.client.join_conference(ticket)
    assert (caught.value.code, caught.value.details["pending"]) == ("timeout", True)
    assert bob.client.conferences() == bob.client.invitations() == []
    await conference.catch_up()
    assert len(conference.members) == 2
    await conference.send(b"are you there?")
    await until(lambda: any(n.startswith("held/") for n in bob.host.disks[bob.identity].records), "a held message")
    simulation.network.lose_answers.discard(lost)
    await until(lambda: any(isinstance(event, Appeared) for event in bob.events), "bob to be in")
    bob.listen(bob.conference)
    assert [item.data for item in await bob.conference.history.messages()] == [b"are you there?"]
    await together(conference, bob)


@pytest.mark.parametrize("sent", [False, True])
async def test_who_gives_up_waiting_is_in_all_the_same(
    simulation: Simulation, alice: Person, bob: Person, sent: bool
) -> None:
    conference = await open_call(alice)
    waiting = asyncio.ensure_future(bob.client.join_conference(await conference.ticket()))
    if sent:

        def give_up(origin: str, path: str, body: bytes) -> bool:
            if path == "/v1/commits":
                waiting.cancel()
            return False

        simulation.network.swallow = give_up
    else:
        await asyncio.sleep(0)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(bob.client.conferences, "bob to be in")
    await together(conference, bob)


async def test_nothing_of_a_ticket_stays(simulation: Simulation, alice: Person, bob: Person) -> None:
    conference = await open_call(alice)
    ticket = tickets.read_ticket(await conference.ticket())
    await come_in(bob, conference)
    for person in (alice, bob):
        assert all(ticket.token not in data for data in person.host.disks[person.identity].records.values())


async def test_clients_that_know_no_policies_are_not_invited(
    monkeypatch: pytest.MonkeyPatch, simulation: Simulation, alice: Person
) -> None:
    def without_policies(suites: Iterable[int]) -> Capabilities:
        known = own_capabilities(suites)
        return known.replace(extensions=tuple(item for item in known.extensions if item != 0xF0C4))

    with monkeypatch.context() as patch:
        patch.setattr(init_keys, "own_capabilities", without_policies)
        old = await enrol(simulation, "old@email1.example")
    fetched = await alice.client.fetch([old.identity])
    conference = await alice.client.create_conference("open", fetched.keys, policy=EXTERNAL_JOINS)
    with pytest.raises(RoomkeyError) as caught:
        await alice.client.invite(conference, fetched.keys)
    assert (caught.value.code, caught.value.details) == ("unsupported-client", {"extension": 0xF0C4})
    again = await alice.client.create_conference("closed", fetched.keys)
    await alice.client.invite(again, fetched.keys)
    await old.invited()
    await old.close()


async def stolen_name(person: Person, identity: str) -> ClientKeys:
    """Keys of somebody under another's name."""
    return await init_keys.make_client_keys(crypto_of(person), identity, CREDENTIAL_SCHEME, person.client.suites)
