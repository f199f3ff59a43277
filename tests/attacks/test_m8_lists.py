"""M8: lists of proposals that are invalid one by one or together, in commits that ts-mls made and signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.leaf_node import UPDATE
from roomkey.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    Update,
    by_reference,
    proposal,
)
from roomkey.mls.psk import USAGE_APPLICATION, USAGE_BRANCH, USAGE_REINIT, external_psk, resumption_psk

from tests.attacks.foreigners import SUITE, Table, refused
from tests.interop.conftest import ts_mls
from tests.interop.members import PROPOSAL
from tests.interop.peer import Peer

__all__ = ["ts_mls"]

NONCE = b"n" * SUITE.nh
REINIT = ReInit(b"next", 1, SUITE.number, ())
NAME = GroupContextExtensions((Extension(ExtensionType.ROOMKEY_NAME, b""),))
Make = Callable[[Table], Awaitable[list[Proposal]]]


def fixed(*bodies: object) -> Make:
    async def make(_: Table) -> list[Proposal]:
        return [item if isinstance(item, Proposal) else proposal(item) for item in bodies]  # type: ignore[arg-type]

    return make


async def own_update(table: Table) -> list[Proposal]:
    leaf = table.group.tree.leaf(1)
    assert leaf is not None
    fresh = leaf.replace(encryption_key=b"u" * 32, leaf_node_source=UPDATE, parent_hash=None)
    return [proposal(Update(table.leaf(table.bob, fresh)))]


async def one_client_twice(table: Table) -> list[Proposal]:
    package = await table.package()
    return [proposal(Add(package)), proposal(Add(package))]


async def a_member(table: Table) -> list[Proposal]:
    """Alice's signature key in a KeyPackage, which no one but alice could sign: the list is judged before."""
    package = await table.package()
    leaf = package.leaf_node.replace(signature_key=table.group.leaf.signature_key)
    return [proposal(Add(package.replace(leaf_node=leaf)))]


async def an_add_that_nobody_signed(table: Table) -> list[Proposal]:
    return [proposal(Add((await table.package()).replace(signature=bytes(64))))]


BAD: dict[str, tuple[Make, str]] = {
    "the committer's removal": (fixed(Remove(1)), "commit-removes-committer"),
    "the committer's update": (own_update, "commit-update-committer"),
    "two removals of one": (fixed(Remove(2), Remove(2)), "commit-one-per-leaf"),
    "a removal of nobody": (fixed(Remove(3)), "remove-leaf"),
    "a removal far outside": (fixed(Remove(2**32 - 1)), "remove-leaf"),
    "one client twice": (one_client_twice, "commit-add-twice"),
    "a member again": (a_member, "commit-add-member"),
    "a key package that nobody signed": (an_add_that_nobody_signed, "key-package-signature"),
    "a psk twice": (fixed(*2 * [PreSharedKey(external_psk(b"door", NONCE))]), "commit-psk-twice"),
    "a psk with a short nonce": (fixed(PreSharedKey(external_psk(b"door", NONCE[:-1]))), "psk-nonce"),
    "a psk for reinit": (fixed(PreSharedKey(resumption_psk(USAGE_REINIT, b"old", 1, NONCE))), "psk-type"),
    "a psk for a branch": (fixed(PreSharedKey(resumption_psk(USAGE_BRANCH, b"old", 1, NONCE))), "psk-type"),
    "two contexts": (fixed(NAME, NAME), "commit-one-context"),
    "reinit and more": (fixed(REINIT, Remove(2)), "commit-reinit-alone"),
    "reinit twice": (fixed(REINIT, REINIT), "commit-reinit-alone"),
    "reinit to a lower version": (fixed(REINIT.replace(version=0)), "reinit-version"),
    "an external init": (fixed(ExternalInit(b"k" * 32)), "commit-external-init"),
    "a custom proposal": (fixed(Proposal(0xF001, b"do it")), "proposal-unknown"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_list_with(ts_mls: Peer, name: str) -> None:
    table = await Table.create(ts_mls)
    make, rule = BAD[name]
    await refused(table, await table.list_of(*await make(table)), rule)


async def test_an_update_and_a_removal_of_one(ts_mls: Peer) -> None:
    """Carol's honest Update, and bob's Remove of her."""
    table = await Table.create(ts_mls)
    shown = await table.carol.propose(None, public=True)
    assert (await table.alice.process(shown, {})).kind == PROPOSAL
    reference = table.group.proposals[-1].reference
    data = await table.commit(
        lambda item: item.replace(proposals=(by_reference(reference), *item.proposals)), proposal(Remove(2))
    )
    await refused(table, data, "commit-one-per-leaf")


async def test_no_path_where_one_is_needed(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    for items in ((), (proposal(Remove(2)),)):
        await refused(table, await table.commit(lambda item: item.replace(path=None), *items), "commit-path-required")


async def test_a_psk_that_nobody_gave_us(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    unknown = resumption_psk(USAGE_APPLICATION, b"another group", 7, NONCE)
    await refused(table, await table.list_of(proposal(PreSharedKey(unknown))), "psk-unknown")
