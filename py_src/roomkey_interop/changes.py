"""Proposals and commits.

A commit carries exactly the proposals that the runner names. Whatever is refused leaves the state as it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from roomkey.errors import RoomkeyError
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.committing import PendingCommit, commit, propose, propose_update
from roomkey.mls.extensions import Extension, ExtensionType, ExternalSender, ExternalSenders, external_senders
from roomkey.mls.framing import member as sender_of
from roomkey.mls.group import Group
from roomkey.mls.processing import Processed, ProposalReceived, process
from roomkey.mls.proposals import Add, GroupContextExtensions, Proposal, Remove, proposal

from roomkey_interop import descriptions
from roomkey_interop import interface as api
from roomkey_interop.states import POLICY, Client, Member


async def add_proposal(client: Client, request: api.AddProposalRequest) -> api.ProposalResponse:
    member = client.members[request.state_id]
    return await propose_it(member, proposal(Add(descriptions.read_key_package(request.key_package))))


async def update_proposal(client: Client, request: api.StateRequest) -> api.ProposalResponse:
    member = client.members[request.state_id]
    member.group, sent = await propose_update(member.crypto, member.group, wire_format=member.wire_format)
    member.proposals[sent] = member.group.own_updates[-1].reference
    return api.ProposalResponse(sent)


async def remove_proposal(client: Client, request: api.RemoveProposalRequest) -> api.ProposalResponse:
    member = client.members[request.state_id]
    return await propose_it(member, proposal(Remove(descriptions.leaf_of(member.group.tree, request.removed_id))))


async def external_psk_proposal(client: Client, request: api.ExternalPSKProposalRequest) -> api.ProposalResponse:
    member = client.members[request.state_id]
    return await propose_it(member, descriptions.external(member.crypto, member.group.suite, request.psk_id))


async def resumption_psk_proposal(client: Client, request: api.ResumptionPSKProposalRequest) -> api.ProposalResponse:
    """A key of this group's own past."""
    member = client.members[request.state_id]
    group = member.group
    item = descriptions.resumption(member.crypto, group.suite, group.group_id, request.epoch_id)
    return await propose_it(member, item)


async def group_context_extensions_proposal(
    client: Client, request: api.GroupContextExtensionsProposalRequest
) -> api.ProposalResponse:
    item = proposal(GroupContextExtensions(descriptions.extensions(request.extensions)))
    return await propose_it(client.members[request.state_id], item)


async def add_external_signer(client: Client, request: api.AddExternalSignerRequest) -> api.ProposalResponse:
    """The group's extensions with one external sender more."""
    member = client.members[request.state_id]
    now = member.group.context.extensions
    senders = ExternalSenders((*external_senders(now), ExternalSender.decode(request.external_sender)))
    kept = tuple(item for item in now if item.extension_type != ExtensionType.EXTERNAL_SENDERS)
    entry = Extension(ExtensionType.EXTERNAL_SENDERS, senders.encode())
    return await propose_it(member, proposal(GroupContextExtensions((*kept, entry))))


async def reinit_proposal(client: Client, request: api.ReInitProposalRequest) -> api.ProposalResponse:
    item = descriptions.reinit(request.group_id, request.cipher_suite, request.extensions)
    return await propose_it(client.members[request.state_id], item)


async def propose_it(member: Member, item: Proposal) -> api.ProposalResponse:
    member.group, sent = await propose(member.crypto, member.group, item, wire_format=member.wire_format)
    ours = sender_of(member.group.own_leaf)
    member.proposals[sent] = next(p.reference for p in member.group.proposals if (p.sender, p.proposal) == (ours, item))
    return api.ProposalResponse(sent)


async def make_commit(client: Client, request: api.CommitRequest) -> api.CommitResponse:
    return await commit_with(client.members[request.state_id], request, ends=False)


async def reinit_commit(client: Client, request: api.CommitRequest) -> api.CommitResponse:
    return await commit_with(client.members[request.state_id], request, ends=True)


async def commit_with(member: Member, request: api.CommitRequest, *, ends: bool) -> api.CommitResponse:
    """A commit of the proposals named, pending until the runner says that it won. `ends`: whether by a ReInit."""
    group, known = await _with_proposals(member, request.by_reference)
    values = [
        descriptions.described(member.crypto, group.suite, group.group_id, group.tree, item)
        for item in request.by_value
    ]
    pending = await commit(
        member.crypto, group, time.time(), proposals=values,
        referenced=[known[item] for item in request.by_reference], path=request.force_path or None, psks=member.psks,
        policy=POLICY, wire_format=member.wire_format, with_tree=not request.external_tree,
    )  # fmt: skip
    _expect_ending(pending.group, ends)
    member.group, member.proposals, member.pending = pending.current, known, pending
    tree = pending.group.tree.encode() if request.external_tree else b""
    return api.CommitResponse(pending.message, pending.welcome or b"", tree)


async def handle_pending_commit(client: Client, request: api.StateRequest) -> api.HandleCommitResponse:
    member = client.members[request.state_id]
    await adopt(member, expect_pending(member, ends=False))
    return api.HandleCommitResponse(request.state_id, member.group.epoch_authenticator)


async def handle_commit(client: Client, request: api.HandleCommitRequest) -> api.HandleCommitResponse:
    member = client.members[request.state_id]
    after, event = await take_commit(member, request, ends=False)
    await member.enter(after, event.spent_keys)
    return api.HandleCommitResponse(request.state_id, member.group.epoch_authenticator)


def expect_pending(member: Member, *, ends: bool) -> PendingCommit:
    if member.pending is None:
        raise RoomkeyError("bad-argument", "expected a commit that is pending, got none")
    _expect_ending(member.pending.group, ends)
    return member.pending


async def adopt(member: Member, pending: PendingCommit) -> None:
    """Our own commit won."""
    await member.enter(pending.group.following(member.group), pending.spent_keys)


async def take_commit(member: Member, request: api.HandleCommitRequest, *, ends: bool) -> tuple[Group, CommitProcessed]:
    """The group after another's commit, with the proposals it may refer to; the member does not go on in it yet. One
    that removes us is refused: the interface has no answer for it.
    """
    group, _ = await _with_proposals(member, request.proposal)
    done = await process(member.crypto, group, request.commit, psks=member.psks, policy=POLICY)
    if not isinstance(done.event, CommitProcessed):
        raise RoomkeyError("bad-argument", f"expected a commit, got {type(done.event).__name__}")
    if done.event.self_removed:
        raise RoomkeyError("not-a-member", "expected a commit that leaves us in, got one that removes us")
    _expect_ending(done.group, ends)
    return done.group, done.event


async def _with_proposals(member: Member, messages: Sequence[bytes]) -> tuple[Group, dict[bytes, bytes]]:
    """The group that remembers these proposals, and their references by message."""
    group, known = member.group, dict(member.proposals)
    for data in messages:
        if data in known:
            continue
        done: Processed = await process(member.crypto, group, data, policy=POLICY)
        if not isinstance(done.event, ProposalReceived):
            raise RoomkeyError("bad-argument", f"expected a proposal, got {type(done.event).__name__}")
        group = done.group
        known[data] = done.event.reference
    return group, known


def _expect_ending(group: Group, ends: bool) -> None:
    """Commits with and without a ReInit have RPCs of their own."""
    if (group.reinit is not None) != ends:
        raise RoomkeyError("bad-argument", f"expected a commit {'with' if ends else 'without'} ReInit, got the other")
