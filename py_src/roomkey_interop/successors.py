"""Groups that follow on another: after a ReInit, and branches (RFC 9420 sections 11.2 and 11.3)."""

from __future__ import annotations

import time

from roomkey.crypto.suites import suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import PendingCommit
from roomkey.mls.framing import message
from roomkey.mls.group import Group, Psks
from roomkey.mls.joining import Joined, join
from roomkey.mls.psk import USAGE_BRANCH, USAGE_REINIT
from roomkey.mls.successor import branch_group, reinit_group

from roomkey_interop import changes, descriptions
from roomkey_interop import interface as api
from roomkey_interop.states import ANY_LIFETIME, Client, Join, Member, Successor, new_join


async def handle_pending_reinit_commit(client: Client, request: api.StateRequest) -> api.HandleReInitCommitResponse:
    member = client.members[request.state_id]
    pending = changes.expect_pending(member, ends=True)
    ours = await _next_join(member, pending.group)
    await changes.adopt(member, pending)
    return _ended(client, request.state_id, member, ours)


async def handle_reinit_commit(client: Client, request: api.HandleCommitRequest) -> api.HandleReInitCommitResponse:
    member = client.members[request.state_id]
    after, event = await changes.take_commit(member, request, ends=True)
    ours = await _next_join(member, after)
    await member.enter(after, event.spent_keys)
    return _ended(client, request.state_id, member, ours)


async def reinit_welcome(client: Client, request: api.ReInitWelcomeRequest) -> api.CreateSubgroupResponse:
    """Makes the group that follows; the old state ends with it."""
    it = client.successors[request.reinit_id]
    others = [descriptions.read_key_package(data) for data in request.key_package]
    made = await reinit_group(
        it.join.crypto, it.ended.group, it.join.keys, others, time.time(),
        path=request.force_path, with_tree=not request.external_tree, max_lifetime=ANY_LIFETIME,
    )  # fmt: skip
    _follow(client, request.reinit_id, it)
    return _founded(client, it.join, it.ended, made, request.external_tree)


async def handle_reinit_welcome(client: Client, request: api.HandleReInitWelcomeRequest) -> api.JoinGroupResponse:
    it = client.successors[request.reinit_id]
    joined = await join(
        it.join.crypto, request.welcome, [it.join.keys], tree=request.ratchet_tree or None, former=[it.ended.group],
        max_lifetime=ANY_LIFETIME,
    )  # fmt: skip
    _expect_link(joined, USAGE_REINIT)
    _follow(client, request.reinit_id, it)
    number = client.members.add(it.join.member(joined.group, it.ended.encrypt_handshake))
    return api.JoinGroupResponse(number, joined.group.epoch_authenticator)


async def create_branch(client: Client, request: api.CreateBranchRequest) -> api.CreateSubgroupResponse:
    """The old group goes on under its own number."""
    parent = client.members[request.state_id]
    ours = await new_join(parent.group.suite, parent.identity)
    made = await branch_group(
        ours.crypto, parent.group, ours.keys, [descriptions.read_key_package(data) for data in request.key_packages],
        request.group_id, time.time(), extensions=descriptions.extensions(request.extensions),
        path=request.force_path, with_tree=not request.external_tree, max_lifetime=ANY_LIFETIME,
    )  # fmt: skip
    return _founded(client, ours, parent, made, request.external_tree)


async def handle_branch(client: Client, request: api.HandleBranchRequest) -> api.HandleBranchResponse:
    parent, ours = client.members[request.state_id], client.joins[request.transaction_id]
    joined = await join(
        ours.crypto, request.welcome, [ours.keys], tree=request.ratchet_tree or None,
        psks=Psks(ours.external_psks), former=[parent.group], max_lifetime=ANY_LIFETIME,
    )  # fmt: skip
    _expect_link(joined, USAGE_BRANCH)
    client.joins.drop(request.transaction_id)
    number = client.members.add(ours.member(joined.group, parent.encrypt_handshake))
    return api.HandleBranchResponse(number, joined.group.epoch_authenticator)


async def _next_join(member: Member, ended: Group) -> Join:
    """A KeyPackage for the group that the ReInit asks for. Errors: "unsupported-suite"."""
    if ended.reinit is None:
        raise RoomkeyError("bad-argument", "expected a group that a ReInit has ended")
    return await new_join(suite_by_number(ended.reinit.cipher_suite), member.identity)


def _ended(client: Client, state_id: int, member: Member, ours: Join) -> api.HandleReInitCommitResponse:
    number = client.successors.add(Successor(state_id, member, ours))
    package = message(ours.keys.key_package).encode()
    return api.HandleReInitCommitResponse(number, package, member.group.epoch_authenticator)


def _expect_link(joined: Joined, usage: int) -> None:
    """`join` has proved what a group of this usage must be; one without the PSK follows on nothing."""
    if joined.link is None or joined.link.usage != usage:
        raise RoomkeyError("invalid-welcome", f"expected a group by a PSK of usage {usage}, got one without it")


def _follow(client: Client, number: int, it: Successor) -> None:
    """The old state is done with, if the runner has not freed it already."""
    client.successors.drop(number)
    if it.state_id in client.members:
        client.members.drop(it.state_id)


def _founded(
    client: Client, ours: Join, before: Member, made: PendingCommit, external_tree: bool
) -> api.CreateSubgroupResponse:
    number = client.members.add(ours.member(made.group, before.encrypt_handshake))
    tree = made.group.tree.encode() if external_tree else b""
    return api.CreateSubgroupResponse(number, made.welcome or b"", tree, made.group.epoch_authenticator)
