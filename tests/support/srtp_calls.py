"""People in real browsers with SRTP sessions of conferences: their ways to each other, and what they see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.support.person_browser import Person, World, until, world_of
from tests.support.protected_calls import SCRIPT as CALLS
from tests.support.protected_calls import css, is_colour
from tests.support.protected_calls import ready as media_ready

SCRIPT = Path(__file__).parent.parent / "browser" / "support" / "srtp_page.js"
Colour = tuple[int, int, int]
# In Hz, by which a tone may be off where it is counted by its waves in a second.
NEAR = 25.0


@contextmanager
def srtp_world(
    assets: Path, chromium: Browser, folder: Path, connect: list[str] | None = None, options: Sequence[str] = ()
) -> Iterator[World]:
    """A world whose people's pages have `srtp` of srtp_page.js; `connect` and `options` as `world_of` has them."""
    with world_of(assets, chromium, folder, connect, options) as world:
        world.site.files["/call_page.js"] = CALLS.read_bytes()
        world.site.files["/srtp_page.js"] = SCRIPT.read_bytes()
        yield world


def ready(person: Person) -> Person:
    """A person whose page has the scripts."""
    media_ready(person)
    person.do("await import('/srtp_page.js'); return null")
    return person


def begins(person: Person, name: str, **options: Any) -> None:
    """Begins a session; options as srtp_page.js says: `conference`, `take`, `profile`, `mki`."""
    person.do("await srtp.begin(values.name, values.options)", {"name": name, "options": options})


def connects(
    one: Person, other: Person, name: str, *, middle: str | None = None, bound: bool = False, again: str = ""
) -> None:
    """A data channel between two sessions of this name. `middle`: what the first one's page does to packets on the way.

    `bound`: each end takes packets of the other's client alone. `again` tells it from an earlier one.
    """
    pc = f"{name} {one.name} {other.name} {again}"
    for person, far, spoilt in ((one, other, middle), (other, one, None)):
        options: dict[str, Any] = {} if spoilt is None else {"middle": spoilt}
        if bound:
            options["from"] = client_of(person, name, far)
        person.do("await srtp.channel(...values)", [name, pc, options])
    negotiate(one, other, pc)


def negotiate(one: Person, other: Person, pc: str) -> None:
    """Connects two ends of a channel."""
    offer = one.do("srtp.offer(values)", pc)
    answer = other.do("srtp.answer(values.pc, values.offer)", {"pc": pc, "offer": offer})
    one.do("await srtp.answered(values.pc, values.answer)", {"pc": pc, "answer": answer})


def passed(person: Person, name: str, way: str = "past") -> dict[str, Any]:
    """The RTP packets that passed a person's middle, or (`way` "came") came to it: count and epochs."""
    found: dict[str, Any] = person.do("srtp.passed(...values)", [name, way])
    return found


def client_of(person: Person, call: str, other: Person) -> list[int]:
    """The client id of somebody in the conference, as the page knows it."""
    body = "Array.from(calls[values.call].members.find(({ identity }) => identity === values.who).clientId)"
    found: list[int] = person.do(body, {"call": call, "who": other.identity})
    return found


def sends(person: Person, name: str, colour: Colour, **options: Any) -> dict[str, Any]:
    values = {"name": name, "colour": css(colour), "options": options}
    sent: dict[str, Any] = person.do("srtp.send(values.name, values.colour, values.options)", values)
    return sent


def seen(person: Person, name: str) -> list[dict[str, Any]]:
    """What a session has of others."""
    found: list[dict[str, Any]] = person.do("srtp.seen(values)", name)
    return found


def of(person: Person, name: str, sender: Person) -> dict[str, Any] | None:
    """The newest stream of somebody."""
    return next(
        (item for item in reversed(seen(person, name)) if item["from"] == sender.identity and not item["gone"]), None
    )


def sees(person: Person, name: str, sender: Person, colour: Colour, count: int = 5) -> dict[str, Any]:
    """Waits until `count` more pictures of somebody's were seen, the last one of this colour."""
    before = of(person, name, sender)
    first = 0 if before is None else before["frames"]

    def good() -> dict[str, Any] | None:
        now = of(person, name, sender)
        return now if now is not None and now["frames"] >= first + count and is_colour(now["colour"], colour) else None

    what = f"{person.name} to see {sender.name} on {name}: {seen(person, name)} {state(person, name)}"
    return until(what, good)


def shows(person: Person, name: str, sender: Person, colour: Colour) -> dict[str, Any]:
    """Waits until a picture of somebody's of this colour is to be seen."""

    def good() -> dict[str, Any] | None:
        now = of(person, name, sender)
        return now if now is not None and is_colour(now["colour"], colour) else None

    return until(f"{person.name} to see {sender.name} on {name}: {seen(person, name)} {state(person, name)}", good)


def watched(person: Person, name: str, sender: Person) -> dict[str, Any]:
    """Every picture of somebody since the last time: how many, their colours, the longest gap in milliseconds."""
    found: dict[str, Any] = person.do("srtp.watched(values.name, values.who)", {"name": name, "who": sender.identity})
    return found


def counts(person: Person, name: str) -> dict[str, Any]:
    found: dict[str, Any] = person.do("srtp.counts(values)", name)
    return found


def state(person: Person, name: str) -> dict[str, Any]:
    found: dict[str, Any] = person.do("srtp.state(values)", name)
    return found


def hears(person: Person, sender: Person, name: str, frequency: float) -> None:
    """Waits until a tone of somebody's is heard, for a second."""

    def heard() -> dict[str, Any]:
        values = {"name": name, "who": sender.identity}
        found: dict[str, Any] = person.do("srtp.heard(values.name, values.who)", values)
        return found

    def good() -> bool:
        now = heard()
        return bool(now["pieces"] > 50 and now["loud"] > 0.05 and abs(now["frequency"] - frequency) < NEAR)

    until(f"{person.name} to hear {frequency} Hz of {sender.name}: {heard()}", good)
