"""M15, S17, B3: where secrets could be left behind: text forms, events, errors, records, services, the network."""

from __future__ import annotations

from roomkey.conference.changes import Changes
from roomkey.crypto.provider import KeyHandle
from roomkey.mls.group import Group

from tests.attacks.mallory import group_of, heard
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, until


def secrets_of(group: Group) -> list[bytes]:
    """The epoch's secrets, the exported keys, and raw path keys."""
    secrets = [value for value in vars(group.secrets).values() if isinstance(value, bytes) and len(value) >= 16]
    secrets += [pair.private for pair in group.path_keys.values() if isinstance(pair.private, bytes)]
    assert len(secrets) >= 8
    return secrets


def shown(text: str, secret: bytes) -> bool:
    return secret.hex() in text or repr(secret)[2:-1] in text


async def test_nothing_that_can_be_printed_shows_a_secret(alice: Person, bob: Person, mallory: Person) -> None:
    conference = await call(alice, bob, mallory)
    await conference.remove(identity=mallory.identity)
    await together(conference, bob)
    group, session = group_of(alice), conference._session
    things: list[object] = [
        group, group.secrets, group.messages, group.path_keys, group.signature, session, session.record, session.around,
        conference, alice.client, alice.client._pool, alice.client._keys, alice.client._record, alice.told, Changes(),
        alice.client._signer, group.past,
    ]  # fmt: skip
    text = " ".join(f"{thing!r} {thing}" for thing in things)
    assert not [secret for secret in secrets_of(group) if shown(text, secret)]


async def test_secrets_of_an_epoch_leave_the_storage_with_it(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    disk = bob.host.disks[bob.identity]
    before = group_of(bob)
    await conference.update()
    await conference.update()
    await together(conference, bob)
    records = b"\x00".join(disk.records.values())
    kept = {before.secrets.sender_data_secret}  # for messages on their way (mls.group.PAST_EPOCHS)
    resumption = {psk for _, psk in before.resumption}
    left = [secret for secret in secrets_of(before) if secret in records and secret not in kept | resumption]
    current = {pair.private for pair in group_of(bob).path_keys.values()}
    assert [secret for secret in left if secret not in current] == []
    # Private keys that the host holds are no part of any record.
    assert not [key for key in disk.keys.values() if key in records]


async def test_services_and_the_network_hold_no_secret(simulation: Simulation, alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    groups = [group_of(alice)]
    await heard(alice, bob, b"what nobody else reads")
    await conference.update()
    await together(conference, bob)
    groups.append(group_of(alice))
    stored = b"".join(path.read_bytes() for path in simulation.folder.glob("*.db*"))
    seen = stored + b"".join(simulation.network.bodies)
    for group in groups:
        exports = [group.export(b"roomkey SRTP 1.0", bytes(6), 28), group.export(b"SFrame 1.0 Base Key", b"", 16)]
        assert not [secret for secret in (*secrets_of(group), *exports) if secret in seen]
    assert b"what nobody else reads" not in seen
    assert alice.client.client_id in stored  # it is the services' own files that were read


async def test_private_keys_are_handles(alice: Person) -> None:
    """B3: what the host generates never comes out of it."""
    crypto = alice.client._store.crypto
    for kind in ("ed25519", "x25519"):
        (pair,) = await crypto.generate_keys(kind, 1)  # type: ignore[arg-type]  # a scheme and a DH group
        assert isinstance(pair.private, KeyHandle)


async def test_who_left_cannot_read_what_was_stored(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    await heard(alice, bob, b"a line of bob's memory")
    await bob.conference.leave()
    await until(lambda: len(conference.members) == 1, "alice to see bob off")
    disk = bob.host.disks[bob.identity]
    assert b"a line of bob's memory" not in b"".join(disk.records.values())
    group_keys = {pair.private.id for pair in group_of(alice).path_keys.values() if isinstance(pair.private, KeyHandle)}
    assert not group_keys & set(disk.keys)
    assert not [name for name in disk.records if conference.id.hex() in name and not name.startswith("out/")]
