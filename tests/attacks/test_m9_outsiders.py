"""M9: external commits and a stranger's wish to be added are off by default, whoever made them."""

from __future__ import annotations

from roomkey.mls.committing import group_info
from roomkey.mls.external import external_commit
from roomkey.mls.framing import message
from roomkey.mls.policy import EXTERNAL_JOINS, policy_by_name
from roomkey.mls.processing import process

from tests.attacks.foreigners import SUITE, Table, refused
from tests.attacks.mallory import crypto_of, group_of, heard, put
from tests.interop.conftest import ts_mls
from tests.interop.peer import Peer
from tests.interop.ts_mls_member import TsMlsMember
from tests.support.mls_world import join_keys
from tests.support.people import Person, call, together

__all__ = ["ts_mls"]


async def stranger(table: Table, peer: Peer) -> tuple[TsMlsMember, bytes]:
    """Somebody who runs ts-mls, and a GroupInfo that a member showed them."""
    return TsMlsMember("eve", SUITE, peer), await table.alice.group_info(await table.alice.bare_external_key())


async def test_an_external_commit(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    eve, info = await stranger(table, ts_mls)
    data = await eve.join_from_outside(info)
    await refused(table, data, "external-off")


async def test_the_same_is_taken_by_a_policy_that_says_so(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    eve, info = await stranger(table, ts_mls)
    data = await eve.join_from_outside(info)
    done = await process(table.alice.crypto, table.group, data, policy=policy_by_name(EXTERNAL_JOINS))
    assert done.group.epoch_authenticator == (await eve.view()).authenticator


async def test_a_wish_to_be_added(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    eve, info = await stranger(table, ts_mls)
    await refused(table, await eve.propose_own_add(info), "proposal-new-member-off")
    assert table.group.proposals == ()


async def test_a_stranger_to_whom_a_member_shows_the_group(alice: Person, bob: Person, mallory: Person) -> None:
    """Alice's page leaks all that an external commit takes. Bob's inbox gets it; nothing comes of it."""
    conference = await call(alice, bob)
    info = message(await group_info(crypto_of(alice), group_of(alice), external=True)).encode()
    crypto = crypto_of(mallory)
    keys = await join_keys(crypto, group_of(alice).suite, b"mallory@email1.example")
    made = await external_commit(crypto, info, keys, None)
    before = conference.epoch
    await put(mallory, made.message, bob)
    await heard(alice, bob, b"after")
    assert (bob.conference.epoch, len(bob.conference.members)) == (before, 2)
    await conference.update()
    await together(conference, bob)
