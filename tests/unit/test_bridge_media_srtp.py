"""SRTP keys on their way to the media worker, and what members say of their streams, which no page hears or says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from roomkey.bridge.media import MediaKeys
from roomkey.media.srtp import SrtpStream, SrtpStreams

from tests.support.simulator import Simulation, until
from tests.unit.test_bridge import PROFILE, Page, assert_plain, page, person
from tests.unit.test_bridge_media import ALICE, BOB, CAROL, call

STREAMS = SrtpStreams((SrtpStream(0x1234, 7, 0),)).encode()
Pairs = list[tuple[bytes, bytes]]


@dataclass
class Told:
    """A media worker that writes down what it is told of SRTP."""

    epochs: list[tuple[dict[str, Any], Pairs]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    said: list[tuple[int, bytes, bytes]] = field(default_factory=list)

    def epoch(self, value: dict[str, Any], base_key: bytes) -> None:
        raise AssertionError("no SFrame here")

    def end(self, conference: int) -> None:
        raise AssertionError("no SFrame here")

    def srtp(self, value: dict[str, Any], keys: Sequence[tuple[bytes, bytes]]) -> None:
        assert_plain(value)
        self.epochs.append((value, list(keys)))

    def srtp_end(self, session: int) -> None:
        self.ended.append(session)

    def streams(self, conference: int, client: bytes, data: bytes) -> None:
        self.said.append((conference, client, data))

    @property
    def last(self) -> dict[str, Any]:
        return self.epochs[-1][0]


def with_media(made: Page) -> Told:
    told = Told()
    made.bridge.media = MediaKeys(told)
    return told


async def session(made: Page, handle: int, number: int = 1) -> Told:
    """A session of a conference."""
    told = with_media(made)
    assert await made.ok("conference.srtp", handle=handle, session=number, profile=PROFILE) == 7
    return told


async def test_members_are_told_the_same_senders_keys_epoch_by_epoch(simulation: Simulation) -> None:
    people = [(made, handle) for made, _, _, handle in await call(simulation, ALICE, BOB, CAROL)]
    told = [await session(made, handle) for made, handle in people]
    (alice, of_alice), (told_alice, told_bob, told_carol) = people[0], told
    for at, each in enumerate(told):
        assert (each.last["reason"], each.last["epoch"], each.last["ownLeaf"]) == ("start", 1, at)
        assert (each.last["profile"], each.last["mki"], each.last["session"]) == (7, b"\x00\x01", 1)
        assert each.last["senders"] == [0, 1, 2] == [member["leafIndex"] for member in each.last["members"]]
        assert [(len(key), len(salt)) for key, salt in each.epochs[0][1]] == [(16, 12)] * 3
        assert each.epochs[0][1] == told_alice.epochs[0][1]
    # they are those that native endpoints get
    keys = await alice.ok("media.srtpKeys", handle=of_alice, profile=PROFILE)
    assert [(key["masterKey"], key["masterSalt"]) for key in keys["keys"]] == told_alice.epochs[0][1]
    await alice.ok("conference.update", handle=of_alice)
    for each in told:
        await until(lambda each=each: len(each.epochs) == 2, "the next epoch")  # type: ignore[misc]
        assert (each.last["reason"], each.last["epoch"], each.last["mki"]) == ("update", 2, b"\x00\x02")
    await alice.ok("conference.remove", handle=of_alice, identity=CAROL)
    await until(lambda: told_carol.ended == [1], "carol's keys to go")
    await until(lambda: len(told_bob.epochs) == 3, "the next epoch")
    assert told_bob.last["reason"] == "remove"
    assert told_bob.last["senders"] == [0, 1]
    assert len(told_carol.epochs) == 2
    every = [key for _, pairs in told_alice.epochs for key, _ in pairs]
    assert len(set(every)) == len(every) == 8  # of each sender in each epoch another


async def test_sessions_begin_and_end(simulation: Simulation) -> None:
    ((alice, identity, _, handle),) = await call(simulation, ALICE)
    told = await session(alice, handle)
    assert await alice.code("conference.srtp", handle=handle, session=1, profile=PROFILE) == "bad-argument"
    assert await alice.code("conference.srtp", handle=handle, session=2, profile="NULL") == "bad-argument"
    await alice.ok("conference.srtp", handle=handle, session=2, profile="SRTP_AES128_CM_HMAC_SHA1_80")
    assert [len(salt) for _, salt in told.epochs[-1][1]] == [14]
    await alice.ok("conference.srtpStop", session=1)
    await alice.ok("conference.srtpStop", session=1)  # none any more: no error
    assert told.ended == [1]
    await alice.ok("conference.update", handle=handle)
    await until(lambda: len(told.epochs) == 3, "the next epoch")
    assert told.last["session"] == 2  # of the one that ended, no more
    await alice.ok("identity.close", handle=identity)
    assert told.ended == [1, 2]


async def test_what_is_said_of_streams_goes_between_media_workers_alone(simulation: Simulation) -> None:
    people = [(made, handle) for made, _, _, handle in await call(simulation, ALICE, BOB, CAROL)]
    (alice, of_alice), (bob, of_bob), (carol, of_carol) = people
    told_alice, told_bob, told_carol = [await session(made, handle) for made, handle in people]
    clients = [member["clientId"] for member in told_alice.last["members"]]
    await alice.ok("media.announce", handle=of_alice, data=STREAMS)
    for told, handle in ((told_bob, of_bob), (told_carol, of_carol)):
        await until(lambda told=told: told.said != [], "word of alice's streams")  # type: ignore[misc]
        assert told.said == [(handle, clients[0], STREAMS)]
    await bob.ok("media.announce", handle=of_bob, data=STREAMS, to=clients[0])
    await until(lambda: told_alice.said != [], "word of bob's")
    await carol.ok("conference.signal", handle=of_carol, kind="application", data=b"last")
    for made in (alice, bob):
        assert (await made.wait("signal"))["detail"]["kind"] == "application"  # and nothing of streams before it
    assert told_alice.said == [(of_alice, clients[1], STREAMS)]
    assert len(told_carol.said) == 1
    # a page can say nothing of the kind, and a media worker nothing else
    assert await alice.code("conference.signal", handle=of_alice, kind="streams", data=STREAMS) == "bad-argument"
    assert await alice.code("media.announce", handle=of_alice, data=b"\x01\x00") == "malformed"


async def test_who_has_no_session_is_told_nothing(simulation: Simulation) -> None:
    (alice, _, _, of_alice), (bob, _, _, of_bob) = await call(simulation, ALICE, BOB)
    await session(alice, of_alice)
    told = with_media(bob)
    await alice.ok("media.announce", handle=of_alice, data=STREAMS)
    await alice.ok("conference.signal", handle=of_alice, kind="application", data=b"last")
    await bob.wait("signal")
    assert (told.said, told.epochs) == ([], [])
    assert of_bob in {event["handle"] for event in bob.of("signal")}


async def test_stream_numbers_go_on_after_a_start(simulation: Simulation) -> None:
    """As contexts do, which they are made of: a session makes sure that there is a record."""
    ((alice, identity, _, handle),) = await call(simulation, ALICE)
    await session(alice, handle)
    assert [await alice.ok("media.context", handle=handle) for _ in range(2)] == [0, 1]
    await alice.ok("identity.close", handle=identity)
    again = page(simulation, alice.host)
    opened = await again.ok("openIdentity", identity=ALICE)
    (conference,) = await again.ok("identity.conferences", handle=opened["handle"])
    told = await session(again, conference["handle"])
    assert (told.last["epoch"], told.last["reason"]) == (conference["epoch"], "start")  # on record: no commit
    assert await again.ok("media.context", handle=conference["handle"]) == 2


async def test_a_bridge_without_media_worker_has_no_sessions(simulation: Simulation) -> None:
    alice, identity = await person(simulation, ALICE)
    handle = (await alice.ok("identity.createConference", handle=identity, name="stand-up"))["handle"]
    assert await alice.code("conference.srtp", handle=handle, session=1, profile=PROFILE) == "bad-argument"
