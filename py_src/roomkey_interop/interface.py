"""The gRPC interface `mls_client.MLSClient` of the MLS working group's test runner, written as Python types.

The interface is that of `interop/proto/mls_client.proto` in github.com/mlswg/mls-implementations, as of 2026-01. That
repository names no licence, so its file is not copied: names and numbers, which are the interface, stand here in our
own words, and `wire` makes protobuf's descriptors of them. A message is a NamedTuple; its n-th field has number n;
`int` is uint32, `U64` uint64, `tuple[X, ...]` repeated. All fields have proto3's defaults.

Messages named mls_* travel as encoded MLSMessages; a ratchet tree as the content of a ratchet_tree extension; an
external sender as the struct of RFC 9420 section 12.1.8.1.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

U64: TypeAlias = Annotated[int, "uint64"]

PACKAGE = "mls_client"
SERVICE = "MLSClient"


class Empty(NamedTuple):
    """Of the four messages without fields, which are the same bytes under each of their names."""


class NameResponse(NamedTuple):
    name: str = ""


class SupportedCiphersuitesResponse(NamedTuple):
    ciphersuites: tuple[int, ...] = ()


# -- becoming a member --


class CreateGroupRequest(NamedTuple):
    group_id: bytes = b""
    cipher_suite: int = 0
    encrypt_handshake: bool = False
    identity: bytes = b""


class CreateGroupResponse(NamedTuple):
    state_id: int = 0


class CreateKeyPackageRequest(NamedTuple):
    cipher_suite: int = 0
    identity: bytes = b""


class CreateKeyPackageResponse(NamedTuple):
    transaction_id: int = 0
    key_package: bytes = b""
    init_priv: bytes = b""
    encryption_priv: bytes = b""
    signature_priv: bytes = b""


class JoinGroupRequest(NamedTuple):
    transaction_id: int = 0
    welcome: bytes = b""
    encrypt_handshake: bool = False
    identity: bytes = b""
    ratchet_tree: bytes = b""


class JoinGroupResponse(NamedTuple):
    state_id: int = 0
    epoch_authenticator: bytes = b""


class PreSharedKey(NamedTuple):
    psk_id: bytes = b""
    psk_secret: bytes = b""


class ExternalJoinRequest(NamedTuple):
    group_info: bytes = b""
    ratchet_tree: bytes = b""
    encrypt_handshake: bool = False
    identity: bytes = b""
    remove_prior: bool = False
    psks: tuple[PreSharedKey, ...] = ()


class ExternalJoinResponse(NamedTuple):
    state_id: int = 0
    commit: bytes = b""
    epoch_authenticator: bytes = b""


# -- what a member can tell --


class GroupInfoRequest(NamedTuple):
    state_id: int = 0
    external_tree: bool = False


class GroupInfoResponse(NamedTuple):
    group_info: bytes = b""
    ratchet_tree: bytes = b""


class StateRequest(NamedTuple):
    """StateAuthRequest, UpdateProposalRequest, HandlePendingCommitRequest and FreeRequest, which are alike."""

    state_id: int = 0


class StateAuthResponse(NamedTuple):
    state_auth_secret: bytes = b""


class ExportRequest(NamedTuple):
    state_id: int = 0
    label: str = ""
    context: bytes = b""
    key_length: int = 0


class ExportResponse(NamedTuple):
    exported_secret: bytes = b""


class ProtectRequest(NamedTuple):
    state_id: int = 0
    authenticated_data: bytes = b""
    plaintext: bytes = b""


class ProtectResponse(NamedTuple):
    ciphertext: bytes = b""


class UnprotectRequest(NamedTuple):
    state_id: int = 0
    ciphertext: bytes = b""


class UnprotectResponse(NamedTuple):
    authenticated_data: bytes = b""
    plaintext: bytes = b""


class StorePSKRequest(NamedTuple):
    state_or_transaction_id: int = 0
    psk_id: bytes = b""
    psk_secret: bytes = b""


# -- proposals --


class ProposalResponse(NamedTuple):
    proposal: bytes = b""


class AddProposalRequest(NamedTuple):
    state_id: int = 0
    key_package: bytes = b""


class RemoveProposalRequest(NamedTuple):
    state_id: int = 0
    removed_id: bytes = b""


class ExternalPSKProposalRequest(NamedTuple):
    state_id: int = 0
    psk_id: bytes = b""


class ResumptionPSKProposalRequest(NamedTuple):
    state_id: int = 0
    epoch_id: U64 = 0


class Extension(NamedTuple):
    extension_type: int = 0
    extension_data: bytes = b""


class GroupContextExtensionsProposalRequest(NamedTuple):
    state_id: int = 0
    extensions: tuple[Extension, ...] = ()


class ReInitProposalRequest(NamedTuple):
    state_id: int = 0
    cipher_suite: int = 0
    group_id: bytes = b""
    extensions: tuple[Extension, ...] = ()


class ProposalDescription(NamedTuple):
    """A proposal by value. `proposal_type` says which of the others count: "add", "remove", "externalPSK",
    "resumptionPSK", "groupContextExtensions" or "reinit".
    """

    proposal_type: bytes = b""
    key_package: bytes = b""
    removed_id: bytes = b""
    psk_id: bytes = b""
    epoch_id: U64 = 0
    extensions: tuple[Extension, ...] = ()
    group_id: bytes = b""
    cipher_suite: int = 0


# -- commits --


class CommitRequest(NamedTuple):
    state_id: int = 0
    by_reference: tuple[bytes, ...] = ()
    by_value: tuple[ProposalDescription, ...] = ()
    force_path: bool = False
    external_tree: bool = False


class CommitResponse(NamedTuple):
    commit: bytes = b""
    welcome: bytes = b""
    ratchet_tree: bytes = b""


class HandleCommitRequest(NamedTuple):
    state_id: int = 0
    proposal: tuple[bytes, ...] = ()
    commit: bytes = b""


class HandleCommitResponse(NamedTuple):
    state_id: int = 0
    epoch_authenticator: bytes = b""


# -- groups that follow on another --


class HandleReInitCommitResponse(NamedTuple):
    reinit_id: int = 0
    key_package: bytes = b""
    epoch_authenticator: bytes = b""


class ReInitWelcomeRequest(NamedTuple):
    reinit_id: int = 0
    key_package: tuple[bytes, ...] = ()
    force_path: bool = False
    external_tree: bool = False


class CreateSubgroupResponse(NamedTuple):
    state_id: int = 0
    welcome: bytes = b""
    ratchet_tree: bytes = b""
    epoch_authenticator: bytes = b""


class HandleReInitWelcomeRequest(NamedTuple):
    reinit_id: int = 0
    welcome: bytes = b""
    ratchet_tree: bytes = b""


class CreateBranchRequest(NamedTuple):
    state_id: int = 0
    group_id: bytes = b""
    extensions: tuple[Extension, ...] = ()
    key_packages: tuple[bytes, ...] = ()
    force_path: bool = False
    external_tree: bool = False


class HandleBranchRequest(NamedTuple):
    state_id: int = 0
    transaction_id: int = 0
    welcome: bytes = b""
    ratchet_tree: bytes = b""


class HandleBranchResponse(NamedTuple):
    state_id: int = 0
    epoch_authenticator: bytes = b""


# -- proposals from outside --


class NewMemberAddProposalRequest(NamedTuple):
    group_info: bytes = b""
    identity: bytes = b""


class NewMemberAddProposalResponse(NamedTuple):
    transaction_id: int = 0
    proposal: bytes = b""
    init_priv: bytes = b""
    encryption_priv: bytes = b""
    signature_priv: bytes = b""


class CreateExternalSignerRequest(NamedTuple):
    cipher_suite: int = 0
    identity: bytes = b""


class CreateExternalSignerResponse(NamedTuple):
    signer_id: int = 0
    external_sender: bytes = b""


class AddExternalSignerRequest(NamedTuple):
    state_id: int = 0
    external_sender: bytes = b""


class ExternalSignerProposalRequest(NamedTuple):
    signer_id: int = 0
    signer_index: int = 0
    group_info: bytes = b""
    ratchet_tree: bytes = b""
    description: ProposalDescription = ProposalDescription()


class Rpc(NamedTuple):
    """One call: the types of what is asked and what is answered."""

    request: type[tuple[object, ...]]
    response: type[tuple[object, ...]]


RPCS: dict[str, Rpc] = {
    "Name": Rpc(Empty, NameResponse),
    "SupportedCiphersuites": Rpc(Empty, SupportedCiphersuitesResponse),
    "CreateGroup": Rpc(CreateGroupRequest, CreateGroupResponse),
    "CreateKeyPackage": Rpc(CreateKeyPackageRequest, CreateKeyPackageResponse),
    "JoinGroup": Rpc(JoinGroupRequest, JoinGroupResponse),
    "ExternalJoin": Rpc(ExternalJoinRequest, ExternalJoinResponse),
    "GroupInfo": Rpc(GroupInfoRequest, GroupInfoResponse),
    "StateAuth": Rpc(StateRequest, StateAuthResponse),
    "Export": Rpc(ExportRequest, ExportResponse),
    "Protect": Rpc(ProtectRequest, ProtectResponse),
    "Unprotect": Rpc(UnprotectRequest, UnprotectResponse),
    "StorePSK": Rpc(StorePSKRequest, Empty),
    "AddProposal": Rpc(AddProposalRequest, ProposalResponse),
    "UpdateProposal": Rpc(StateRequest, ProposalResponse),
    "RemoveProposal": Rpc(RemoveProposalRequest, ProposalResponse),
    "ExternalPSKProposal": Rpc(ExternalPSKProposalRequest, ProposalResponse),
    "ResumptionPSKProposal": Rpc(ResumptionPSKProposalRequest, ProposalResponse),
    "GroupContextExtensionsProposal": Rpc(GroupContextExtensionsProposalRequest, ProposalResponse),
    "Commit": Rpc(CommitRequest, CommitResponse),
    "HandleCommit": Rpc(HandleCommitRequest, HandleCommitResponse),
    "HandlePendingCommit": Rpc(StateRequest, HandleCommitResponse),
    "ReInitProposal": Rpc(ReInitProposalRequest, ProposalResponse),
    "ReInitCommit": Rpc(CommitRequest, CommitResponse),
    "HandlePendingReInitCommit": Rpc(StateRequest, HandleReInitCommitResponse),
    "HandleReInitCommit": Rpc(HandleCommitRequest, HandleReInitCommitResponse),
    "ReInitWelcome": Rpc(ReInitWelcomeRequest, CreateSubgroupResponse),
    "HandleReInitWelcome": Rpc(HandleReInitWelcomeRequest, JoinGroupResponse),
    "CreateBranch": Rpc(CreateBranchRequest, CreateSubgroupResponse),
    "HandleBranch": Rpc(HandleBranchRequest, HandleBranchResponse),
    "NewMemberAddProposal": Rpc(NewMemberAddProposalRequest, NewMemberAddProposalResponse),
    "CreateExternalSigner": Rpc(CreateExternalSignerRequest, CreateExternalSignerResponse),
    "AddExternalSigner": Rpc(AddExternalSignerRequest, ProposalResponse),
    "ExternalSignerProposal": Rpc(ExternalSignerProposalRequest, ProposalResponse),
    "Free": Rpc(StateRequest, Empty),
}
