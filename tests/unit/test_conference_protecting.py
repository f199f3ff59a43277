"""Frames between native members of a real conference: epochs followed, the removed shut out, contexts never twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from roomkey.conference.protecting import OutgoingStream, Protection
from roomkey.host.native_frames import NativeFrameCipher
from roomkey.media.frame_keys import MOVE_AFTER
from roomkey.media.frames import FrameRefused, decode_header

from tests.support.people import Person, call, enrol
from tests.support.simulator import Simulation, until

KEY_FRAME = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00" + b"picture"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def begin(person: Person, clock: Clock) -> tuple[Protection, OutgoingStream]:
    protection = await Protection.begin(person.conference, NativeFrameCipher(), clock)
    person.conference.listen(protection.on_event)
    return protection, await protection.stream("VP8")


async def test_members_read_each_other_until_one_is_removed(tmp_path: Path) -> None:
    clock = Clock()
    async with Simulation(tmp_path) as simulation:
        alice = await enrol(simulation, "alice@email1.example")
        bob = await enrol(simulation, "bob@email2.example")
        await call(alice, bob)
        # whoever begins ends an epoch in which contexts may have been used: one after the other
        hers, from_alice = await begin(alice, clock)
        await until(lambda: bob.conference.epoch == alice.conference.epoch, "bob to follow")
        his, from_bob = await begin(bob, clock)
        await until(lambda: bob.conference.epoch == alice.conference.epoch, "alice to follow")
        her_client = next(one.client for one in alice.conference.members if one.own)

        clock.now += MOVE_AFTER
        wire = from_alice.protect(KEY_FRAME)
        assert wire is not None
        assert wire[:10] == KEY_FRAME[:10]
        assert b"picture" not in wire
        found = his.open("VP8", wire, her_client)
        assert (found.client, found.opened.frame) == (her_client, KEY_FRAME)
        back = from_bob.protect(KEY_FRAME)
        assert back is not None
        with pytest.raises(FrameRefused) as refused:
            hers.open("audio", back[10:])  # a picture is no sound
        assert refused.value.reason == "not-authentic"
        with pytest.raises(FrameRefused) as refused:
            hers.open("VP8", back, her_client)
        assert refused.value.reason == "unknown-stream"
        # what came under another one's key on that way has taken no counter away
        his_client = next(one.client for one in alice.conference.members if not one.own)
        assert hers.open("VP8", back, his_client).opened.frame == KEY_FRAME

        # another stream of the same member has keys of its own
        second = (await hers.stream("VP8")).protect(KEY_FRAME)
        assert second is not None
        assert decode_header(second[10:]).kid != decode_header(wire[10:]).kid

        late = from_bob.protect(KEY_FRAME)
        assert late is not None
        await alice.conference.remove(identity=bob.identity)
        kept = from_alice.protect(KEY_FRAME)
        assert kept is not None
        await until(lambda: from_bob.protect(KEY_FRAME) is None, "bob to hear of it")
        with pytest.raises(FrameRefused) as refused:
            his.open("VP8", kept)
        assert refused.value.reason == "unknown-key"
        assert not his.may_come("VP8", kept)
        with pytest.raises(FrameRefused) as refused:
            hers.open("VP8", late)  # what he sent before is refused from then on
        assert refused.value.reason == "unknown-key"
        await alice.close()
        await bob.close()
