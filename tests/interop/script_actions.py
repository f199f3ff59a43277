"""The steps of scripts: what each action of the test runner's language asks of the clients."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from roomkey_interop import interface as api

from tests.interop.script_play import Parameters, Play, ScriptFailed


def create_group(play: Play, actor: str, it: Parameters) -> None:
    group_id = secrets.token_hex(16).encode()
    request = api.CreateGroupRequest(group_id, play.suite, play.encrypt, actor.encode())
    play.states[actor] = play.ask(actor, "CreateGroup", request).state_id
    play.put(group_id=group_id)
    others: list[str] = it.get("members", [])
    if others:
        values = tuple(api.ProposalDescription(b"add", key_package=play.key_package(name)) for name in others)
        made = play.ask(actor, "Commit", api.CommitRequest(play.states[actor], by_value=values))
        authenticator = play.pending(actor)
        for name in others:
            play.expect(name, play.join(name, made.welcome), authenticator)
        play.agree([actor, *others], authenticator)


def create_key_package(play: Play, actor: str, it: Parameters) -> None:
    play.put(key_package=play.key_package(actor))


def join_group(play: Play, actor: str, it: Parameters) -> None:
    made = play.outputs[it.get("welcome")]
    play.join(actor, made["welcome"], made.get("ratchet_tree", b""))


def external_join(play: Play, actor: str, it: Parameters) -> None:
    joiner: str = it.get("joiner")
    shown = play.show(actor, bool(it.get("externalTree")))
    psks = tuple(
        api.PreSharedKey(play.read(step, "psk_id"), play.read(step, "psk_secret")) for step in it.get("psks", [])
    )
    request = api.ExternalJoinRequest(
        shown.group_info, shown.ratchet_tree, play.encrypt, joiner.encode(), bool(it.get("removePrior")), psks
    )
    made = play.ask(joiner, "ExternalJoin", request)
    play.states[joiner] = made.state_id
    play.put(commit=made.commit)
    members = [*it.get("members", []), actor]
    for name in members:
        play.expect(name, play.handle(name, (), made.commit), made.epoch_authenticator)
    play.agree([*members, joiner], made.epoch_authenticator)


def group_info(play: Play, actor: str, it: Parameters) -> None:
    shown = play.show(actor, bool(it.get("externalTree")))
    play.put(group_info=shown.group_info, ratchet_tree=shown.ratchet_tree)


def install_external_psk(play: Play, actor: str, it: Parameters) -> None:
    play.put(psk_id=secrets.token_bytes(32), psk_secret=secrets.token_bytes(32))
    for name in it.get("clients"):
        number = play.states.get(name) or play.transactions[name]
        made = play.outputs[-1]
        play.ask(name, "StorePSK", api.StorePSKRequest(number, made["psk_id"], made["psk_secret"]))


def add_proposal(play: Play, actor: str, it: Parameters) -> None:
    package = play.read(it.get("keyPackage"), "key_package")
    play.propose(actor, "AddProposal", api.AddProposalRequest(play.states[actor], package))


def update_proposal(play: Play, actor: str, it: Parameters) -> None:
    play.propose(actor, "UpdateProposal", play.state(actor))


def remove_proposal(play: Play, actor: str, it: Parameters) -> None:
    request = api.RemoveProposalRequest(play.states[actor], it.get("removed").encode())
    play.propose(actor, "RemoveProposal", request)


def external_psk_proposal(play: Play, actor: str, it: Parameters) -> None:
    request = api.ExternalPSKProposalRequest(play.states[actor], play.read(it.get("pskID"), "psk_id"))
    play.propose(actor, "ExternalPSKProposal", request)


def resumption_psk_proposal(play: Play, actor: str, it: Parameters) -> None:
    request = api.ResumptionPSKProposalRequest(play.states[actor], it.get("epochID"))
    play.propose(actor, "ResumptionPSKProposal", request)


def group_context_extensions_proposal(play: Play, actor: str, it: Parameters) -> None:
    request = api.GroupContextExtensionsProposalRequest(play.states[actor], it.extensions())
    play.propose(actor, "GroupContextExtensionsProposal", request)


def full_commit(play: Play, actor: str, it: Parameters) -> None:
    references, made = play.commit(actor, it)
    authenticator = play.pending(actor)
    members: list[str] = it.get("members", [])
    joiners: list[str] = it.get("joiners", [])
    for name in members:
        play.expect(name, play.handle(name, references, made.commit), authenticator)
    for name in joiners:
        play.expect(name, play.join(name, made.welcome, made.ratchet_tree), authenticator)
    play.agree([actor, *members, *joiners], authenticator)


def bare_commit(play: Play, actor: str, it: Parameters) -> None:
    play.commit(actor, it)


def handle_commit(play: Play, actor: str, it: Parameters) -> None:
    references = tuple(play.read(step, "proposal") for step in it.get("byReference", []))
    play.handle(actor, references, play.read(it.get("commit"), "commit"))


def handle_pending_commit(play: Play, actor: str, it: Parameters) -> None:
    play.pending(actor)


def protect(play: Play, actor: str, it: Parameters) -> None:
    beside, text = it.get("authenticatedData", "").encode(), it.get("plaintext", "").encode()
    sealed = play.ask(actor, "Protect", api.ProtectRequest(play.states[actor], beside, text))
    play.put(beside=beside, plaintext=text, ciphertext=sealed.ciphertext)


def unprotect(play: Play, actor: str, it: Parameters) -> None:
    sent = play.outputs[it.get("ciphertext")]
    got = play.ask(actor, "Unprotect", api.UnprotectRequest(play.states[actor], sent["ciphertext"]))
    if (got.authenticated_data, got.plaintext) != (sent["beside"], sent["plaintext"]):
        raise ScriptFailed(f"{actor} reads something else")


def reinit(play: Play, actor: str, it: Parameters) -> None:
    committer, welcomer, proposer = it.get("committer"), it.get("welcomer"), it.get("proposer")
    everybody = list(dict.fromkeys([committer, welcomer, *([proposer] if proposer else []), *it.get("members", [])]))
    if proposer:
        group_id, suite = play.next_group(it)
        request = api.ReInitProposalRequest(play.states[proposer], suite, group_id, it.extensions())
        proposal = play.ask(proposer, "ReInitProposal", request).proposal
    else:
        proposal = play.read(it.get("externalReinitProposal"), "proposal")
    commit = play.ask(committer, "ReInitCommit", api.CommitRequest(play.states[committer], (proposal,))).commit
    ended: dict[str, api.HandleReInitCommitResponse] = {
        committer: play.ask(committer, "HandlePendingReInitCommit", play.state(committer))
    }
    for name in everybody:
        if name != committer:
            handled = api.HandleCommitRequest(play.states[name], (proposal,), commit)
            ended[name] = play.ask(name, "HandleReInitCommit", handled)
            play.expect(name, ended[name].epoch_authenticator, ended[committer].epoch_authenticator)
    others = [name for name in everybody if name != welcomer]
    outside = bool(it.get("externalTree"))
    packages = tuple(ended[name].key_package for name in others)
    asked = api.ReInitWelcomeRequest(ended[welcomer].reinit_id, packages, bool(it.get("forcePath")), outside)
    made: api.CreateSubgroupResponse = play.ask(welcomer, "ReInitWelcome", asked)
    play.states[welcomer] = made.state_id
    for name in others:
        welcome = api.HandleReInitWelcomeRequest(ended[name].reinit_id, made.welcome, made.ratchet_tree)
        joined = play.ask(name, "HandleReInitWelcome", welcome)
        play.states[name] = joined.state_id
        play.expect(name, joined.epoch_authenticator, made.epoch_authenticator)
    play.agree(everybody, made.epoch_authenticator)


def branch(play: Play, actor: str, it: Parameters) -> None:
    others: list[str] = it.get("members", [])
    packages = tuple(play.key_package(name) for name in others)
    request = api.CreateBranchRequest(
        play.states[actor], secrets.token_hex(16).encode(), it.extensions(), packages, bool(it.get("forcePath")),
        bool(it.get("externalTree")),
    )  # fmt: skip
    made: api.CreateSubgroupResponse = play.ask(actor, "CreateBranch", request)
    parents = {name: play.states[name] for name in (actor, *others)}
    play.states[actor] = made.state_id
    for name in others:
        handled = api.HandleBranchRequest(parents[name], play.transactions[name], made.welcome, made.ratchet_tree)
        joined = play.ask(name, "HandleBranch", handled)
        play.states[name] = joined.state_id
        play.expect(name, joined.epoch_authenticator, made.epoch_authenticator)
    play.agree([actor, *others], made.epoch_authenticator)
    for name, state in parents.items():
        play.ask(name, "Free", api.StateRequest(state))


def new_member_add_proposal(play: Play, actor: str, it: Parameters) -> None:
    joiner: str = it.get("joiner")
    shown = play.show(actor, False)
    request = api.NewMemberAddProposalRequest(shown.group_info, joiner.encode())
    made = play.ask(joiner, "NewMemberAddProposal", request)
    play.transactions[joiner] = made.transaction_id
    play.put(proposal=made.proposal)


def add_external_signer(play: Play, actor: str, it: Parameters) -> None:
    signer: str = it.get("signer")
    made = play.ask(signer, "CreateExternalSigner", api.CreateExternalSignerRequest(play.suite, signer.encode()))
    play.signers[signer] = made.signer_id
    play.propose(actor, "AddExternalSigner", api.AddExternalSignerRequest(play.states[actor], made.external_sender))


def external_signer_proposal(play: Play, actor: str, it: Parameters) -> None:
    shown = play.show(it.get("member"), True)
    described = play.description(it.get("description"))
    request = api.ExternalSignerProposalRequest(play.signers[actor], 0, shown.group_info, shown.ratchet_tree, described)
    play.propose(actor, "ExternalSignerProposal", request)


ACTIONS: dict[str, Callable[[Play, str, Parameters], None]] = {
    "createGroup": create_group,
    "createKeyPackage": create_key_package,
    "joinGroup": join_group,
    "externalJoin": external_join,
    "installExternalPSK": install_external_psk,
    "groupInfo": group_info,
    "addProposal": add_proposal,
    "updateProposal": update_proposal,
    "removeProposal": remove_proposal,
    "externalPSKProposal": external_psk_proposal,
    "resumptionPSKProposal": resumption_psk_proposal,
    "groupContextExtensionsProposal": group_context_extensions_proposal,
    "fullCommit": full_commit,
    "commit": bare_commit,
    "handleCommit": handle_commit,
    "handlePendingCommit": handle_pending_commit,
    "protect": protect,
    "unprotect": unprotect,
    "reinit": reinit,
    "branch": branch,
    "newMemberAddProposal": new_member_add_proposal,
    "addExternalSigner": add_external_signer,
    "externalSignerProposal": external_signer_proposal,
}
