"""The demo's stage as a relay: what is turned off in a page's call goes nowhere else, and who left is said so."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Frame, Page

from build_scripts.demo_pictures import PACKETS
from tests.browser.test_demo import Demo, running, until

__all__ = ["running"]

DARK = 16.0  # of 255: black after a lossy codec


@pytest.fixture
def stage(running: Demo, chromium: PlaywrightBrowser) -> Any:
    """The stage, with all three in the call."""
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(running.stage_link())
        for step in ("service", "keys", "call"):
            press(page, step)
        yield page


def press(stage: Page, step: str) -> None:
    button = stage.locator(f"[data-step={step}]")
    until(stage, f"the turn of {step}", button.is_enabled)
    button.click()
    until(stage, f"{step} to be done", lambda: stage.locator(f"li[data-state=done] [data-step={step}]").count() == 1)


def frame_of(stage: Page, name: str) -> Frame:
    return next(frame for frame in stage.frames if frame.url.startswith(f"http://{name}."))


def brightness(stage: Page, view: str) -> float:
    pixels = stage.evaluate(PACKETS)[view]["pixels"]
    return float(sum(pixels) / len(pixels))


def test_a_picture_that_is_off_is_off_at_the_relay_and_ends_there_with_the_call(stage: Page) -> None:
    stage.dblclick("#packets-run")  # the second click ends nothing
    until(stage, "packets", lambda: stage.evaluate(PACKETS)["outcome"] == "same")
    assert stage.inner_text("#packets-run") == "Stop"
    assert brightness(stage, "receiver") > DARK
    alice = frame_of(stage, "alice")
    alice.click("#hide-camera")
    until(stage, "a black picture", lambda: brightness(stage, "sender") < DARK and brightness(stage, "receiver") < DARK)
    alice.click("#hide-camera")
    until(stage, "the picture again", lambda: brightness(stage, "receiver") > DARK)
    alice.click("#hang-up")
    until(stage, "the end", lambda: "shows no picture any more" in stage.inner_text("#packets-verdict"))
    assert stage.inner_text("#packets-run") == "Send it"
    assert not stage.locator("#error").is_visible()


def test_after_a_reload_the_stage_says_what_the_pages_hold(stage: Page) -> None:
    stage.reload()
    until(stage, "the greeting", lambda: "The call is still there" in stage.inner_text("#status"))
    for name in ("alice", "bob", "carol"):
        frame_of(stage, name).click("#hang-up")
    until(stage, "what to do", lambda: "joins by the button" in stage.inner_text("#status"))
    for name in ("alice", "bob", "carol"):
        frame_of(stage, name).click("#join-drawing")
    until(stage, "all to be seen", lambda: "joins by the button" not in stage.inner_text("#status"))
