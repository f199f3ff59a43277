"""Calls whose media goes in SRTP packets over data channels: all see and hear all, who is removed sees nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.browser.test_call import ALICE, BOB, CAROL, COLOURS, MESH, leave, sees, tiles
from tests.support.person_browser import Person, agreed, until, world_of
from tests.support.protected_calls import BLUE, SCRIPT, css, is_colour, media_chromium


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def people(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Person]]:
    with world_of(assets, chromium, tmp_path_factory.mktemp("services")) as world:
        world.site.files["/call_page.js"] = SCRIPT.read_bytes()
        world.site.files["/mesh_page.js"] = MESH.read_bytes()
        made = [world.person(name).load().enrol(publish=4) for name in (ALICE, BOB, CAROL)]
        for person in made:
            person.do("await import('/call_page.js'); await import('/mesh_page.js'); return null")
        yield made


def join(name: str, person: Person, *, frequency: int | None = None) -> None:
    options = {"colour": css(COLOURS[person.identity]), "frequency": frequency, "transport": "srtp"}
    person.do("await mesh.join(values.name, values.options)", {"name": name, "options": options})


def test_three_people_see_and_hear_each_other_and_who_is_removed_nobody(people: list[Person]) -> None:
    alice, bob, carol = people
    alice.call("packets", bob, carol)
    for person in people:  # one after the other: who comes late finds the others
        join("packets", person, frequency=440 if person is alice else None)
    for person in people:
        sees("packets", person, [other for other in people if other is not person])
    until("alice's tone to be heard", lambda: tiles("packets", bob)[ALICE]["speaking"])
    assert not tiles("packets", bob)[CAROL]["speaking"]
    # nothing goes as WebRTC's own media
    media = "mesh.connections.flatMap((pc) => pc.getTransceivers()).length"
    assert [person.do(media) for person in people] == [0, 0, 0]
    sample = bob.do("await mesh.sample(...values)", ["packets", ALICE, "receive"])
    assert (sample["codec"], sample["clear"], sample["keyId"]) == ("SRTP VP8", 12, str(bob.look("packets")["epoch"]))
    assert sample["wire"][:12] == sample["frame"][:12]
    assert len(sample["wire"]) == len(sample["frame"]) + 18
    # another picture in place of the camera's
    alice.do("await mesh.share(...values)", ["packets", css(BLUE)])
    until("bob to see the screen", lambda: is_colour(tiles("packets", bob)[ALICE]["colour"], BLUE))
    until("bob to be told", lambda: tiles("packets", bob)[ALICE]["video"] == "screen")
    alice.do("await mesh.share(...values)", ["packets", None])
    # keys change under a call that goes on
    bob.do("await calls.packets.update()")
    agreed("packets", *people)
    sees("packets", carol, [alice, bob])
    alice.do("await calls.packets.remove(values)", CAROL)
    until("carol's call to end", lambda: ["left", "ended"] in carol.do("mesh.calls.packets.events"))
    agreed("packets", alice, bob)
    sees("packets", alice, [bob])
    sees("packets", bob, [alice])
    assert carol.do("mesh.calls.packets.call.tiles.length") == 0
    assert all(person.do("mesh.calls.packets.errors") == [] for person in people)
    leave("packets", alice, bob)
    # and again, by WebRTC's own media: the session of before is over
    for person in (alice, bob):
        person.do(
            "await mesh.join(values.name, values.options)",
            {"name": "packets", "options": {"colour": css(COLOURS[person.identity])}},
        )
    sees("packets", alice, [bob])
    sees("packets", bob, [alice])
    leave("packets", alice, bob)
