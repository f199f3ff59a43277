"""The post-quantum suite among people: who asked for it and who did not, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.client import admitting
from roomkey.conference import records
from roomkey.errors import RoomkeyError
from roomkey.federation.negotiation import check_not_downgraded

from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, until

PQ = 0xF0C1
PROFILE = "SRTP_AEAD_AES_128_GCM"


class People:
    """Alice and Bob asked for it, Carol too; Dora did not."""

    def __init__(self, simulation: Simulation, people: list[Person]) -> None:
        self.simulation, self.all = simulation, people
        self.alice, self.bob, self.carol, self.dora = people


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    async with Simulation(tmp_path) as simulation:
        asked = [
            await enrol(simulation, name, choice="experimental")
            for name in ("alice@email1.example", "bob@email2.example", "carol@email1.example")
        ]
        made = People(simulation, [*asked, await enrol(simulation, "dora@email2.example")])
        yield made
        for person in made.all:
            await person.close()


def fingerprints(person: Person) -> list[str]:
    return [item.fingerprint for item in person.conference.keys.fingerprints(PROFILE)]


async def test_all_who_asked_get_it(people: People) -> None:
    alice, bob, carol = people.alice, people.bob, people.carol
    conference = await call(alice, bob, carol)
    assert [person.conference.suite for person in (alice, bob, carol)] == [PQ] * 3
    assert fingerprints(alice) == fingerprints(bob) == fingerprints(carol)

    await bob.conference.update()
    await until(lambda: conference.epoch == 2, "bob's commit")
    await together(conference, bob, carol)
    before = fingerprints(alice)
    await conference.remove(identity=carol.identity)
    await together(conference, bob)
    await until(lambda: carol.conference.status == records.REMOVED, "carol to know")
    assert fingerprints(alice) == fingerprints(bob) != before
    assert alice.errors == bob.errors == carol.errors == []


async def test_it_outlives_a_power_cut(people: People) -> None:
    """Held hybrid keys are stored with what else a client has: the next commit's path is opened with them."""
    alice, bob = people.alice, people.bob
    conference = await call(alice, bob)
    await bob.power_cut()
    assert bob.client.suites == alice.client.suites == (PQ, 1, 3, 2)
    await conference.update()
    await together(conference, bob)
    await bob.conference.update()
    await until(lambda: conference.epoch == 3, "bob's commit")
    assert fingerprints(alice) == fingerprints(bob)


async def test_one_who_did_not_ask_is_never_in_such_a_group(people: People) -> None:
    conference = await call(people.alice, people.bob, people.dora)
    assert [person.conference.suite for person in (people.alice, people.bob, people.dora)] == [1, 1, 1]
    assert people.dora.client.suites == (1, 3, 2)
    assert conference.epoch == 1

    alone = await people.alice.client.create_conference("the best that I have")
    assert alone.suite == PQ
    fetched = await people.alice.client.fetch([people.dora.identity])
    with pytest.raises(RoomkeyError) as refused:
        await people.alice.client.invite(alone, fetched.keys)
    assert refused.value.code == "no-common-suite"


async def test_sets_show_who_asked(people: People) -> None:
    fetched = await people.alice.client.fetch([people.bob.identity, people.dora.identity])
    offered = [sorted(suite for _, suite in item.offer.pairs) for keys in fetched.keys for item in keys.proved.sets]
    assert offered == [[1, 2, 3, PQ], [1, 2, 3]]
    # and to somebody who did not ask, the suite is one that they do not use
    fetched = await people.dora.client.fetch([people.bob.identity])
    (proved,) = fetched.keys[0].proved.sets
    assert sorted(proved.packages) == [1, 2, 3]


async def test_a_group_that_could_have_been_better_is_left(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """D9: whoever makes the group picks suite 1 though both asked for better; nobody goes along."""
    alice, bob = people.alice, people.bob
    monkeypatch.setattr("roomkey.client.client.choose", lambda offers, **how: 1)
    weak, client = await alice.client.create_conference("weak"), alice.client
    fetched = await client.fetch([bob.identity])
    with pytest.raises(RoomkeyError) as refused:
        await client.invite(weak, fetched.keys)
    assert refused.value.code == "downgrade"

    monkeypatch.setattr(admitting, "check_not_downgraded", lambda suite, offers: None)
    await client.invite(weak, fetched.keys)
    monkeypatch.setattr(admitting, "check_not_downgraded", check_not_downgraded)
    await until(lambda: "downgrade" in bob.errors, "bob to refuse")
    assert bob.client.invitations() == []


async def test_enrolment_that_was_cut_off_may_choose_again(tmp_path: Path) -> None:
    async with Simulation(tmp_path) as simulation:
        with pytest.raises(RoomkeyError):
            await enrol_wrongly(simulation, "erin@email1.example")
        erin = await enrol(simulation, "erin@email1.example", publish=0)
        assert erin.client.suites == (1, 3, 2)
        await erin.close()


async def enrol_wrongly(simulation: Simulation, identity: str) -> Person:
    """Asks for experimental suites while the service cannot be reached."""
    simulation.network.unreachable = set(simulation.routes.values())
    try:
        return await enrol(simulation, identity, publish=0, choice="experimental")
    finally:
        simulation.network.unreachable = set()
