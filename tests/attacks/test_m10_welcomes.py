"""M10, K2, K3: Welcomes that reuse a group's id, come from strangers, come again, or come for someone else's keys."""

from __future__ import annotations

import pytest
from roomkey.conference import records
from roomkey.errors import RoomkeyError
from roomkey.federation.init_keys import make_init_key_sets
from roomkey.mls import committing
from roomkey.mls.group import create_group
from roomkey.mls.proposals import Add, proposal

from tests.attacks.mallory import crypto_of, heard, put
from tests.support.people import Person, call, together
from tests.support.simulator import until


async def fake_welcome(mallory: Person, victim: Person, group_id: bytes) -> bytes:
    """A Welcome to a group of Mallory's own making, with an id that she chose."""
    fetched = await mallory.client.fetch([victim.identity])
    package = fetched.keys[0].proved.sets[0].package_for(1)
    crypto, now = crypto_of(mallory), mallory.host.now()
    (made,) = await make_init_key_sets(crypto, mallory.client._keys, (1, 3, 2), 1, now)
    group = await create_group(crypto, made.join_keys()[0], group_id, now)
    pending = await committing.commit(crypto, group, now, proposals=[proposal(Add(package))])
    assert pending.welcome is not None
    return pending.welcome


async def test_a_group_id_that_is_taken_replaces_nothing(alice: Person, bob: Person, mallory: Person) -> None:
    conference = await call(alice, bob)
    digits = bob.conference.verification_digits
    await put(mallory, await fake_welcome(mallory, bob, conference.id), bob)
    await until(lambda: bob.errors, "the Welcome to be refused")
    assert bob.errors == ["already-member"]
    assert bob.client.invitations() == []
    assert bob.conference.verification_digits == digits
    await heard(alice, bob, b"still the same")
    await together(conference, bob)


async def test_a_strangers_group_that_no_register_knows_is_not_accepted(bob: Person, mallory: Person) -> None:
    """It is an invitation in Mallory's own name, pins nobody, and comes to nothing."""
    await put(mallory, await fake_welcome(mallory, bob, bytes(32)), bob)
    await until(bob.client.invitations, "the invitation")
    (invitation,) = bob.client.invitations()
    assert invitation.inviter is not None
    assert invitation.inviter.identity == mallory.identity
    assert not [name for name in bob.host.disks[bob.identity].records if name.startswith("pin/")]
    with pytest.raises(RoomkeyError) as caught:
        await bob.client.accept(invitation)
    assert caught.value.code == "invalid-welcome"
    assert invitation.status == records.INVITED
    assert bob.client.conferences() == []


async def test_a_welcome_in_the_wrong_inbox_is_reported(alice: Person, bob: Person, mallory: Person) -> None:
    """K2: keys of one person given to another. Who got them sees that the Welcome is for somebody else."""
    welcome = await fake_welcome(mallory, bob, bytes(32))
    await put(mallory, welcome, alice)
    await until(lambda: alice.errors, "the Welcome to be refused")
    assert alice.errors == ["welcome-not-for-us"]


async def test_a_welcome_after_a_power_cut_is_taken_once(bob: Person, mallory: Person) -> None:
    """K3: a replay after a restart finds no keys."""
    welcome = await fake_welcome(mallory, bob, bytes(32))
    await put(mallory, welcome, bob)
    await until(bob.client.invitations, "the invitation")
    await bob.power_cut()
    await bob.client._inbox.take(welcome)
    assert "welcome-not-for-us" in bob.errors
    assert len(bob.client.invitations()) == 1


async def test_an_altered_welcome_costs_its_set_and_nothing_else(alice: Person, bob: Person, mallory: Person) -> None:
    """Every byte of it is authenticated: altered anywhere it makes no invitation, and bob goes on."""
    welcome = await fake_welcome(mallory, bob, bytes(32))
    for place in (len(welcome) // 3, len(welcome) - 20):
        altered = bytearray(welcome)
        altered[place] ^= 1
        await bob.client._inbox.take(bytes(altered))
    assert bob.client.invitations() == []
    assert set(bob.errors) <= {"decryption-failed", "welcome-not-for-us", "malformed"}
    await call(alice, bob)
