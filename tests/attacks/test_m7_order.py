"""M7: old, future and echoed commits, and proposals that nobody else saw, in messages of ts-mls."""

from __future__ import annotations

import pytest
from roomkey.mls.proposals import Remove, proposal

from tests.attacks.foreigners import Table, refused
from tests.interop.conftest import ts_mls
from tests.interop.members import COMMIT, PROPOSAL, Refused
from tests.interop.peer import Peer

__all__ = ["ts_mls"]


async def test_an_old_commit(ts_mls: Peer) -> None:
    """Bob and carol commit in the same epoch; carol wins, bob's comes after her."""
    table = await Table.create(ts_mls)
    late = await table.honest(proposal(Remove(0)))
    won = await table.carol.commit([], path=True, public=True, psks={}, tree_inside=True)
    assert (await table.alice.process(won.message, {})).kind == COMMIT
    assert (await table.bob.process(won.message, {})).kind == COMMIT
    table.carol.adopt()
    await refused(table, late.message, "message-epoch")


async def test_a_commit_that_comes_twice(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    made = await table.honest()
    assert (await table.alice.process(made.message, {})).kind == COMMIT
    assert (await table.carol.process(made.message, {})).kind == COMMIT
    table.bob.adopt()
    await refused(table, made.message, "message-epoch")


async def test_a_future_commit(ts_mls: Peer) -> None:
    """The second comes before the first."""
    table = await Table.create(ts_mls)
    await table.honest()
    now, table.bob.state = table.bob.state, table.bob.pending  # bob alone is in the next epoch
    second = await table.honest()
    table.bob.state = now
    await refused(table, second.message, "message-epoch")


async def test_our_own_commit_back(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    for public, expected in ((True, "message-own"), (False, "message-own")):
        made = await table.alice.commit([], path=True, public=public, psks={}, tree_inside=True)
        await refused(table, made.message, expected)


async def test_a_commit_of_a_proposal_that_nobody_else_saw(ts_mls: Peer) -> None:
    """Carol shows it to bob alone. Alice follows once she has it."""
    table = await Table.create(ts_mls)
    shown = await table.carol.propose(None, public=True)
    assert (await table.bob.process(shown, {})).kind == PROPOSAL
    made = await table.honest()
    before = table.group
    with pytest.raises(Refused, match="commit-unknown-reference"):
        await table.alice.process(made.message, {})
    assert table.group is before
    assert (await table.alice.process(shown, {})).kind == PROPOSAL
    assert (await table.alice.process(made.message, {})).kind == COMMIT
    assert (await table.carol.process(made.message, {})).kind == COMMIT
    table.bob.adopt()
    await table.goes_on()
