"""M1, M3, M4: messages altered on their way or made wrong by a member: a typed error, the old state, nobody stopped."""

from __future__ import annotations

import random

import pytest
from roomkey.conference import ordering
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import MessageDelivery, StoredCommit, StoredCommits
from roomkey.federation.init_keys import InitKeySetBundle, make_init_key_sets
from roomkey.mls import committing
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.framing import MLSMessage
from roomkey.mls.proposals import GroupContextExtensions, proposal
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.state import decode_group, encode_group
from roomkey.tls import Struct

from tests.attacks.mallory import crypto_of, group_of, heard
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, until

ROUNDS = 600


def messages(simulation: Simulation) -> list[bytes]:
    """Every MLSMessage that went to an inbox."""
    found: list[bytes] = []
    for body in simulation.network.bodies:
        try:
            found.append(MessageDelivery.decode(body).message)
            MLSMessage.decode(found[-1])
        except RoomkeyError:
            continue
    return found


def altered(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    match chance.randrange(4):
        case 0:
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
        case 1:
            del out[chance.randrange(len(out)) :]
        case 2:
            at = chance.randrange(len(out))
            out[at:at] = chance.randbytes(chance.randrange(1, 9))
        case _:
            at = chance.randrange(len(out))
            out[at : at + 4] = chance.randbytes(4)
    return bytes(out)


async def test_altered_messages_are_refused_one_by_one(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person
) -> None:
    conference = await call(alice, bob, mallory)
    await heard(alice, bob, b"hello")
    await conference.update()
    await conference.remove(identity=mallory.identity)
    await together(conference, bob)
    digits, heads = bob.conference.verification_digits, messages(simulation)
    chance = random.Random(9420)
    for _ in range(ROUNDS):
        await bob.client._inbox.take(altered(chance.choice(heads), chance))
    assert "internal-error" not in bob.errors
    assert bob.conference.verification_digits == digits
    assert len(bob.conference.members) == 2
    await heard(alice, bob, b"after all that")
    await conference.update()
    await together(conference, bob)


@pytest.mark.parametrize("name", ["MLSMessage", "StoredCommits", "InitKeySetBundle", "RatchetTree", "state"])
async def test_nothing_but_our_error_comes_out_of_decoding(
    simulation: Simulation, alice: Person, bob: Person, name: str
) -> None:
    await call(alice, bob)
    group = group_of(bob)
    sources: dict[str, tuple[type[Struct] | None, bytes]] = {
        "MLSMessage": (MLSMessage, messages(simulation)[0]),
        "StoredCommits": (
            StoredCommits,
            StoredCommits((StoredCommit(0, messages(simulation)[0], bytes(32)),)).encode(),
        ),
        "InitKeySetBundle": (InitKeySetBundle, await _bundle(bob)),
        "RatchetTree": (None, group.tree.encode()),
        "state": (None, encode_group(group)),
    }
    kind, data = sources[name]
    chance, codes = random.Random(name), set[str]()
    for _ in range(ROUNDS):
        bad = altered(data, chance)
        try:
            if kind is not None:
                assert kind.decode(bad).encode() == bad
            elif name == "RatchetTree":
                RatchetTree.decode(group.suite, bad)
            else:
                decode_group(bad)
        except RoomkeyError as error:
            codes.add(error.code)
    assert codes <= {"malformed", "too-large", "unsupported-suite", "invalid-tree", "invalid-key", "unsupported-state"}


async def _bundle(person: Person) -> bytes:
    crypto, now = crypto_of(person), person.host.now()
    (made,) = await make_init_key_sets(crypto, person.client._keys, (1, 3, 2), 1, now)
    return InitKeySetBundle(person.identity.encode(), made.set).encode()


@pytest.mark.parametrize(
    "extension",
    [
        Extension(ExtensionType.ROOMKEY_GROUP, b""),
        Extension(ExtensionType.ROOMKEY_GROUP, b"\x04\xff\xff\xff\xff"),
        Extension(ExtensionType.ROOMKEY_GROUP, b"\x09127.0.0.1"),
        Extension(ExtensionType.ROOMKEY_GROUP, b"\x0cA.example/../"),
    ],
    ids=lambda extension: f"{extension.extension_type:#06x}-{extension.extension_data.hex()}",
)
async def test_a_members_commit_with_a_senseless_context(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person, extension: Extension
) -> None:
    """It wins its epoch, because the register cannot look inside. Nobody follows; the others go on without her."""
    conference = await call(alice, bob, mallory)
    crypto, group = crypto_of(mallory), group_of(mallory)
    others = tuple(e for e in group.context.extensions if e.extension_type != extension.extension_type)
    made = await committing.commit(
        crypto, group, alice.host.now(), proposals=[proposal(GroupContextExtensions((*others, extension)))]
    )
    await mallory.client.home.submit_commit(
        group.group_id, group.epoch, made.message, ordering.token(group), ordering.token(made.group)
    )
    await mallory.client.close()
    await bob.client._inbox.take(made.message)
    await until(lambda: bob.conference.id == conference.id != group.group_id, "a new group")
    await until(lambda: bob.conference.epoch == conference.epoch == 2, "the founder's first commit")
    await together(conference, bob)
    assert {member.identity for member in conference.members} == {alice.identity, bob.identity}
    await heard(alice, bob, b"we can still talk")
