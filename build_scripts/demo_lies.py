"""The switch on the stage, played: each lie of email2.example must be noticed by the page that is lied to."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.evidence import ForkEvidence, verify_evidence

from build_scripts.demo_malicious import ATTACKS, Attack

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Frame, Page

HONEST: Final = "honest"
LIED_ABOUT: Final = "bob@email2.example"
# What a page says that noticed, and whose page it is.
NOTICED: Final[dict[Attack, tuple[str, str]]] = {
    "swapped-key": ("not-in-manifest", "alice"),
    "hidden-device": ("keys-withheld", "alice"),
    "weaker-suite": ("invalid-signature", "alice"),
    "split-view": ("log-fork", "carol"),
    "old-key": ("replayed", "alice"),
}


class Judge(Protocol):
    def check(self, holds: bool, what: str) -> None: ...


class Stage(Protocol):
    """What of a `demo_play.Story` is needed here."""

    page: Page

    def frame(self, name: str) -> Frame: ...

    def until(self, what: str, holds: Callable[[], bool]) -> None: ...

    def picture(self, name: str) -> None: ...


def play(stage: Stage, verdict: Judge) -> None:
    """Turns the switch to each lie and back, and has the page that is lied to fetch Bob's keys each time."""
    print("\n5. email2.example lies")
    proved(stage, verdict, "before")
    for attack in ATTACKS:
        code, victim = NOTICED[attack]
        turn(stage, attack)
        noticed = fetch(stage)
        verdict.check(noticed == code, f"{attack}: {victim}’s page refuses it ({noticed})")
        shown = stage.frame(victim).locator(f"[data-missing='{LIED_ABOUT}'] code")
        verdict.check(shown.count() == 1 and shown.text_content() == code, f"{attack}: {victim}’s own page says so")
        verdict.check("wrong" not in card(stage), f"{attack}: the stage says what it noticed")
        stage.picture(f"5 {attack}")
        if noticed == "log-fork":
            judge_evidence(stage, verdict)
        proved(stage, verdict, f"after {attack}")


def turn(stage: Stage, to: str) -> None:
    """Turns the switch as a person does, and waits until the service has turned."""
    stage.page.locator(f"#attacks [value={to}]").check(force=True)  # its label lies above it
    malicious = stage.page.locator(".service-box.malicious")
    stage.until(f"the switch to stand at {to}", lambda: malicious.count() == (0 if to == HONEST else 1))


def fetch(stage: Stage) -> str:
    """Presses the panel's button; the error's code, or how the keys were proved."""
    button = stage.page.locator("#check")
    stage.until("the button", button.is_enabled)
    button.click()
    noticed = stage.page.locator("#noticed")
    stage.until("what comes of it", lambda: noticed.is_visible() and button.is_enabled())
    return noticed.get_attribute("data-outcome") or ""


def card(stage: Stage) -> str:
    return stage.page.locator("#noticed").get_attribute("class") or ""


def proved(stage: Stage, verdict: Judge, when: str) -> None:
    """The service is honest: Bob's keys are proved by the log."""
    turn(stage, HONEST)
    found = fetch(stage)
    verdict.check(found == "transparency", f"{when}: Bob’s keys are proved by the shared log ({found})")


def judge_evidence(stage: Stage, verdict: Judge) -> None:
    """The proof that a page kept of two truths can be saved, and holds by itself."""
    with stage.page.expect_download() as saved:
        stage.frame("carol").locator(f"[data-missing='{LIED_ABOUT}'] button").click()
    text = Path(saved.value.path()).read_text("utf-8")
    with ThreadPoolExecutor(1) as apart:  # Playwright's own loop runs in this thread
        judged = apart.submit(asyncio.run, verify_evidence(NativeCrypto(), ForkEvidence.decode(text)))
    try:
        verdict.check(True, f"the saved file proves that {judged.result().log.name} signed two truths")
    except RoomkeyError as error:
        verdict.check(False, f"the saved file proves two truths ({error.code})")
    verdict.check(LIED_ABOUT not in text, "the file names nobody")
