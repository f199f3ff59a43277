"""A member who means ill in a call: somebody whose client says what it likes, and a page that is ours."""

from __future__ import annotations

import asyncio
import functools
import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from roomkey.conference.events import Member

from build_scripts import browser as browsers
from tests.support.native_caller import MEDIA, NativeCaller
from tests.support.person_browser import Person, agreed, until
from tests.support.protected_calls import SCRIPT, media_chromium, media_world, ready

ALICE, BOB, MALLORY = "alice@email1.example", "bob@email1.example", "mallory@email2.example"
CALL = "attacked"
OFFERS = 120  # more than a client may say at once


class Speaker(NativeCaller):
    """Says what a test has it say, answers nothing, and keeps what is said."""

    def __init__(self, folder: Path, identity: str) -> None:
        super().__init__(folder, identity, (0, 0, 0))
        self.heard: list[dict[str, Any]] = []
        self.answered = asyncio.Event()

    async def _hear(self, member: Member, signal: dict[str, Any]) -> None:
        self.heard.append(signal)
        self.answered.set()


class Scene(NamedTuple):
    """Alice's page, in the call; Bob and Mallory, who take part in the conference."""

    alice: Person
    bob: Speaker
    mallory: Speaker

    def tile(self, identity: str) -> dict[str, Any] | None:
        """What Alice's page shows of somebody."""
        found: list[dict[str, Any]] = self.alice.do("mesh.tiles(values)", CALL)
        return next((one for one in found if one["identity"] == identity), None)


@pytest.fixture(scope="module")
def scene(assets: Path, found_browser: browsers.Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("services")
    with (
        media_chromium(found_browser) as chromium,
        media_world(assets, chromium, folder) as world,
        ExitStack() as stack,
    ):
        world.site.files["/mesh_page.js"] = (SCRIPT.parent / "mesh_page.js").read_bytes()
        alice = ready(world.person(ALICE).load().enrol(publish=2))
        alice.do("await import('/mesh_page.js'); return null")
        services = {domain: running.url for domain, running in world.services.running.items()}
        alice.do("await me.createConference({ name: values })", CALL)
        others = []
        for identity in (BOB, MALLORY):
            speaker = Speaker(tmp_path_factory.mktemp("speaker"), identity)
            stack.callback(speaker.close)
            speaker.enrol(world.services.at(identity).enrolment_code(identity), services)
            alice.invite(CALL, identity)
            until("the invitation", functools.partial(speaker.accepts, CALL))
            others.append(speaker)
        agreed(CALL, alice, members=[ALICE, BOB, MALLORY])
        alice.do("await mesh.join(values.name, values.options)", {"name": CALL, "options": {"colour": "red"}})
        yield Scene(alice, *others)


def test_nobody_ends_another_ones_stay(scene: Scene) -> None:
    """Mallory joins under the name of Bob's stay, and leaves; earlier still, she leaves under it before he has come."""
    _, bob, mallory = scene
    for warned in (False, True):
        mallory.session = bob.session = secrets.token_hex(16)
        if warned:
            mallory.run(mallory.say({"type": "leave"}))
        bob.run(bob.say({"type": "join", "media": MEDIA}))
        until("bob's tile", lambda: scene.tile(BOB) is not None)
        if not warned:
            mallory.run(mallory.say({"type": "join", "media": MEDIA}))
            until("mallory's tile", lambda: scene.tile(MALLORY) is not None)
            mallory.run(mallory.say({"type": "leave"}))
            until("mallory's tile to go", lambda: scene.tile(MALLORY) is None)
        bob.run(bob.say({"type": "media", "media": {"audio": True, "video": "none"}}))
        until("bob to be heard", lambda: (scene.tile(BOB) or {"video": ""})["video"] == "none")
        bob.run(bob.say({"type": "leave"}))
        until("bob's tile to go", lambda: scene.tile(BOB) is None)


def test_who_left_before_they_came_is_not_there(scene: Scene) -> None:
    """A service that turns the order of signals round leaves no tile of nobody."""
    _, bob, mallory = scene
    bob.session = secrets.token_hex(16)
    bob.run(bob.say({"type": "leave"}))
    bob.run(bob.say({"type": "join", "media": MEDIA}))
    mallory.session = secrets.token_hex(16)
    mallory.run(mallory.say({"type": "join", "media": MEDIA}))
    until("mallory's tile", lambda: scene.tile(MALLORY) is not None)
    assert scene.tile(BOB) is None
    mallory.run(mallory.say({"type": "leave"}))


async def offers_and_offers(mallory: Speaker) -> None:
    """Joins, and wants another connection, again and again, as fast as clients may speak."""
    mallory.answered.clear()
    mallory.session = secrets.token_hex(16)
    await mallory.say({"type": "join", "media": MEDIA})
    await asyncio.wait_for(mallory.answered.wait(), 60)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video")
    offer = await connection.createOffer()
    await connection.close()
    place = {"peer": mallory.heard[-1]["session"], "kind": "offer", "sdp": offer.sdp}
    for attempt in range(1, OFFERS):
        await mallory.say({"type": "description", "attempt": attempt, **place})
        await asyncio.sleep(0.13)


async def comes_and_comes(mallory: Speaker) -> None:
    """Says that it joins, each time as another stay."""
    for _ in range(OFFERS):
        mallory.session = secrets.token_hex(16)
        await mallory.say({"type": "join", "media": MEDIA})
        await asyncio.sleep(0.13)


@pytest.mark.parametrize("flood", [offers_and_offers, comes_and_comes])
def test_who_wants_connections_all_the_time_leaves_others_their_voice(
    scene: Scene, flood: Callable[[Speaker], Coroutine[Any, Any, None]]
) -> None:
    alice, _, mallory = scene
    mallory.heard.clear()
    mallory.run(flood(mallory))
    assert len(mallory.heard) < OFFERS
    for on in ("false", "true"):
        alice.do(f"await mesh.calls[values].call.turn('video', {on})", CALL)
    assert alice.do("mesh.calls[values].errors", CALL) == []
