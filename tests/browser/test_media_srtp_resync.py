"""SRTP when an inbox keeps commits back: who lacks keys gets them, and who was removed unawares sees nothing.

By what way the commit is found is not told apart here: something else may be sooner than the media worker, which asks
for it when packets have waited in vain (test_media_srtp_room.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, until
from tests.support.protected_calls import RED, media_chromium
from tests.support.srtp_calls import begins, connects, passed, ready, seen, sees, sends, srtp_world, state
from tests.support.tampering_proxy import Proxy, tampering_proxy

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"
CALL = "kept back"


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


Scene = tuple[Person, Person, Person, Proxy]


@pytest.fixture
def scene(assets: Path, chromium: Browser, tmp_path: Path) -> Iterator[Scene]:
    """Alice, whom Bob and Carol see; Bob's inbox comes through a proxy."""
    with srtp_world(assets, chromium, tmp_path, ["http://127.0.0.1:*"]) as world:
        service = world.services.at("email2.example")
        with tampering_proxy(world.services.proxies[service.domain], service.port) as proxy:
            alice, carol = (ready(world.person(name).load().enrol(publish=2)) for name in (ALICE, CAROL))
            world.addresses["email2.example"] = proxy.url
            bob = ready(world.person(BOB).load().enrol(publish=2))
            alice.call(CALL, bob, carol)
            for person in (alice, bob, carol):
                begins(person, CALL, conference=CALL)
            connects(bob, alice, CALL, middle="pass")
            connects(carol, alice, CALL)
            sends(alice, CALL, RED)
            sees(bob, CALL, alice, RED)
            sees(carol, CALL, alice, RED)
            yield alice, bob, carol, proxy


def test_who_lacks_a_key_gets_it(scene: Scene) -> None:
    alice, bob, carol, proxy = scene
    proxy.items = lambda item: []
    alice.do("await calls[values].update()", CALL)
    epoch = alice.look(CALL)["epoch"]
    until("packets under the new keys", lambda: passed(bob, CALL, "came")["epochs"][-1] == epoch)
    until("bob to have them, too", lambda: bob.look(CALL)["epoch"] == epoch)
    sees(bob, CALL, alice, RED)
    assert seen(bob, CALL)[-1]["state"] == "protected"
    sees(carol, CALL, alice, RED)


def test_who_is_removed_and_does_not_hear_of_it_sees_nothing(scene: Scene) -> None:
    alice, bob, carol, proxy = scene
    proxy.items = lambda item: []
    alice.do("await calls[values[0]].remove(values[1])", [CALL, BOB])
    epoch = alice.look(CALL)["epoch"]
    until("packets under the new keys", lambda: passed(bob, CALL, "came")["epochs"][-1] == epoch)
    frames, came = seen(bob, CALL)[-1]["frames"], passed(bob, CALL, "came")["count"]
    until("bob to be without keys", lambda: seen(bob, CALL)[-1]["gone"] or seen(bob, CALL)[-1]["state"] == "no-key")
    until("more packets to come", lambda: passed(bob, CALL, "came")["count"] > came + 30)
    assert seen(bob, CALL)[-1]["frames"] <= frames + 2  # what his decoder still had in hand
    sees(carol, CALL, alice, RED)
    assert state(carol, CALL)["errors"] == []
