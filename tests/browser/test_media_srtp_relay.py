"""SRTP of conferences through a relay, over WebTransport: the relay has no keys, and people see each other."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, person_site, until
from tests.support.protected_calls import GREEN, RED, media_chromium
from tests.support.relay_process import RelayProcess, relay_process
from tests.support.srtp_calls import begins, ready, sends, shows, srtp_world, state

ALICE, BOB = "alice@email1.example", "bob@email2.example"
CALL = "stand-up"


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def relays() -> Iterator[list[RelayProcess]]:
    """One that pages may reach, one to be killed that they may reach, and one that they may not."""
    with relay_process() as one, relay_process() as mortal, relay_process() as other:
        yield [one, mortal, other]


@pytest.fixture(scope="module")
def world(
    assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory, relays: list[RelayProcess]
) -> Iterator[World]:
    with srtp_world(assets, chromium, tmp_path_factory.mktemp("services")) as made:
        connect = [*made.services.urls, *(relay.origin for relay in relays[:2])]
        allowed = person_site(assets, connect)
        made.site.everywhere, made.site.headers = allowed.everywhere, allowed.headers
        yield made


@pytest.fixture(scope="module")
def people(world: World) -> list[Person]:
    alice, bob = (ready(world.person(name).load().enrol(publish=4)) for name in (ALICE, BOB))
    alice.call(CALL, bob)
    return [alice, bob]


@pytest.fixture(autouse=True)
def _stopped(people: list[Person]) -> Iterator[None]:
    yield
    for person in people:
        person.do("for (const name of Object.keys(srtp.sessions)) await srtp.stop(name)")


def enters(person: Person, relay: RelayProcess, room: str, *, hash: bytes | None = None) -> str:
    """Comes into a room; "" or the code of why not."""
    body = "srtp.relay(values.name, values.url, values.hash)"
    known = relay.hash if hash is None else hash
    code: str = person.do(body, {"name": CALL, "url": relay.url + room, "hash": list(known)})
    return code


def relay_events(person: Person) -> list[Any]:
    found: list[Any] = person.do("srtp.relays[values].events", CALL)
    return found


def new_room() -> str:
    return secrets.token_urlsafe(16)


def test_two_see_each_other_through_a_relay(people: list[Person], relays: list[RelayProcess]) -> None:
    alice, bob = people
    room = new_room()
    for person in people:
        begins(person, CALL, conference=CALL)
        assert enters(person, relays[0], room) == ""
    sends(alice, CALL, RED)
    sends(bob, CALL, GREEN)
    shows(bob, CALL, alice, RED)
    shows(alice, CALL, bob, GREEN)
    # A key change under it.
    alice.do("await calls[values].update(); return null", CALL)
    epoch = alice.do("Number(calls[values].epoch)", CALL)
    until("Bob to follow", lambda: bob.do("Number(calls[values].epoch)", CALL) == epoch)
    shows(bob, CALL, alice, RED)
    assert [state(person, CALL)["errors"] for person in people] == [[], []]
    # Who goes out of the room hears no more of it.
    bob.do("srtp.relays[values].relay.close(); return null", CALL)
    assert relay_events(bob) == ["closed"]
    before = bob.do("srtp.counts(values)", CALL)["received"]
    alice.do("new Promise((resolve) => setTimeout(resolve, 500))")
    after = bob.do("srtp.counts(values)", CALL)["received"]
    alice.do("new Promise((resolve) => setTimeout(resolve, 500))")
    assert bob.do("srtp.counts(values)", CALL)["received"] == after
    assert after - before < 20


def test_a_relay_that_goes_away_is_told(people: list[Person], relays: list[RelayProcess]) -> None:
    alice, _ = people
    begins(alice, CALL, conference=CALL)
    assert enters(alice, relays[1], new_room()) == ""
    relays[1].stop()
    until("the end of the room", lambda: relay_events(alice) == ["relay-unreachable"])
    assert enters(alice, relays[1], new_room()) == "relay-unreachable"
    assert enters(alice, relays[0], new_room()) == ""


def test_what_is_no_way(people: list[Person], relays: list[RelayProcess]) -> None:
    alice, _ = people
    begins(alice, CALL, conference=CALL)
    assert enters(alice, relays[0], "short") == "relay-unreachable"
    assert enters(alice, relays[0], new_room(), hash=bytes(32)) == "relay-unreachable"
    assert enters(alice, relays[0], new_room(), hash=bytes(31)) == "bad-argument"
    assert enters(alice, relays[2], new_room()) == "blocked-by-csp"
    assert alice.do("srtp.relay(values, 'http://127.0.0.1:1/v1/rooms/x', [])", CALL) == "bad-argument"
    alice.do("await srtp.stop(values); return null", CALL)
    assert enters(alice, relays[0], new_room()) == "closed"


def test_who_gives_up_waiting(people: list[Person], relays: list[RelayProcess]) -> None:
    alice, _ = people
    begins(alice, CALL, conference=CALL)
    body = """
        const stop = new AbortController();
        const entering = srtp.sessions[values.name].session.relay(values.url, {
          certificateHashes: [new Uint8Array(values.hash)], signal: stop.signal });
        stop.abort(new Error("enough"));
        return entering.then(() => "in", ({ message }) => message);
    """
    values = {"name": CALL, "url": relays[0].url + new_room(), "hash": list(relays[0].hash)}
    assert alice.do(body, values) == "enough"
