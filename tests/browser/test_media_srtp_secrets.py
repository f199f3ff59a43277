"""No key of an SRTP session is in anything that a page says, hears or holds: all of it is written down and searched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import World, agreed
from tests.support.protected_calls import RED, media_chromium
from tests.support.srtp_calls import begins, connects, ready, sees, sends, srtp_world

RECORDER = Path(__file__).parent / "support" / "recorder.js"
CALL = "searched"


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with srtp_world(assets, chromium, tmp_path_factory.mktemp("services")) as made:
        yield made


def test_no_key_is_in_what_a_page_says_hears_or_holds(world: World) -> None:
    people = []
    for name in ("alice@email1.example", "bob@email2.example"):
        person = world.person(name)
        person.context.add_init_script(path=RECORDER)
        people.append(ready(person.load().enrol(publish=2)))
    alice, bob = people
    alice.call(CALL, bob)
    for person in people:
        begins(person, CALL, conference=CALL)
    connects(alice, bob, CALL)
    sends(alice, CALL, RED)
    sees(bob, CALL, alice, RED)
    alice.do("await calls[values].update()", CALL)
    agreed(CALL, alice, bob)
    sees(bob, CALL, alice, RED)
    for person in people:
        person.do(
            """recordReachable(srtp.sessions, srtp.outgoing, calls, roomkey, me, globalThis);
            recorded.on = false;"""
        )
        assert person.do("recorded.messages") > 50
        keys = person.keys(CALL)["keys"]  # exported now, to know what to look for
        assert len(keys) == 2
        for key, salt in keys.values():
            assert not person.do("isRecorded(values)", key)
            assert not person.do("isRecorded(values)", salt)
        assert person.do("recorded.keys") == 0  # nor as what cannot be exported
        # the search does find what is there
        person.do("recorded.on = true")
        person.keys(CALL)
        assert all(person.do("isRecorded(values)", part) for pair in keys.values() for part in pair)
