"""Three members call each other through Janus, a media server that knows nothing of us: they see each other, it sees
nothing.

Real parts throughout: delivery services, pages, and Debian's Janus as its package has it. What is negotiated with it
goes through the test, in the clear: it is not what protects the call.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from build_scripts import ffmpeg, janus
from tests.browser.support.srtp_player import Player, quarters
from tests.support.janus_sfu import Handle, Session, Sfu, janus_sfu
from tests.support.person_browser import Person, World, agreed, until
from tests.support.protected_calls import (
    hears_tone,
    is_colour,
    media_chromium,
    media_world,
    opens,
    ready,
    seen,
    shows,
    states,
)

# Not the brightest: Janus passes no header extension that names the colours' matrix, so receivers guess another one.
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 60), (40, 60, 200)
PEOPLE = {"alice@email1.example": RED, "bob@email2.example": GREEN, "carol@email1.example": BLUE}
CALL = "plenary"
LOOPBACK = "127.0.0.1"
PAYLOAD_TYPE = 96
# Frames that the server's view is judged by: three seconds, with a key frame at the beginning.
FORWARDED = 60
# Frames that may be on their way behind our part of a page when somebody is removed: half a second, on a busy machine.
IN_DECODER = 10
# Without a packet of a picture that is sent twenty times a second.
SILENCE_SECONDS = 10.0


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with media_world(assets, chromium, tmp_path_factory.mktemp("services")) as made:
        yield made


@pytest.fixture(scope="module")
def sfu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sfu]:
    try:
        installed = janus.find_janus()
    except janus.JanusMissing as missing:
        pytest.skip(str(missing))
    with janus_sfu(installed, tmp_path_factory.mktemp("janus")) as running:
        yield running


class Publisher(NamedTuple):
    """Somebody in a room of Janus."""

    session: Session
    handle: Handle  # of the connection that sends
    feed: int  # the number that others subscribe to


class Room:
    """A room of Janus with everybody in it who is in `people`, in their colours; with protection if they say of what
    conference.
    """

    def __init__(self, sfu: Sfu, people: list[Person], conference: str | None) -> None:
        self._conference = conference
        self._label = conference or "in the clear"
        self.number = sfu.room()
        self.inside = {person.identity: self._enter(sfu, person) for person in people}
        for person, other in permutations(people, 2):
            self.watch(person, other, conference)

    @property
    def sending(self) -> str:
        """The name of everybody's connection that sends."""
        return f"{self._label}: to janus"

    def of(self, other: Person) -> str:
        """The name of everybody's connection that shows this person."""
        return f"{self._label}: {other.name}"

    def _enter(self, sfu: Sfu, person: Person) -> Publisher:
        session = sfu.session()
        handle = session.handle()
        opens(person, self.sending, conference=self._conference, colour=PEOPLE[person.identity], frequency=440)
        feed, answer = handle.publish(self.number, person.do("media.offer(values)", self.sending))
        person.do("await media.answered(values.name, values.answer)", {"name": self.sending, "answer": answer})
        until("janus to hear of the connection", lambda: handle.is_sending(self.number, feed))
        return Publisher(session, handle, feed)

    def watch(self, person: Person, other: Person, conference: str | None, name: str | None = None) -> None:
        """A connection of its own for each sender, from whom alone pictures are shown there."""
        name = name or self.of(other)
        options: dict[str, Any] = {}
        if conference is not None:
            find = "calls[values[0]].members.find(({ identity }) => identity === values[1]).clientId"
            options["from"] = list(bytes.fromhex(person.do(find, [conference, other.identity])))
        handle = self.inside[person.identity].session.handle()
        offer = handle.subscribe(self.number, self.inside[other.identity].feed)
        opens(person, name, conference=conference, **options)
        answer = person.do("media.answer(values.name, values.offer)", {"name": name, "offer": offer})
        handle.start(answer)

    def all_see_each_other(self, *people: Person) -> None:
        for person, other in permutations(people, 2):
            shows(person, self.of(other), PEOPLE[other.identity])

    def servers_view(self, person: Person, folder: Path) -> list[bytes]:
        """What ffmpeg makes of the packets of somebody's picture that Janus has in the clear."""
        publisher = self.inside[person.identity]
        try:
            program = ffmpeg.find_ffmpeg()
        except ffmpeg.FfmpegMissing as missing:
            pytest.skip(str(missing))
        mid = person.do("media.peers[values].video.mid", self.sending)
        with (
            Player(program, folder, "VP8", PAYLOAD_TYPE, None) as player,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap,
        ):
            tap.bind((LOOPBACK, 0))
            tap.settimeout(SILENCE_SECONDS)
            stream = {"mid": mid, "host": LOOPBACK, "port": tap.getsockname()[1], "pt": PAYLOAD_TYPE}
            values: dict[str, Any] = {"room": self.number, "publisher_id": publisher.feed}
            asked = publisher.handle.ask("rtp_forward", host=LOOPBACK, streams=[stream], **values)
            packet = tap.recv(2048)
            publisher.handle.ask("configure", keyframe=True)
            while not begins_key_frame(packet):
                packet = tap.recv(2048)
            frames = 0
            while frames < FORWARDED:
                frames += packet[1] >> 7  # RFC 7741 section 4.1: the marker is on a frame's last packet
                player.pass_on(packet)
                packet = tap.recv(2048)
            for forwarder in asked["forwarders"]:
                publisher.handle.ask("stop_rtp_forward", stream_id=forwarder["stream_id"], **values)
            return player.end()

    def close(self, people: list[Person]) -> None:
        for person in people:
            person.do("media.close(values)", self.sending)
            for other in people:
                if other is not person:
                    person.do("media.close(values)", self.of(other))


@pytest.fixture(scope="module")
def people(world: World) -> list[Person]:
    """Three people in one conference."""
    alice, bob, carol = (ready(world.person(name).load().enrol(publish=4)) for name in PEOPLE)
    alice.call(CALL, bob, carol)
    return [alice, bob, carol]


@pytest.fixture(scope="module")
def room(sfu: Sfu, people: list[Person]) -> Room:
    return Room(sfu, people, CALL)


def begins_key_frame(packet: bytes) -> bool:
    """Whether an RTP packet is the first one of a VP8 key frame (RFC 7741 section 4.2, RFC 6386 section 9.1)."""
    at = 12 + 4 * (packet[0] & 0xF)
    if packet[0] & 0x10:
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4])
    descriptor = packet[at]
    at += 1
    if descriptor & 0x80:
        extension = packet[at]
        at += 1
        if extension & 0x80:
            at += 2 if packet[at] & 0x80 else 1
        at += (1 if extension & 0x40 else 0) + (1 if extension & 0x30 else 0)
    return descriptor & 0x17 == 0x10 and packet[at] & 1 == 0


def shown(frames: list[bytes], colour: tuple[int, int, int]) -> int:
    """How many of these pictures have this colour in the middle of a quarter at least."""
    return sum(any(is_colour(list(part), colour) for part in quarters(frame)) for frame in frames)


def test_three_members_see_and_hear_each_other_through_janus(room: Room, people: list[Person]) -> None:
    room.all_see_each_other(*people)
    for person, other in permutations(people, 2):
        hears_tone(person, room.of(other))
        coming = [stream for stream in states(person, room.of(other)) if stream["direction"] == "receive"]
        assert [(stream["state"], stream["member"]) for stream in coming] == [("protected", other.identity)] * 2, coming
        assert seen(person, room.of(other))["codec"] == "video/VP8"  # which Janus takes apart


def test_janus_itself_sees_no_picture(room: Room, people: list[Person], tmp_path: Path) -> None:
    alice, *_ = people
    room.all_see_each_other(*people)
    assert shown(room.servers_view(alice, tmp_path), RED) == 0


def test_what_janus_would_see_without_protection(sfu: Sfu, people: list[Person], tmp_path: Path) -> None:
    """The same way with the same tools: nothing but protection can be why it sees nothing."""
    alice, bob, _ = people
    room = Room(sfu, [alice, bob], None)
    room.all_see_each_other(alice, bob)
    frames = room.servers_view(alice, tmp_path)
    assert shown(frames, RED) >= FORWARDED // 2, len(frames)
    room.close([alice, bob])


def test_keys_change_and_the_pictures_go_on(room: Room, people: list[Person]) -> None:
    room.all_see_each_other(*people)
    before = {pair: seen(pair[0], room.of(pair[1])) for pair in permutations(people, 2)}
    for maker in people:
        maker.do("await calls[values].update()", CALL)
        agreed(CALL, *people)
        room.all_see_each_other(*people)
    for (person, other), then in before.items():
        # no stream was in trouble, and no decoder lacked a frame: none asked for a key frame
        events = person.do("media.events(values)", room.of(other))
        assert {event["state"] for event in events} == {"protected"}
        now = seen(person, room.of(other))
        assert (now["plis"], now["dropped"]) == (then["plis"], then["dropped"])


def test_one_connection_for_all_that_comes(room: Room, people: list[Person]) -> None:
    """As Janus' own pages have it: who enters later comes on further sections of a connection that is in use."""
    alice, bob, carol = people
    name = "all in one"
    handle = room.inside[alice.identity].session.handle()
    opens(alice, name, conference=CALL)
    offers = (
        partial(handle.subscribe, room.number, room.inside[bob.identity].feed),
        partial(handle.subscribe_further, room.inside[carol.identity].feed),
    )
    for offer, other in zip(offers, (bob, carol), strict=True):
        handle.start(alice.do("media.answer(values.name, values.offer)", {"name": name, "offer": offer()}))
        shows(alice, name, PEOPLE[other.identity])  # the latest picture is looked at
    wanted = sorted((kind, other.identity, "protected") for kind in ("audio", "video") for other in (bob, carol))
    until("all to be protected", lambda: receiving(alice, name) == wanted)
    alice.do("media.close(values)", name)


def test_who_is_removed_sees_nothing_whatever_janus_sends(room: Room, people: list[Person]) -> None:
    alice, bob, carol = people
    room.all_see_each_other(*people)
    alice.do("await calls[values[0]].remove(values[1])", [CALL, carol.identity])
    agreed(CALL, alice, bob)
    until("carol to hear of it", lambda: carol.heard(CALL, "ended"))
    # Janus, whom nobody told, goes on forwarding to her what members send; what she sends does not even leave
    of_carol = {person: seen(person, room.of(carol))["frames"] for person in (alice, bob)}
    for person in (alice, bob):
        until("what is still in the decoder to be shown", partial(stands_still, carol, room.of(person)))
    room.all_see_each_other(alice, bob)
    for person, frames in of_carol.items():
        assert seen(person, room.of(carol))["frames"] <= frames + IN_DECODER
    # and as one who enters anew without asking for protection she sees nothing either
    room.watch(carol, alice, None, "anew")
    until("packets to come", partial(more_packets, carol, "anew", 60))
    assert (seen(carol, "anew")["frames"], seen(carol, "anew")["colour"]) == (0, None)


def receiving(person: Person, name: str) -> list[tuple[str, str, str]]:
    """Kind, member and state of each stream that comes over a connection."""
    found = [stream for stream in states(person, name) if stream["direction"] == "receive"]
    return sorted((stream["kind"], stream["member"] or "", stream["state"]) for stream in found)


def stands_still(person: Person, name: str) -> bool:
    """Whether no frame is shown while packets of some 20 come."""
    first = seen(person, name)
    until("packets to come", partial(more_packets, person, name, first["packets"] + 60))
    return bool(seen(person, name)["frames"] == first["frames"])


def more_packets(person: Person, name: str, count: int) -> bool:
    return bool(seen(person, name)["packets"] > count)
