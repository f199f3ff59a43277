"""What web/docs/calls.md says, done: its page as it stands there, its own connection, its keys for others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from build_scripts import browser as browsers
from build_scripts import paths
from tests.browser.support.server import Site, asset_site, serving
from tests.support.person_browser import until
from tests.support.protected_calls import media_chromium
from tests.support.services import DOMAINS, TwoServices, two_services

DOCUMENT = paths.WEB / "docs" / "calls.md"
ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


PAGE, (SCRIPT, CONNECTION, KEYS) = blocks("html")[0], blocks("js")
# What the page keeps to itself, for the test to look at; and the keys may be taken.
SHOWN = (
    "\nObject.defineProperty(globalThis, 'call', { get: () => call }); globalThis.conferenceOf = () => conference;\n"
)


def site_of(assets: Path, services: TwoServices) -> Site:
    """The document's page beside the asset folder; only the services' addresses are others."""
    site = asset_site(assets, services.urls)
    script = SCRIPT
    for domain in DOMAINS:
        assert f'"https://ds.{domain}"' in script
        script = script.replace(f"https://ds.{domain}", services.at(domain).url)
    assert 'load({ assets: "/roomkey/" })' in script
    keyed = script.replace('load({ assets: "/roomkey/" })', 'load({ assets: "/roomkey/", exportKeys: true })')
    site.files |= {"/call.html": PAGE.encode(), "/keyed.html": PAGE.replace("call.js", "keyed.js").encode()}
    site.files |= {"/call.js": (script + SHOWN).encode(), "/keyed.js": (keyed + SHOWN).encode()}
    for path in ("/call.html", "/keyed.html", "/call.js", "/keyed.js"):
        site.headers[path] = {"Content-Security-Policy": ""}  # the document asks for headers on the folder alone
    return site


@pytest.fixture(scope="module")
def world(
    found_browser: browsers.Browser, assets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Browser, Site, TwoServices]]:
    folder = tmp_path_factory.mktemp("services")
    with (
        media_chromium(found_browser) as chromium,
        two_services(folder) as services,
        serving(site_of(assets, services)) as site,
    ):
        yield chromium, site, services


@pytest.fixture
def pages(world: tuple[Browser, Site, TwoServices]) -> Iterator[list[Page]]:
    """One window for each of three people."""
    contexts = [world[0].new_context() for _ in range(3)]
    yield [context.new_page() for context in contexts]
    for context in contexts:
        context.close()


def enrol(world: tuple[Browser, Site, TwoServices], page: Page, name: str, path: str = "call.html") -> None:
    page.goto(world[1].address + path)
    page.fill("[name=name]", name)
    page.fill("[name=code]", world[2].at(name).enrolment_code(name))
    page.click("#enrol button")
    page.wait_for_selector("#meet button")


def sees(page: Page, count: int) -> None:
    """Waits until so many pictures move, each said to be protected."""
    moving = """() => [...document.querySelectorAll("figure")].map(({ children: [video, caption] }) =>
      video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 5 &&
      caption.textContent.includes("protected"))"""
    until(f"{count} pictures", lambda: page.evaluate(moving) == [True] * count)


def test_the_page_calls_and_comes_back(world: tuple[Browser, Site, TwoServices], pages: list[Page]) -> None:
    alice, bob, carol = pages
    for page, name in ((bob, BOB), (carol, CAROL), (alice, ALICE)):
        enrol(world, page, name)
    alice.fill("[name=others]", "nobody@email1.example")
    alice.click("#meet button")
    until("alice to be told", lambda: "no keys waiting" in alice.inner_text("#note"))
    alice.fill("[name=others]", f"{BOB} {CAROL}")
    alice.dblclick("#meet button")
    for page in pages:
        page.click("#join")
    for page in pages:
        sees(page, 3)
    bob.click("#leave")
    for page in (alice, carol):
        sees(page, 2)
    until("bob to see nobody", lambda: bob.locator("figure").count() == 0)
    bob.reload()  # in no call; then carol in the midst of one
    bob.click("#join")
    carol.reload()
    carol.click("#join")
    for page in pages:
        sees(page, 3)


def test_a_connection_of_ones_own_and_keys_for_others(
    world: tuple[Browser, Site, TwoServices], pages: list[Page]
) -> None:
    one, other, _ = pages
    enrol(world, one, "dora@email1.example", "keyed.html")
    enrol(world, other, "emil@email2.example", "keyed.html")
    one.fill("[name=others]", "emil@email2.example")
    one.click("#meet button")
    for page in (other, one):  # who has the smaller leaf index begins, and so comes second
        page.wait_for_selector("#join")
        page.evaluate(
            f"""async () => {{
              document.body.append(Object.assign(document.createElement("video"), {{ autoplay: true, muted: true }}));
              const conference = conferenceOf();
              {CONNECTION}
              globalThis.states = () => protection.states().map(({{ state }}) => state);
            }}"""
        )
    frames = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"
    until("media both ways", lambda: all(page.evaluate("states()") == ["protected"] * 4 for page in (one, other)))
    until("pictures", lambda: all(page.evaluate(frames) > 5 for page in (one, other)))
    taken = KEYS.partition("\n")
    assert "exportKeys: true" in taken[0]
    for page in (one, other):
        page.evaluate(
            f"""async () => {{
              const conference = conferenceOf();
              globalThis.given = [];
              const give = (epoch, mki, identity, own, key, salt) =>
                given.push([String(epoch), mki, identity, key, salt].join());
              {taken[2]}
            }}"""
        )
    first = one.evaluate("given")
    assert len(first) == len(set(first)) == 2
    assert other.evaluate("given") == first
    one.evaluate("conferenceOf().update()")
    until("the next epoch's keys", lambda: len(one.evaluate("given")) == 4)
    until("the same at the other's", lambda: other.evaluate("given") == one.evaluate("given"))
    assert not set(first) & set(one.evaluate("given.slice(2)"))
