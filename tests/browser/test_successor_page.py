"""A conference that goes on elsewhere, as a page sees it: in a better suite, at another service; and server fanout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.native_people import Publisher
from tests.support.person_browser import Person, World, agreed, until, world_of

SHOW = "({ id, suite, betterSuite, epoch, ordering, status }) => ({ id, suite, betterSuite, epoch, ordering, status })"


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("services")
    with world_of(assets, chromium, folder, options=["--unsafe-open-enrolment"]) as world:
        yield world


def shown(person: Person, call: str) -> dict[str, object]:
    found: dict[str, object] = person.do(f"({SHOW})(calls[values])", call)
    return found


def test_a_conference_moves_to_a_better_suite_and_stays_one_object(world: World, tmp_path: Path) -> None:
    """Somebody with a weak suite was in it; once they are gone, everybody offers better."""
    alice = world.person("anna@email1.example").load().enrol()
    bob = world.person("ben@email2.example").load().enrol(publish=3)
    weak = Publisher(world.services.at("email1.example"), "weak@email1.example", tmp_path, "ecdsa_secp256r1_sha256")
    weak.enrol(coded=False)
    weak.publish(weak.sets(2, suites=(2,)))
    alice.do("await me.createConference({ name: 'up', meantFor: await fetchAll([values]) })", weak.identity)
    alice.invite("up", bob.identity, weak.identity)
    bob.accept("up")
    agreed("up", alice, bob, members=[alice.identity, bob.identity, weak.identity])
    alice.say("up", "in the old group")
    bob.hears("up", "in the old group")
    before = shown(alice, "up")
    assert (before["suite"]["number"], before["betterSuite"]) == (2, None)  # type: ignore[index]
    assert alice.refused("no-better-suite", "await calls.up.upgrade()")

    alice.do("await calls.up.remove(values)", weak.identity)
    offered = until("an upgrade to be offered", lambda: alice.heard("up", "upgrade"))
    better = shown(alice, "up")["betterSuite"]
    assert offered == [{"suite": better}]
    alice.do("await calls.up.upgrade()")
    until("ben to follow", lambda: bob.heard("up", "successor"))
    agreed("up", alice, bob)
    for person in (alice, bob):
        after = shown(person, "up")
        assert (after["suite"], after["betterSuite"], after["status"]) == (better, None, "active")
        assert after["id"] != before["id"]
        assert person.heard("up", "successor") == [{"formerId": before["id"], "reason": "reinit"}]
    assert shown(alice, "up")["id"] == shown(bob, "up")["id"]
    bob.say("up", "in the new group")
    alice.hears("up", "in the new group")
    assert alice.texts("up") == ["in the old group", "in the new group"]
    alice.reopen()
    until("the messages", lambda: alice.texts("up") == ["in the old group", "in the new group"])


def test_a_conference_moves_to_the_other_service(world: World) -> None:
    alice = world.person("alma@email1.example").load().enrol()
    bob = world.person("bert@email2.example").load().enrol(publish=3)
    alice.call("move", bob)
    assert shown(bob, "move")["ordering"] == "email1.example"
    error = alice.refused("bad-argument", "await calls.move.moveOrdering('email3.example')")
    assert "email3" not in error["message"]
    alice.do("await calls.move.moveOrdering('email2.example')")
    assert shown(alice, "move")["ordering"] == "email2.example"
    agreed("move", alice, bob)
    assert shown(bob, "move")["ordering"] == "email2.example"
    bob.do("await calls.move.update()")
    agreed("move", alice, bob)


def test_everything_goes_through_the_home_service(world: World) -> None:
    """Server fanout: the page talks to its own service alone, also after a reload that does not say so again."""
    alice = world.person("ada@email1.example")
    bob = world.person("bodo@email2.example").load().enrol(publish=3)
    home, other = world.services.at("email1.example"), world.services.at("email2.example")
    alice.goto()
    alice.do("await start({})")
    described = alice.do("await roomkey.setDeliveryService(values, { fanout: 'server' })", home.url)
    assert described == {"url": home.url, "domain": "email1.example", "domains": ["email1.example"], "fanout": "server"}
    alice.refused("bad-argument", "await roomkey.setDeliveryService(values, { fanout: 'both' })", home.url)
    alice.enrol()
    alice.call("far", bob)
    alice.say("far", "by the home service")
    bob.hears("far", "by the home service")
    bob.say("far", "and back")
    alice.hears("far", "and back")
    alice.goto()
    alice.do("await start({})")
    alice.do("await open(values)", alice.identity)
    alice.say("far", "after a reload")
    bob.hears("far", "after a reload")
    assert not [url for url in alice.requests if url.startswith(other.url)]
