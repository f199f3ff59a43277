"""D9 and D10: a member has the others use a suite that is not the best that all of them offer."""

from __future__ import annotations

import pytest
from roomkey.client import admitting, contacts
from roomkey.conference import ordering
from roomkey.conference.events import Ended
from roomkey.federation.delivery import Accepted
from roomkey.mls import committing
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.proposals import ReInit, proposal
from roomkey.mls.version import MLS10

from tests.attacks.mallory import crypto_of, group_of, heard
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, until


@pytest.fixture
def keeps_to_no_rule(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Switches the choice and the check of whoever acts next off; `undo` brings them back for the others."""
    monkeypatch.setattr("roomkey.client.client.choose", lambda offers, **how: 2)
    monkeypatch.setattr(admitting, "check_not_downgraded", lambda suite, offers: None)
    return monkeypatch


async def test_a_creator_who_picks_a_weaker_suite(
    keeps_to_no_rule: pytest.MonkeyPatch, simulation: Simulation, alice: Person, bob: Person, mallory: Person
) -> None:
    """D9: nobody comes; everybody says so, and is not taken for a member."""
    fetched = await mallory.client.fetch([alice.identity, bob.identity])
    conference = mallory.listen(await mallory.client.create_conference("weak", fetched.keys))
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"  # the rules are off for all
    await mallory.client.invite(conference, fetched.keys)
    keeps_to_no_rule.undo()
    simulation.network.swallow = None
    mallory.client._outbox.wake()
    assert conference.suite == 2
    for person in (alice, bob):
        await until(lambda person=person: person.errors == ["downgrade"], "everybody to refuse")  # type: ignore[misc]
        assert person.client.invitations() == person.client.conferences() == []
    await until(lambda: len(conference.members) == 1, "both to be seen off")


async def test_an_inviter_into_a_group_that_could_be_better(
    keeps_to_no_rule: pytest.MonkeyPatch, alice: Person, bob: Person, mallory: Person
) -> None:
    """D9 at an Add: who is in leaves as who comes does, each by what all leaves say."""
    fetched = await mallory.client.fetch([alice.identity])
    conference = mallory.listen(await mallory.client.create_conference("weak", fetched.keys))
    await mallory.client.invite(conference, fetched.keys)
    await alice.invited()
    await together(conference, alice)
    more = await mallory.client.fetch([bob.identity])
    keeps_to_no_rule.setattr("roomkey.conference.conference.better", lambda suite, offers: None)
    admitted = contacts.Contacts.admit

    async def admit(self: contacts.Contacts, *args: object) -> object:
        if self is mallory.client._contacts:
            return await admitted(self, *args)  # type: ignore[arg-type]
        keeps_to_no_rule.undo()
        return await admitted(self, *args)  # type: ignore[arg-type]

    keeps_to_no_rule.setattr(contacts.Contacts, "admit", admit)
    await mallory.client.invite(conference, more.keys)
    await until(lambda: [event.reason for event in alice.told if isinstance(event, Ended)] == ["downgrade"], "alice")
    await until(lambda: "downgrade" in bob.errors, "bob")
    await until(lambda: len(conference.members) == 1, "both to be seen off")


async def left_behind(alice: Person, bob: Person, mallory: Person, wanted: ReInit) -> None:
    """Mallory's ReInit wins its epoch; the others refuse it, and go on without her."""
    conference, group = alice.conference, group_of(mallory)
    made = await committing.commit(crypto_of(mallory), group, mallory.host.now(), proposals=[proposal(wanted)])
    answer = await mallory.client.home.submit_commit(
        group.group_id, group.epoch, made.message, ordering.token(group), ordering.token(made.group)
    )
    assert isinstance(answer, Accepted)
    await mallory.client.close()
    await conference.update()
    await until(lambda: bob.conference.id == conference.id, "one group")
    await together(conference, bob)
    assert (conference.suite, bob.conference.suite) == (1, 1)
    assert conference.id not in (group.group_id, wanted.group_id)
    assert mallory.identity not in {member.identity for member in conference.members}
    await heard(alice, bob, b"as strong as before")


@pytest.mark.parametrize("suite", [3, 2])
async def test_a_reinit_to_a_weaker_suite(alice: Person, bob: Person, mallory: Person, suite: int) -> None:
    """D10."""
    await call(alice, bob, mallory)
    await left_behind(alice, bob, mallory, ReInit(b"weak" * 8, MLS10, suite, group_of(mallory).context.extensions))


async def test_a_reinit_that_changes_the_conference(alice: Person, bob: Person, mallory: Person) -> None:
    """Of the right suite, but its ordering service would be one that nobody else has."""
    await call(alice, bob, mallory)
    moved = Extension(ExtensionType.ROOMKEY_GROUP, ordering.RoomkeyGroup(b"mallory.example").encode())
    others = [item for item in group_of(mallory).context.extensions if item.extension_type != moved.extension_type]
    await left_behind(alice, bob, mallory, ReInit(b"same" * 8, MLS10, 1, (moved, *others)))
