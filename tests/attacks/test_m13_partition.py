"""M13, M7: a member shows one commit to one person and another, or none, to the others. The register decides alone."""

from __future__ import annotations

import pytest
from roomkey.errors import RoomkeyError
from roomkey.mls import committing
from roomkey.mls.proposals import Add, Remove, proposal

from tests.attacks.mallory import crypto_of, group_of, heard, put
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation, until


async def test_a_commit_that_the_register_does_not_hold_moves_nobody(
    alice: Person, bob: Person, mallory: Person
) -> None:
    conference = await call(alice, bob, mallory)
    before = conference.epoch
    made = await committing.commit(crypto_of(mallory), group_of(mallory), alice.host.now(), path=True)
    await put(mallory, made.message, bob)
    await heard(alice, bob, b"after the commit")
    assert bob.conference.epoch == before
    assert bob.conference.verification_digits == conference.verification_digits
    await conference.update()
    await together(conference, bob)


async def test_a_removal_that_the_register_does_not_hold_removes_nobody(
    alice: Person, bob: Person, mallory: Person
) -> None:
    conference = await call(alice, bob, mallory)
    leaf = group_of(bob).own_leaf
    made = await committing.commit(
        crypto_of(mallory), group_of(mallory), alice.host.now(), proposals=[proposal(Remove(leaf))]
    )
    await put(mallory, made.message, bob)
    await heard(alice, bob, b"after the removal")
    assert len(bob.conference.members) == 3
    await together(conference, bob)


async def test_commits_in_the_inbox_and_in_the_register_differ(alice: Person, bob: Person, mallory: Person) -> None:
    """Bob is shown one commit while the other one wins."""
    conference = await call(alice, bob, mallory)
    shown = await committing.commit(crypto_of(mallory), group_of(mallory), alice.host.now(), path=True)
    await conference.update()
    await put(mallory, shown.message, bob)
    await together(conference, bob, mallory)
    await heard(alice, bob, b"still together")


async def test_who_is_invited_into_a_lost_branch_does_not_accept(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person
) -> None:
    """M10: Mallory adds Carol in a commit that she keeps from the register, so that Carol would talk to her alone under
    Alice's and Bob's names.
    """
    carol = await enrol(simulation, "carol@email2.example")
    await call(alice, bob, mallory)
    fetched = await mallory.client.fetch([carol.identity])
    package = fetched.keys[0].proved.sets[0].package_for(group_of(mallory).suite.number)
    made = await committing.commit(
        crypto_of(mallory), group_of(mallory), alice.host.now(), proposals=[proposal(Add(package))]
    )
    assert made.welcome is not None
    await put(mallory, made.welcome, carol)
    await until(carol.client.invitations, "the Welcome to be processed")
    (invitation,) = carol.client.invitations()
    with pytest.raises(RoomkeyError) as caught:
        await carol.client.accept(invitation)
    assert caught.value.code == "invalid-welcome"
    assert carol.client.conferences() == []
    await carol.close()
