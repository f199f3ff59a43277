"""Members of conferences where logs judge them: proved at every join and Add, withheld while that cannot be, and heads
of logs that members show each other.
"""

from __future__ import annotations

import pytest
from roomkey.client.log_records import HEADS
from roomkey.conference.events import Ended, Failed
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import CommitSubmission, MessageDelivery
from roomkey.mls.framing import MLSMessage, PrivateMessage
from roomkey.transparency import gossip

from tests.support.logged_members import BOB, CAROL, DAVE, Member, make_old, member, together
from tests.support.logged_members import alice as alice
from tests.support.logged_members import bob as bob
from tests.support.logged_members import carol as carol
from tests.support.logged_members import dave as dave
from tests.support.logged_members import world as world
from tests.support.owners import ALICE, Logged, device
from tests.support.simulator import until


async def test_everybody_is_proved_by_the_log(alice: Member, bob: Member, carol: Member) -> None:
    await alice.begin()
    await alice.add(bob)
    await bob.invited()
    await alice.add(carol)
    await carol.invited()
    await together(alice, bob, carol)
    for one in (alice, bob, carol):
        proofs = {item.identity: item.by for item in one.conference.members}
        assert proofs == {name: "self" if name == one.identity else "transparency" for name in proofs}
        assert one.failures == []


async def test_a_proof_of_the_last_hour_is_not_asked_for_again(alice: Member, bob: Member, carol: Member) -> None:
    await alice.begin()
    await alice.add(bob)
    await bob.invited()
    await bob.client.fetch([CAROL])
    asked = bob.asked
    await alice.add(carol)
    await together(alice, bob)
    assert bob.asked == asked


async def test_an_add_that_cannot_be_proved_is_withheld(alice: Member, bob: Member, carol: Member) -> None:
    """Bob cannot ask Carol's log: he stays where he is, hears it once, and goes on when he can. Nothing is lost."""
    await alice.begin()
    await alice.add(bob)
    await bob.invited()
    epoch = bob.conference.epoch
    bob.log_is_down = True
    await alice.add(carol)
    await carol.invited()
    await alice.conference.send(b"first")
    await carol.conference.send(b"second")
    await until(lambda: "log-unproven" in bob.failures, "an event that says why")
    await until(lambda: bob.asked > 6, "more tries")
    assert bob.failures == ["log-unproven"]
    assert (bob.conference.epoch, bob.said) == (epoch, [])
    await bob.client.close()  # it goes on after a restart
    await bob.open()
    bob.conference.listen(bob.heard.append)
    bob.log_is_down = False
    await until(lambda: sorted(bob.said) == [b"first", b"second"], "what was said meanwhile")
    await together(alice, bob, carol)
    await bob.conference.send(b"third")
    await until(lambda: alice.said[-1:] == carol.said[-1:] == [b"third"], "Bob's word")


async def test_a_proof_of_the_last_day_serves_while_the_log_is_down(
    alice: Member, bob: Member, carol: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.begin()
    await alice.add(bob)
    await bob.invited()
    await bob.client.fetch([CAROL])
    monkeypatch.setattr("roomkey.client.admitting.RECENT", 0.0)
    bob.log_is_down = True
    await alice.add(carol)
    await together(alice, bob)
    assert bob.failures == []
    monkeypatch.setattr("roomkey.client.admitting.STANDS_IN", 0.0)
    await alice.conference.remove(identity=CAROL)
    await together(alice, bob)
    await alice.add(carol)
    await until(lambda: bob.failures == ["log-unproven"], "an event that says why")
    bob.log_is_down = False
    await together(alice, bob)


async def test_a_welcome_that_cannot_be_proved_waits(alice: Member, bob: Member, carol: Member) -> None:
    await alice.begin()
    carol.log_is_down = True
    sets = _sets(carol)
    await alice.add(bob, carol)
    await bob.invited()
    await until(lambda: "log-unproven" in carol.failures, "an event that says why")
    await alice.conference.send(b"hello")
    asked = carol.asked
    await until(lambda: carol.asked > asked + 3, "more tries")
    assert carol.failures == ["log-unproven"]
    assert carol.client.invitations() == []
    assert _sets(carol) >= sets  # what the Welcome is for, too; the stock may be topped up meanwhile
    await carol.client.close()
    await carol.open()
    carol.log_is_down = False
    await carol.invited()
    await together(alice, bob, carol)
    await until(lambda: any(name.startswith("message/") for name in carol.host.disks[CAROL].records), "what was said")
    assert [message.data for message in await carol.conference.history.messages()] == [b"hello"]
    assert not any(name.startswith("awaited/") for name in carol.host.disks[CAROL].records)


def _sets(who: Member) -> set[str]:
    return {name for name in who.host.disks[who.identity].records if name.startswith("set/")}


async def test_one_welcome_that_cannot_be_proved_comes_twice(
    alice: Member, carol: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.begin()
    carol.log_is_down = True
    await alice.add(carol)
    await until(lambda: "log-unproven" in carol.failures, "an event that says why")
    (welcome,) = (data for name, data in carol.host.disks[CAROL].records.items() if name.startswith("awaited/"))
    await carol.client._inbox.take(welcome)
    assert carol.failures == ["log-unproven"]
    assert sum(name.startswith("awaited/") for name in carol.host.disks[CAROL].records) == 1
    carol.log_is_down = False
    await carol.invited()


async def test_somebody_who_began_anew_waits_for_consent(world: Logged, alice: Member, bob: Member) -> None:
    """Alice agrees and calls Carol back; Bob, who knew the old Carol, goes on once he has agreed, too."""
    async for old in member(world, CAROL):
        await alice.begin()
        await alice.add(bob, old)
        await bob.invited()
        await old.invited()
        await alice.conference.remove(identity=CAROL)
        await together(alice, bob)
    again = await device(world, CAROL)
    await again.create(await world.reset_code(CAROL), reset=True)
    await again.client.publish(2)
    new = Member(again)
    (missing,) = (await alice.client.fetch([CAROL])).missing
    assert missing.error.code == "identity-reset"
    agreed = bytes.fromhex(str(missing.error.details["manifest"]))
    await alice.client.accept_reset(CAROL, agreed)
    epoch = bob.conference.epoch
    make_old(bob, CAROL)
    await alice.add(new)
    await new.invited()
    await alice.conference.send(b"hello")
    await until(lambda: "identity-reset" in bob.failures, "an event that asks")
    await alice.conference.send(b"hello?")
    assert (bob.conference.epoch, bob.said) == (epoch, [])
    event = next(event for event in bob.heard if isinstance(event, Failed))
    about = {"identity": CAROL, "inviter": ALICE, "version": 2, "manifest": agreed.hex()}
    assert event.error.details == about
    await bob.client.accept_reset(CAROL, agreed)
    await until(lambda: sorted(bob.said) == [b"hello", b"hello?"], "what was said meanwhile")
    await together(alice, bob, new)
    assert bob.failures.count("identity-reset") == 1
    await new.close()


async def test_a_device_of_ours_is_judged_by_our_own_manifest(world: Logged, alice: Member, bob: Member) -> None:
    await bob.begin()
    await bob.add(alice)
    await alice.invited()
    laptop = Member(await device(world, ALICE))
    await laptop.admitted_by(alice)
    await laptop.client.publish(2)
    found = await bob.client.fetch([ALICE])
    await bob.client.invite(bob.conference, found.keys)
    await laptop.invited()
    await together(alice, bob, laptop)
    mine = {item.client: item.by for item in alice.conference.members if item.identity == ALICE}
    assert mine == {alice.client.client_id: "self", laptop.client.client_id: "transparency"}
    assert alice.failures == []
    await laptop.close()


async def test_k8_a_member_whom_no_manifest_lists(alice: Member, bob: Member, carol: Member) -> None:
    """Alice adds a removed device of Carol's by a set that she kept: Bob leaves, rather than believe her."""
    await alice.begin()
    await alice.add(bob)
    await bob.invited()
    kept = await alice.client.fetch([CAROL])
    phone = Member(await device(alice.world, CAROL))
    await phone.admitted_by(carol)
    await phone.listed(2)
    await phone.client.remove_device(carol.client.client_id)
    await until(lambda: phone.proved_version() == 3, "the removal in the log")
    _trust_blindly(alice)
    await alice.client.invite(alice.conference, kept.keys)
    await until(lambda: bob.conference.status != 2, "Bob to go")
    (ended,) = (event for event in bob.heard if isinstance(event, Ended))
    assert ended.error is not None
    assert ended.error.code == "not-in-manifest"
    await phone.close()


def _trust_blindly(who: Member) -> None:
    """This member's own client asks no log any more."""
    who.client._logs.judges = lambda identity: False  # type: ignore[method-assign]


# -- what members show each other --


async def test_heads_are_shown_by_commits_and_by_the_first_message_of_each_epoch(
    world: Logged, alice: Member, bob: Member
) -> None:
    await alice.begin()
    await alice.add(bob)
    await bob.invited()
    epoch = alice.conference.epoch
    before = len(world.network.bodies)
    await alice.conference.send(b"one")
    await alice.conference.send(b"two")
    await alice.conference.update()
    await alice.conference.send(b"three")
    assert await alice.client.sent() == frozenset()
    await until(lambda: bob.said == [b"one", b"two", b"three"], "what was said")
    assert _shown(world, before) == {epoch: 2, epoch + 1: 1}
    assert alice.failures == bob.failures == []


def _shown(world: Logged, start: int) -> dict[int, int]:
    """How many different messages of each epoch showed heads, in what went over the network."""
    messages = set()
    for body in world.network.bodies[start:]:
        for kind, field in ((MessageDelivery, "message"), (CommitSubmission, "commit")):
            try:
                messages.add(getattr(kind.decode(body), field))
            except RoomkeyError:
                continue
    shown: dict[int, int] = {}
    for message in messages:
        private = MLSMessage.decode(message).body
        assert isinstance(private, PrivateMessage)
        notes = gossip.read(private.authenticated_data)
        if notes:
            origins = [note.text.partition("\n")[0] for note in notes]
            assert origins == ["email1.example/roomkey", "email2.example/roomkey"]
            assert all(len(note.signatures) == 1 for note in notes)
            shown[private.epoch] = shown.get(private.epoch, 0) + 1
    return shown


async def test_who_is_behind_asks_the_log(alice: Member, bob: Member, carol: Member, dave: Member) -> None:
    """Dave has an older head of email2's log than Alice, who shows hers; he asks for the proof that it is one log."""
    await alice.begin()
    await alice.add(bob, dave)
    await bob.invited()
    await dave.invited()
    again = await device(alice.world, "erin@email2.example")
    await again.create(await alice.world.code("erin@email2.example"))
    await again.listed(1)
    await alice.client._logs.prove([CAROL])
    head = alice.host.disks[ALICE].records
    name = next(name for name in head if name.startswith(f"{HEADS}email2.example"))
    assert dave.host.disks[DAVE].records[name] != head[name]
    asked = dave.asked
    await alice.conference.send(b"hello")
    await until(lambda: dave.host.disks[DAVE].records[name] == head[name], "the newer head")
    assert dave.asked > asked
    (view,) = await dave.client._logs.views([BOB])
    await until(lambda: not view.pending, "the comparison's end")
    assert view.doubts == []
    assert dave.failures == alice.failures == []
    await again.close()


@pytest.mark.parametrize("data", [b"\xf0\xc6", b"\xf0\xc6\xff\xff", b"\x00\x01" + bytes(40), bytes(1 << 16)])
async def test_hostile_data_do_no_harm(
    alice: Member, bob: Member, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.begin()
    await alice.add(bob)
    await bob.invited()
    asked = bob.asked

    async def heads(*_: object) -> bytes:
        return data

    monkeypatch.setattr(alice.client._around.gossip, "heads", heads)
    await alice.conference.send(b"hello")
    await alice.conference.update()
    await until(lambda: bob.said == [b"hello"], "what was said")
    await together(alice, bob)
    assert (bob.failures, bob.asked) == ([], asked)
