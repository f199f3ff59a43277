"""Media keys on their way to the media worker, and the contexts of streams, which come once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from roomkey.bridge.media import MediaKeys
from roomkey.media import sframe

from tests.support.simulator import Simulation, until
from tests.unit.test_bridge import Page, assert_plain, page, person

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"


@dataclass
class Told:
    """A media worker that writes down what it is told."""

    epochs: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def epoch(self, value: dict[str, Any], base_key: bytes) -> None:
        assert_plain(value)
        self.epochs.append((value, base_key))

    def end(self, conference: int) -> None:
        self.ended.append(conference)

    def srtp(self, value: dict[str, Any], keys: Sequence[tuple[bytes, bytes]]) -> None:
        raise AssertionError("no SRTP here")

    def srtp_end(self, session: int) -> None:
        raise AssertionError("no SRTP here")

    def streams(self, conference: int, client: bytes, data: bytes) -> None:
        raise AssertionError("no SRTP here")

    @property
    def last(self) -> dict[str, Any]:
        return self.epochs[-1][0]


def with_media(made: Page) -> Told:
    told = Told()
    made.bridge.media = MediaKeys(told)
    return told


async def call(simulation: Simulation, *names: str) -> list[tuple[Page, int, Told, int]]:
    """These people in one conference: page, identity, media worker, conference."""
    pages = [await person(simulation, name) for name in names]
    (alice, alice_id), others = pages[0], pages[1:]
    handle = (await alice.ok("identity.createConference", handle=alice_id, name="stand-up"))["handle"]
    handles = [handle]
    if others:
        fetched = await alice.ok("identity.fetchInitKeys", handle=alice_id, identities=list(names[1:]))
        await alice.ok("conference.invite", handle=handle, keys=[keys["handle"] for keys in fetched["keys"]])
    for made, _ in others:
        invitation = (await made.wait("invitation"))["detail"]
        handles.append((await made.ok("invitation.accept", handle=invitation["handle"]))["handle"])
    return [(made, identity, with_media(made), handles[at]) for at, (made, identity) in enumerate(pages)]


async def test_members_are_told_the_same_keys_epoch_by_epoch(simulation: Simulation) -> None:
    people = await call(simulation, ALICE, BOB, CAROL)
    for made, _, told, handle in people:
        assert told.epochs == []  # nothing before it is asked for
        assert await made.ok("conference.protect", handle=handle) is None
        await made.ok("conference.protect", handle=handle)  # once more: no second telling
        assert len(told.epochs) == 1
        assert (told.last["reason"], told.last["epoch"], told.last["suite"]) == ("start", 1, sframe.DEFAULT_SUITE)
    (alice, _, told_alice, call_alice), (_, _, told_bob, _), (_, _, told_carol, call_carol) = people
    assert len({told.epochs[0][1] for _, _, told, _ in people}) == 1
    assert sorted(told.last["ownLeaf"] for _, _, told, _ in people) == [0, 1, 2]
    await alice.ok("conference.update", handle=call_alice)
    for told in (told_alice, told_bob, told_carol):
        await until(lambda told=told: len(told.epochs) == 2, "the next epoch")  # type: ignore[misc]
        assert (told.last["reason"], told.last["epoch"]) == ("update", 2)
    await alice.ok("conference.remove", handle=call_alice, identity=CAROL)
    await until(lambda: told_carol.ended == [call_carol], "carol's keys to go")
    await until(lambda: len(told_bob.epochs) == 3, "the next epoch")
    assert told_bob.last["reason"] == told_alice.last["reason"] == "remove"
    assert [item["identity"] for item in told_alice.last["members"]] == [ALICE, BOB]
    assert len(told_carol.epochs) == 2
    keys = [key for _, key in told_alice.epochs]
    assert len(set(keys)) == len(keys) == 3
    assert keys == [key for _, key in told_bob.epochs]


async def test_contexts_come_once_over_epochs_and_reloads(simulation: Simulation) -> None:
    ((alice, identity, _, handle),) = await call(simulation, ALICE)
    assert await alice.code("media.context", handle=handle) == "commit-first"  # before anybody protects
    await alice.ok("conference.protect", handle=handle)
    given = [await alice.ok("media.context", handle=handle) for _ in range(3)]
    await alice.ok("conference.update", handle=handle)
    given.append(await alice.ok("media.context", handle=handle))
    await alice.ok("identity.close", handle=identity)
    again = page(simulation, alice.host)
    told = with_media(again)
    opened = await again.ok("openIdentity", identity=ALICE)
    (conference,) = await again.ok("identity.conferences", handle=opened["handle"])
    await again.ok("conference.protect", handle=conference["handle"])
    assert (told.last["epoch"], told.last["reason"]) == (conference["epoch"], "start")  # on record: no commit
    given.append(await again.ok("media.context", handle=conference["handle"]))
    assert given == [0, 1, 2, 3, 4]


async def test_who_lost_the_record_commits_before_anything_is_sent(simulation: Simulation) -> None:
    ((alice, identity, _, handle),) = await call(simulation, ALICE)
    before = (await alice.ok("conference.snapshot", handle=handle))["epoch"]
    await alice.ok("identity.close", handle=identity)
    again = page(simulation, alice.host)
    told = with_media(again)
    opened = await again.ok("openIdentity", identity=ALICE)
    (conference,) = await again.ok("identity.conferences", handle=opened["handle"])
    await again.ok("conference.protect", handle=conference["handle"])
    assert [value["epoch"] for value, _ in told.epochs] == [before + 1]
    assert await again.ok("media.context", handle=conference["handle"]) == 0


async def test_keys_end_with_handle_and_identity(simulation: Simulation) -> None:
    ((alice, identity, told, handle),) = await call(simulation, ALICE)
    await alice.ok("conference.protect", handle=handle)
    await alice.ok("conference.close", handle=handle)
    assert told.ended == [handle]
    (conference,) = await alice.ok("identity.conferences", handle=identity)
    await alice.ok("conference.protect", handle=conference["handle"])
    await alice.ok("identity.close", handle=identity)
    assert told.ended == [handle, conference["handle"]]
    assert await alice.code("media.context", handle=conference["handle"]) == "closed"


async def test_a_bridge_without_media_worker_protects_nothing(simulation: Simulation) -> None:
    alice, identity = await person(simulation, ALICE)
    conference = await alice.ok("identity.createConference", handle=identity, name="stand-up")
    assert await alice.code("conference.protect", handle=conference["handle"]) == "bad-argument"
