"""From a Welcome to an invitation (wire.md sections 2 and 4).

A Welcome makes us a member, whether we like it or not. So it is processed at once, everybody in the group is proved,
and the result waits as an invitation: a conference that nobody looks at until it is accepted, and that is left when it
is declined.

What a Welcome must satisfy before it becomes an invitation:

1. It names a KeyPackage of ours that is unused, or of a last resort that this Welcome did not come for before.
2. It passes RFC 9420 section 12.4.3.1 (`mls.joining`).
3. The group is new here, and names an ordering service or comes from somebody whose home service orders.
4. Every leaf belongs to the client that it names, and every client's key to its identity; no better suite is common to
   all.

A Welcome that passes 1 uses up its set, whatever becomes of it: the KeyPackage is spent for its sender too.
"""

from __future__ import annotations

from roomkey.client.stock import Found, Pool
from roomkey.conference import ordering, records, session
from roomkey.conference.changes import Changes
from roomkey.conference.session import Session, Surroundings
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import domain_of
from roomkey.mls import joining
from roomkey.mls.welcome import Welcome


async def join(around: Surroundings, pool: Pool, welcome: Welcome, data: bytes) -> Session:
    """Joins the group of a Welcome (`data`: its MLSMessage); one transaction uses up the set and writes the invitation.

    Errors: by the list above "welcome-not-for-us"; those of `joining.join`; "already-member"; those of
    `Admission.admit`.
    """
    async with pool.writing:
        # 1.
        found = await pool.find([item.new_member for item in welcome.secrets], data)
        changes = Changes()
        pool.use_up(found, data, changes)
        try:
            joined = await _join(around, pool, found, data, changes)
        except RoomkeyError as error:
            if error.code != "storage-failed":
                spent = Changes()
                pool.use_up(found, data, spent)
                if not pool.used_up(found):
                    spent.drop([found.keys.leaf.encryption])
                await spent.write(around.store)
            raise
        pool.used_up(found)
        return joined


async def _join(around: Surroundings, pool: Pool, found: Found, data: bytes, changes: Changes) -> Session:
    # 2.
    group, _, signer = await joining.join(around.crypto, data, [found.keys])
    # 3.
    if await around.store.get(records.conference_name(group.group_id)) is not None:
        raise RoomkeyError("already-member", "expected a Welcome to a group that is new here")
    # 4. What is learnt of the others is kept once the invitation is accepted.
    members = tuple(await around.admission.admit(group, list(group.tree.members()), Changes()))
    inviter = next((member for member in members if member.leaf == signer), None)
    if inviter is None:
        raise RoomkeyError("invalid-welcome", "expected a Welcome signed by a member")
    domain = ordering.ordering_domain(group) or domain_of(inviter.identity)
    members = tuple(sorted(members, key=lambda member: member.leaf))
    renew = pool.is_last_resort(found)
    return await session.begin(around, group, members, records.INVITED, domain, signer, changes, renew=renew)
