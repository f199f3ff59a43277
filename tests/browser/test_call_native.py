"""A call between a page and a participant that is no browser: CPython's client, aiortc's connection, our SFrame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.native_caller import NativeCaller
from tests.support.person_browser import Person, World, agreed, until
from tests.support.protected_calls import SCRIPT, css, is_colour, media_chromium, media_world, ready

ALICE, BOB = "alice@email1.example", "bob@email2.example"
# Not the brightest: aiortc names no matrix of colours, so receivers guess another one than the sender's.
RED, GREEN = (200, 30, 30), (30, 160, 60)
CALL = "mixed"
# Of all sound that came to a page, as its decoders gave it out. Nothing is decoded for elements that are muted.
ENERGY = """let energy = 0;
for (const video of document.querySelectorAll("video")) video.muted = false;
for (const pc of mesh.connections) {
  for (const item of (await pc.getStats()).values()) {
    if (item.type === "inbound-rtp") energy += item.totalAudioEnergy ?? 0;
  }
}
return energy;"""


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with media_world(assets, chromium, tmp_path_factory.mktemp("services")) as made:
        made.site.files["/mesh_page.js"] = (SCRIPT.parent / "mesh_page.js").read_bytes()
        yield made


@pytest.fixture(scope="module")
def alice(world: World) -> Person:
    person = ready(world.person(ALICE).load().enrol(publish=2))
    person.do("await import('/mesh_page.js'); return null")
    return person


@pytest.fixture(scope="module")
def bob(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeCaller]:
    services = {domain: running.url for domain, running in world.services.running.items()}
    caller = NativeCaller(tmp_path_factory.mktemp("bob"), BOB, GREEN)
    try:
        yield caller.enrol(world.services.at(BOB).enrolment_code(BOB), services)
    finally:
        caller.close()


def tile(alice: Person) -> dict[str, Any] | None:
    """What Alice's page shows of Bob."""
    found: list[dict[str, Any]] = alice.do("mesh.tiles(values)", CALL)
    return next((one for one in found if one["identity"] == BOB), None)


def alice_sees_bob(alice: Person, bob: NativeCaller) -> dict[str, Any]:
    """Waits until his picture is shown, in motion and protected."""
    before = tile(alice)
    first = 0 if before is None else before["frames"]

    def good() -> dict[str, Any] | None:
        now = tile(alice)
        moves = now is not None and now["state"] == "protected" and now["frames"] > first + 5
        return now if now is not None and moves and is_colour(now["colour"], GREEN) else None

    try:
        return until("alice to see bob", good)
    except AssertionError as error:
        raise AssertionError(f"{error}: {tile(alice)} {bob.failed}") from None


def bob_sees_alice(bob: NativeCaller, epoch: int = 0) -> dict[str, Any]:
    """Waits until her picture is shown, in motion and under the keys of this epoch or a later one."""
    before = bob.seen(ALICE)
    first = 0 if before is None else before["frames"]

    def good() -> dict[str, Any] | None:
        now = bob.seen(ALICE)
        if now is None or now["frames"] <= first + 5 or now["epoch"] < epoch:
            return None
        return now if is_colour(now["colour"], RED) else None

    try:
        return until("bob to see alice", good)
    except AssertionError as error:
        raise AssertionError(f"{error}: {bob.seen(ALICE)} {bob.failed}") from None


def test_a_page_and_a_native_participant_see_and_hear_each_other(alice: Person, bob: NativeCaller) -> None:
    alice.do("await me.createConference({ name: values })", CALL)
    alice.invite(CALL, BOB)
    until("bob to be invited", lambda: bob.accepts(CALL))
    agreed(CALL, alice, members=[ALICE, BOB])
    alice.do(
        "await mesh.join(values.name, values.options)",
        {"name": CALL, "options": {"colour": css(RED), "frequency": 440}},
    )
    bob.join()
    alice_sees_bob(alice, bob)
    bob_sees_alice(bob)
    heard = alice.do(ENERGY)
    until("alice to hear bob's tone", lambda: alice.do(ENERGY) > heard + 0.01)
    until("bob to hear alice's tone", lambda: (bob.seen(ALICE) or {"sounds": 0})["sounds"] > 10)
    assert alice.do("mesh.calls[values].errors", CALL) == []
    assert bob.failed == []


def test_both_follow_when_keys_change(alice: Person, bob: NativeCaller) -> None:
    begun = alice.look(CALL)["epoch"]
    alice.do("await calls[values].update()", CALL)
    assert bob_sees_alice(bob, begun + 1)["refused"] == {}
    alice_sees_bob(alice, bob)
    bob.update()
    until("alice to follow", lambda: alice.look(CALL)["epoch"] == begun + 2)
    assert bob_sees_alice(bob, begun + 2)["refused"] == {}
    # Bob sends under keys of the new epoch by then: what Alice's page shows on is under those
    until("bob to send under the new keys", lambda: sends_under(alice, begun + 2))
    alice_sees_bob(alice, bob)


def sends_under(alice: Person, epoch: int) -> bool:
    """Whether a frame that comes from Bob to the page is under this epoch's keys, as its key's id says."""
    sample = alice.do("await mesh.sample(values[0], values[1], 'receive')", [CALL, BOB])
    return int(sample["keyId"]) % 256 == epoch % 256


def test_who_is_removed_sees_nothing_more(alice: Person, bob: NativeCaller) -> None:
    bob_sees_alice(bob)
    alice.do("await calls[values[0]].remove(values[1])", [CALL, BOB])
    until("bob's connection to end", lambda: bob.seen(ALICE) is None)
    until("bob's tile to go", lambda: tile(alice) is None)
    assert bob.protecting.keys.sending(bob.protecting.now()) is None
