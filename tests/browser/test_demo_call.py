"""A person's page of the demo in a call: reloads, refusals, a screen that ends by itself, removals, keys alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Page, sync_playwright

from build_scripts import browser as browsers
from build_scripts.demo_pages import PEOPLE
from build_scripts.demo_pictures import TILES
from tests.browser.test_demo import Demo, enrolled, phase, running, shows, until
from tests.support.protected_calls import FLAGS

__all__ = ["running"]

ALICE, BOB, _CAROL = PEOPLE
ASKING = [
    flag for flag in FLAGS if flag != "--use-fake-ui-for-media-stream"
]  # who may use a camera is for the test to say
ALLOWED = ["camera", "microphone"]
NO_ANSWER = "This page may not use the camera and microphone"
# A drawn screen instead of the browser's question which one; the test ends it as the browser's own button does.
SCREEN = """navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const paint = canvas.getContext("2d");
  setInterval(() => { paint.fillStyle = "teal"; paint.fillRect(0, 0, 640, 360); }, 50);
  return (globalThis.screenShown = canvas.captureStream(20));
};"""
ENDS = "screenShown.getVideoTracks()[0].dispatchEvent(new Event('ended'))"


@pytest.fixture(scope="module")
def asking(found_browser: browsers.Browser) -> Iterator[PlaywrightBrowser]:
    """A browser with made-up devices, which asks before it gives them to a page."""
    with sync_playwright() as playwright:
        started = browsers.launch(playwright, found_browser, args=ASKING)
        yield started
        started.close()


@pytest.fixture
def pages(running: Demo, asking: PlaywrightBrowser) -> Iterator[tuple[Page, Page]]:
    """Alice's window, who may use her camera, and Bob's, who may not; both in a conference, in no call yet."""
    contexts = [asking.new_context(permissions=ALLOWED), asking.new_context(permissions=[])]
    contexts[0].add_init_script(SCREEN)
    alice, bob = (enrolled(each, running, person) for each, person in zip(contexts, (ALICE, BOB), strict=True))
    invite(alice, bob)
    yield alice, bob
    for context in contexts:
        context.close()


def invite(alice: Page, bob: Page) -> None:
    alice.evaluate("for (const step of document.querySelectorAll('details.step')) step.open = true")
    alice.fill("#people", BOB.identity)
    alice.click("#fetch-keys")
    until(
        alice,
        "Bob’s keys",
        lambda: alice.locator("#start-call").is_visible() and alice.locator("#start-call").is_enabled(),
    )
    alice.dblclick("#start-call")
    until(bob, "the invitation", shows(bob, "[data-accept]"))
    bob.dblclick("[data-accept]")
    for page in (alice, bob):
        in_conference(page)


def in_conference(page: Page) -> None:
    until(page, "the conference", lambda: "with" in page.inner_text("#status") and phase(page, "call")())


def tiles(page: Page) -> dict[str, dict[str, Any]]:
    return {tile["who"]: tile for tile in page.evaluate(TILES)}


def see_each_other(*pages: Page) -> None:
    for page in pages:
        sees_two(page)


def sees_two(page: Page) -> None:
    until(page, "both pictures", lambda: [tile["lock"] for tile in tiles(page).values()] == ["protected"] * 2)


def says(page: Page, button: str, text: str) -> None:
    until(page, f"{button} to say {text}", lambda: page.inner_text(button) == text)


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


def test_who_was_muted_and_unseen_is_so_after_a_reload(pages: tuple[Page, Page]) -> None:
    alice, bob = pages
    alice.dblclick("#join-camera")
    bob.dblclick("#join-drawing")
    see_each_other(alice, bob)
    assert tiles(bob)[ALICE.identity]["says"].startswith("Alice")
    alice.click("#mute")
    says(alice, "#mute", "Unmute")
    alice.click("#hide-camera")
    says(alice, "#hide-camera", "Picture on")
    until(bob, "that to be said", lambda: tiles(bob)[ALICE.identity]["video"] == "none")
    assert "muted" in tiles(bob)[ALICE.identity]["says"]
    # from the first word of the new page on: nothing else is ever said of her
    bob.evaluate(
        """globalThis.said = [];
        new MutationObserver(() => {
          const tile = document.querySelector("[data-tile^=alice]");
          if (tile !== null) said.push([tile.dataset.video, tile.querySelector("figcaption").textContent]);
        }).observe(document.getElementById("tiles"), { subtree: true, childList: true, attributes: true });"""
    )
    alice.reload()
    see_each_other(alice, bob)
    assert (alice.inner_text("#mute"), alice.inner_text("#hide-camera")) == ("Unmute", "Picture on")
    assert not alice.locator("#hum").is_visible()  # it is the camera again, which may be used
    said = bob.evaluate("said")
    assert said
    assert all(video == "none" and "muted" in caption for video, caption in said)
    alice.click("#mute")
    alice.click("#hide-camera")
    until(bob, "alice to be seen", lambda: tiles(bob)[ALICE.identity]["video"] == "camera")
    assert "muted" not in tiles(bob)[ALICE.identity]["says"]


def test_a_screen_that_the_browser_ends_is_no_longer_shared(pages: tuple[Page, Page]) -> None:
    alice, bob = pages
    alice.click("#join-camera")
    bob.click("#join-drawing")
    see_each_other(alice, bob)
    for _ in range(2):
        alice.click("#share-screen")
        says(alice, "#share-screen", "Stop sharing")
        until(bob, "the screen", lambda: tiles(bob)[ALICE.identity]["video"] == "screen")
        alice.evaluate(ENDS)
        says(alice, "#share-screen", "Share screen")
        until(bob, "the camera", lambda: tiles(bob)[ALICE.identity]["video"] == "camera")


def test_a_camera_that_is_refused_is_a_sentence(pages: tuple[Page, Page]) -> None:
    _, bob = pages
    bob.click("#join-camera")
    until(bob, "the refusal", shows(bob, "[data-error=pictures]", NO_ANSWER))
    assert bob.locator("[data-code=not-allowed]").is_visible()
    bob.click("#join-drawing")
    until(bob, "the own picture", shows(bob, "#call-row"))
    assert not bob.locator("[data-error=pictures]").is_visible()


def test_who_has_no_microphone_is_seen(pages: tuple[Page, Page]) -> None:
    alice, bob = pages
    alice.evaluate(
        """() => {
          const { mediaDevices } = navigator;
          const all = mediaDevices.enumerateDevices.bind(mediaDevices);
          mediaDevices.enumerateDevices = async () => (await all()).filter(({ kind }) => kind === globalThis.left);
          globalThis.left = "none";
        }"""
    )
    alice.click("#join-camera")
    until(alice, "the refusal", shows(alice, "[data-error=pictures]", "There is no camera or microphone here."))
    alice.evaluate("globalThis.left = 'videoinput'")
    alice.click("#join-camera")
    bob.click("#join-drawing")
    see_each_other(alice, bob)
    assert not alice.locator("#mute").is_visible()
    assert "muted" in tiles(bob)[ALICE.identity]["says"]


def test_who_is_removed_while_sharing_comes_back(pages: tuple[Page, Page]) -> None:
    alice, bob = pages
    bob.evaluate(SCREEN)
    alice.click("#join-camera")
    bob.click("#join-drawing")
    see_each_other(alice, bob)
    bob.click("#share-screen")
    until(alice, "bob’s screen", lambda: tiles(alice)[BOB.identity]["video"] == "screen")
    remove(alice, bob)
    assert tiles(bob) == {}
    assert bob.evaluate("screenShown.getTracks().map(({ readyState }) => readyState)") == ["ended"]
    invite(alice, bob)
    bob.click("#join-drawing")
    see_each_other(alice, bob)
    assert tiles(alice)[BOB.identity]["video"] == "camera"


def test_who_is_removed_while_the_browser_asks_for_the_camera_comes_back(pages: tuple[Page, Page]) -> None:
    alice, bob = pages
    bob.evaluate(
        """() => {
          const asked = Promise.withResolvers();
          globalThis.allow = () => asked.resolve((globalThis.given = document.createElement("canvas").captureStream()));
          navigator.mediaDevices.getUserMedia = () => asked.promise;
        }"""
    )
    alice.click("#join-drawing")
    bob.click("#join-camera")
    remove(alice, bob)
    bob.evaluate("allow()")
    until(bob, "the camera to be let go", lambda: not bob.evaluate("given.active"))
    assert not bob.locator("[data-error=pictures]").is_visible()
    assert tiles(bob) == {}
    invite(alice, bob)
    bob.click("#join-drawing")
    see_each_other(alice, bob)


def remove(alice: Page, bob: Page) -> None:
    alice.click(f"[data-remove='{BOB.identity}']")
    until(bob, "the removal", shows(bob, "#gone"))
    until(alice, "bob to be gone", lambda: list(tiles(alice)) == [ALICE.identity])


def stands_on(page: Page, button: str) -> None:
    """Waits until the focus is on this button, and it can be pressed: while it is at work it cannot."""
    until(page, f"the focus on {button}", lambda: focused(page) == button and page.locator(f"#{button}").is_enabled())


def test_the_keyboard_stays_where_it_was(pages: tuple[Page, Page]) -> None:
    alice, _ = pages
    alice.focus("#join-camera")
    alice.keyboard.press("Enter")
    until(alice, "the call", shows(alice, "#call-row"))
    stands_on(alice, "mute")  # what can be done there
    for word in ("Unmute", "Mute"):
        alice.keyboard.press("Enter")
        says(alice, "#mute", word)
        stands_on(alice, "mute")
    alice.focus("#hang-up")
    alice.keyboard.press("Enter")
    stands_on(alice, "join-camera")  # what brings her back


def test_another_invitation_takes_nobody_along(pages: tuple[Page, Page]) -> None:
    """Whose digits are in view, their pictures are: the call of the conference before is over."""
    alice, bob = pages
    alice.click("#join-camera")
    bob.click("#join-drawing")
    see_each_other(alice, bob)
    before = bob.inner_text("#digits")
    alice.evaluate("document.getElementById('step-call').open = true")
    alice.click("#leave-call")
    until(alice, "alice to be out", phase(alice, "enrolled"))
    until(bob, "alice to be gone", lambda: list(tiles(bob)) == [BOB.identity])
    invite(alice, bob)
    until(bob, "other digits", lambda: bob.inner_text("#digits") != before)
    until(bob, "to be asked to join", shows(bob, "#join-drawing"))
    assert tiles(bob) == {}
    for page in (alice, bob):
        page.click("#join-drawing")
    see_each_other(alice, bob)
    assert bob.inner_text("#digits") == alice.inner_text("#digits")
    for page in (alice, bob):
        assert page.locator(".error:visible").count() == 0
