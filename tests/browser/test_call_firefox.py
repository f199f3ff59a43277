"""Calls between Firefoxes, and between Firefox and Chromium: all see and hear each other, who is removed nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.browser import test_call_srtp
from tests.browser.test_call import ALICE, BOB, CAROL, MESH, join, leave, sees, tiles
from tests.support.firefox import Firefox
from tests.support.person_browser import PATH, Person, World, agreed, until, world_on
from tests.support.protected_calls import SCRIPT, media_chromium
from tests.support.services import TwoServices, two_services

SERVICES = ["http://127.0.0.1:*"]


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServices]:
    with two_services(tmp_path_factory.mktemp("services")) as running:
        yield running


Worlds = dict[str, World]


@pytest.fixture(scope="module")
def worlds(services: TwoServices, assets: Path, firefox: Firefox, chromium: Browser) -> Iterator[Worlds]:
    """People by browser; each browser has pages of its own on the same services."""
    with ExitStack() as stack:
        made: Worlds = {}
        for name, browser in (("firefox", cast(Any, firefox)), ("chromium", chromium)):
            made[name] = stack.enter_context(world_on(services, assets, browser, SERVICES))
            site = made[name].site
            # Scripts that a test runs in Firefox cannot import: the page does.
            for path, script in (("/call_page.js", SCRIPT), ("/mesh_page.js", MESH)):
                site.files[path] = script.read_bytes()
                site.files[PATH] += f'<script type="module" src="{path}"></script>'.encode()
        yield made


@pytest.fixture(scope="module")
def people(worlds: Worlds) -> Callable[[str, str], Person]:
    """A person in a browser, made once."""
    known: dict[tuple[str, str], Person] = {}

    def person(browser: str, identity: str) -> Person:
        if (browser, identity) not in known:
            made = worlds[browser].person(identity)
            known[browser, identity] = made.load().enrol(publish=6)
        return known[browser, identity]

    return person


def test_firefoxes_see_and_hear_each_other(people: Callable[[str, str], Person]) -> None:
    alice, bob = people("firefox", ALICE), people("firefox", BOB)
    alice.call("foxes", bob)
    join("foxes", alice, frequency=440)
    join("foxes", bob)
    sees("foxes", alice, [bob])
    sees("foxes", bob, [alice])
    until("alice's tone to be heard", lambda: tiles("foxes", bob)[ALICE]["speaking"])
    # keys change under a call that goes on
    alice.do("await calls.foxes.update()")
    agreed("foxes", alice, bob)
    sees("foxes", bob, [alice])
    sees("foxes", alice, [bob])
    assert all(person.do("mesh.calls.foxes.errors") == [] for person in (alice, bob))
    leave("foxes", alice, bob)


def test_firefox_and_chromium_see_and_hear_each_other(people: Callable[[str, str], Person]) -> None:
    alice, bob, carol = people("firefox", ALICE), people("firefox", BOB), people("chromium", CAROL)
    alice.call("mixed", bob, carol)
    for person in (alice, bob, carol):
        join("mixed", person, frequency=440 if person is carol else None)
    for person, others in ((alice, [bob, carol]), (bob, [alice, carol]), (carol, [alice, bob])):
        sees("mixed", person, others)
    until("carol's tone to be heard", lambda: tiles("mixed", alice)[CAROL]["speaking"])
    assert all(person.do("mesh.calls.mixed.errors") == [] for person in (alice, bob, carol))
    alice.do("await calls.mixed.remove(values)", BOB)
    until("bob's call to end", lambda: ["left", "ended"] in bob.do("mesh.calls.mixed.events"))
    agreed("mixed", alice, carol)
    sees("mixed", alice, [carol])
    after = bob.do("await mesh.received()")  # what his decoder still had in hand is through by now
    sees("mixed", carol, [alice])
    assert bob.do("await mesh.received()") == after
    leave("mixed", alice, carol)


def test_firefox_and_chromium_see_and_hear_each_other_by_srtp(
    people: Callable[[str, str], Person], hearing: None
) -> None:
    alice, carol = people("firefox", ALICE), people("chromium", CAROL)
    alice.call("packets", carol)
    for person in (alice, carol):
        test_call_srtp.join("packets", person, frequency=440)
    sees("packets", alice, [carol])
    sees("packets", carol, [alice])
    until("carol's tone to be heard", lambda: tiles("packets", alice)[CAROL]["speaking"])
    until("alice's tone to be heard", lambda: tiles("packets", carol)[ALICE]["speaking"])
    assert all(person.do("mesh.calls.packets.errors") == [] for person in (alice, carol))
    leave("packets", alice, carol)
