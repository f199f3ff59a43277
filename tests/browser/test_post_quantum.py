"""A conference of three in the post-quantum suite: a page with WebCrypto's ML-KEM, one with the library, and CPython.

Real parts throughout, as in test_main_job. The second page runs in a Chromium whose WebCrypto lacks ML-KEM.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, sync_playwright
from roomkey.client.client import Client
from roomkey.client.opening import create_client
from roomkey.conference.conference import Conference
from roomkey.federation.trust import FirstUse
from roomkey.host.native import NativeHost

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, agreed, until, world_of

ALICE, BOB, CAROL, DORA = "alice@email1.example", "bob@email2.example", "carol@email1.example", "dora@email2.example"
CALL = "stand-up"
PQ = {"number": 0xF0C1, "name": "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519", "experimental": True}
SRTP = "SRTP_AEAD_AES_128_GCM"
LIBRARY = "/roomkey/ml-kem.js"
T = TypeVar("T")


class Native:
    """A client of CPython, at work on an event loop in a thread of its own beside Playwright's."""

    def __init__(self, world: World, identity: str, folder: Path) -> None:
        self.world, self.identity = world, identity
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.host = NativeHost(folder)
        self.client: Client = self.run(self._create())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def _create(self) -> Client:
        code = self.world.services.at(self.identity).enrolment_code(self.identity)
        routes = {domain: service.url for domain, service in self.world.services.running.items()}
        client = await create_client(
            self.host, self.identity, code, routes, FirstUse(), lambda event: None, choice="experimental"
        )
        await client.publish(2)
        return client

    def accept(self) -> Conference:
        until(f"an invitation for {self.identity}", self.client.invitations)
        (conference,) = self.client.invitations()
        self.run(self.client.accept(conference))
        return conference

    def keys(self) -> dict[str, list[str]]:
        (conference,) = self.client.conferences()
        return {
            sender.identity: [keys.master_key.hex(), keys.master_salt.hex()]
            for sender, keys in conference.keys.srtp(SRTP)
        }

    def close(self) -> None:
        self.run(self.client.close())
        self.run(self.host.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def chromiums(found_browser: browsers.Browser) -> Iterator[tuple[Browser, Browser]]:
    """One with ML-KEM in WebCrypto, and one without."""
    with sync_playwright() as playwright:
        new = browsers.launch(playwright, found_browser)
        old = browsers.launch(playwright, found_browser, args=["--disable-features=WebCryptoPQC"])
        yield new, old
        new.close()
        old.close()


@pytest.fixture(scope="module")
def world(
    assets: Path, chromiums: tuple[Browser, Browser], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with world_of(assets, chromiums[0], tmp_path_factory.mktemp("services")) as made:
        yield made


@pytest.fixture
def carol(world: World, tmp_path: Path) -> Iterator[Native]:
    native = Native(world, CAROL, tmp_path / "carol")
    yield native
    native.close()


def all_in(epoch: int, alice: Person, bob: Person, conference: Conference) -> None:
    until(
        f"all in epoch {epoch}",
        lambda: alice.look(CALL)["epoch"] == bob.look(CALL)["epoch"] == conference.epoch == epoch,
    )


def test_three_kinds_of_host_in_one_group(world: World, chromiums: tuple[Browser, Browser], carol: Native) -> None:
    alice = world.person(ALICE).load()
    bob = Person(world, BOB, chromiums[1].new_context()).load()
    alice.enrol(suites="experimental")
    assert not any(url.endswith(LIBRARY) for url in alice.requests + bob.requests)
    bob.enrol(publish=2, suites="experimental")
    assert alice.do("me.suites[0]") == bob.do("me.suites[0]") == PQ

    alice.do("globalThis.keys = await fetchAll(values);", [BOB, CAROL])
    offered = alice.do("return keys.map(({ clients }) => clients.map(({ suites }) => suites.map(({ name }) => name)))")
    assert [PQ["name"] in names for (names,) in offered] == [True, True]
    alice.do("await me.createConference({ name: values, meantFor: keys });", CALL)
    alice.do("await calls[values].invite(keys);", CALL)
    bob.accept(CALL)
    conference = carol.accept()
    agreed(CALL, alice, bob, members=[ALICE, BOB, CAROL])
    assert alice.look(CALL)["suite"] == bob.look(CALL)["suite"] == PQ
    assert alice.keys(CALL)["keys"] == bob.keys(CALL)["keys"] == carol.keys()

    # each of them commits, and the others open a path to keys of every host
    for committer in (alice, bob, carol):
        epoch = alice.look(CALL)["epoch"] + 1
        if isinstance(committer, Native):
            carol.run(conference.update())
        else:
            committer.do("await calls[values].update();", CALL)
        all_in(epoch, alice, bob, conference)
        assert alice.keys(CALL)["keys"] == bob.keys(CALL)["keys"] == carol.keys()

    # what is stored comes back, the library's sealed seed as the handle of WebCrypto
    for person in (alice, bob):
        person.close_tab()
        person.reopen()
    bob.do("await calls[values].update();", CALL)
    all_in(5, alice, bob, conference)
    assert alice.keys(CALL)["keys"] == bob.keys(CALL)["keys"] == carol.keys()

    assert not any(url.endswith(LIBRARY) for url in alice.requests)
    assert any(url.endswith(LIBRARY) for url in bob.requests)
    assert [alice.heard(ALICE, "error"), bob.heard(BOB, "error")] == [[], []]
    bob.context.close()


def test_somebody_who_did_not_ask_has_an_ordinary_conference(world: World) -> None:
    erin, dora = (world.person(name).load() for name in ("erin@email1.example", DORA))
    erin.enrol(suites="experimental")
    dora.enrol(publish=2)
    assert [suite["number"] for suite in dora.do("me.suites")] == [1, 3, 2]
    erin.do("globalThis.keys = await fetchAll(values);", [DORA])
    erin.do("await me.createConference({ name: values, meantFor: keys });", CALL)
    erin.do("await calls[values].invite(keys);", CALL)
    dora.accept(CALL)
    agreed(CALL, erin, dora)
    assert dora.look(CALL)["suite"]["number"] == 1


def test_another_choice_is_refused(world: World) -> None:
    frank = world.person("frank@email1.example").load()
    error = frank.refused("bad-argument", "create('frank@email1.example', 'code', 'all')")
    assert error["details"]["field"] == "suites"
