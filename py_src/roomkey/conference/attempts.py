"""Which founding of a successor counts (wire.md section 5).

Every member of the ended epoch can write into the register of every attempt, and the service cannot tell who did. So
the commit that stands there says by whom it is, in its authenticated data, and attempts are looked at in their order:

    what the register of the attempt holds             the attempt is
    nothing yet                                        open: who has a turn founds the successor there
    the founding of a member who founded none before   that member's: its Welcome is waited for, and given up in the end
    anything else; another token                       spoilt: passed over at once

    struct { uint32 leaf; opaque signature<V>; } RoomkeyFounding;
    signature = SignWithLabel(the leaf's key in the ended epoch, "RoomkeyFounding", group id of the successor)

All who look see the same, whenever they do. A member who founds without telling costs the others one attempt's wait;
what a member spoils costs them a request each, and that member what the service's limits allow. There is no last
attempt, so whoever keeps the rules has one in the end. The service itself can say without end that attempts are
spoilt; so few are passed over at a time, and in between members speak and leave.

A Welcome belongs to the founding if its group has the token whose hash was submitted with it: nobody who founded one
group, and nobody else, can show somebody another one of the same id.

The functions here expect the caller to hold the session's lock.
"""

from __future__ import annotations

import hashlib

from roomkey.conference import ordering, succession
from roomkey.conference.session import Founding, Session
from roomkey.conference.succession import Due
from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.delivery_messages import StoredCommit
from roomkey.mls.framing import MLSMessage, PrivateMessage
from roomkey.mls.group import Group
from roomkey.tls import U32, Opaque, Struct

# Spoilt attempts that one look passes over; two requests each, while nothing else of the conference can go on.
MAX_PASSED = 32

_LABEL = b"RoomkeyFounding"


# struct { uint32 leaf; opaque signature<V>; } RoomkeyFounding;
class RoomkeyFounding(Struct):
    """Authenticated data of a founding commit: whose it is, by the leaf in the ended epoch."""

    leaf: U32
    signature: Opaque


async def sign(crypto: CryptoProvider, old: Group, group_id: bytes) -> bytes:
    """Our encoded RoomkeyFounding of the successor of this id."""
    (signature,) = await labels.sign_with_label(crypto, old.suite, [labels.Signing(old.signature, _LABEL, group_id)])
    return RoomkeyFounding(old.own_leaf, signature).encode()


async def look(session: Session) -> Founding | None:
    """The founding that `session.attempt` holds, after passing over what was spoilt; None while the attempt is open,
    and then its register is.

    Errors: the ordering service's; "service-unavailable" after MAX_PASSED attempts, and the next look goes on there.
    """
    what, old = succession.due(session), session.live
    if what is None:
        return None
    service, crypto = session.ordering_service(), session.around.crypto
    last = session.attempt + MAX_PASSED
    while session.attempt not in session.founded:
        if session.attempt == last:
            raise RoomkeyError("service-unavailable", f"expected an attempt among {MAX_PASSED} that was not spoilt")
        group_id = succession.successor_id(old, what, session.attempt)
        commits = await _register(service, group_id, succession.founding_token(old, group_id))
        if commits == ():
            return None
        leaf = None if commits is None else await _founder(crypto, old, what, group_id, commits[0].commit)
        if commits is not None and leaf is not None and leaf not in {item.leaf for item in session.founded.values()}:
            session.founded[session.attempt] = Founding(leaf, commits[0].next_token_hash)
        else:
            session.attempt += 1
    return session.founded[session.attempt]


async def alive(session: Session) -> bool:
    """Whether the successor of the current attempt has had more commits than the one that founded it. Errors: the
    ordering service's.
    """
    what = succession.due(session)
    if what is None:
        return True
    group_id = succession.successor_id(session.live, what, session.attempt)
    token = succession.founding_token(session.live, group_id)
    return len(await session.ordering_service().read_commits(group_id, 0, token)) > 1


def check(session: Session, attempt: int, group: Group) -> None:
    """Whether a successor is the group that was founded in this attempt, which is no later than the current one.

    Errors: "invalid-welcome".
    """
    founding = session.founded.get(attempt)
    if founding is None:
        raise RoomkeyError("invalid-welcome", "expected the successor that a member founded first, got another group")
    if not labels.equal(founding.token_hash, ordering.token_hash(group)):
        raise RoomkeyError("invalid-welcome", "expected the group that the register's first commit made, got another")


async def _register(service: DeliveryService, group_id: bytes, token: bytes) -> tuple[StoredCommit, ...] | None:
    """The register's commits, which is open now if it was not; None if somebody who keeps to no rule opened it with
    another token.
    """
    try:
        return await service.read_commits(group_id, 0, token)
    except RoomkeyError as error:
        if error.code != "wrong-token":
            raise
    try:
        await service.register_group(group_id, hashlib.sha256(token).digest())
    except RoomkeyError as error:
        if error.code != "group-exists":
            raise
        return None
    return ()


async def _founder(crypto: CryptoProvider, old: Group, what: Due, group_id: bytes, commit: bytes) -> int | None:
    """The leaf in the old group of the member who signed for this founding; None if nobody who may did."""
    try:
        body = MLSMessage.decode(commit).body
        if not isinstance(body, PrivateMessage) or (body.group_id, body.epoch) != (group_id, 0):
            return None
        founding = RoomkeyFounding.decode(body.authenticated_data)
    except RoomkeyError:
        return None
    leaves = dict(old.tree.members())
    leaf = leaves.get(founding.leaf)
    if leaf is None or founding.leaf == what.absent:
        return None
    signed = labels.Signed(leaf.signature_key, _LABEL, group_id, founding.signature)
    (good,) = await labels.verify_with_label(crypto, old.suite, [signed])
    return founding.leaf if good else None
