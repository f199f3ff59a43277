"""Joining a room from outside, by an external commit (RFC 9420 section 12.4.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop import faults
from tests.interop.core_crypto_member import CoreCryptoMember
from tests.interop.members import COMMIT, Refused
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.ts_mls_member import TsMlsMember

if TYPE_CHECKING:
    from tests.interop.room import Room


async def enter(room: Room, name: str, by: str) -> None:
    """Somebody joins with a GroupInfo from a member, who also hands the commit to the register: a
    newcomer does not have the token of the epoch that the commit ends.
    """
    newcomer, member, tree = room.person(name), room.person(by), room.tree()
    assert isinstance(newcomer, RoomkeyMember | TsMlsMember | CoreCryptoMember)
    assert isinstance(member, TsMlsMember | RoomkeyMember)
    if isinstance(member, TsMlsMember):
        info = await member.group_info(bare=isinstance(newcomer, TsMlsMember))
    else:
        # ts-mls reads the external key bare (`faults.BARE_EXTERNAL_PUB`)
        bare = await member.bare_external_key() if isinstance(newcomer, TsMlsMember) else None
        info = await member.group_info(bare)
    message, refusal = b"", ""
    try:
        message = await newcomer.join_from_outside(info)
    except Refused as refused:
        refusal = refused.text
    if isinstance(newcomer, TsMlsMember) and tree is not None and faults.refuses_tree(tree):
        assert faults.UNMERGED_LEAVES in refusal, name
        return
    assert not refusal, refusal
    await room.carrier.send(message, newcomer, [member])
    assert (await member.follow(await room.carrier.take(message, member))).kind == COMMIT
    await room.carrier.order(member, message)
    await room.carrier.send(message, member, [room.person(other) for other in room.others(by)])
    for other in room.others(by):
        taken = await room.carrier.take_commit(message, room.person(other))
        assert (await room.person(other).process(taken, {})).kind == COMMIT, other
    member.adopt()
    room.inside.append(name)
    room.epoch += 1
    room.since[name] = room.epoch
    assert (await room.agree()).epoch == room.epoch
