"""The main story, in memory: three people at two services, one conference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from roomkey.conference import records
from roomkey.conference.events import Ended, MembersChanged, MessageArrived
from roomkey.errors import RoomkeyError
from roomkey.federation.trust import ContactPin
from roomkey_delivery.peers.relay import CLAIM_PATH

from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, until

PROFILE = "SRTP_AEAD_AES_128_GCM"


class People:
    def __init__(self, simulation: Simulation, alice: Person, bob: Person, carol: Person) -> None:
        self.simulation, self.alice, self.bob, self.carol = simulation, alice, bob, carol


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    async with Simulation(tmp_path) as simulation:
        alice = await enrol(simulation, "alice@email1.example")
        bob = await enrol(simulation, "bob@email2.example")
        carol = await enrol(simulation, "carol@email1.example")
        yield People(simulation, alice, bob, carol)
        for person in (alice, bob, carol):
            await person.close()


def fingerprints(person: Person) -> list[str]:
    return [item.fingerprint for item in person.conference.keys.fingerprints(PROFILE)]


async def test_three_people_hold_the_same_keys(people: People) -> None:
    alice, bob, carol = people.alice, people.bob, people.carol
    conference = await call(alice, bob, carol)
    assert conference.name == bob.conference.name == "stand-up"
    assert [member.identity for member in conference.members] == [alice.identity, bob.identity, carol.identity]
    assert fingerprints(alice) == fingerprints(bob) == fingerprints(carol)
    assert len(set(fingerprints(alice))) == 3
    assert len(conference.verification_digits) == 30
    assert alice.errors == bob.errors == carol.errors == []


async def test_services_never_see_keys(people: People) -> None:
    conference = await call(people.alice, people.bob, people.carol)
    secrets = [conference.keys.export("test", b"", 32), conference.keys.sframe().base_key]
    for _, keys in conference.keys.srtp(PROFILE):
        secrets += [keys.master_key, keys.master_salt]
    sent = b"".join(people.simulation.network.bodies)
    assert not any(secret in sent for secret in secrets)


async def test_messages_reach_everybody_once(people: People) -> None:
    conference = await call(people.alice, people.bob, people.carol)
    await conference.send(b"from alice")
    await people.bob.conference.send(b"from bob")
    for person, others in ((people.alice, 1), (people.bob, 1), (people.carol, 2)):
        told = person.told
        await until(lambda: sum(isinstance(e, MessageArrived) for e in told) == others, "messages")  # noqa: B023
        stored = await person.conference.history.messages()
        assert sorted(message.data for message in stored) == [b"from alice", b"from bob"]
        assert [message.seq for message in stored] == [1, 2]
        assert [message.own for message in stored if message.data == b"from bob"] == [person is people.bob]


async def test_a_removed_member_learns_it_and_loses_its_keys(people: People) -> None:
    conference = await call(people.alice, people.bob, people.carol)
    before = fingerprints(people.carol)
    await conference.remove(identity=people.carol.identity)
    await together(conference, people.bob)
    await until(lambda: people.carol.conference.status == records.REMOVED, "carol to be removed")
    (ended,) = [event for event in people.carol.told if isinstance(event, Ended)]
    assert ended.reason == "removed"
    assert ended.by is not None
    assert ended.by.identity == people.alice.identity
    with pytest.raises(RoomkeyError, match="not-a-member"):
        people.carol.conference.keys.fingerprints(PROFILE)
    disk = people.carol.host.disks[people.carol.identity]
    assert not [name for name in disk.records if name.startswith(("group/", "commit/", "held/"))]
    assert fingerprints(people.alice) == fingerprints(people.bob)
    assert not set(fingerprints(people.alice)) & set(before)


async def test_somebody_leaves(people: People) -> None:
    conference = await call(people.alice, people.bob, people.carol)
    await people.bob.conference.leave()
    assert people.bob.client.conferences() == []
    assert not [
        name for name in people.bob.host.disks[people.bob.identity].records if name.startswith(("group/", "message/"))
    ]
    await until(lambda: len(conference.members) == 2, "the others to see bob off")
    await together(conference, people.carol)
    assert [e.removed[0].identity for e in people.alice.told if isinstance(e, MembersChanged) and e.removed] == [
        "bob@email2.example"
    ]


async def test_a_member_who_was_away_catches_up(people: People) -> None:
    conference = await call(people.alice, people.bob, people.carol)
    await people.bob.close()
    await conference.send(b"one")
    await conference.update()
    await conference.remove(identity=people.carol.identity)
    await conference.send(b"two")
    await people.bob.power_cut()
    await together(conference, people.bob)
    await until(lambda: sum(isinstance(e, MessageArrived) for e in people.bob.told) == 2, "both messages")
    assert [message.data for message in await people.bob.conference.history.messages()] == [b"one", b"two"]


async def test_an_unknown_person_costs_only_themselves(people: People) -> None:
    fetched = await people.alice.client.fetch(
        ["Bob@email2.example", "nobody@email1.example", "not a name", "dave@email9.example"]
    )
    assert [keys.identity for keys in fetched.keys] == ["bob@email2.example"]
    assert fetched.keys[0].proved.trust.by == "first-use"
    assert [(item.identity, item.error.code) for item in fetched.missing] == [
        ("not a name", "invalid-identity"),
        ("nobody@email1.example", "no-keys"),
        ("dave@email9.example", "no-route"),
    ]


async def test_an_invitation_survives_a_reload_and_can_be_declined(people: People) -> None:
    conference = await people.alice.client.create_conference("")
    fetched = await people.alice.client.fetch([people.bob.identity])
    await people.alice.client.invite(conference, fetched.keys)
    await until(people.bob.client.invitations, "the invitation")
    await people.bob.power_cut()
    (invitation,) = people.bob.client.invitations()
    assert people.bob.client.conferences() == []
    assert invitation.inviter is not None
    assert invitation.inviter.identity == people.alice.identity
    await invitation.leave()
    assert people.bob.client.invitations() == []
    await until(lambda: len(conference.members) == 1, "alice to see bob off")


async def test_strangers_pin_nobody_before_their_invitation_is_accepted(people: People) -> None:
    conference = await people.alice.client.create_conference("")
    fetched = await people.alice.client.fetch([people.bob.identity, people.carol.identity])
    await people.alice.client.invite(conference, fetched.keys)
    await until(people.bob.client.invitations, "the invitation")
    pins = {name for name in people.bob.host.disks[people.bob.identity].records if name.startswith("pin/")}
    assert pins == set()
    await people.bob.invited()
    pins = {name for name in people.bob.host.disks[people.bob.identity].records if name.startswith("pin/")}
    assert pins == {"pin/alice@email1.example", "pin/carol@email1.example"}


async def test_an_aborted_fetch_keeps_what_it_claimed(people: People) -> None:
    alice = people.alice
    claims = 0
    task = asyncio.ensure_future(alice.client.fetch([people.bob.identity]))

    def give_up(origin: str, path: str, body: bytes) -> bool:
        """At the moment at which the claim leaves."""
        nonlocal claims
        if path == CLAIM_PATH:
            claims += 1
            task.cancel()
        return False

    people.simulation.network.swallow = give_up
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alice.client._contacts._claims, "the claim to come to its end")
    assert any(name.startswith("claimed/") for name in alice.host.disks[alice.identity].records)
    fetched = await alice.client.fetch([people.bob.identity])
    assert [keys.identity for keys in fetched.keys] == [people.bob.identity]
    assert claims == 1


async def test_the_suite_is_the_best_that_all_who_are_meant_offer(people: People) -> None:
    fetched = await people.alice.client.fetch([people.bob.identity])
    (keys,) = fetched.keys
    (only,) = keys.proved.sets
    weaker = replace(only, offer=only.offer.without({1, 3}), packages={2: only.packages[2]})
    weak = keys._replace(proved=keys.proved._replace(sets=(weaker,)))
    conference = await people.alice.client.create_conference("", [weak])
    assert conference.suite == 2
    other = await people.alice.client.create_conference("")
    assert other.suite == 1
    with pytest.raises(RoomkeyError, match="no-common-suite"):
        await people.alice.client.invite(other, [weak])


async def test_a_contact_with_new_keys_is_taken_once_the_old_ones_are_forgotten(people: People) -> None:
    alice, bob, carol = people.alice, people.bob, people.carol
    records_of_alice = alice.host.disks[alice.identity].records
    await alice.client.fetch([carol.identity])
    forged = ContactPin.decode(records_of_alice[f"pin/{carol.identity}"]).replace(identity=bob.identity.encode())
    records_of_alice[f"pin/{bob.identity}"] = forged.encode()
    refused = await alice.client.fetch([bob.identity])
    assert [item.error.code for item in refused.missing] == ["identity-changed"]
    assert not [name for name in records_of_alice if name.startswith(f"claimed/{bob.identity}/")]
    await alice.client.forget_contact(bob.identity)
    again = await alice.client.fetch([bob.identity])
    assert again.keys[0].proved.trust.by == "first-use"
