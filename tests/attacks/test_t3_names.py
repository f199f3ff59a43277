"""T1, T3, K8: a member claims a name, or a client, that is another's."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from roomkey.client.contacts import Contacts
from roomkey.client.opening import CREDENTIAL_SCHEME
from roomkey.conference import ordering, records
from roomkey.conference.changes import Changes
from roomkey.conference.events import Ended
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import RoomkeyClient
from roomkey.federation.fanout import Routes
from roomkey.federation.init_keys import ClientKeys, make_client_keys, make_init_key_sets
from roomkey.federation.negotiation import own_offer
from roomkey.federation.trust import FirstUse
from roomkey.mls import committing
from roomkey.mls.committing import PendingCommit
from roomkey.mls.creation import create_group
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.group import Group
from roomkey.mls.key_package import KeyPackage, PackageKeys, make_key_packages
from roomkey.mls.leaf_node import LeafNode, Lifetime, own_capabilities
from roomkey.mls.proposals import Add, proposal

from tests.attacks.mallory import crypto_of, group_of, put
from tests.support.people import Person, call
from tests.support.simulator import Simulation, until


async def win(mallory: Person, made: PendingCommit, *receivers: Person) -> None:
    """Has the register take Mallory's commit, and tells the others."""
    group = group_of(mallory)
    await mallory.client.home.submit_commit(
        group.group_id, group.epoch, made.message, ordering.token(group), ordering.token(made.group)
    )
    for receiver in receivers:
        await put(mallory, made.message, receiver)


def ended(person: Person) -> str:
    """The code with which a person left."""
    (event,) = [event for event in person.told if isinstance(event, Ended)]
    assert event.error is not None
    return event.error.code


class Disguised(Group):
    """A group whose own leaf bears Dave's name, whom nobody here knows yet."""

    @property
    def leaf(self) -> LeafNode:
        return super().leaf.replace(credential=Credential.basic(b"dave@email2.example"))


async def test_a_member_does_not_take_another_name(alice: Person, bob: Person, mallory: Person) -> None:
    """A stranger's name would else be pinned to Mallory's key by first use."""
    await call(alice, bob, mallory)
    group = group_of(mallory)
    disguised = Disguised(**{item.name: getattr(group, item.name) for item in fields(group)})
    made = await committing.commit(crypto_of(mallory), disguised, alice.host.now(), path=True)
    await win(mallory, made, bob)
    await until(lambda: bob.conference.status == records.FAILED, "bob to go")
    assert ended(bob) == "identity-mismatch"
    assert "pin/dave@email2.example" not in bob.host.disks[bob.identity].records


async def test_nobody_adds_another_device_of_ours(alice: Person, bob: Person, mallory: Person) -> None:
    """Mallory's key under Alice's own name: Alice knows that it is not hers, Bob that it is not the one he knows."""
    await call(alice, bob, mallory)
    crypto = crypto_of(mallory)
    forged = await make_client_keys(crypto, alice.identity, CREDENTIAL_SCHEME, (1,))
    (made,) = await make_init_key_sets(crypto, forged, (1,), 1, alice.host.now())
    add = proposal(Add(made.set.key_packages[0]))
    await win(
        mallory, await committing.commit(crypto, group_of(mallory), alice.host.now(), proposals=[add]), alice, bob
    )
    await until(lambda: alice.conference.status == bob.conference.status == records.FAILED, "both to go")
    assert (ended(alice), ended(bob)) == ("identity-changed", "identity-changed")


async def test_a_leaf_that_claims_our_client_is_not_taken_for_ours(
    simulation: Simulation, tmp_path: Path, alice: Person
) -> None:
    """In a group of suite 2 a leaf names its client by an extension. The claim is worth what its signature is."""
    suite, crypto, now = SUITES[2], crypto_of(alice), alice.host.now()
    keys = await make_client_keys(crypto, alice.identity, CREDENTIAL_SCHEME, (2,))
    (ours,) = await make_init_key_sets(crypto, keys, (2,), 1, now)
    group = await create_group(crypto, ours.join_keys()[0], b"group", now)
    forged = await _claiming(alice, keys)
    after = (await committing.commit(crypto, group, now, proposals=[proposal(Add(forged))])).group
    contacts = Contacts(
        alice.client._store,
        lambda: Routes(),
        alice.host.now,
        FirstUse(),
        own_offer(alice.identity, (2,)),
        alice.client._logs,
        alice.client._own_manifest,
        lambda: None,
        alice.host.sleep,
    )
    assert [member.own for member in await contacts.admit(group, list(group.tree.members()), Changes())] == [True]
    with pytest.raises(RoomkeyError) as caught:
        await contacts.admit(after, list(after.tree.members()), Changes())
    assert caught.value.code == "identity-changed"
    # Under a name of her own she still cannot show that client's word for her key.
    stranger = await _claiming(alice, keys._replace(identity="mallory@email1.example"))
    after = (await committing.commit(crypto, group, now, proposals=[proposal(Add(stranger))])).group
    with pytest.raises(RoomkeyError) as caught:
        await contacts.admit(after, list(after.tree.members()), Changes())
    assert caught.value.code == "invalid-signature"
    assert suite.number == after.suite.number


async def _claiming(mallory: Person, keys: ClientKeys) -> KeyPackage:
    """A KeyPackage with Mallory's keys whose leaf claims to be the client of `keys`."""
    crypto, suite = crypto_of(mallory), SUITES[2]
    (signature,) = await crypto.generate_keys(suite.scheme, 1)
    init, encryption = await crypto.generate_keys(suite.group, 2)
    claim = Extension(ExtensionType.ROOMKEY_CLIENT, RoomkeyClient(keys.credential, bytes(64)).encode())
    (package,) = await make_key_packages(
        crypto, suite, Credential.basic(keys.identity.encode()), signature, [PackageKeys(init, encryption)],
        Lifetime(int(mallory.host.now()) - 60, int(mallory.host.now()) + 3600), own_capabilities((2,)),
        leaf_extensions=[claim],
    )  # fmt: skip
    return package
