"""T8 to T10 and T18 in the page: the same lies as natively, by the same table, refused by the same codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from roomkey.transparency.exchange import ANSWERS_PATH, Answers
from roomkey.transparency.trust_text import trust_values

from tests.browser.test_transparency_page import fetched
from tests.support.log_attacks import ABSENCE, CONSISTENCY, PLACE, PLACES, SIGNATURES, Lie
from tests.support.logged_services import logged_services
from tests.support.person_browser import Person, World, expect, world_on
from tests.support.tampering_proxy import Proxy, tampering_proxy

LYING = "email2.example"


class Scene:
    """Bob of email2.example, whom Carol's and Alice's pages know; they reach his service through a proxy that lies."""

    def __init__(self, world: World, proxy: Proxy) -> None:
        self.world, self.proxy = world, proxy
        self.bob = world.person(f"bob@{LYING}").load().enrol(publish=40)
        self.dave = world.person(f"dave@{LYING}").load().enrol()
        world.addresses[LYING] = proxy.url
        self.alice = world.person("alice@email1.example").load().enrol()

    def lie(self, lie: Lie) -> None:
        self.proxy.alter[ANSWERS_PATH] = lambda body: lie.alter(Answers.decode(body)).encode()

    def refused(self, person: Person, lie: Lie) -> None:
        self.lie(lie)
        expect(fetched(person, self.bob.identity), lie.code)
        self.proxy.behave()
        assert fetched(person, self.bob.identity)["by"] == "transparency"


@pytest.fixture(scope="module")
def scene(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with (
        logged_services(tmp_path_factory.mktemp("services")) as services,
        world_on(services, assets, chromium, ["http://127.0.0.1:*"]) as world,
        tampering_proxy(services.proxies[LYING], services.at(LYING).port) as proxy,
    ):
        world.transparency = {domain: trust_values(trust) for domain, trust in services.trusts.items()}
        yield Scene(world, proxy)


@pytest.mark.parametrize(
    "lie", [*(lie for lie in PLACES if lie is not PLACE), *SIGNATURES, *ABSENCE], ids=lambda lie: lie.name
)
def test_what_a_log_does_not_prove(scene: Scene, lie: Lie) -> None:
    scene.refused(scene.alice, lie)


@pytest.mark.parametrize("lie", CONSISTENCY, ids=lambda lie: lie.name)
def test_t8_a_log_that_does_not_continue(scene: Scene, lie: Lie) -> None:
    assert fetched(scene.alice, scene.bob.identity)["by"] == "transparency"
    name = f"new{CONSISTENCY.index(lie)}@{LYING}"
    scene.world.person(name).load().enrol(publish=1)  # the log goes on
    scene.refused(scene.alice, lie)


@pytest.mark.parametrize("lie", [PLACE, ABSENCE[0]], ids=lambda lie: lie.name)
def test_what_a_log_does_not_prove_to_who_never_met_him(scene: Scene, lie: Lie) -> None:
    name = "carol" if lie is PLACE else "clara"
    scene.refused(scene.world.person(f"{name}@email1.example").load().enrol(), lie)
