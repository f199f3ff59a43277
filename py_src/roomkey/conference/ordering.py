"""A group's ordering service: which one it is, and the tokens that let members speak to its register (wire.md section
5).

    struct { opaque ordering_domain<V>; } RoomkeyGroup;      GroupContext extension roomkey_group (0xF0C2)
    opaque name<V>;                                          GroupContext extension roomkey_name (0xF0C3), UTF-8
    token of an epoch = MLS-Exporter("roomkey ordering 1.0", "", 32)
"""

from __future__ import annotations

import hashlib

from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import read_claim
from roomkey.federation.identity import check_domain, domain_of
from roomkey.mls.extensions import Extension, ExtensionType, find_extension
from roomkey.mls.group import Group
from roomkey.mls.group_context import GroupContext
from roomkey.mls.policy import MEMBERS_ONLY, policy_by_name, policy_extension
from roomkey.mls.proposals import GroupContextExtensions, Proposal, proposal
from roomkey.tls import Opaque, Struct, opaque

MAX_NAME = 200  # bytes of UTF-8: a line on a screen
TOKEN_BYTES = 32
_LABEL = b"roomkey ordering 1.0"
_name = opaque()


class RoomkeyGroup(Struct):
    ordering_domain: Opaque


def group_extensions(domain: str, name: str, policy: str = MEMBERS_ONLY) -> tuple[Extension, ...]:
    """The extensions of a new group's context. The common policy needs none, so that clients which know nothing of
    policies can be members. Errors: "bad-argument".
    """
    policy_by_name(policy)
    data = name.encode()
    if len(data) > MAX_NAME:
        raise RoomkeyError(
            "bad-argument", f"name: expected at most {MAX_NAME} bytes of UTF-8, got {len(data)}", field="name"
        )
    group = Extension(ExtensionType.ROOMKEY_GROUP, RoomkeyGroup(domain.encode("ascii")).encode())
    named = (Extension(ExtensionType.ROOMKEY_NAME, _name.encode(data)),) if data else ()
    return (group, *named, *(() if policy == MEMBERS_ONLY else (policy_extension(policy),)))


def ordering_domain(group: Group) -> str | None:
    """The domain whose service orders the group; None in a group that names none. Errors: "malformed", "invalid-
    identity".
    """
    return domain_in(group.context)


def domain_in(context: GroupContext) -> str | None:
    """As `ordering_domain`, of a group that we see from outside."""
    data = find_extension(context.extensions, ExtensionType.ROOMKEY_GROUP)
    if data is None:
        return None
    domain = RoomkeyGroup.decode(data).ordering_domain
    if not domain.isascii():
        raise RoomkeyError("malformed", "ordering_domain: expected ASCII", field="ordering_domain")
    return check_domain(domain.decode("ascii"))


def naming(group: Group, domain: str) -> tuple[Proposal, ...]:
    """What a commit that invites somebody needs so that they find the ordering service, which is `domain`'s: nothing,
    or the proposal by which a group that names none names it. Whoever comes takes the inviter's home service for the
    creator's, and that may be another.
    """
    own = group.tree.leaf(group.own_leaf)
    assert own is not None
    if ordering_domain(group) is not None or domain_of(read_claim(group.suite, own).identity) == domain:
        return ()
    return (_naming(group, domain),)


def moving(group: Group, domain: str) -> tuple[Proposal, ...]:
    """What a commit needs that moves the group to another ordering service: nothing, if it names that one already."""
    return () if ordering_domain(group) == domain else (_naming(group, domain),)


def _naming(group: Group, domain: str) -> Proposal:
    """The proposal by which the group's context names this domain; its other extensions stay as they are."""
    named = Extension(ExtensionType.ROOMKEY_GROUP, RoomkeyGroup(domain.encode("ascii")).encode())
    others = [item for item in group.context.extensions if item.extension_type != ExtensionType.ROOMKEY_GROUP]
    return proposal(GroupContextExtensions((named, *others)))


def name_of(group: Group) -> str:
    """What the conference is called; text of others, to be shown as text. Errors: "malformed"."""
    data = find_extension(group.context.extensions, ExtensionType.ROOMKEY_NAME)
    if data is None:
        return ""
    name = _name.decode(data)
    if len(name) > MAX_NAME:
        raise RoomkeyError("malformed", f"name: expected at most {MAX_NAME} bytes, got {len(name)}", field="name")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise RoomkeyError("malformed", "name: expected UTF-8", field="name") from None


def token_hash(group: Group) -> bytes:
    """SHA-256 of the token: what a register is opened with."""
    return hashlib.sha256(token(group)).digest()


def token(group: Group) -> bytes:
    """The token of the group's epoch, 32 bytes: only its members have it."""
    return group.export(_LABEL, b"", TOKEN_BYTES)
