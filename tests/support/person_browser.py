"""People in a real browser: each has a context and an origin of their own, and a page that uses the JavaScript API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, BrowserContext
from roomkey.errors import CODES

from build_scripts import headers
from tests.browser.support.server import Site, asset_site, serving
from tests.support.services import TwoServices, two_services

T = TypeVar("T")

PATH = "/person"
SCRIPT = Path(__file__).parent / "person_page.js"
DEADLINE_SECONDS = 120.0  # for what takes under a second on a machine that is not busy
POLL_MILLISECONDS = 25.0


class Refused(Exception):
    """What a page's call rejected with, plain: code, fault, sentence, message, details."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error.get('message')} {error.get('details')}")
        self.error = error


def person_site(assets: Path, connect: list[str]) -> Site:
    """The asset folder and the page of a person; pages and workers may connect to `connect` and to nothing else."""
    site = asset_site(assets, connect)
    site.files[PATH] = (
        b'<!doctype html><title>person</title><link rel="icon" href="data:,">'
        b'<script type="module" src="/person_page.js"></script>'
    )
    site.headers[PATH] = headers.page_headers(connect)
    site.files["/person_page.js"] = SCRIPT.read_bytes()
    return site


class Person:
    """One identity in one browser context. `page` is its present tab."""

    def __init__(self, world: World, identity: str, context: BrowserContext) -> None:
        self.world, self.identity, self.context = world, identity, context
        self.name = identity.partition("@")[0]
        self.origin = f"http://{self.name}.demo.localhost:{world.site.address.rpartition(':')[2].rstrip('/')}"
        self.requests: list[str] = []
        context.on("request", lambda request: self.requests.append(request.url))
        self.page = context.new_page()

    # -- the page --

    def load(self, **options: object) -> Person:
        """Opens the page and loads the library by these options, then sets the addresses of both services."""
        self.goto()
        self.do("await start(values)", options)
        self.set_services()
        return self

    def goto(self) -> None:
        self.page.goto(f"{self.origin}{PATH}")
        until("the page's script to run", lambda: self.page.evaluate("globalThis.ready === true"))

    def set_services(self) -> None:
        settings = [
            [self.world.address_of(domain), {"domains": [domain], "transparency": self.world.transparency.get(domain)}]
            for domain in self.world.services.running
        ]
        self.do(
            "for (const [url, { domains, transparency }] of values)"
            " await roomkey.setDeliveryService(url, { domains, transparency: transparency ?? undefined })",
            settings,
        )

    def enrol(self, publish: int = 0, suites: str | None = None) -> Person:
        """Creates the identity by an enrolment code of its service."""
        code = self.world.services.at(self.identity).enrolment_code(self.identity)
        values = {"name": self.identity, "code": code, "suites": suites}
        self.do("await create(values.name, values.code, values.suites ?? undefined)", values)
        if publish:
            self.do("await me.publishInitKeys({ count: values })", publish)
        return self

    def close_tab(self) -> None:
        """Closes the tab as a person does, in whatever the worker is doing."""
        self.page.close()

    def reopen(self) -> Person:
        """A new tab, the identity opened from what this browser has stored."""
        if self.page.is_closed():
            self.page = self.context.new_page()
        self.load()
        self.do("await open(values)", self.identity)
        return self

    # -- the API --

    def do(self, body: str, values: object = None) -> Any:
        """What an expression, or the body of a function, gives in the page, plain; `values` is its argument.

        Raises `Refused`.
        """
        source = body if ";" in body or body.startswith(("return ", "for ")) else f"return {body}"
        answer = self.page.evaluate(f"(values) => attempt(async () => {{ {source} }})", values)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["value"]

    def begin(self, slot: str, body: str, values: object = None) -> None:
        """Starts `body` without waiting for it; `ended` waits."""
        self.page.evaluate(f"(values) => {{ globalThis.{slot} = attempt(async () => {{ {body} }}); }}", values)

    def ended(self, slot: str) -> dict[str, Any]:
        """How what `begin` started came out: {"value"} or {"error"}."""
        answer: dict[str, Any] = self.page.evaluate(f"() => globalThis.{slot}")
        return answer

    def refused(self, code: str, body: str, values: object = None) -> dict[str, Any]:
        """The error that `body` rejects with; it has this code, and the code's sentence for people."""
        try:
            result = self.do(body, values)
        except Refused as refused:
            return expect(refused.error, code)
        raise AssertionError(f"expected {code}, got {result}")

    # -- steps that many tests take --

    def call(self, name: str, *others: Person) -> None:
        """Creates a conference and has these people in it."""
        self.do("await me.createConference({ name: values })", name)
        self.invite(name, *[person.identity for person in others])
        for person in others:
            person.accept(name)
        agreed(name, self, *others)

    def invite(self, name: str, *identities: str) -> None:
        values = {"call": name, "names": list(identities)}
        self.do("await calls[values.call].invite(await fetchAll(values.names))", values)

    def accept(self, name: str) -> None:
        """Accepts the invitation to a conference of this name once it has come."""
        until(f"{self.name} to be invited to {name}", lambda: self._accept(name))

    def _accept(self, name: str) -> bool:
        body = """const found = (await me.invitations()).find(({ name }) => name === values);
          if (found !== undefined) await found.accept();
          return found !== undefined;"""
        return bool(self.do(body, name))

    def look(self, name: str) -> dict[str, Any]:
        """Epoch, status, members, digits of a conference as the page sees it now."""
        state: dict[str, Any] = self.do("look(values)", name)
        return state

    def keys(self, name: str) -> dict[str, Any]:
        """The SRTP keys that it holds: {"epoch", "keys": {sender: [master key, master salt]}} in hex."""
        keys: dict[str, Any] = self.do("keysOf(values)", name)
        return keys

    def say(self, name: str, text: str) -> None:
        self.do("await say(values.call, values.text)", {"call": name, "text": text})

    def texts(self, name: str) -> list[str]:
        """All messages of the conference that the page's reader has read by now."""
        texts: list[str] = self.do("texts[values]", name)
        return texts

    def hears(self, name: str, text: str) -> None:
        until(f"{self.name} to read {text!r}", lambda: text in self.texts(name))

    def heard(self, who: str, kind: str) -> list[Any]:
        """Details of the events of one kind that came so far."""
        body = "heard.filter(([who, kind]) => who === values[0] && kind === values[1]).map(([, , detail]) => detail)"
        details: list[Any] = self.do(body, [who, kind])
        return details


class World:
    """Two services, a site that serves the page to everyone, and people."""

    def __init__(self, services: TwoServices, site: Site, browser: Browser) -> None:
        self.services, self.site, self.browser = services, site, browser
        self.addresses: dict[str, str] = {}  # of services that people reach by a detour
        self.transparency: Mapping[str, Mapping[str, Any]] = {}  # by domain: whom pages believe about its log
        self.people: list[Person] = []

    def address_of(self, domain: str) -> str:
        return self.addresses.get(domain, self.services.at(domain).url)

    def person(self, identity: str) -> Person:
        """Someone new, with an empty page."""
        person = Person(self, identity, self.browser.new_context())
        self.people.append(person)
        return person

    def close(self) -> None:
        for person in self.people:
            person.context.close()


@contextmanager
def world_of(
    assets: Path, browser: Browser, folder: Path, connect: list[str] | None = None, options: Sequence[str] = ()
) -> Iterator[World]:
    """A world while the context lasts; `connect`: the origins that pages may reach, by default the two services, which
    run with `options`.
    """
    with two_services(folder, *options) as services, world_on(services, assets, browser, connect) as world:
        yield world


@contextmanager
def world_on(
    services: TwoServices, assets: Path, browser: Browser, connect: list[str] | None = None
) -> Iterator[World]:
    """A world on these services while the context lasts."""
    with serving(person_site(assets, connect or services.urls)) as site:
        world = World(services, site, browser)
        try:
            yield world
        finally:
            world.close()


def until(what: str, holds: Callable[[], T | None]) -> T:
    """Waits until `holds` gives something true, and gives that."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {DEADLINE_SECONDS:.0f} s for {what}")
        time.sleep(POLL_MILLISECONDS / 1000)


def agreed(name: str, *people: Person, members: list[str] | None = None) -> dict[str, Any]:
    """What these people see of a conference, once all see the same with `members` in it, by default themselves."""
    wanted = sorted(members or [person.identity for person in people])

    def same() -> dict[str, Any] | None:
        views = [person.look(name) for person in people]
        good = all(view == views[0] for view in views) and views[0]["members"] == wanted
        return views[0] if good else None

    return until(f"{', '.join(person.name for person in people)} to agree", same)


def expect(error: dict[str, Any], code: str) -> dict[str, Any]:
    """Checks that a plain error is of this code, with whose fault it is and what people are told."""
    entry = CODES[code]
    assert (error["code"], error["fault"], error["sentence"]) == (code, entry.fault, entry.sentence), error
    return error
