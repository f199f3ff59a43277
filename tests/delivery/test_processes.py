"""Services as processes: races, kills, restarts, streams, the command line (attacks S1, S2, S17)."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections import Counter

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import Accepted, Conflict
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.host.native import NativeHost

from tests.delivery.people import person
from tests.delivery.processes import Services, enrolled, run_cli
from tests.delivery.test_ordering import GROUP, commit, hashed, token

ASK = GetUserInitKeyRequest(b"bob@email1.example", ())


async def test_claims_race_over_two_processes(services: Services, host: NativeHost) -> None:
    first = services.start()
    second = services.start(database=first.database)
    alice = await enrolled(host, first, "alice@email1.example")
    bob = await enrolled(host, second, "bob@email1.example")
    sets = await bob.sets(host.now(), 40)
    await bob.at(host, second.url).publish(sets)
    (last,) = await bob.sets(host.now(), last_resort=True)
    await bob.at(host, first.url).publish([last])
    ways = [alice.at(host, service.url) for service in (first, second)]
    answers = await asyncio.gather(*(ways[n % 2].claim([ASK]) for n in range(50)))
    got = Counter(bundle.set.set_id for bundles in answers for bundle in bundles)
    assert got == Counter({item.set_id: 1 for item in sets} | {last.set_id: 10})


async def test_nonces_and_commits_race_over_two_processes(services: Services, host: NativeHost) -> None:
    first = services.start()
    second = services.start(database=first.database)
    alice = await enrolled(host, first, "alice@email1.example")
    ways = [alice.at(host, service.url) for service in (first, second)]
    await ways[0].register_group(GROUP, hashed(0))
    for epoch in range(5):
        answers = await asyncio.gather(
            *(
                ways[n % 2].submit_commit(GROUP, epoch, commit(epoch, b"%d" % n), token(epoch), token(epoch + 1))
                for n in range(6)
            )
        )
        won = [n for n, answer in enumerate(answers) if isinstance(answer, Accepted)]
        assert len(won) == 1
        for answer in answers:
            assert answer == Accepted(epoch) or (
                isinstance(answer, Conflict) and answer.commits[0].commit == commit(epoch, b"%d" % won[0])
            )


async def test_killed_at_any_time_nothing_acknowledged_is_lost(services: Services, host: NativeHost) -> None:
    service = services.start()
    alice = await enrolled(host, service, "alice@email1.example")
    bob = await enrolled(host, service, "bob@email1.example")
    at_alice, at_bob = alice.at(host, service.url), bob.at(host, service.url)
    await at_alice.register_group(GROUP, hashed(0))
    sent: list[bytes] = []
    ends: list[str] = []
    epoch = 0
    claimed: list[bytes] = []
    published = {item.set_id: item for item in await bob.sets(host.now(), 30)}
    await at_bob.publish(list(published.values()))
    for delay in (0.02, 0.05, 0.11):
        killer = asyncio.get_running_loop().call_later(delay, service.kill)
        try:
            while True:
                message = b"message %d" % len(sent)
                assert await at_alice.send(message, [bob.signer.client_id]) == ()
                sent.append(message)
                answer = await at_alice.submit_commit(GROUP, epoch, commit(epoch), token(epoch), token(epoch + 1))
                assert answer == Accepted(epoch)
                epoch += 1
                claimed += [bundle.set.set_id for bundle in await at_alice.claim([ASK])]
        except RoomkeyError as error:
            ends.append(error.code)
        killer.cancel()
        service.kill()
        service.restart()
    assert set(ends) == {"service-unreachable"}
    # what was in flight is tried again, as outboxes do: nothing is doubled
    await at_alice.send(b"message %d" % len(sent), [bob.signer.client_id])
    sent.append(b"message %d" % len(sent))
    inbox = at_bob.inbox()
    received = [(await anext(inbox)).message for _ in sent]
    await inbox.aclose()
    assert received == sent
    assert len(await at_alice.read_commits(GROUP, 0, token(0))) in (epoch, epoch + 1)
    assert len(set(claimed)) == len(claimed)
    assert (await at_bob.stock()).sets <= 30 - len(claimed)


async def test_streams_end_when_the_service_stops_and_come_back(services: Services, host: NativeHost) -> None:
    service = services.start()
    alice = await enrolled(host, service, "alice@email1.example")
    at = alice.at(host, service.url)
    states: list[str | None] = []
    inbox = at.inbox(lambda error: states.append(None if error is None else error.code))
    me = [alice.signer.client_id]
    await at.send(b"one", me)
    assert await anext(inbox) == (1, b"one")
    waiting = asyncio.ensure_future(anext(inbox))
    assert await asyncio.to_thread(service.stop) == 0  # though the stream is open
    await asyncio.to_thread(service.restart)
    await at.send(b"two", me)
    assert await waiting == (2, b"two")  # "one" came again, not being acknowledged, and was passed over
    assert states[0] is None
    assert "service-unreachable" in states
    assert states[-1] is None
    await inbox.aclose()
    again = at.inbox()  # a new page gets all that is not acknowledged
    assert [await anext(again), await anext(again)] == [(1, b"one"), (2, b"two")]
    await at.acknowledge(1)
    await again.aclose()
    again = at.inbox()
    assert await anext(again) == (2, b"two")
    await again.aclose()


async def test_a_message_through_another_process_wakes_the_stream(services: Services, host: NativeHost) -> None:
    first = services.start()
    second = services.start(database=first.database)
    bob = await enrolled(host, first, "bob@email1.example")
    inbox = bob.at(host, first.url).inbox()
    waiting = asyncio.ensure_future(anext(inbox))
    await asyncio.sleep(0.2)
    await bob.at(host, second.url).send(b"over there", [bob.signer.client_id])
    async with asyncio.timeout(14):  # a heartbeat alone would take 15
        assert await waiting == (1, b"over there")
    await inbox.aclose()


async def test_the_fifth_stream_ends_the_first(services: Services, host: NativeHost) -> None:
    service = services.start()
    bob = await enrolled(host, service, "bob@email1.example")
    caller = bob.at(host, service.url)._caller
    streams = [await caller.stream("/v1/inbox", "application/roomkey-inbox") for _ in range(4)]
    pieces = [stream.__aiter__() for stream in streams]
    for each in pieces:
        assert await anext(each) == bytes(12)  # a heartbeat at once
    streams.append(await caller.stream("/v1/inbox", "application/roomkey-inbox"))
    async with asyncio.timeout(120):  # a stream that goes on has a heartbeat every 15 s, and no end
        async for piece in pieces[0]:
            assert piece == bytes(12)
    for stream in streams:
        await stream.close()


async def test_bytes_stay_as_they_are(services: Services, host: NativeHost) -> None:
    service = services.start()
    bob = await enrolled(host, service, "bob@email1.example")
    at = bob.at(host, service.url)
    inbox = at.inbox()
    messages = [bytes(range(256)) * 5000, b"\0", b"\r\n\r\n", hashlib.sha256(b"").digest()]
    for message in messages:
        await at.send(message, [bob.signer.client_id])
        await at.send(message, [bob.signer.client_id])
    assert [await anext(inbox) for _ in messages] == list(enumerate(messages, 1))
    await at.acknowledge(len(messages))
    await at.send(messages[0], [bob.signer.client_id])  # acknowledged long ago: still the same message
    await at.send(b"last", [bob.signer.client_id])
    assert await anext(inbox) == (5, b"last")
    assert await at.send(b"x", [bytes(32)]) == (bytes(32),)
    await inbox.aclose()


async def test_nothing_of_people_in_the_logs(services: Services, host: NativeHost) -> None:
    service = services.start("email1.example", "--unsafe-open-enrolment")
    bob = await enrolled(host, service, "bob@email1.example")
    at = bob.at(host, service.url)
    await at.publish(await bob.sets(host.now()))
    await at.claim([ASK])
    with pytest.raises(RoomkeyError):
        await at.register_group(b"", bytes(32))
    await asyncio.to_thread(service.stop)
    log = service.log()
    assert "unsafe" in log
    assert "bob" not in log
    assert "/v1/" not in log


def test_the_command_line(services: Services) -> None:
    service = services.start()
    code = service.enrolment_code("Alice@Email1.Example")
    assert len(code) == 23
    result = run_cli("enrol", "not a name", "--db", str(service.database))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("invalid-identity")
    nowhere = service.database.with_name("nowhere.db")
    assert run_cli("enrol", "alice@email1.example", "--db", str(nowhere)).stderr.startswith("bad-argument")
    assert not nowhere.exists()
    for bad in (
        ["--peer", "email2.example"],
        ["--peer", "email2.example=http://192.0.2.1"],
        ["--domain", "Email1"],
        ["--allow-origin", "app.example"],
        ["--host", "0.0.0.0"],
    ):
        arguments = ["serve", "--domain", "email1.example", "--db", str(service.database), "--port", "0", *bad]
        assert run_cli(*arguments).returncode == 1
    taken = run_cli("serve", "--domain", "email1.example", "--db", str(service.database), "--port", str(service.port))
    assert taken.returncode == 1
    assert "address" in taken.stderr.lower()


async def test_enrol_says_when_a_name_is_taken(services: Services, host: NativeHost) -> None:
    service = services.start()
    alice = await person("alice@email1.example")
    await alice.at(host, service.url).enrol(alice.keys.credential, service.enrolment_code("alice@email1.example"))
    result = run_cli("enrol", "alice@email1.example", "--db", str(service.database))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("already-enrolled")


async def test_garbage_on_the_socket(services: Services, host: NativeHost) -> None:
    service = services.start()
    for garbage in (
        b"\x16\x03\x01" + bytes(100),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port), 120) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    alice = await person("alice@email1.example")
    assert (await alice.at(host, service.url).describe()).domain == "email1.example"
