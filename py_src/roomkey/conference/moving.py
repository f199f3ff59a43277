"""Moving a conference from one ordering service to another (wire.md section 5).

    1. make     the commit whose next epoch names the new domain; nobody has seen it
    2. open     the new service opens a register at that epoch, with the hash of its token
    3. write    the commit, its candidate and its deliveries, in one transaction (`commits`)
    4. submit   to the old service, which decides as always: exactly one commit ends an epoch

A crash or an error before 3 leaves a register that nobody will ever speak to, and so does a lost race: its token was
made for one commit. From 3 on the new register is there, whenever the old one takes the commit.

Who takes the commit goes on at the new service. What the old one says of later epochs counts no more (`receiving`): a
member could have it store another commit for the epoch that belongs to the new one.

The new domain must be a member's. All members then have a way to it, as they have to that member's inbox, and nobody
can move a conference to a place that the others cannot reach.
"""

from __future__ import annotations

from collections.abc import Iterable

from roomkey.conference import ordering
from roomkey.conference.commits import Plan
from roomkey.conference.events import Member
from roomkey.conference.session import Session
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import check_domain, domain_of
from roomkey.mls.group import Group


def destination(session: Session, domain: str) -> str:
    """The domain, if the conference may move there. Errors: "bad-argument", "invalid-identity"."""
    wanted = check_domain(domain)
    if wanted not in _domains(session.members):
        raise RoomkeyError("bad-argument", "domain: expected that of a member", field="domain")
    return wanted


def plan(session: Session, group: Group, domain: str) -> Plan | None:
    """What to commit so that `domain`'s service orders the conference; None where it does."""
    if session.ordering == domain:
        return None

    async def open_register(after: Group) -> None:
        service = session.around.routes().service_of(domain)
        await service.register_group(after.group_id, ordering.token_hash(after), after.epoch)

    return Plan(ordering.moving(group, domain), prepare=open_register)


def check_move(before: str, after: Group, members: Iterable[Member]) -> None:
    """Whether a commit of somebody else's leaves the conference where all can reach it.

    Args:
        before: the domain that ordered the epoch now ended; after, members: the next one.
    Errors: "invalid-commit"; "malformed" or "invalid-identity" for what is no domain.
    """
    domain = ordering.ordering_domain(after)
    if domain not in (None, before) and domain not in _domains(members):
        raise RoomkeyError("invalid-commit", "ordering_domain: expected that of a member, got another")


def _domains(members: Iterable[Member]) -> set[str]:
    return {domain_of(member.identity) for member in members}
