"""From a Welcome to an invitation (wire.md sections 2 and 4).

A Welcome makes us a member, whether we like it or not. So it is processed at once, everybody in the group is proved,
and the result waits as an invitation: a conference that nobody looks at until it is accepted, and that is left when it
is declined.

What a Welcome must satisfy before it becomes an invitation:

1. It names a KeyPackage of ours that is unused, or of a last resort that this Welcome did not come for before.
2. It passes RFC 9420 section 12.4.3.1 (`mls.joining`).
3. The group names an ordering service or comes from somebody whose home service orders.
4. It has at most `MAX_UNKNOWN` members, or was signed by somebody whom we have met.
5. Every leaf belongs to the client that it names, and every client's key to its identity; no better suite is common to
   all.

Its id may be that of a conference that we have, or had, or are invited to: whoever has seen an id can make a group of
it. So an invitation is a conference of its own, and replaces and blocks none. Whether it is true is asked at the
ordering service when it is accepted; nobody can fill the storage with them, for each costs one of our init-key sets.

A Welcome that passes 1 uses up its set, whatever becomes of it: the KeyPackage is spent for its sender too. Only while
its members can be neither proved nor refused (`awaited`) nothing is used up. In a group of a suite that is not the best
common one (attack D9) we are a member for the others, though, and tell them that we go.
"""

from __future__ import annotations

from roomkey.client.stock import Found, Pool
from roomkey.conference import opening, ordering, records
from roomkey.conference.changes import Changes
from roomkey.conference.commits import deliveries
from roomkey.conference.events import Member
from roomkey.conference.reading import withheld
from roomkey.conference.session import Session, Surroundings
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import read_claim
from roomkey.federation.identity import domain_of
from roomkey.mls import committing, joining
from roomkey.mls.group import Group
from roomkey.mls.joining import Joined
from roomkey.mls.proposals import Remove, proposal
from roomkey.mls.welcome import Welcome

# Members of a group whose inviter we have never met. Proving that keys may be used takes some 1.6 ms a member in a
# browser; so a stranger's Welcome holds up calls that go on, and their keys, by a third of a second at most. To fetch a
# person's keys is to meet them.
MAX_UNKNOWN = 200


async def join(around: Surroundings, pool: Pool, welcome: Welcome, data: bytes) -> Session:
    """Joins the group of a Welcome (`data`: its MLSMessage); one transaction uses up the set and writes the invitation.

    Errors: by the list above "welcome-not-for-us"; those of `joining.join`; "too-large"; those of `Admission.admit`.
    """
    async with pool.writing:
        # 1.
        found = await pool.find([item.new_member for item in welcome.secrets], data)
        changes, spent = Changes(), Changes()
        pool.use_up(found, data, changes)
        try:
            joined = await _join(around, pool, found, data, changes, spent)
        except RoomkeyError as error:
            if not withheld(error):
                pool.use_up(found, data, spent)
                if not pool.used_up(found):
                    spent.drop([found.keys.leaf.encryption])
                await spent.write(around.store)
                around.outbox.wake()
            raise
        pool.used_up(found)
        return joined


async def _join(
    around: Surroundings, pool: Pool, found: Found, data: bytes, changes: Changes, farewell: Changes
) -> Session:
    # 2.
    joined = await joining.join(around.crypto, data, [found.keys])
    try:
        return await _admit(around, joined, changes, renew=pool.is_last_resort(found))
    except RoomkeyError as error:
        if error.code == "downgrade":
            await _say_farewell(around, joined.group, farewell)
        raise


async def _say_farewell(around: Surroundings, group: Group, changes: Changes) -> None:
    """Asks all members to remove us. Nobody of them is proved; each hears no more than that we do not come."""
    _, wire = await committing.propose(around.crypto, group, proposal(Remove(group.own_leaf)))
    claims = {index: read_claim(group.suite, leaf) for index, leaf in group.tree.members() if index != group.own_leaf}
    members = [
        Member(claim.identity, claim.client_id, claim.public_key, index, "", 0, own=False)
        for index, claim in claims.items()
    ]
    around.outbox.put(changes, list(deliveries(group.group_id, records.PROPOSAL, wire, members)))


async def _admit(around: Surroundings, joined: Joined, changes: Changes, *, renew: bool) -> Session:
    group, signer = joined.group, joined.signer
    # What is learnt of the others is kept once the invitation is accepted.
    leaves = dict(group.tree.members())
    (inviter,) = await around.admission.admit(group, [(signer, leaves[signer])], Changes())
    # 3.
    domain = ordering.ordering_domain(group) or domain_of(inviter.identity)
    # 4.
    if len(leaves) > MAX_UNKNOWN and not await around.admission.known(inviter.identity):
        raise RoomkeyError(
            "too-large", f"group: expected at most {MAX_UNKNOWN} members from a stranger, got {len(leaves)}"
        )
    # 5.
    members = tuple(await around.admission.admit(group, sorted(leaves.items()), Changes()))
    members = tuple(sorted(members, key=lambda member: member.leaf))
    return await opening.begin(around, group, members, records.INVITED, domain, signer, changes, renew=renew)
