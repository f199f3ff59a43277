"""Tickets over services as they are deployed, and what the register makes of external commits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from roomkey.conference import ordering, records, tickets
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Accepted, Conflict
from roomkey.federation.requests import base64url
from roomkey.host.native import NativeHost
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls import committing
from roomkey.mls.creation import create_group
from roomkey.mls.external import ExternalCommit, external_commit
from roomkey.mls.framing import COMMIT, NEW_MEMBER_COMMIT, MLSMessage, PublicMessage
from roomkey.mls.group import Group
from roomkey.mls.policy import EXTERNAL_JOINS

from tests.delivery.local import Local
from tests.delivery.test_post_quantum import SECONDS, Native, read, two
from tests.support.mls_world import join_keys
from tests.support.services import TwoServices
from tests.support.simulator import until

__all__ = ["two"]

CRYPTO = NativeCrypto()


@pytest.fixture
async def people(two: TwoServices, host: NativeHost) -> AsyncIterator[list[Native]]:
    made = [Native(two, host, name) for name in ("alice@email1.example", "bob@email2.example", "carol@email1.example")]
    for person in made:
        await person.enrol("standard")
    yield made
    for person in made:
        await person.client.close()


async def same(*people: Native) -> None:
    def agreed() -> bool:
        return len({person.conference.verification_digits for person in people}) == 1

    await until(agreed, "the same digits for all", SECONDS)


async def test_from_another_service(people: list[Native], two: TwoServices) -> None:
    """Bob's home service is not the one that orders: his request is a foreign client's, his commit a stranger's."""
    alice, bob, carol = people
    conference = await alice.client.create_conference("open", policy=EXTERNAL_JOINS)
    first = await conference.ticket()
    joined = await bob.client.join_conference(first)
    assert (joined.ordering, joined.epoch) == ("email1.example", 1)
    await same(alice, bob)
    with pytest.raises(RoomkeyError, match="ticket-expired"):
        await carol.client.join_conference(first)

    await bob.reopen()
    await carol.client.join_conference(await bob.conference.ticket())
    await same(alice, bob, carol)
    await carol.conference.send(b"from carol")
    for person in (alice, bob):
        await read(person, b"from carol")

    old = await bob.conference.ticket()
    await conference.remove(identity=bob.identity)
    await until(lambda: bob.conference.status == records.REMOVED, "bob to be gone", SECONDS)
    with pytest.raises(RoomkeyError, match="ticket-expired"):
        await bob.client.join_conference(old)
    await bob.client.join_conference(await carol.conference.ticket())
    await same(alice, bob, carol)
    assert [person.errors for person in people] == [[], [], []]
    token = tickets.read_ticket(old).token
    for service in two.running.values():
        assert token.hex() not in service.log()
        assert base64url(token) not in service.log()


# -- the register alone --


@pytest.fixture
async def scene(local: Local) -> tuple[Group, ExternalCommit]:
    """A registered group, and a stranger's commit that joins it."""
    crypto = CRYPTO
    (alice, eve) = [await join_keys(crypto, SUITES[0x0001], name) for name in (b"alice", b"eve")]
    extensions = ordering.group_extensions("email1.example", "", EXTERNAL_JOINS)
    group = await create_group(crypto, alice, b"g" * 32, None, extensions=extensions)
    await local.at(await local.enrolled("alice")).register_group(group.group_id, ordering.token_hash(group))
    made = await external_commit(crypto, await tickets.make_ticket(crypto, group, "email1.example"), eve, None)
    return group, made


async def test_a_strangers_commit_needs_the_token(local: Local, scene: tuple[Group, ExternalCommit]) -> None:
    group, made = scene
    eve = local.at(await local.enrolled("eve"))
    body = MLSMessage.decode(made.message).body
    assert isinstance(body, PublicMessage)
    assert (body.content.sender.sender_type, body.content.content_type) == (NEW_MEMBER_COMMIT, COMMIT)
    following = ordering.token(made.group)
    for token in (bytes(32), following):
        with pytest.raises(RoomkeyError, match="wrong-token"):
            await eve.submit_commit(group.group_id, 0, made.message, token, following)
    assert await eve.submit_commit(group.group_id, 0, made.message, ordering.token(group), following) == Accepted(0)
    assert await eve.submit_commit(group.group_id, 0, made.message, ordering.token(group), following) == Accepted(0)
    (stored,) = await eve.read_commits(group.group_id, 0, ordering.token(group))
    assert stored.commit == made.message
    assert await eve.read_commits(group.group_id, 1, following) == ()


async def test_one_of_another_group_or_epoch(local: Local, scene: tuple[Group, ExternalCommit]) -> None:
    group, made = scene
    eve = local.at(await local.enrolled("eve"))
    for group_id, epoch in ((b"h" * 32, 0), (group.group_id, 1)):
        with pytest.raises(RoomkeyError, match="malformed-request"):
            await eve.submit_commit(group_id, epoch, made.message, ordering.token(group), bytes(32))


async def test_one_against_a_members(local: Local, scene: tuple[Group, ExternalCommit]) -> None:
    group, made = scene
    alice, eve = local.at(await local.enrolled("anna")), local.at(await local.enrolled("eve"))
    update = await committing.commit(CRYPTO, group, None)
    token, following = ordering.token(group), ordering.token(update.group)
    assert await alice.submit_commit(group.group_id, 0, update.message, token, following) == Accepted(0)
    answer = await eve.submit_commit(group.group_id, 0, made.message, token, ordering.token(made.group))
    assert isinstance(answer, Conflict)
    assert [item.commit for item in answer.commits] == [update.message]
