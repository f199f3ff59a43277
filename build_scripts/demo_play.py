"""The demo's story played in a headless browser, through the same buttons that a person presses, and judged.

What must agree: the members of an epoch hold the same members, digits and SRTP keys. What must differ: the keys of two
epochs, and those of two senders. What must not be: a key of the new epoch on the removed person's page, a message's
text in a service's database, or a lie of a service's that nobody notices (`demo_lies`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import ViewportSize, sync_playwright

from build_scripts import browser as browsers
from build_scripts import demo_lies
from build_scripts.demo_judges import (
    Holding,
    Holdings,
    Verdict,
    judge_agreement,
    judge_databases,
    judge_removal,
)
from build_scripts.demo_pages import PEOPLE, STAGE_HOST
from build_scripts.demo_pictures import Pictures
from build_scripts.demo_server import DemoError

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

STEPS = ("service", "keys", "call", "remove")
STEP_SECONDS = 120.0  # three cold starts of Pyodide on a busy machine, with room
POLL_SECONDS = 0.1  # under the pages' policy a waiting expression may not be evaluated, so we ask again
PAINT_SECONDS = 0.4  # for pictures: what lay below the fold appears
WINDOW: ViewportSize = {"width": 1440, "height": 900}
CONSOLE_LINES = 20  # shown after a failure: enough for its cause

FLAGS = [
    # Pages without a camera hide their addresses behind names that only a network with multicast can resolve.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
    # A made-up camera, microphone and screen; nobody is asked.
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
]

READ = """() => {
  const call = document.getElementById("call");
  if (call.hidden) return null;
  return { epoch: call.dataset.epoch, members: call.dataset.members.split(" "),
           digits: document.getElementById("digits").textContent,
           keys: [...document.querySelectorAll("#keys [data-sender]")]
             .map((row) => [row.dataset.sender, row.dataset.fingerprint]) };
}"""


class Story:
    """One run of the story in one browser page."""

    def __init__(self, page: Page, verdict: Verdict, screenshots: Path | None) -> None:
        self.page = page
        self._verdict = verdict
        self._screenshots = screenshots
        self._pictures = Pictures(page, self.frame, self.until, verdict)

    def play(self, stage: str) -> None:
        self.page.goto(stage)
        for number, step in enumerate(STEPS, start=1):
            self._press(step)
            title = self.page.text_content(f"[data-step={step}] span")
            print(f"\n{number}. {title}: {self._said()}")
            if step == "call":
                together = self.holdings()
                self._show(together)
                judge_agreement(self._verdict, together, [person.name for person in PEOPLE])
                self._pictures.judge(["alice", "bob", "carol"])
                self._pictures.frame_seen_three_times()
                self.picture("frame")
                self._pictures.packets_through_a_relay()
                self.picture("packets")
                self._pictures.stop_packets()
                self._pictures.play()
                self._talk("bob", "text of a message in the first call", ["alice", "carol"], [])
            if step == "remove":
                after = self.holdings()
                self._show(after)
                judge_agreement(self._verdict, after, ["alice", "bob"])
                judge_removal(self._verdict, together, after, self.frame("carol").content())
                self._pictures.judge(["alice", "bob"])
                self._verdict.check(self._pictures.tiles("carol") == {}, "carol’s page shows nobody’s picture any more")
                self._talk("alice", "text of a message after the removal", ["bob"], ["carol"])
            self.picture(str(number))
        self._reload("bob", after["bob"])
        self._write_while_away("alice", "text of a message that waited", "bob")
        demo_lies.play(self, self._verdict)

    def holdings(self) -> Holdings:
        return {person.name: self._read(self.frame(person.name)) for person in PEOPLE}

    def _read(self, frame: Frame) -> Holding | None:
        shown = frame.evaluate(READ)
        if shown is None:
            return None
        return Holding(shown["epoch"], tuple(sorted(shown["members"])), shown["digits"], dict(shown["keys"]))

    def _press(self, step: str) -> None:
        button = self.page.locator(f"[data-step={step}]")
        self.until(f"step {step!r} to begin", lambda: button.is_enabled())
        button.click()
        done = self.page.locator(f"li[data-state=done] [data-step={step}]")
        error = self.page.locator("#error")
        self.until(f"step {step!r} to end", lambda: done.count() == 1 or error.is_visible())
        if error.is_visible():
            self.picture("failed")
            sentence, code = error.locator("p").text_content(), error.locator("code").text_content()
            raise DemoError(f"Step {step!r} failed: {sentence} ({code})")

    def _talk(self, sender: str, text: str, hear: list[str], not_hear: list[str]) -> None:
        """Sends a chat message by the page's own form, and sees who reads it."""
        frame = self.frame(sender)
        frame.locator("#step-call").evaluate("(box) => { box.open = true; }")
        frame.locator("#message").fill(text)
        frame.locator("#send-message").click()
        for name in hear:
            self.until(f"{name} to read the message", functools.partial(self._reads, name, text))
        self._verdict.check(True, f"{sender}’s message is read by {' and '.join(hear)}")
        for name in not_hear:
            self._verdict.check(not self._reads(name, text), f"{name} does not read it")

    def _reads(self, name: str, text: str) -> bool:
        return self.frame(name).locator("#messages li", has_text=text).count() == 1

    def _write_while_away(self, sender: str, text: str, away: str) -> None:
        """Closes somebody's page, as a tab is closed, writes to them, and opens it again."""
        door, phase = self.page.locator(f"#door-{away}"), self.page.locator(f"#phase-{away}")
        door.click()
        self.until(f"{away} to be offline", lambda: phase.text_content() == "offline")
        self._pictures.why_not(sender, away)
        self._talk(sender, text, [sender], [])
        self.picture("mail")
        door.click()
        self.until(f"{away} to be back", lambda: phase.text_content() == "in the call")
        self.until(f"{away} to read what waited", functools.partial(self._reads, away, text))
        self._verdict.check(True, f"{away} was offline when {sender} wrote, and reads it now")

    def _reload(self, name: str, held: Holding | None) -> None:
        frame = self.frame(name)
        frame.goto(frame.url)
        self.until(f"{name} to be back in the call", lambda: self._read_quietly(name) is not None)
        same = self._read_quietly(name) == held
        self._verdict.check(same, f"{name}’s page, loaded again, holds the same call and keys")

    def _read_quietly(self, name: str) -> Holding | None:
        try:
            return self._read(self.frame(name))
        except (PlaywrightError, DemoError):  # between two documents
            return None

    def frame(self, name: str) -> Frame:
        origin = f"http://{name}.{STAGE_HOST}:"
        for frame in self.page.frames:
            if frame.url.startswith(origin):
                return frame
        raise DemoError(f"The stage shows no page of {name}.")

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + STEP_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                self.picture("failed")
                raise DemoError(f"Waited {STEP_SECONDS:.0f} s for {what}; the stage said: {self._said()}")
            self.page.wait_for_timeout(POLL_SECONDS * 1000)

    def _said(self) -> str:
        return self.page.text_content("#status") or "nothing"

    def _show(self, holdings: Holdings) -> None:
        for name, holding in holdings.items():
            if holding is None:
                print(f"  {name:<6} holds no key of the call")
                continue
            print(f"  {name:<6} epoch {holding.epoch}, members {', '.join(holding.members)}, digits {holding.digits}")
            for sender, fingerprint in sorted(holding.keys.items()):
                print(f"         {sender:<22} {fingerprint}")

    def picture(self, name: str) -> None:
        """Everything at once: frames below the fold of a smaller window are not painted."""
        if self._screenshots is None:
            return
        self._screenshots.mkdir(parents=True, exist_ok=True)
        height = int(self.page.evaluate("() => document.documentElement.scrollHeight"))
        self.page.set_viewport_size({"width": WINDOW["width"], "height": height})
        self.page.wait_for_timeout(PAINT_SECONDS * 1000)
        self.page.screenshot(path=self._screenshots / f"{name}.png", full_page=True)
        self.page.set_viewport_size(WINDOW)


def play(stage: str, folder: Path, screenshots: Path | None) -> int:
    """Plays the story at `stage` over services whose files lie in `folder`; 0 when everything is as it must be."""
    browser = browsers.find_browser()
    verdict = Verdict()
    seen: set[str] = set()
    said: list[str] = []
    print(f"playing the story in {browser.version}")
    with sync_playwright() as playwright:
        running = browsers.launch(playwright, browser, args=FLAGS)
        try:
            page = running.new_page(viewport=WINDOW)
            page.on("pageerror", lambda error: verdict.check(False, f"an error on a page: {error}"))
            page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
            story = Story(page, verdict, screenshots)
            try:
                story.play(stage)
            except (DemoError, PlaywrightError) as error:
                pages = "".join(f"\n  {line}" for line in said[-CONSOLE_LINES:])
                raise DemoError(f"{error}\nThe pages' consoles:{pages or ' nothing'}") from error
            for holding in story.holdings().values():
                if holding is not None:
                    seen.update([holding.digits, *holding.keys.values()])
        finally:
            running.close()
    seen.update(f"text of a message {when}" for when in ("in the first call", "after the removal", "that waited"))
    print("\nThe services")
    judge_databases(verdict, folder, seen)
    if verdict.failed:
        print(f"\n{len(verdict.failed)} of {verdict.checks} checks failed.")
        return 1
    print(f"\nAll {verdict.checks} checks hold: what should agree agrees, what should differ differs.")
    return 0
