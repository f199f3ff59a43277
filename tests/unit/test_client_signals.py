"""Signals by whole clients: heard by whom they are for, while they are of use, and stored nowhere."""

from __future__ import annotations

import asyncio

import pytest
from roomkey.conference import records, signals
from roomkey.conference.events import SignalArrived
from roomkey.conference.signals import Rate
from roomkey.errors import RoomkeyError

from tests.support.people import Person, call, together
from tests.support.simulator import SimulatedHost, Simulation, origin_of, until


def heard(person: Person) -> list[bytes]:
    return [event.data for event in person.told if isinstance(event, SignalArrived)]


async def listening(*people: Person) -> None:
    """Waits until what was sent to these has arrived: a stored message comes after it."""
    before = [(person, len(await person.conference.history.messages())) for person in people]
    await people[0].conference.send(b"so far")
    for person, count in before:
        await _stored(person, count + 1)


async def _stored(person: Person, count: int) -> None:
    async with asyncio.timeout(120):
        while len(await person.conference.history.messages()) < count:
            await person.host.sleep(0.01)


async def test_a_signal_is_heard_and_not_stored(alice: Person, bob: Person, carol: Person) -> None:
    conference = await call(alice, bob, carol)
    await conference.signal(b"for all")
    await conference.signal(b"for bob", to=bob.client.client_id, kind=signals.CALL)
    await listening(alice, bob, carol)
    assert heard(alice) == []
    assert heard(carol) == [b"for all"]
    assert [
        (event.sender.identity, event.kind, event.data) for event in bob.told if isinstance(event, SignalArrived)
    ] == [
        (alice.identity, signals.APPLICATION, b"for all"),
        (alice.identity, signals.CALL, b"for bob"),
    ]
    for person in (alice, bob, carol):
        assert [message.data for message in await person.conference.history.messages()] == [b"so far"]
        assert person.errors == []


async def test_signals_leave_nothing_behind(
    alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there were: the stores are as large as before, up to what a ratchet's gap takes."""
    monkeypatch.setattr(Rate, "wait", lambda self, now: 0.0)
    conference = await call(alice, bob, carol)
    await listening(alice, bob, carol)
    before = [_size(person) for person in (alice, bob, carol)]
    for _ in range(3 * signals.MAX_ASIDE):
        await conference.signal(bytes(500), to=bob.client.client_id)
    await until(lambda: len(heard(bob)) == 3 * signals.MAX_ASIDE, "the signals")
    await listening(alice, bob, carol)
    for person, size in zip((alice, bob, carol), before, strict=True):
        assert _size(person) < size + signals.MAX_ASIDE * 100 + records.RECENT * records.RECENT_BYTES + 2000
        assert person.errors == []
    assert heard(carol) == []


def _size(person: Person) -> int:
    return sum(len(data) for disk in person.host.disks.values() for data in disk.records.values())


async def test_who_gets_no_signals_can_read_what_comes_after_them(
    alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ratchet may not run away from those who are passed over: it would be lost to them after `MAX_FORWARD`."""
    monkeypatch.setattr(Rate, "wait", lambda self, now: 0.0)
    conference = await call(alice, bob, carol)
    most = 0
    for _ in range(2 * signals.MAX_ASIDE):
        await conference.signal(b"", to=bob.client.client_id)
        most = max(most, alice.conference._session.signalling.aside)
    assert most == signals.MAX_ASIDE
    await until(lambda: carol.conference._session.live.messages._skipped, "carol to see a gap")
    assert carol.conference._session.live.messages._skipped <= signals.MAX_ASIDE
    await listening(alice, bob, carol)
    assert carol.errors == []


@pytest.mark.parametrize("error", [-61.0, 61.0])
async def test_a_signal_of_another_time_is_passed_over(
    alice: Person, bob: Person, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    conference = await call(alice, bob)
    now = alice.host.now()  # it stands still: a signal from the future becomes one of the present by waiting
    monkeypatch.setattr(SimulatedHost, "now", lambda host: now + host.clock_error)
    alice.host.clock_error = error
    await conference.signal(b"too late")
    alice.host.clock_error = 0.0
    await conference.signal(b"in time")
    await until(lambda: heard(bob), "the signal in time")
    assert heard(bob) == [b"in time"]
    assert bob.errors == []


@pytest.mark.parametrize("gone", [False, True])
async def test_who_is_gone_is_not_heard(alice: Person, bob: Person, carol: Person, gone: bool) -> None:
    """Bob's signal of the epoch in which he was a member arrives in the next one, whose member he is or is not."""
    conference = await call(alice, bob, carol)
    bob.host.unreachable.add(origin_of("email1.example"))
    await bob.conference.signal(b"from bob")
    (waiting,) = [data for disk in bob.host.disks.values() for name, data in disk.records.items() if "out/" in name]
    if gone:
        await conference.remove(identity=bob.identity)
    else:
        await conference.update()
    await conference.receive(records.Delivery.decode(waiting).message)
    assert heard(alice) == ([] if gone else [b"from bob"])
    assert alice.errors == []


async def test_a_signal_that_nobody_waits_for_is_not_sent(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    away = origin_of("email2.example")
    alice.host.unreachable.add(away)
    await conference.signal(b"stale")
    await conference.send(b"kept")
    assert await alice.client.sent() == {"email2.example"}  # tried in vain, and waits
    alice.host.clock_error = 61.0
    sent = len(alice.simulation.network.bodies)
    alice.host.unreachable.clear()
    alice.client._outbox.wake()
    await _stored(bob, 1)
    assert heard(bob) == []
    deliveries = [body for body in alice.simulation.network.bodies[sent:] if bob.client.client_id in body]
    assert len(deliveries) == 1


async def test_after_a_power_cut_no_signal_waits(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    alice.host.unreachable.add(origin_of("email2.example"))
    await conference.signal(b"of an earlier run")
    await alice.power_cut()
    await alice.conference.send(b"after it")
    await _stored(bob, 1)
    assert heard(bob) == []
    assert alice.conference._session.signalling.aside == 0


async def test_limits_of_who_sends(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    with pytest.raises(RoomkeyError) as caught:
        await conference.signal(bytes(signals.MAX_DATA + 1))
    assert caught.value.code == "bad-argument"
    for stranger in (bytes(32), alice.client.client_id):
        with pytest.raises(RoomkeyError) as caught:
            await conference.signal(b"", to=stranger)
        assert caught.value.code == "no-such-member"
    conference._session.signalling.own = Rate(0.5, alice.host.now() + 1000)
    with pytest.raises(RoomkeyError) as caught:
        await conference.signal(b"one too many")
    assert caught.value.code == "too-many-signals"
    assert caught.value.retry_after == pytest.approx(0.5 / signals.PER_SECOND)


async def test_a_member_who_floods_is_not_heard(alice: Person, bob: Person) -> None:
    conference = await call(alice, bob)
    for number in range(signals.BURST + 10):
        alice.conference._session.signalling.own = Rate()
        bob.conference._session.signalling.others[alice.client.client_id] = Rate(
            max(0.0, signals.BURST - number), bob.host.now() + 1000
        )
        await conference.signal(b"%d" % number)
        await listening(alice, bob)
    assert heard(bob) == [b"%d" % number for number in range(signals.BURST)]


async def test_a_signal_for_another_is_passed_over(
    simulation: Simulation, alice: Person, bob: Person, carol: Person
) -> None:
    """Who sends it may be at fault, or a service that hands it to more than it is for."""
    conference = await call(alice, bob, carol)
    conference._session.signalling.aside = signals.MAX_ASIDE
    await conference.signal(b"for bob", to=bob.client.client_id)
    await listening(alice, bob, carol)
    assert heard(bob) == [b"for bob"]
    assert heard(carol) == []
    await conference.update()
    await together(conference, bob, carol)


def test_a_rate_fills_by_time() -> None:
    rate = Rate()
    assert [rate.wait(100.0) for _ in range(signals.BURST)] == [0.0] * signals.BURST
    assert rate.wait(100.0) == 1 / signals.PER_SECOND
    assert rate.wait(100.0 + 1 / signals.PER_SECOND) == 0.0
    assert rate.wait(50.0) > 0  # a clock set back gives nothing
    assert rate.wait(51.0) == 0.0
