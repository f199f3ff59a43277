"""Tickets: what a person outside needs to come into a conference by themselves.

A ticket is an MLSMessage with a GroupInfo (RFC 9420 section 12.4.3) of one epoch, signed by the member who made it,
with the extensions ratchet_tree, external_pub, and this one:

    struct { opaque ordering_domain<V>; opaque token[32]; } RoomkeyTicket;   GroupInfo extension roomkey_ticket (0xF0C5)

The register of commits takes nothing without its epoch's token (`ordering`), so a ticket holds it. That makes it a
secret, to be handed on over a safe channel, and good for one epoch: the next commit ends it.

    who holds it     can see the conference's name, its members, and the register's commits of this epoch and later ones
                     as they are stored; can join under their own proved name, seen by all; can make the commit of this
                     epoch one that nobody can follow, as any member could
    and cannot       read what is said, or be a member unseen, or anything at all once the epoch is over
    who may make it  a member of a conference whose policy is external-joins; nobody else has the token

No ticket is stored, logged, or part of any error's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from roomkey.conference import ordering
from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite, suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import check_domain
from roomkey.mls import committing
from roomkey.mls.extensions import Extension, ExtensionType, find_extension
from roomkey.mls.framing import MLSMessage, message
from roomkey.mls.group import Group
from roomkey.mls.group_context import GroupContext
from roomkey.mls.policy import EXTERNAL_JOINS, MEMBERS_ONLY, policy_name
from roomkey.mls.welcome import GroupInfo
from roomkey.tls import Opaque, Struct, fixed

# What the reading of a ticket, and the external commit made by it, say of bytes that no member signed so.
_UNSOUND = frozenset(
    {
        "malformed", "too-large", "invalid-message", "invalid-welcome", "invalid-tree", "invalid-leaf-node",
        "invalid-signature", "invalid-key", "invalid-commit", "invalid-proposal", "invalid-identity",
    }
)  # fmt: skip


class RoomkeyTicket(Struct):
    """Content of the GroupInfo extension `roomkey_ticket`. `ordering_domain` is where the token counts."""

    ordering_domain: Opaque
    token: Annotated[bytes, fixed(ordering.TOKEN_BYTES)]


@dataclass(frozen=True, repr=False)
class Ticket:
    """A ticket as it reads; `mls.external.external_commit` proves `data`, and with it all of this.

    Attributes:
        data: the whole ticket.
        domain: of the ordering service.
        signer: leaf index of who made it.
    """

    data: bytes
    suite: CipherSuite
    context: GroupContext
    domain: str
    token: bytes
    signer: int


async def make_ticket(crypto: CryptoProvider, group: Group, domain: str) -> bytes:
    """A ticket for the group's epoch.

    Args:
        domain: of the ordering service.
    Errors: "ticket-not-allowed" where the group's policy is another.
    """
    _expect_external_joins(group.context)
    inside = RoomkeyTicket(domain.encode("ascii"), ordering.token(group))
    extension = Extension(ExtensionType.ROOMKEY_TICKET, inside.encode())
    return message(await committing.group_info(crypto, group, external=True, extensions=[extension])).encode()


def read_ticket(data: bytes) -> Ticket:
    """Errors: "invalid-ticket", "ticket-not-allowed", "unsupported-suite", "unsupported-policy"."""
    try:
        body = MLSMessage.decode(data).body
        if not isinstance(body, GroupInfo):
            raise RoomkeyError("invalid-message", f"expected a GroupInfo, got {type(body).__name__}")
        suite = suite_by_number(body.group_context.cipher_suite)
        _expect_external_joins(body.group_context)
        content = find_extension(body.extensions, ExtensionType.ROOMKEY_TICKET)
        if content is None:
            raise RoomkeyError("invalid-message", "expected a GroupInfo with roomkey_ticket, got one without")
        inside = RoomkeyTicket.decode(content)
        if not inside.ordering_domain.isascii():
            raise RoomkeyError("malformed", "ordering_domain: expected ASCII", field="ordering_domain")
        domain = check_domain(inside.ordering_domain.decode("ascii"))
        if ordering.domain_in(body.group_context) not in (None, domain):
            raise RoomkeyError("malformed", "ordering_domain: expected the group's own, got another")
    except RoomkeyError as error:
        raise unsound(error) from error
    return Ticket(data, suite, body.group_context, domain, inside.token, body.signer)


def unsound(error: RoomkeyError) -> RoomkeyError:
    """What says that a ticket's bytes are not good becomes "invalid-ticket"; any other error stays as it is."""
    if error.code not in _UNSOUND:
        return error
    return RoomkeyError("invalid-ticket", "expected a ticket as a member made it", reason=error.code)


def name_of_policy(context: GroupContext) -> str:
    """The name of a group's policy, members-only where it says nothing. Errors: "unsupported-policy"."""
    return policy_name(context.extensions) or MEMBERS_ONLY


def _expect_external_joins(context: GroupContext) -> None:
    name = name_of_policy(context)
    if name != EXTERNAL_JOINS:
        raise RoomkeyError("ticket-not-allowed", f"policy: expected {EXTERNAL_JOINS}, got {name}", field="policy")
