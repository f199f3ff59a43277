"""A new conference: the group, its record, and its place in the ordering service's register.

    (nothing) --group and record in one transaction--> CREATING --registered--> ACTIVE

A crash or failure before the end leaves nothing here: a group of one that nobody else has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from roomkey.conference import opening, ordering, records
from roomkey.conference.changes import Changes
from roomkey.conference.conference import Conference
from roomkey.conference.session import Surroundings
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import domain_of
from roomkey.federation.init_keys import ClientKeys, make_init_key_sets
from roomkey.mls.creation import create_group
from roomkey.mls.policy import MEMBERS_ONLY

GROUP_ID_BYTES = 32


async def create(
    around: Surroundings,
    keys: ClientKeys,
    suites: Sequence[int],
    suite: int,
    home: DeliveryService,
    name: str,
    policy: str = MEMBERS_ONLY,
) -> Conference:
    """A conference of `suite`, with us as its only member; our leaf offers all of `suites`.

    Args:
        policy: the name of one in `mls.policy`.

    Errors: "bad-argument", "downgrade", "storage-failed", the service's.
    """
    domain, crypto, now = domain_of(keys.identity), around.crypto, around.now()
    extensions = ordering.group_extensions(domain, name, policy)
    (made,) = await make_init_key_sets(crypto, keys, suites, 1, now)
    package = next(item for item in made.join_keys() if item.key_package.cipher_suite == suite)
    group = await create_group(crypto, package, crypto.random(GROUP_ID_BYTES), now, extensions=extensions)
    await crypto.forget_keys([handle for handle in made.handles() if handle != package.leaf.encryption.private])
    changes = Changes()
    members = tuple(await around.admission.admit(group, list(group.tree.members()), changes))
    begun = await opening.begin(around, group, members, records.CREATING, domain, group.own_leaf, changes)
    conference = Conference(begun)
    try:
        await home.register_group(group.group_id, ordering.token_hash(group))
        await conference.activate()
    except BaseException:
        await asyncio.shield(conference.discard())
        raise
    return conference
