"""People in real browsers whose connections carry media under a conference's keys: pictures, tones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, World, until, world_of

SCRIPT = Path(__file__).parent.parent / "browser" / "support" / "call_page.js"
# Made-up devices, so that connections on this machine may show their addresses; and sound needs no click.
FLAGS = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 40), (40, 50, 220)
TOLERANCE = 45  # of a colour's parts, after a lossy codec in studio range


@contextmanager
def media_world(assets: Path, chromium: Browser, folder: Path) -> Iterator[World]:
    """A world whose people's pages have `media` of call_page.js; `chromium` must run with `FLAGS`."""
    with world_of(assets, chromium, folder) as world:
        world.site.files["/call_page.js"] = SCRIPT.read_bytes()
        yield world


def ready(person: Person) -> Person:
    """A person whose page has the script of calls."""
    person.do("await import('/call_page.js'); return null")
    return person


def css(colour: tuple[int, int, int]) -> str:
    return f"rgb({colour[0]}, {colour[1]}, {colour[2]})"


def opens(person: Person, name: str, **options: Any) -> None:
    """Opens a connection; options as call_page.js says: `conference`, `colour`, `frequency`, `codec`, `from` ..."""
    if isinstance(options.get("colour"), tuple):
        options["colour"] = css(options["colour"])
    person.do("await media.open(values.name, values.options)", {"name": name, "options": options})


def connect(caller: Person, callee: Person, name: str, other: str | None = None) -> None:
    """Negotiates the caller's connection `name` with the callee's `other`, by default of the same name."""
    other = other or name
    offer = caller.do("media.offer(values)", name)
    answer = callee.do("media.answer(values.name, values.offer)", {"name": other, "offer": offer})
    caller.do("await media.answered(values.name, values.answer)", {"name": name, "answer": answer})


def seen(person: Person, name: str) -> dict[str, Any]:
    """What comes over a connection now."""
    found: dict[str, Any] = person.do("media.seen(values)", name)
    return found


def states(person: Person, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.do("media.states(values)", name)
    return found


def shows(person: Person, name: str, colour: tuple[int, int, int]) -> dict[str, Any]:
    """Waits until a picture of this colour is shown and moves on."""
    first = seen(person, name)["frames"]

    def good() -> dict[str, Any] | None:
        now = seen(person, name)
        return now if now["frames"] > first + 5 and is_colour(now["colour"], colour) else None

    return until(f"{person.name} to see a picture on {name}: {seen(person, name)}", good)


def hears_tone(person: Person, name: str) -> None:
    """Waits until sound comes."""
    first = seen(person, name)["energy"]
    until(f"{person.name} to hear something on {name}", lambda: seen(person, name)["energy"] > first + 0.001)


def is_colour(found: list[int] | None, wanted: tuple[int, int, int]) -> bool:
    return found is not None and all(abs(a - b) < TOLERANCE for a, b in zip(found, wanted, strict=True))


@contextmanager
def media_chromium(found: browsers.Browser) -> Iterator[Browser]:
    """A Chromium with `FLAGS`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = browsers.launch(playwright, found, args=FLAGS)
        yield running
        running.close()
