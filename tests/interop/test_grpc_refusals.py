"""What our client refuses over gRPC: a status with our code, and the state as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from roomkey.crypto.suites import suite_by_number
from roomkey.mls.commit import Commit
from roomkey.mls.framing import MLSMessage, PublicMessage
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey_interop import interface as api

from tests.interop.grpc_client import Remote, served
from tests.interop.grpc_pair import EARLY, INVALID, NOT_HERE, Pair, missing, refused


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    with served() as address:
        remote = Remote(address)
        yield remote
        remote.close()


@pytest.fixture(params=[False, True], ids=["public", "private"])
def pair(remote: Remote, request: pytest.FixtureRequest) -> Pair:
    return Pair(remote, request.param)


def altered(data: bytes) -> bytes:
    """One bit of the last byte is another: of a tag, or of a ciphertext."""
    return data[:-1] + bytes([data[-1] ^ 1])


def ordinary_welcome(remote: Remote, key_package: bytes) -> bytes:
    """To a new group that follows on none."""
    state = remote.call("CreateGroup", api.CreateGroupRequest(b"elsewhere", 1, False, b"ann")).state_id
    add = api.ProposalDescription(b"add", key_package=key_package)
    return bytes(remote.call("Commit", api.CommitRequest(state, by_value=(add,))).welcome)


def test_an_altered_commit_changes_nothing(pair: Pair) -> None:
    commit = pair.step("commit", "ann")["commit"]
    code, rule = ("decryption-failed", None) if pair.play.encrypt else ("invalid-tag", "message-membership-tag")
    with pair.refused(INVALID, code, rule):
        pair.remote.call("HandleCommit", pair.handle(altered(commit)))
    with pair.refused(INVALID, "malformed"):
        pair.remote.call("HandleCommit", pair.handle(commit[:-1]))
    done = pair.remote.call("HandleCommit", pair.handle(commit))
    assert done.epoch_authenticator == pair.play.pending("ann")
    pair.go_on()


def test_a_bad_commit_leaves_the_proposals_beside_it_unread(pair: Pair) -> None:
    proposal = pair.step("updateProposal", "ann")["proposal"]
    commit = pair.remote.call("Commit", api.CommitRequest(pair.ben, (proposal,))).commit
    # ann gets ben's commit of her own Update; first a proposal that is none of this group's.
    request = api.HandleCommitRequest(pair.ann, (proposal[:-1],), commit)
    with pair.refused(INVALID, "malformed"):
        pair.remote.call("HandleCommit", request)
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("HandleCommit", request._replace(proposal=(proposal, commit)))
    done = pair.remote.call("HandleCommit", request._replace(proposal=(proposal,)))
    assert done.epoch_authenticator == pair.play.pending("ben")
    pair.go_on()


def test_application_data_opens_once_and_unaltered(pair: Pair) -> None:
    sealed = pair.step("protect", "ann", plaintext="once")["ciphertext"]
    request = api.UnprotectRequest(pair.ben, sealed)
    with pair.refused(INVALID, "decryption-failed"):
        pair.remote.call("Unprotect", request._replace(ciphertext=altered(sealed)))
    assert pair.remote.call("Unprotect", request).plaintext == b"once"
    with pair.refused(INVALID, "key-consumed"):
        pair.remote.call("Unprotect", request)
    commit = pair.step("commit", "ann")["commit"]
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("Unprotect", request._replace(ciphertext=commit))
    assert pair.remote.call("HandleCommit", pair.handle(commit)).epoch_authenticator == pair.play.pending("ann")


def test_what_was_read_while_a_commit_waited_is_not_read_again(pair: Pair) -> None:
    sealed = pair.step("protect", "ben", plaintext="once")["ciphertext"]
    commit = pair.step("commit", "ann")["commit"]
    request = api.UnprotectRequest(pair.ann, sealed)
    assert pair.remote.call("Unprotect", request).plaintext == b"once"
    assert pair.remote.call("HandleCommit", pair.handle(commit)).epoch_authenticator == pair.play.pending("ann")
    with pair.refused(INVALID, "key-consumed"):
        pair.remote.call("Unprotect", request)


def test_a_path_comes_where_it_is_asked_for(remote: Remote) -> None:
    pair = Pair(remote, False)
    for forced in (False, True):
        package = remote.call("CreateKeyPackage", api.CreateKeyPackageRequest(1, b"cleo")).key_package
        add = api.ProposalDescription(b"add", key_package=package)
        made = remote.call("Commit", api.CommitRequest(pair.ann, (), (add,), forced))
        body = MLSMessage.decode(made.commit).body
        assert isinstance(body, PublicMessage)
        assert isinstance(body.content.content, Commit)
        assert (body.content.content.path is not None) == forced


def test_data_waits_for_the_commit_of_a_proposal(pair: Pair) -> None:
    pair.step("updateProposal", "ann")
    with pair.refused(EARLY, "commit-first"):
        pair.step("protect", "ann", plaintext="too early")


def test_a_commit_carries_what_was_named_or_is_not_made(pair: Pair) -> None:
    ours = pair.step("updateProposal", "ann")["proposal"]
    theirs = pair.step("updateProposal", "ben")["proposal"]
    removal = pair.step("removeProposal", "ann", removed="ben")["proposal"]
    request = api.CommitRequest(pair.ann)
    for named, rule in (
        ((ours,), "commit-update-committer"),
        ((theirs, removal), "commit-one-per-leaf"),
    ):
        with pair.refused(INVALID, "invalid-commit", rule):
            pair.remote.call("Commit", request._replace(by_reference=named))
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("Commit", request._replace(by_value=(api.ProposalDescription(b"update"),)))
    with pair.refused(EARLY, "no-such-member"):
        pair.remote.call("Commit", request._replace(by_value=(api.ProposalDescription(b"remove", removed_id=b"zoe"),)))
    with pair.refused(INVALID, "psk-unknown", "psk-unknown"):
        psk = api.ProposalDescription(b"externalPSK", psk_id=b"nobody has it")
        pair.remote.call("Commit", request._replace(by_value=(psk,)))
    with pair.refused(EARLY, "bad-argument"):  # there is none
        pair.remote.call("HandlePendingCommit", api.StateRequest(pair.ann))
    made = pair.remote.call("Commit", request._replace(by_reference=(theirs,)))
    done = pair.remote.call("HandleCommit", pair.handle(made.commit, theirs))
    assert done.epoch_authenticator == pair.play.pending("ann")
    with pair.refused(INVALID, "wrong-epoch"):
        pair.remote.call("Commit", request._replace(by_reference=(theirs,)))


def test_a_commit_that_removes_us_has_no_answer(pair: Pair) -> None:
    commit = pair.step("commit", "ann", byValue=[{"proposalType": "remove", "removed": "ben"}])["commit"]
    with pair.refused(EARLY, "not-a-member"):
        pair.remote.call("HandleCommit", pair.handle(commit))


def test_commits_with_and_without_reinit_have_calls_of_their_own(pair: Pair) -> None:
    wanted = api.ReInitProposalRequest(pair.ann, 1, b"next")
    proposal = pair.remote.call("ReInitProposal", wanted).proposal
    ending = api.CommitRequest(pair.ann, (proposal,))
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("Commit", ending)
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("ReInitCommit", api.CommitRequest(pair.ann))
    commit = pair.remote.call("ReInitCommit", ending).commit
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("HandlePendingCommit", api.StateRequest(pair.ann))
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("HandleCommit", pair.handle(commit, proposal))
    theirs = pair.remote.call("HandleReInitCommit", pair.handle(commit, proposal))
    ours = pair.remote.call("HandlePendingReInitCommit", api.StateRequest(pair.ann))
    assert theirs.epoch_authenticator == ours.epoch_authenticator
    with refused(EARLY, "group-ended"):
        pair.step("fullCommit", "ann", members=["ben"])
    # The group that follows has to have all members.
    with refused(INVALID, "invalid-welcome", "successor-members"):
        pair.remote.call("ReInitWelcome", api.ReInitWelcomeRequest(ours.reinit_id))
    made = pair.remote.call("ReInitWelcome", api.ReInitWelcomeRequest(ours.reinit_id, (theirs.key_package,)))
    elsewhere = api.HandleReInitWelcomeRequest(theirs.reinit_id, ordinary_welcome(pair.remote, theirs.key_package))
    with refused(INVALID, "invalid-welcome"):
        pair.remote.call("HandleReInitWelcome", elsewhere)
    joined = pair.remote.call("HandleReInitWelcome", api.HandleReInitWelcomeRequest(theirs.reinit_id, made.welcome))
    assert joined.epoch_authenticator == made.epoch_authenticator
    with missing():
        pair.remote.call("StateAuth", api.StateRequest(pair.ann))


def test_a_suite_that_we_do_not_speak_ends_nothing(pair: Pair) -> None:
    proposal = pair.remote.call("ReInitProposal", api.ReInitProposalRequest(pair.ann, 7, b"next")).proposal
    commit = pair.remote.call("ReInitCommit", api.CommitRequest(pair.ann, (proposal,))).commit
    with pair.refused(NOT_HERE, "unsupported-suite"):
        pair.remote.call("HandlePendingReInitCommit", api.StateRequest(pair.ann))
    with pair.refused(NOT_HERE, "unsupported-suite"):
        pair.remote.call("HandleReInitCommit", pair.handle(commit, proposal))


def test_welcomes_fit_their_transaction(pair: Pair) -> None:
    package = pair.step("createKeyPackage", "cleo")["key_package"]
    add = api.ProposalDescription(b"add", key_package=package)
    made = pair.remote.call("Commit", api.CommitRequest(pair.ann, by_value=(add,), external_tree=True))
    request = api.JoinGroupRequest(pair.play.transactions["cleo"], made.welcome, True, b"cleo", made.ratchet_tree)
    other = pair.remote.call("CreateKeyPackage", api.CreateKeyPackageRequest(1, b"cleo")).transaction_id
    with pair.refused(INVALID, "welcome-not-for-us", "welcome-for-us"):
        pair.remote.call("JoinGroup", request._replace(transaction_id=other))
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("JoinGroup", request._replace(identity=b"zoe"))
    with pair.refused(INVALID, "invalid-welcome", "welcome-tree"):
        pair.remote.call("JoinGroup", request._replace(ratchet_tree=b""))
    with pair.refused(INVALID, "malformed"):
        pair.remote.call("JoinGroup", request._replace(welcome=made.welcome[:-1]))
    joined = pair.remote.call("JoinGroup", request)
    assert joined.epoch_authenticator == pair.play.pending("ann")
    with missing():  # a KeyPackage joins once
        pair.remote.call("JoinGroup", request)


def test_outsiders_are_held_to_the_group_info(pair: Pair) -> None:
    shown = pair.play.show("ann", False).group_info
    join = api.ExternalJoinRequest(shown, b"", False, b"cleo")
    with pair.refused(INVALID, "invalid-welcome", "welcome-signature"):
        pair.remote.call("ExternalJoin", join._replace(group_info=altered(shown)))
    with pair.refused(EARLY, "no-such-member"):
        pair.remote.call("ExternalJoin", join._replace(remove_prior=True))
    bare = pair.play.show("ann", True)
    with pair.refused(INVALID, "invalid-welcome", "welcome-tree"):
        pair.remote.call("ExternalJoin", join._replace(group_info=bare.group_info))
    assert pair.remote.call("ExternalJoin", join._replace(group_info=bare.group_info, ratchet_tree=bare.ratchet_tree))
    with pair.refused(EARLY, "bad-argument"):
        package = pair.step("createKeyPackage", "cleo")["key_package"]
        pair.remote.call("NewMemberAddProposal", api.NewMemberAddProposalRequest(package, b"cleo"))
    gate = pair.remote.call("CreateExternalSigner", api.CreateExternalSignerRequest(1, b"gate"))
    wanted = api.ExternalSignerProposalRequest(
        gate.signer_id, 0, shown, b"", api.ProposalDescription(b"remove", b"", b"ben")
    )
    with pair.refused(INVALID, "invalid-proposal", "proposal-external-sender"):
        pair.remote.call("ExternalSignerProposal", wanted)
    pair.play.signers["gate"] = gate.signer_id
    pair.step("addExternalSigner", "ann", signer="gate")
    pair.step("fullCommit", "ann", byReference=[len(pair.play.outputs) - 1], members=["ben"])
    listed = wanted._replace(
        signer_id=pair.play.signers["gate"], signer_index=1, group_info=pair.play.show("ann", False).group_info
    )
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("ExternalSignerProposal", listed)
    assert pair.remote.call("ExternalSignerProposal", listed._replace(signer_index=0)).proposal


def test_who_comes_back_leaves_no_old_leaf(pair: Pair) -> None:
    for prior in (True, False):
        pair.step("externalJoin", "ann", joiner="ben", removePrior=prior)
        tree = RatchetTree.decode(suite_by_number(1), pair.play.show("ben", True).ratchet_tree)
        names = [leaf.credential.identity for _, leaf in tree.members()]
        assert names == ([b"ann", b"ben"] if prior else [b"ann", b"ben", b"ben"])


def test_branches_hold_members_alone(pair: Pair) -> None:
    stranger = pair.step("createKeyPackage", "cleo")["key_package"]
    branch = api.CreateBranchRequest(pair.ann, b"branch", (), (stranger,))
    with pair.refused(INVALID, "invalid-welcome", "branch-members"):
        pair.remote.call("CreateBranch", branch)
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("CreateBranch", branch._replace(extensions=(api.Extension(0x10000, b""),)))
    ours = pair.remote.call("CreateKeyPackage", api.CreateKeyPackageRequest(1, b"ben"))
    made = pair.remote.call("CreateBranch", branch._replace(key_packages=(ours.key_package,)))
    handle = api.HandleBranchRequest(pair.ben, ours.transaction_id, made.welcome)
    with pair.refused(INVALID, "psk-unknown", "psk-unknown"):  # it follows on another group than this
        elsewhere = Pair(pair.remote, False).ben
        pair.remote.call("HandleBranch", handle._replace(state_id=elsewhere))
    with pair.refused(INVALID, "invalid-welcome"):
        pair.remote.call("HandleBranch", handle._replace(welcome=ordinary_welcome(pair.remote, ours.key_package)))
    assert pair.remote.call("HandleBranch", handle).epoch_authenticator == made.epoch_authenticator
    pair.go_on()


def test_an_export_has_its_length(pair: Pair) -> None:
    with pair.refused(EARLY, "bad-argument"):
        pair.remote.call("Export", api.ExportRequest(pair.ann, "label", b"", 255 * 32 + 1))
    assert len(pair.remote.call("Export", api.ExportRequest(pair.ann, "label", b"", 255 * 32)).exported_secret) == 8160
