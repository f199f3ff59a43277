"""M11, M15: what was said comes again, and who was removed goes on talking."""

from __future__ import annotations

import pytest
from roomkey.conference import ordering, records
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Conflict
from roomkey.mls import committing, framing, processing
from roomkey.mls.framing import PRIVATE_MESSAGE, MLSMessage

from tests.attacks.mallory import crypto_of, group_of, heard, put
from tests.support.conferences import said
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, origin_of, until

ORDERING = origin_of("email1.example")


async def test_a_message_read_while_our_commit_was_open_is_not_read_again(
    simulation: Simulation, alice: Person, bob: Person
) -> None:
    """The next epoch was written down before the message came. Its memory of this one must not give back the key."""
    conference = await call(alice, bob)
    simulation.network.lose_answers.add(f"{ORDERING} /v1/commits")
    bob.host.unreachable.add(ORDERING)
    with pytest.raises(RoomkeyError):
        await bob.conference.update()
    assert bob.conference._session.pending is not None
    after, wire = await processing.protect(crypto_of(alice), group_of(alice), b"once")
    conference._session.group = after
    await put(alice, wire, bob)
    await until(lambda: said(bob) == [b"once"], "the message")
    simulation.network.lose_answers.clear()
    bob.host.unreachable.clear()
    await until(lambda: bob.conference.epoch == 2, "bob's commit to win")
    bob.conference._session.record = bob.conference._session.record.replace(recent=())  # many messages later
    await bob.client._inbox.take(wire)  # an honest service would not send it again
    assert said(bob) == [b"once"]
    await together(conference, bob)
    assert "key-consumed" in bob.errors


async def test_who_was_removed_reads_nothing_and_says_nothing(alice: Person, bob: Person, mallory: Person) -> None:
    conference = await call(alice, bob, mallory)
    kept = group_of(mallory)  # the keys of her last epoch, which she copied
    crypto = crypto_of(mallory)
    await conference.remove(identity=mallory.identity)
    await together(conference, bob)
    await until(lambda: mallory.client.conferences()[0].status == records.REMOVED, "mallory to hear of it")
    # She says nothing: a message of an epoch in which she was a member, made after she was shown out.
    _, wire = await processing.protect(crypto, kept, b"still here")
    await put(mallory, wire, bob)
    await heard(alice, bob, b"without her")
    assert said(bob) == [b"without her"]
    assert "wrong-epoch" in bob.errors
    # She reads nothing, even if she gets hold of it.
    after, secret = await processing.protect(crypto_of(alice), group_of(alice), b"secret")
    conference._session.group = after
    with pytest.raises(RoomkeyError) as caught:
        await processing.process(crypto, kept, secret)
    assert caught.value.code == "wrong-epoch"
    disguised = MLSMessage.decode(secret).body.replace(epoch=kept.epoch)
    with pytest.raises(RoomkeyError) as caught:
        await processing.process(crypto, kept, framing.message(disguised).encode())
    assert caught.value.code == "decryption-failed"
    # Nothing of the conference's keys stays in her storage.
    assert not [name for name in mallory.host.disks[mallory.identity].records if name.startswith(("group/", "commit/"))]


async def test_who_was_removed_cannot_use_the_register(alice: Person, bob: Person, mallory: Person) -> None:
    """M7, S12: the token of her last epoch neither burns an epoch nor reads more than commits, which are sealed."""
    conference = await call(alice, bob, mallory)
    kept, crypto = group_of(mallory), crypto_of(mallory)
    await conference.remove(identity=mallory.identity)
    made = await committing.commit(crypto, kept, alice.host.now(), path=True)
    home = mallory.client.home
    answer = await home.submit_commit(kept.group_id, kept.epoch, made.message, ordering.token(kept), bytes(32))
    assert isinstance(answer, Conflict)  # the removal won
    with pytest.raises(RoomkeyError) as caught:
        await home.read_commits(kept.group_id, kept.epoch + 1, ordering.token(kept))
    assert caught.value.code == "wrong-token"
    for item in await home.read_commits(kept.group_id, kept.epoch, ordering.token(kept)):
        assert MLSMessage.decode(item.commit).wire_format == PRIVATE_MESSAGE
    await conference.update()
    await together(conference, bob)
