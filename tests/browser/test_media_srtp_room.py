"""A call over SRTP in workers: WebCodecs, packets, a conference's keys, data channels, a hostile relay in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from roomkey.media.srtp import SrtpKeys

from build_scripts import build
from tests.browser.support.media import CHECKS
from tests.browser.support.server import Site, serving
from tests.support import native_people
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation

PROFILE = "SRTP_AEAD_AES_128_GCM"
COLOURS = {0: [[200, 30, 30], [30, 160, 60], [40, 60, 200]], 1: [[220, 200, 40], [30, 150, 150], [130, 30, 130]]}
TOLERANCE = 40
DEADLINE = 30.0
ALICE, BOB, CAROL = 0, 1, 2

Ask = Callable[..., Any]
Keys = list[SrtpKeys]


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> list[Keys]:
    """All senders' keys in three epochs of one conference: three members, after an update, without Carol."""

    async def play() -> list[Keys]:
        async with Simulation(tmp_path_factory.mktemp("conference")) as simulation:
            people = [await enrol(simulation, f"{name}@email1.example") for name in ("alice", "bob", "carol")]
            alice, bob, carol = people
            conference = await call(alice, bob, carol)
            found = [held(bob)]
            await conference.update()
            await together(conference, bob, carol)
            found.append(held(bob))
            await conference.remove(identity=carol.identity)
            await together(conference, bob)
            found.append(held(bob))
            for person in people:
                await person.close()
            return found

    return native_people.run(play())


def held(person: Person) -> Keys:
    return [keys for _, keys in person.conference.keys.srtp(PROFILE)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("room")
    for name in ("srtp_room_page", "srtp_room_worker"):
        build.esbuild(CHECKS / f"{name}.mjs", folder / f"{name}.js", source_map=False)
    files = {"/page.js": folder / "srtp_room_page.js", "/worker.js": folder / "srtp_room_worker.js"}
    pages = {"/": b"<!doctype html>", **{path: file.read_bytes() for path, file in files.items()}}
    with serving(Site(files=pages)) as running:
        yield running


@pytest.fixture
def ask(site: Site, chromium: PlaywrightBrowser) -> Iterator[Ask]:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(site.address)
        code = "async ([name, argument]) => (await import('/page.js'))[name](argument)"

        def work(task: str, /, **argument: Any) -> Any:
            return page.evaluate(code, [task, argument])

        yield work


def enter(ask: Ask, to: list[int], keys: Keys, reason: str) -> None:
    """Hands an epoch's keys to some of its members."""
    plain = [
        {
            "leaf": item.leaf_index, "profile": item.profile.number, "mki": item.mki.hex(),
            "key": item.master_key.hex(), "salt": item.master_salt.hex(),
        }
        for item in keys
    ]  # fmt: skip
    ask("epoch", to=to, group="aa", epoch=keys[0].epoch, reason=reason, keys=plain)


def is_picture_of(leaf: int, colours: list[list[int]]) -> bool:
    return all(
        abs(got - sent) <= TOLERANCE
        for colour, expected in zip(colours[:3], COLOURS[leaf], strict=True)
        for got, sent in zip(colour, expected, strict=True)
    )


def watch(ask: Ask, leaf: int, of: int, count: int) -> list[dict[str, Any]]:
    """Waits until a member has seen so many pictures of another; every picture that it saw is that one's."""
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + DEADLINE
    while sum(item["from"] == of for item in seen) < count:
        assert time.monotonic() < deadline, f"{len(seen)} pictures, {ask('refusals', leaf=leaf)}"
        time.sleep(0.05)
        found = ask("taken", leaf=leaf)
        assert found["failures"] == []
        seen += found["seen"]
    assert all(is_picture_of(item["from"], item["colours"]) for item in seen)
    return seen


def test_two_see_each_other_over_data_channels(ask: Ask, epochs: list[Keys]) -> None:
    ask("start", leaves=[ALICE, BOB], profile=7, mode="mki")
    enter(ask, [ALICE, BOB], epochs[2], "start")
    ask("connect", leaves=[ALICE, BOB])
    ask("act", leaf=ALICE, name="open", ssrc=0x1234, colours=COLOURS[ALICE])
    ask("act", leaf=BOB, name="open", ssrc=0x1234, colours=COLOURS[BOB])  # the same SSRC: two streams all the same
    watch(ask, BOB, ALICE, 20)
    watch(ask, ALICE, BOB, 20)


def test_a_call_through_epochs_and_who_is_removed(ask: Ask, epochs: list[Keys]) -> None:
    ask("start", leaves=[ALICE, BOB, CAROL], profile=7, mode="mki")
    enter(ask, [ALICE, BOB, CAROL], epochs[0], "start")
    ask("relay", leaves=[ALICE, BOB, CAROL], percent=0, seed=1)
    ask("act", leaf=BOB, name="begin", ssrc=7)
    ask("act", leaf=CAROL, name="begin", ssrc=8)
    ask("act", leaf=ALICE, name="open", ssrc=0x1234, colours=COLOURS[ALICE])
    watch(ask, BOB, ALICE, 10)
    watch(ask, CAROL, ALICE, 10)
    enter(ask, [ALICE, BOB, CAROL], epochs[1], "update")
    watch(ask, BOB, ALICE, 30)
    watch(ask, CAROL, ALICE, 10)
    enter(ask, [ALICE, BOB], epochs[2], "remove")
    watch(ask, BOB, ALICE, 5)  # what was under way has come
    ask("taken", leaf=CAROL)
    watch(ask, BOB, ALICE, 20)
    assert ask("taken", leaf=CAROL)["seen"] == []


def test_a_hostile_relay_shows_no_forged_picture_and_the_call_recovers(ask: Ask, epochs: list[Keys]) -> None:
    """A tenth each lost, late, doubled, replayed, swapped, turned: what is seen is what was sent, and goes on after."""
    ask("start", leaves=[ALICE, BOB], profile=7, mode="mki")
    enter(ask, [ALICE, BOB], epochs[2], "start")
    ask("relay", leaves=[ALICE, BOB], percent=10, seed=3)
    ask("act", leaf=BOB, name="begin", ssrc=7)
    ask("act", leaf=ALICE, name="open", ssrc=0x1234, colours=COLOURS[ALICE])
    watch(ask, BOB, ALICE, 5)
    deadline = time.monotonic() + DEADLINE
    while not {"replayed", "not-authentic"} <= ask("refusals", leaf=BOB).keys():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert ask("taken", leaf=ALICE)["asked"] > 0  # for key frames, by Bob's SRTCP
    ask("hostility", percent=0)
    watch(ask, BOB, ALICE, 40)


def test_who_lacks_keys_asks_for_them_and_says_whose_stream_stands_still(ask: Ask, epochs: list[Keys]) -> None:
    ask("start", leaves=[ALICE, BOB], profile=7, mode="mki")
    enter(ask, [ALICE, BOB], epochs[0], "start")
    ask("connect", leaves=[ALICE, BOB])
    ask("act", leaf=BOB, name="begin", ssrc=7)
    ask("act", leaf=ALICE, name="open", ssrc=0x1234, colours=COLOURS[ALICE])
    watch(ask, BOB, ALICE, 10)
    assert (ask("taken", leaf=BOB)["lacking"], ask("taken", leaf=BOB)["conditions"]) == (0, [])
    enter(ask, [ALICE], epochs[1], "remove")
    deadline = time.monotonic() + DEADLINE
    while ask("taken", leaf=BOB)["lacking"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while ask("taken", leaf=BOB)["conditions"] != [[ALICE, "no-key"]]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    enter(ask, [BOB], epochs[1], "remove")
    watch(ask, BOB, ALICE, 10)
    while ask("taken", leaf=BOB)["conditions"] != [[ALICE, "no-key"], [ALICE, "protected"]]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
