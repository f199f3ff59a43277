"""M3, M9, S7: what a stranger or a member can cost others by messages alone."""

from __future__ import annotations

import pytest
from roomkey.client import inbox
from roomkey.conference import receiving, records
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls import group as mls_group
from roomkey.mls import protection
from roomkey.mls.framing import (
    APPLICATION,
    COMMIT,
    NEW_MEMBER_PROPOSAL,
    PROPOSAL,
    PUBLIC_MESSAGE,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    message,
)
from roomkey.mls.group import ReceivedProposal
from roomkey.mls.proposals import Add, proposal
from roomkey_delivery.store.interface import InboxLimits

from tests.attacks.mallory import crypto_of, group_of, heard, put
from tests.support.conferences import said
from tests.support.mls_world import join_keys
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, until


def far(conference_id: bytes, epoch: int, size: int = 64, content_type: int = APPLICATION) -> bytes:
    """Noise that claims to be a message of an epoch."""
    return message(PrivateMessage(conference_id, epoch, content_type, b"", bytes(28), bytes(size))).encode()


def held(person: Person, prefix: str) -> list[bytes]:
    return [data for name, data in person.host.disks[person.identity].records.items() if name.startswith(prefix)]


async def test_what_waits_for_later_epochs_is_bounded(
    alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "MAX_HELD", 4)
    monkeypatch.setattr(receiving, "MAX_HELD_BYTES", 1000)
    conference = await call(alice, bob)
    for epoch in range(9, 0, -1):
        await bob.client._inbox.take(far(conference.id, 1000 + epoch))
    kept = [name for name in bob.host.disks[bob.identity].records if name.startswith("held/")]
    assert sorted(int(name.split("/")[2], 16) for name in kept) == [1001, 1002, 1003, 1004]
    for epoch in range(3):
        await bob.client._inbox.take(far(conference.id, 900 + epoch, 400))
    assert sum(len(data) for data in held(bob, "held/")) <= 1000
    await bob.client._inbox.take(far(conference.id, 1 << 63, 2000))  # larger than all room
    assert sum(len(data) for data in held(bob, "held/")) <= 1000
    await heard(alice, bob, b"bob goes on")
    await conference.update()
    await together(conference, bob)


async def test_messages_of_unknown_groups_are_bounded(bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_STRANGER_BYTES", 1000)
    for number in range(4):
        await bob.client._inbox.take(far(bytes([number]) * 32, 1, 300))
    assert 0 < sum(len(data) for data in held(bob, "stranger/")) <= 1100
    assert bob.errors == ["wrong-group"] * 2


async def test_a_stranger_who_asks_to_be_added_costs_nothing(alice: Person, bob: Person, mallory: Person) -> None:
    """Anybody who learns a group's id can sign such a proposal; each would be stored with the group."""
    conference = await call(alice, bob)
    crypto, group = crypto_of(mallory), group_of(bob)
    keys = await join_keys(crypto, SUITES[1], b"mallory@email1.example")
    framed = FramedContent(
        group.group_id, group.epoch, Sender(NEW_MEMBER_PROPOSAL), b"", PROPOSAL, proposal(Add(keys.key_package))
    )
    (signature,) = await protection.sign(
        crypto, group.suite, group.context, [(keys.leaf.signature, PUBLIC_MESSAGE, framed)]
    )
    await put(mallory, message(PublicMessage(framed, signature)).encode(), bob)
    await heard(alice, bob, b"after")
    assert bob.errors == ["external-commit-refused"]
    assert group_of(bob).proposals == ()
    assert len(conference.members) == 2


async def test_a_members_proposals_are_bounded_in_bytes(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(alice, bob)
    group = group_of(bob)
    keys = await join_keys(crypto_of(alice), SUITES[1], b"mallory@email1.example")
    item = proposal(Add(keys.key_package))
    monkeypatch.setattr(mls_group, "MAX_PROPOSAL_BYTES", 3 * len(item.encode()))
    for number in range(3):
        group = group.with_proposal(ReceivedProposal(bytes([number]), Sender(1, 0), item))
    with pytest.raises(RoomkeyError) as caught:
        group.with_proposal(ReceivedProposal(b"x", Sender(1, 0), item))
    assert caught.value.code == "too-many-proposals"


async def test_a_message_that_trips_a_fault_of_ours_stops_nobody(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported without its text, acknowledged, and does not come again before all others."""
    await call(alice, bob)

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("with data of people")

    monkeypatch.setattr(receiving, "_hold", broken)
    await put(alice, far(bob.conference.id, 7, content_type=COMMIT), bob)
    await until(lambda: "internal-error" in bob.errors, "the fault to be reported")
    await heard(alice, bob, b"after")
    assert bob.errors == ["internal-error"]
    assert "people" not in "".join(str(event) for event in bob.events)


async def test_a_full_inbox_holds_up_nobody_else(
    simulation: Simulation, alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory lets her inbox run full and does not read. Alice, who is of the same domain, hears Bob all the same."""
    conference = await call(bob, alice, mallory)
    await mallory.client._inbox.close()
    monkeypatch.setattr("roomkey_delivery.inbox.InboxLimits", lambda *_: InboxLimits(3, 1 << 20))
    for number in range(6):
        await heard(bob, alice, b"%d" % number)
    assert said(alice) == [b"%d" % number for number in range(6)]
    await until(lambda: "inbox-full" in bob.errors, "bob to be told")
    await until(lambda: held(bob, "out/") == [], "nothing to wait any more")
    assert conference.status == records.ACTIVE
