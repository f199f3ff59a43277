"""M10, K2, K3: Welcomes that reuse a group's id, come from strangers, come again, or come for someone else's keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from roomkey.client import invitations
from roomkey.conference import ordering, records
from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.federation.init_keys import make_init_key_sets
from roomkey.federation.members import check_members
from roomkey.mls import committing
from roomkey.mls.creation import create_group
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.proposals import Add, proposal

from tests.attacks.mallory import crypto_of, heard, put
from tests.support.conferences import said
from tests.support.people import Person, call, together
from tests.support.simulator import until


async def fake_welcome(mallory: Person, victim: Person, group_id: bytes, *, domain: str | None = None) -> bytes:
    """A Welcome to a group of Mallory's own making, with an id that she chose; registered at a domain's service if she
    names one.
    """
    fetched = await mallory.client.fetch([victim.identity])
    package = fetched.keys[0].proved.sets[0].package_for(1)
    crypto, now = crypto_of(mallory), mallory.host.now()
    (made,) = await make_init_key_sets(crypto, mallory.client._keys, (1, 3, 2), 1, now)
    extensions = () if domain is None else ordering.group_extensions(domain, "")
    group = await create_group(crypto, made.join_keys()[0], group_id, now, extensions=extensions)
    pending = await committing.commit(crypto, group, now, proposals=[proposal(Add(package))])
    assert pending.welcome is not None
    if domain is not None:
        service = mallory.client._routes.by_domain[domain]
        await service.register_group(group_id, ordering.token_hash(group))
        tokens = ordering.token(group), ordering.token(pending.group)
        await service.submit_commit(group_id, 0, pending.message, *tokens)
    return pending.welcome


async def test_a_group_id_that_is_taken_replaces_nothing(alice: Person, bob: Person, mallory: Person) -> None:
    """It is one more invitation, in Mallory's name, which comes to nothing."""
    conference = await call(alice, bob)
    digits = bob.conference.verification_digits
    await put(mallory, await fake_welcome(mallory, bob, conference.id), bob)
    await until(bob.client.invitations, "the invitation")
    assert bob.conference.verification_digits == digits
    await heard(alice, bob, b"still the same")
    (invitation,) = bob.client.invitations()
    with pytest.raises(RoomkeyError) as caught:
        await bob.client.accept(invitation)
    assert caught.value.code in ("already-member", "invalid-welcome")
    await conference.update()
    await together(conference, bob)
    await invitation.leave()
    await heard(alice, bob, b"and again")
    await bob.power_cut()
    await heard(alice, bob, b"and after a restart")
    assert bob.errors == []


async def test_a_fake_that_comes_first_blocks_no_true_invitation(alice: Person, bob: Person, mallory: Person) -> None:
    """Mallory knows the id of alice's group, and is quicker; bob accepts alice's, also after a restart."""
    conference = alice.listen(await alice.client.create_conference("true"))
    for _ in range(2):
        await put(mallory, await fake_welcome(mallory, bob, conference.id), bob)
    await until(lambda: len(bob.client.invitations()) == 2, "the fakes")
    fetched = await alice.client.fetch([bob.identity])
    await alice.client.invite(conference, fetched.keys)
    await conference.send(b"early")
    await until(lambda: len(bob.client.invitations()) == 3, "the true one")
    await bob.power_cut()
    (true,) = [item for item in bob.client.invitations() if item.name == "true"]
    bob.listen(true)
    await bob.client.accept(true)
    await together(conference, bob)
    await heard(alice, bob, b"late")
    assert [message.data for message in await true.history.messages()] == [b"early", b"late"]
    for fake in bob.client.invitations():
        await fake.leave()
    await heard(alice, bob, b"latest")
    # what the register says of the fakes when they are declined; a Welcome may come once more after a power cut
    assert set(bob.errors) - {"welcome-not-for-us"} == {"wrong-token"}


async def test_a_group_of_the_same_id_at_another_service_is_another_conference(
    alice: Person, bob: Person, mallory: Person
) -> None:
    """Mallory's own service may register what it likes: bob is in both, and each has its own keys and words."""
    conference = await call(alice, bob)
    await put(mallory, await fake_welcome(mallory, bob, conference.id, domain="email2.example"), bob)
    await until(bob.client.invitations, "the invitation")
    (invitation,) = bob.client.invitations()
    await bob.client.accept(invitation)
    assert invitation.ordering != conference.ordering
    assert len(bob.client.conferences()) == 2
    await bob.power_cut()
    keys = {item.ordering: item.verification_digits for item in bob.client.conferences()}
    assert len(set(keys.values())) == 2
    assert keys[conference.ordering] == conference.verification_digits
    await conference.send(b"to bob")
    await until(lambda: b"to bob" in said(bob), "the message")


async def test_a_strangers_group_may_not_be_large(
    alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each member costs a proof; a stranger may ask for few of them, somebody we have met for more."""
    monkeypatch.setattr(invitations, "MAX_UNKNOWN", 1)
    proofs: list[int] = []

    async def counting(crypto: CryptoProvider, suite: CipherSuite, leaves: Sequence[LeafNode], *rest: Any) -> Any:
        proofs.append(len(leaves))
        return await check_members(crypto, suite, leaves, *rest)

    monkeypatch.setattr("roomkey.client.admitting.check_members", counting)
    await put(mallory, await fake_welcome(mallory, bob, bytes(32)), bob)
    await until(lambda: bob.errors, "the Welcome to be refused")
    assert bob.errors == ["too-large"]
    assert max(proofs) == 1  # nobody's but the inviter's
    assert bob.client.invitations() == []
    await bob.client.fetch([alice.identity])
    fetched = await alice.client.fetch([bob.identity])
    await alice.client.invite(await alice.client.create_conference(""), fetched.keys)
    await until(bob.client.invitations, "an invitation by somebody whom bob has met")


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
