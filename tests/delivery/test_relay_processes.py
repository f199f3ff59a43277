"""Server fanout between services in processes of their own: kills, restarts, a service that is away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.host.native import NativeHost

from tests.delivery.people import Person
from tests.delivery.processes import Running, Services, enrolled, run_cli
from tests.support.services import TwoServices, two_services

BOB = GetUserInitKeyRequest(b"bob@email2.example", ())


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[TwoServices]:
    with two_services(tmp_path) as services:
        yield services


async def people(host: NativeHost, pair: TwoServices) -> tuple[Person, Person]:
    return (
        await enrolled(host, pair.at("email1.example"), "alice@email1.example"),
        await enrolled(host, pair.at("email2.example"), "bob@email2.example"),
    )


def relay(host: NativeHost, pair: TwoServices, who: Person) -> DeliveryService:
    return who.at(host, pair.at("email1.example").url).relaying("email2.example")


async def send_all(
    at: DeliveryService, service: Running, messages: list[bytes], to: Person, kills: dict[int, float]
) -> int:
    """Sends in order, as an outbox does; returns how often a send failed.

    Args:
        kills: seconds after which the service is killed, by the number of the message that is being sent then.
    """
    failed = 0
    for number, message in enumerate(messages):
        while True:
            sending = asyncio.ensure_future(at.send(message, [to.signer.client_id]))
            if number in kills:
                await asyncio.sleep(kills.pop(number))
                service.kill()
            try:
                await sending
                break
            except RoomkeyError as error:
                if error.code != "service-unreachable":
                    raise
                failed += 1
                await asyncio.to_thread(service.restart)
    return failed


async def received(host: NativeHost, pair: TwoServices, who: Person, count: int) -> list[bytes]:
    """The first so many messages of an inbox, and a look whether there is another."""
    at = who.at(host, pair.at("email2.example").url)
    inbox = at.inbox()
    try:
        found = [(await anext(inbox)).message for _ in range(count)]
        end = b"end of %d" % count
        await at.send(end, [who.signer.client_id])
        assert (await anext(inbox)).message == end
        return found
    finally:
        await inbox.aclose()


async def test_killed_while_the_other_service_is_away(pair: TwoServices, host: NativeHost) -> None:
    alice, bob = await people(host, pair)
    first, second = pair.at("email1.example"), pair.at("email2.example")
    at = relay(host, pair, alice)
    assert await at.claim([BOB]) == ()
    second.kill()
    messages = [b"message %d" % number for number in range(40)]
    # each kill meets the message on its way, or the next one
    assert await send_all(at, first, messages, bob, {5: 0.0, 15: 0.002, 25: 0.004, 35: 0.006}) == 4
    with pytest.raises(RoomkeyError) as caught:
        await at.claim([BOB])
    assert (caught.value.code, caught.value.details["domain"]) == ("service-unavailable", "email2.example")
    first.kill()  # with everything waiting
    await asyncio.to_thread(first.restart)
    await asyncio.to_thread(second.restart)
    assert await at.claim([BOB]) == ()  # so the home service hears that the other one is back
    assert await received(host, pair, bob, len(messages)) == messages


async def test_killed_while_it_delivers(pair: TwoServices, host: NativeHost) -> None:
    alice, bob = await people(host, pair)
    first, second = pair.at("email1.example"), pair.at("email2.example")
    at = relay(host, pair, alice)
    second.kill()
    messages = [b"message %d" % number for number in range(150)]
    await send_all(at, first, messages, bob, {})
    await asyncio.to_thread(second.restart)
    inbox = bob.at(host, second.url).inbox()
    await at.claim([BOB])
    found = [(await anext(inbox)).message for _ in range(10)]
    for victim in (first, second, first):  # each in the middle of it
        victim.kill()
        await asyncio.to_thread(victim.restart)
        await at.claim([BOB])
        found.append((await anext(inbox)).message)
    while len(found) < len(messages):
        found.append((await anext(inbox)).message)
    await inbox.aclose()
    assert found == messages
    assert await received(host, pair, bob, len(messages)) == messages


async def test_two_processes_of_the_home_service(tmp_path: Path, services: Services, host: NativeHost) -> None:
    folder = tmp_path / "pair"
    await asyncio.to_thread(folder.mkdir)
    with two_services(folder) as pair:
        alice, bob = await people(host, pair)
        first = pair.at("email1.example")
        peer = f"email2.example={pair.at('email2.example').url}"
        other = services.start("email1.example", "--peer", peer, database=first.database)
        ways = [alice.at(host, service.url).relaying("email2.example") for service in (first, other)]
        messages = [b"message %d" % number for number in range(20)]
        for number, message in enumerate(messages):
            await ways[number % 2].send(message, [bob.signer.client_id])
        assert await received(host, pair, bob, 20) == messages
        first.kill()  # the one that delivers, so the other one takes over
        await ways[1].send(b"after", [bob.signer.client_id])
        assert await received(host, pair, bob, 22) == [*messages, b"end of 20", b"after"]


async def test_stopping_and_what_is_logged(pair: TwoServices, host: NativeHost) -> None:
    """S17: counts, and nothing of people. What waits keeps nobody from stopping."""
    alice, bob = await people(host, pair)
    first, second = pair.at("email1.example"), pair.at("email2.example")
    at = relay(host, pair, alice)
    second.kill()
    await at.send(b"message", [bob.signer.client_id])
    with pytest.raises(RoomkeyError):
        await at.claim([BOB])
    assert await asyncio.to_thread(first.stop) == 0
    log = first.log()
    assert "unavailable" in log
    for name in ("alice", "bob", "email2", "127.0.0.1", "/v1/"):
        assert name not in log


async def test_a_pinned_key_that_the_other_service_lost(tmp_path: Path, services: Services, host: NativeHost) -> None:
    """A key file that is gone is made anew, and no longer the pinned one: then nothing is taken, nothing lost."""
    pinned = run_cli("domain-key", "--domain-key", str(tmp_path / "pinned")).stdout.strip()
    second = services.start("email2.example", "--peer-key", f"email1.example={pinned}")
    peer = ("--peer", f"email2.example={second.url}")
    first = services.start("email1.example", *peer, "--domain-key", str(tmp_path / "another"))
    alice = await enrolled(host, first, "alice@email1.example")
    bob = await enrolled(host, second, "bob@email2.example")
    await alice.at(host, first.url).relaying("email2.example").send(b"kept", [bob.signer.client_id])
    with pytest.raises(RoomkeyError) as caught:
        await alice.at(host, first.url).relaying("email2.example").claim([BOB])
    assert caught.value.code == "service-unavailable"
    assert await asyncio.to_thread(first.stop) == 0
    again = services.start("email1.example", *peer, "--domain-key", str(tmp_path / "pinned"), database=first.database)
    assert again.domain == "email1.example"
    inbox = bob.at(host, second.url).inbox()
    assert (await anext(inbox)).message == b"kept"
    await inbox.aclose()
