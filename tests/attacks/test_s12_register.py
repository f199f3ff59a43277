"""S12: who tries to have the ordering register say what it should not: outsiders, removed members, replayed tokens, two
commits for one epoch, and a register that the conference has moved away from.
"""

from __future__ import annotations

import pytest
from roomkey.conference import ordering
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Accepted, Conflict, DeliveryService
from roomkey.mls import committing
from roomkey.mls.framing import COMMIT, PrivateMessage, message
from roomkey.mls.group import Group

from tests.attacks.mallory import crypto_of, group_of, heard
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation

HOME, OTHER = "email1.example", "email2.example"


def register(person: Person, domain: str = HOME) -> DeliveryService:
    """The ordering service, as this person's client speaks to it."""
    return person.client._routes.by_domain[domain]


async def submitted(by: Person, group: Group, token: bytes | None = None) -> Accepted | Conflict:
    """Submits a commit to the home register that nobody else has seen, as good as the service can tell."""
    made = PrivateMessage(group.group_id, group.epoch, COMMIT, b"", b"sender data", b"ciphertext")
    shown = ordering.token(group) if token is None else token
    return await register(by).submit_commit(group.group_id, group.epoch, message(made).encode(), shown, bytes(32))


async def refused(by: Person, member: Person, token: bytes) -> None:
    """Nothing can be submitted or read with this token."""
    group = group_of(member)
    with pytest.raises(RoomkeyError) as caught:
        await submitted(by, group, token)
    assert caught.value.code == "wrong-token"
    with pytest.raises(RoomkeyError) as caught:
        await register(by).read_commits(group.group_id, group.epoch, token)
    assert caught.value.code == "wrong-token"


async def test_an_outsider_burns_no_epoch(alice: Person, bob: Person, mallory: Person) -> None:
    """Even one who knows all but the secrets."""
    conference = await call(alice, bob)
    group = group_of(bob)
    for token in (bytes(32), b"\xff" * 32, group.epoch_authenticator, group.context.tree_hash):
        await refused(mallory, bob, token)
    await conference.update()
    await together(conference, bob)


async def test_a_removed_member_burns_no_epoch(alice: Person, bob: Person, mallory: Person) -> None:
    conference = await call(alice, bob, mallory)
    last = group_of(mallory)
    await conference.remove(identity=mallory.identity)
    await together(conference, bob)
    await refused(mallory, bob, ordering.token(last))
    # Of her last epoch she may hear what ended it, and no more.
    answer = await submitted(mallory, last)
    assert isinstance(answer, Conflict)
    await bob.conference.update()
    await together(conference, bob)


async def test_a_token_is_of_one_epoch(alice: Person, bob: Person, mallory: Person) -> None:
    """The service saw the token, and so perhaps did somebody who watches it."""
    conference = await call(alice, bob)
    shown = ordering.token(group_of(alice))
    await conference.update()
    await together(conference, bob)
    await refused(mallory, bob, shown)
    await bob.conference.update()
    await together(conference, bob)


async def test_two_commits_for_one_epoch(alice: Person, bob: Person, mallory: Person) -> None:
    conference = await call(alice, bob, mallory)
    before = group_of(mallory)
    await conference.update()
    await together(conference, bob, mallory)
    answer = await submitted(mallory, before)
    assert isinstance(answer, Conflict)
    assert [item.epoch for item in answer.commits] == [before.epoch]
    await together(conference, bob, mallory)
    await heard(alice, bob, b"one group")


async def test_a_register_that_was_left_says_nothing_any_more(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person
) -> None:
    """After a move the old register would still take a commit of who knows the token. Who comes late reads both."""
    conference = await call(alice, bob, mallory)
    await bob.client.close()
    simulation.network.swallow = lambda origin, path, body: path == "/v1/messages"  # the registers alone tell bob
    await conference.move_ordering(OTHER)
    await mallory.conference.catch_up()
    assert isinstance(await submitted(mallory, group_of(mallory)), Accepted)
    await conference.update()
    await bob.power_cut()
    await together(conference, bob)
    assert bob.conference.ordering == OTHER
    simulation.network.swallow = None
    await together(conference, bob, mallory)
    await heard(alice, bob, b"one group")


async def test_a_conference_goes_nowhere_where_a_member_is_lost(alice: Person, bob: Person, mallory: Person) -> None:
    """A move to a domain that no member has does not count: the others branch away from it, and from Mallory."""
    conference = await call(alice, bob, mallory)
    group = group_of(mallory)
    made = await committing.commit(
        crypto_of(mallory), group, mallory.host.now(), proposals=ordering.moving(group, "mallory.example")
    )
    answer = await register(mallory).submit_commit(
        group.group_id, group.epoch, made.message, ordering.token(group), ordering.token(made.group)
    )
    assert isinstance(answer, Accepted)
    await mallory.client.close()
    await conference.update()
    await together(conference, bob)
    assert (conference.ordering, bob.conference.ordering) == (HOME, HOME)
    assert mallory.identity not in {member.identity for member in conference.members}
