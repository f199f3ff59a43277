"""From what the runner says to the engine's structs."""

from __future__ import annotations

from collections.abc import Sequence

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.extensions import Extension
from roomkey.mls.framing import MLSMessage
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.proposals import Add, GroupContextExtensions, PreSharedKey, Proposal, ReInit, Remove, proposal
from roomkey.mls.psk import USAGE_APPLICATION, external_psk, resumption_psk
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.version import MLS10
from roomkey.mls.welcome import GroupInfo

from roomkey_interop import interface


def described(
    crypto: CryptoProvider, suite: CipherSuite, group_id: bytes, tree: RatchetTree, it: interface.ProposalDescription
) -> Proposal:
    """The proposal that a description means in this group. Errors: "bad-argument", "malformed"."""
    match it.proposal_type:
        case b"add":
            return proposal(Add(read_key_package(it.key_package)))
        case b"remove":
            return proposal(Remove(leaf_of(tree, it.removed_id)))
        case b"externalPSK":
            return external(crypto, suite, it.psk_id)
        case b"resumptionPSK":
            return resumption(crypto, suite, group_id, it.epoch_id)
        case b"groupContextExtensions":
            return proposal(GroupContextExtensions(extensions(it.extensions)))
        case b"reinit":
            return reinit(it.group_id, it.cipher_suite, it.extensions)
        case _:
            raise RoomkeyError("bad-argument", "expected a known proposal_type, got another", field="proposal_type")


def external(crypto: CryptoProvider, suite: CipherSuite, psk_id: bytes) -> Proposal:
    return proposal(PreSharedKey(external_psk(psk_id, crypto.random(suite.nh))))


def resumption(crypto: CryptoProvider, suite: CipherSuite, group_id: bytes, epoch: int) -> Proposal:
    return proposal(PreSharedKey(resumption_psk(USAGE_APPLICATION, group_id, epoch, crypto.random(suite.nh))))


def reinit(group_id: bytes, cipher_suite: int, items: Sequence[interface.Extension]) -> Proposal:
    return proposal(ReInit(group_id, MLS10, _uint16(cipher_suite, "cipher_suite"), extensions(items)))


def extensions(items: Sequence[interface.Extension]) -> tuple[Extension, ...]:
    """Errors: "bad-argument" for a type over 16 bits."""
    return tuple(Extension(_uint16(item.extension_type, "extension_type"), item.extension_data) for item in items)


def leaf_of(tree: RatchetTree, identity: bytes) -> int:
    """The leaf index of the member with this basic credential. Errors: "no-such-member"."""
    for index, leaf in tree.members():
        if leaf.credential.identity == identity:
            return index
    raise RoomkeyError("no-such-member", "expected the identity of a member, got another")


def read_key_package(data: bytes) -> KeyPackage:
    """The KeyPackage in an encoded MLSMessage. Errors: "malformed", "bad-argument"."""
    body = MLSMessage.decode(data).body
    if not isinstance(body, KeyPackage):
        raise RoomkeyError("bad-argument", f"expected a KeyPackage, got a {type(body).__name__}")
    return body


def read_group_info(data: bytes) -> GroupInfo:
    """The GroupInfo in an encoded MLSMessage, unverified. Errors: "malformed", "bad-argument"."""
    body = MLSMessage.decode(data).body
    if not isinstance(body, GroupInfo):
        raise RoomkeyError("bad-argument", f"expected a GroupInfo, got a {type(body).__name__}")
    return body


def _uint16(value: int, field: str) -> int:
    if value > 0xFFFF:
        raise RoomkeyError("bad-argument", f"{field}: expected at most 65535, got {value}", field=field)
    return value
