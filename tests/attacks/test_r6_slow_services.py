"""Attacks by a service that keeps everybody waiting: for its log, where a stranger of its domain writes or a member
brings somebody in; for its register, where a member makes changes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from roomkey.conference.events import MessageArrived
from roomkey.transparency.exchange import ANSWERS_PATH

from tests.attacks.test_t_claims import invited
from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.simulator import until

COMMITS_READ_PATH = "/v1/commits/read"
SECONDS = 120.0  # that a thread of the service waits at most: longer than all that wait for it


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


def silent(scene: LoggedScene, path: str = ANSWERS_PATH) -> threading.Event:
    """From now on the log, or what else is at the path, answers nobody who is lied to, until the event is set."""
    over = threading.Event()

    def instead(asked: bytes, answer: bytes) -> bytes:
        over.wait(SECONDS)
        return answer

    scene.proxy.instead[path] = instead
    return over


def heard(person: Person) -> int:
    """How many messages somebody has heard."""
    return sum(isinstance(event, MessageArrived) for event in person.told)


async def test_invitations_by_a_stranger_hold_up_nobody_else(scene: LoggedScene) -> None:
    """Bob, whom Alice never met, invites her again and again; Carol's message comes in between, and so do his calls
    once his log answers.
    """
    async with scene.people(("alice", HOME), ("bob", LYING), ("carol", HOME)) as (alice, bob, carol):
        conference = await carol.call(alice)
        over = silent(scene)
        for name in ("one", "two", "three"):
            found = await bob.client.fetch([alice.identity])
            await bob.client.invite(await bob.client.create_conference(name, found.keys), found.keys)
        await until(lambda: "log-unproven" in alice.errors, "the first invitation to wait")
        await conference.send(b"hello")
        await until(lambda: heard(alice), "Carol's message")
        assert alice.client.invitations() == []
        over.set()
        await until(lambda: len(alice.client.invitations()) == 3, "the invitations")
        assert set(alice.errors) == {"log-unproven"}


async def test_who_is_brought_in_holds_up_nobody_else(scene: LoggedScene) -> None:
    """Bob brings in people of his log, who cannot be proved, into one conversation; Carol's goes on."""
    async with scene.people(("alice", HOME), ("bob", LYING), ("carol", HOME)) as (alice, bob, carol):
        conference = await carol.call(alice)
        async with scene.people(("dave", LYING), ("eve", LYING)) as friends:
            with_bob = await alice.call(bob)
            over = silent(scene)
            for friend in friends:
                found = await bob.client.fetch([friend.identity])
                await bob.client.invite(bob.client.conferences()[0], found.keys)
            await until(lambda: "log-unproven" in alice.errors, "the commit to wait")
            await conference.send(b"hello")
            await until(lambda: heard(alice), "Carol's message")
            over.set()
            await until(lambda: len(with_bob.members) == 4, "everybody")


async def test_a_register_holds_up_its_own_conference_alone(scene: LoggedScene) -> None:
    """Bob changes and speaks in the conversation that his service orders. Carol's goes on; his is read once his service
    answers, all of it and in order, though Alice closed her page in between.
    """
    async with scene.people(("alice", HOME), ("bob", LYING), ("carol", HOME)) as (alice, bob, carol):
        conference = await carol.call(alice)
        bobs = await bob.client.create_conference("bobs")
        await invited(bob, bobs, alice)
        over = silent(scene, COMMITS_READ_PATH)
        said = [b"one", b"two", b"three"]
        for data in said:
            await bobs.update()
            await bobs.send(data)
        await until(lambda: alice.client._inbox._late._under_way, "Bob's to be late")
        await conference.send(b"hello")
        await until(lambda: heard(alice), "Carol's message")
        await alice.reopen()
        over.set()
        (again,) = [item for item in alice.client.conferences() if item.id == bobs.id]
        await until(lambda: heard(alice) == 1 + len(said), "all that Bob said")
        assert again.epoch == bobs.epoch
        assert [message.data for message in await again.history.messages()] == said
        await until(lambda: not alice.client._inbox._late._under_way, "nothing to be late any more")
        assert alice.errors == []
