"""K2, K3: a service gives one person's keys to two others, and hands out a Welcome again; whole clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from roomkey.client.client import Client
from roomkey.client.events import Event
from roomkey.client.opening import open_client
from roomkey.conference.events import Failed
from roomkey.federation.delivery_messages import InboxItem
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost

from tests.support.attacked import Scene, attacked, meet
from tests.support.key_attacks import altered
from tests.support.simulator import until
from tests.support.tampering_proxy import CLAIM

ACKNOWLEDGEMENTS = "/v1/inbox/acknowledgements"


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


def codes(events: Sequence[Event]) -> list[str]:
    return [event.error.code for event in events if isinstance(event, Failed)]


async def texts(client: Client, count: int) -> list[bytes]:
    """What was said in the client's one conference, once it is so much."""
    (conference,) = client.conferences()
    for _ in range(6000):
        found = await conference.history.messages()
        if len(found) >= count:
            return [message.data for message in found]
        await asyncio.sleep(0.02)
    raise AssertionError(f"expected {count} messages")


async def test_k2_one_set_for_two(scene: Scene) -> None:
    """Nobody but Bob can know. The second Welcome is not for any keys that he still has, and he is told."""
    served: list[bytes] = []

    def again(data: bytes) -> bytes:
        served.append(data)
        return served[0]

    async with (
        scene.client("bob", "email2.example", publish=3) as (bob, told),
        scene.client("alice", "email1.example") as (alice, _),
        scene.client("carol", "email1.example") as (carol, _),
    ):
        scene.proxy.alter[CLAIM] = lambda body: altered(body, bob.identity, again)
        await meet(alice, bob.identity)
        await until(bob.invitations, "Alice's invitation")
        await meet(carol, bob.identity)
        await until(lambda: "welcome-not-for-us" in codes(told), "the report")
        assert len(served) == 2
        (invitation,) = bob.invitations()
        assert invitation.inviter is not None
        assert invitation.inviter.identity == alice.identity
        await bob.accept(invitation)
        scene.proxy.behave()
        await meet(carol, bob.identity)
        await until(lambda: len(bob.invitations()) == 1, "Carol's own")


async def test_k3_a_welcome_again(scene: Scene) -> None:
    """Every item of the inbox comes twice, and all of them again at the next start: one invitation, one conference."""

    def twice(item: InboxItem) -> list[InboxItem]:
        first = item.replace(sequence=2 * item.sequence)
        return [item] if item.sequence == 0 else [first, first.replace(sequence=first.sequence + 1)]

    scene.proxy.items = twice
    scene.proxy.drop.add(ACKNOWLEDGEMENTS)
    async with scene.client("alice", "email1.example") as (alice, _):
        async with scene.client("bob", "email2.example", publish=2) as (bob, told):
            conference = await meet(alice, bob.identity)
            await until(lambda: "welcome-not-for-us" in codes(told), "the report")
            (invitation,) = bob.invitations()
            await bob.accept(invitation)
            await conference.send(b"said once")
            assert await texts(bob, 1) == [b"said once"]
        host, events = NativeHost(scene.folder_of(bob.identity)), list[Event]()
        again = await open_client(host, bob.identity, {}, FirstUse(), events.append)
        try:
            await until(lambda: "welcome-not-for-us" in codes(events), "the report")
            await conference.send(b"and then")
            assert await texts(again, 2) == [b"said once", b"and then"]
            assert not again.invitations()
            (same,) = again.conferences()
            assert (same.id, same.verification_digits) == (conference.id, conference.verification_digits)
        finally:
            await again.close()
            await host.close()
