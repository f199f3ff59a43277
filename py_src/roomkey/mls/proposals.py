"""Proposals (RFC 9420 section 12.1)."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from roomkey.crypto.labels import ref_hash
from roomkey.crypto.suites import CipherSuite
from roomkey.mls.extensions import DEFAULT_PROPOSALS, Extension
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.psk import PreSharedKeyID
from roomkey.tls import U16, U32, Opaque, Struct, When, one_of, opaque, uint8, vector

# ProposalType (RFC 9420 section 17.4)
ADD = 1
UPDATE = 2
REMOVE = 3
PSK = 4
REINIT = 5
EXTERNAL_INIT = 6
GROUP_CONTEXT_EXTENSIONS = 7


class Add(Struct):
    """`struct { KeyPackage key_package; } Add;`"""

    key_package: KeyPackage


class Update(Struct):
    """`struct { LeafNode leaf_node; } Update;`"""

    leaf_node: LeafNode


class Remove(Struct):
    """`struct { uint32 removed; } Remove;` (a leaf index)"""

    removed: U32


class PreSharedKey(Struct):
    """`struct { PreSharedKeyID psk; } PreSharedKey;`"""

    psk: PreSharedKeyID


class ReInit(Struct):
    """The parameters of the group that takes this one's place; any version and suite parse, policy judges them.

    struct {
        opaque group_id<V>;
        ProtocolVersion version;
        CipherSuite cipher_suite;
        Extension extensions<V>;
    } ReInit;
    """

    group_id: Opaque
    version: U16
    cipher_suite: U16
    extensions: Annotated[tuple[Extension, ...], vector(Extension)]


class ExternalInit(Struct):
    """`struct { opaque kem_output<V>; } ExternalInit;`"""

    kem_output: Opaque


class GroupContextExtensions(Struct):
    """`struct { Extension extensions<V>; } GroupContextExtensions;` (all extensions from now on)"""

    extensions: Annotated[tuple[Extension, ...], vector(Extension)]


ProposalBody: TypeAlias = Add | Update | Remove | PreSharedKey | ReInit | ExternalInit | GroupContextExtensions | bytes


# What may be proposed by an external sender (RFC 9420 section 12.1.8).
FROM_OUTSIDE = (Add, Remove, PreSharedKey, ReInit, GroupContextExtensions)


class Proposal(Struct):
    """A proposal of any type.

    struct {
        ProposalType proposal_type;
        select (Proposal.proposal_type) {
            case add: Add; case update: Update; case remove: Remove; case psk: PreSharedKey; case reinit: ReInit;
            case external_init: ExternalInit; case group_context_extensions: GroupContextExtensions;
        };
    } Proposal;

    RFC 9420 gives types it does not define no length, so nobody could step over one. Like OpenMLS and mls-rs we read
    them as `opaque data<V>` and keep the bytes; validation refuses them unless a policy knows the type.
    """

    proposal_type: U16
    body: Annotated[
        ProposalBody,
        When(
            "proposal_type",
            {
                ADD: Add,
                UPDATE: Update,
                REMOVE: Remove,
                PSK: PreSharedKey,
                REINIT: ReInit,
                EXTERNAL_INIT: ExternalInit,
                GROUP_CONTEXT_EXTENSIONS: GroupContextExtensions,
            },
            otherwise=opaque(),
        ),
    ]

    @property
    def custom(self) -> bool:
        """Whether RFC 9420 does not define this type; `body` is bytes then."""
        return self.proposal_type not in DEFAULT_PROPOSALS


_TYPES: dict[type[Struct], int] = {
    Add: ADD,
    Update: UPDATE,
    Remove: REMOVE,
    PreSharedKey: PSK,
    ReInit: REINIT,
    ExternalInit: EXTERNAL_INIT,
    GroupContextExtensions: GROUP_CONTEXT_EXTENSIONS,
}


def proposal(
    body: Add | Update | Remove | PreSharedKey | ReInit | ExternalInit | GroupContextExtensions,
) -> Proposal:
    """The proposal with this body, its type set to match."""
    return Proposal(_TYPES[type(body)], body)


# enum { reserved(0), proposal(1), reference(2), (255) } ProposalOrRefType;
BY_VALUE = 1
BY_REFERENCE = 2


class ProposalOrRef(Struct):
    """A commit names a proposal by value, or by the hash of the message that carried it (RFC 9420 section 12.4).

    struct {
        ProposalOrRefType type;
        select (ProposalOrRef.type) {
            case proposal:  Proposal proposal;
            case reference: ProposalRef reference;
        };
    } ProposalOrRef;
    """

    type: Annotated[int, one_of(uint8, BY_VALUE, BY_REFERENCE)]
    proposal: Annotated[Proposal | None, When("type", {BY_VALUE: Proposal})] = None
    reference: Annotated[bytes | None, When("type", {BY_REFERENCE: opaque()})] = None


def by_value(item: Proposal) -> ProposalOrRef:
    return ProposalOrRef(BY_VALUE, proposal=item)


def by_reference(reference: bytes) -> ProposalOrRef:
    return ProposalOrRef(BY_REFERENCE, reference=reference)


def proposal_ref(suite: CipherSuite, authenticated_content: bytes) -> bytes:
    """MakeProposalRef of an encoded AuthenticatedContent (RFC 9420 section 5.2)."""
    return ref_hash(suite, b"MLS 1.0 Proposal Reference", authenticated_content)
