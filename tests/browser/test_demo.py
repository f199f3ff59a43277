"""The demo in a real browser: the story end to end, and what its pages do when something goes wrong."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import BrowserContext, Page

from build_scripts import demo, demo_play
from build_scripts.demo_pages import PEOPLE, STAGE_HOST, Person, person_origin, stage_origin
from build_scripts.demo_services import Services, free_ports

ALICE, BOB, _CAROL = PEOPLE
WAIT_SECONDS = 120.0  # a cold start on a busy machine, with room
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing answers there


@dataclass
class Demo:
    """A running demo: its services and where its pages are."""

    services: Services
    port: int

    @property
    def stage(self) -> str:
        return stage_origin(self.port)

    def link(self, person: Person) -> str:
        return f"{person_origin(person, self.port)}/#{self.services.codes[person]}"

    def stage_link(self) -> str:
        return f"{self.stage}/#" + "&".join(f"{person.name}={code}" for person, code in self.services.codes.items())


@pytest.fixture
def running(assets: Path, tmp_path: Path) -> Iterator[Demo]:
    assert assets.is_dir()
    built = demo.snapshot(tmp_path / "dist")
    port, *service_ports = free_ports(4)
    origins = [person_origin(person, port) for person in PEOPLE]
    with Services(tmp_path / "services", service_ports, origins) as services, demo.serving(port, services, built):
        yield Demo(services, port)


@pytest.fixture
def context(chromium: PlaywrightBrowser) -> Iterator[BrowserContext]:
    with chromium.new_context() as made:
        yield made


def until(page: Page, what: str, holds: Callable[[], bool]) -> None:
    """Asks again and again: under the pages' policy Playwright may not evaluate an expression that waits."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s for {what}"
        page.wait_for_timeout(50)


def shows(page: Page, selector: str, text: str = "") -> Callable[[], bool]:
    return lambda: page.locator(selector, has_text=text).first.is_visible()


def counted(page: Page, selector: str) -> Callable[[], bool]:
    return lambda: page.locator(selector).count() == 1


def phase(page: Page, wanted: str) -> Callable[[], bool]:
    return lambda: page.locator("html").get_attribute("data-phase") == wanted


def set_service(page: Page, url: str) -> None:
    page.fill("#service", url)
    page.click("#set-service")


def enrolled(context: BrowserContext, running: Demo, person: Person) -> Page:
    """A person's page, alone in a tab, that knows both services and is enrolled at its own."""
    page = context.new_page()
    page.goto(running.link(person))
    until(page, "loading", phase(page, "ready"))
    for service in sorted(running.services.all, key=lambda one: one.domain != person.domain):
        set_service(page, service.url)
        until(page, service.domain, counted(page, f"#services [data-domain='{service.domain}']"))
    until(page, "enrolment", phase(page, "enrolled"))
    return page


def test_the_whole_story_agrees_where_it_must_and_differs_where_it_must(running: Demo) -> None:
    assert demo_play.play(running.stage_link(), running.services.folder, None) == 0


def test_the_enrolment_code_leaves_the_address_at_once(running: Demo, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(running.link(ALICE))
    assert "#" not in page.url
    page.goto(running.stage_link())
    until(page, "the frames", lambda: any(frame.url.startswith("http://alice.") for frame in page.frames))
    for person in PEOPLE:
        until(page, person.name, shows(page, f"#phase-{person.name}", "ready"))
    assert all("#" not in frame.url for frame in page.frames)
    assert not any(code in page.content() for code in running.services.codes.values())


def test_a_wrong_address_is_a_sentence_with_a_code_and_the_page_goes_on(running: Demo, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(running.link(ALICE))
    until(page, "loading", phase(page, "ready"))
    set_service(page, NOBODY)
    until(page, "the error", shows(page, "[data-error=service]"))
    code = page.locator("[data-error=service] [data-code]").text_content()
    assert code in ("blocked-by-csp", "service-unreachable")
    assert len((page.locator("[data-error=service] p").text_content() or "").split()) > 3
    set_service(page, "not an address")
    until(page, "another error", lambda: page.locator("[data-error=service] [data-code]").text_content() != code)
    set_service(page, running.services.all[0].url)
    until(page, "enrolment", phase(page, "enrolled"))
    assert not page.locator("[data-error=service]").is_visible()


def test_a_used_code_is_refused_and_another_can_be_typed(running: Demo, chromium: PlaywrightBrowser) -> None:
    """The same link in two browsers: the second is told, and asked for a code of its own."""
    with chromium.new_context() as one, chromium.new_context() as other:
        enrolled(one, running, ALICE)
        page = other.new_page()
        page.goto(running.link(ALICE))
        until(page, "loading", phase(page, "ready"))
        set_service(page, running.services.all[0].url)
        until(page, "the refusal", shows(page, "[data-error=service] [data-code]"))
        assert page.locator("[data-error=service] [data-code]").text_content() in (
            "already-enrolled",
            "enrolment-refused",
        )
        until(page, "the field", shows(page, "#code"))


def test_an_unknown_person_is_named_and_the_known_one_can_be_called(running: Demo, context: BrowserContext) -> None:
    bob = enrolled(context, running, BOB)
    alice = enrolled(context, running, ALICE)
    alice.fill("#people", f"{BOB.identity}, nobody@email1.example")
    alice.click("#fetch-keys")
    until(alice, "Bob’s keys", shows(alice, f"[data-fetched='{BOB.identity}']", "email2.example"))
    assert alice.locator("[data-missing='nobody@email1.example'] code").is_visible()
    alice.click("#start-call")
    until(bob, "the invitation", shows(bob, "[data-accept]"))
    bob.click("[data-accept]")
    until(bob, "the call", phase(bob, "call"))
    until(bob, "the digits", lambda: bob.text_content("#digits") == alice.text_content("#digits") != "")


def test_a_message_with_markup_is_text(running: Demo, context: BrowserContext) -> None:
    bob = enrolled(context, running, BOB)
    alice = enrolled(context, running, ALICE)
    alice.fill("#people", BOB.identity)
    alice.click("#fetch-keys")
    until(alice, "Bob’s keys", lambda: alice.locator("#start-call").is_enabled())
    alice.click("#start-call")
    until(bob, "the invitation", shows(bob, "[data-accept]"))
    bob.click("[data-accept]")
    until(bob, "the call", phase(bob, "call"))
    markup = "<img src=x onerror=document.title='gotcha'>"
    alice.fill("#message", markup)
    alice.click("#send-message")
    until(bob, "the message", shows(bob, "#messages li", markup))
    assert bob.locator("#messages img").count() == 0


def test_the_second_tab_of_a_person_is_told_and_takes_over_when_the_first_closes(
    running: Demo, context: BrowserContext
) -> None:
    first = enrolled(context, running, ALICE)
    second = context.new_page()
    second.goto(person_origin(ALICE, running.port))
    until(second, "the error", shows(second, "#error [data-code]", "in-use-in-another-tab"))
    first.close()
    second.click("#error button")
    until(second, "the identity", phase(second, "enrolled"))


def test_the_first_person_is_usable_while_the_others_still_load(running: Demo, context: BrowserContext) -> None:
    context.route(re.compile(r"http://(bob|carol)\..*/config\.json"), lambda route: None)
    page = context.new_page()
    page.goto(running.stage_link())
    until(page, "Alice", shows(page, "#phase-alice", "ready"))
    button = page.locator("[data-step=service]")
    until(page, "the first button", button.is_enabled)
    assert not page.locator("#phase-bob", has_text="ready").is_visible()
    button.click()
    until(page, "Alice’s enrolment", shows(page, "#phase-alice", "reachable"))
    context.unroute_all()  # what was held goes on
    until(page, "the end of the step", counted(page, "li[data-state=done] [data-step=service]"))


def test_the_story_can_be_told_by_keyboard(running: Demo, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(running.stage_link())
    button = page.locator("[data-step=service]")
    until(page, "the first button", button.is_enabled)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.dataset.step") == "service"
    assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    until(page, "the step", counted(page, "li[data-state=done] [data-step=service]"))


def test_a_failed_step_can_be_tried_again(running: Demo, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(running.stage_link())
    until(page, "the first button", page.locator("[data-step=service]").is_enabled)
    context.route(re.compile(r"/v1/service$"), lambda route: route.abort())
    page.click("[data-step=service]")
    until(page, "the error", shows(page, "#error code"))
    context.unroute_all()
    page.click("#error button")
    until(page, "the step", counted(page, "li[data-state=done] [data-step=service]"))


def test_forged_stage_messages_are_ignored(running: Demo, context: BrowserContext) -> None:
    """A person's page that stands alone takes no orders, and the stage believes nobody but its own frames."""
    page = context.new_page()
    page.goto(running.link(ALICE))
    until(page, "loading", phase(page, "ready"))
    page.evaluate("() => window.postMessage({ roomkey: 'story', do: 'service', id: 1 }, '*')")
    page.wait_for_timeout(500)
    assert page.locator("#services li").count() == 0
    page.goto(running.stage_link())
    until(page, "Alice", shows(page, "#phase-alice", "ready"))
    forged = "{ roomkey: 'story', event: 'state', state: { phase: 'removed', call: null } }"
    page.evaluate(f"() => window.postMessage({forged}, '*')")
    page.wait_for_timeout(500)
    assert page.text_content("#phase-alice") == "ready"


def test_only_the_stage_may_frame_a_person_and_nobody_the_stage(running: Demo) -> None:
    person = _policy(running, f"{ALICE.name}.{STAGE_HOST}")
    assert f"frame-ancestors {running.stage};" in person
    assert "frame-src 'none'" in person
    stage = _policy(running, STAGE_HOST)
    assert "frame-ancestors 'none'" in stage
    assert "connect-src 'self';" in stage


def test_the_stage_alone_turns_the_switch(running: Demo) -> None:
    def turn(attack: object, host: str, origin: str, kind: str = "application/json") -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{running.port}/malice",
            data=json.dumps({"attack": attack}).encode(),
            headers={"Host": f"{host}:{running.port}", "Origin": origin, "Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code

    def turned() -> object:
        return running.services.malice.attack

    alice, nonsense = person_origin(ALICE, running.port), ["other", 1, {}, []]
    assert turn("swapped-key", STAGE_HOST, alice) == 403
    assert turn("swapped-key", STAGE_HOST, running.stage, "text/plain") == 403
    assert turn("swapped-key", f"{ALICE.name}.{STAGE_HOST}", running.stage) == 405
    assert turn("swapped-key", "rebound.example", running.stage) == 421
    assert [turn(wrong, STAGE_HOST, running.stage) for wrong in nonsense] == [400] * 4
    assert turned() is None
    assert turn("swapped-key", STAGE_HOST, running.stage) == 200
    assert turned() == "swapped-key"
    assert turn(None, STAGE_HOST, running.stage) == 200
    assert turned() is None


def test_the_recovery_key_is_shown_until_it_is_kept_and_brings_the_name_back(
    running: Demo, chromium: PlaywrightBrowser
) -> None:
    with chromium.new_context() as lost, chromium.new_context() as other:
        page = enrolled(lost, running, BOB)
        page.locator("#step-service").evaluate("(box) => { box.open = true; }")
        page.click("#take-recovery")
        until(page, "the letters", lambda: page.locator("#letters span").count() == 12)
        letters = " ".join(page.locator("#letters span").all_text_contents())
        assert not page.locator("#take-recovery").is_visible()
        page.reload()
        until(page, "the identity", phase(page, "enrolled"))
        assert letters not in page.content()
        page.locator("#step-service").evaluate("(box) => { box.open = true; }")
        page.click("#take-recovery")
        until(page, "the letters again", lambda: page.locator("#letters span").count() == 12)
        assert " ".join(page.locator("#letters span").all_text_contents()) == letters
        page.click("#kept-recovery")
        until(page, "no letters", lambda: page.locator("#letters span").count() == 0)
        page.click("#take-recovery")
        until(page, "the refusal", shows(page, "[data-error=service] [data-code]", "recovery-key-taken"))

        page = other.new_page()
        page.goto(person_origin(BOB, running.port))
        until(page, "loading", phase(page, "ready"))
        set_service(page, running.services.all[1].url)
        until(page, "the field", shows(page, "#code"))
        page.fill("#code", "Q" + letters)
        page.click("#enrol")
        until(page, "the refusal", shows(page, "[data-error=service] [data-code]", "recovery-key-wrong"))
        page.fill("#code", letters.lower())
        page.click("#enrol")
        until(page, "the identity", phase(page, "enrolled"))


def test_a_foreign_host_name_gets_nothing(running: Demo) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _policy(running, "rebound.example")
    assert refused.value.code == 421
    refused.value.close()


def _policy(running: Demo, host: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{running.port}/", headers={"Host": f"{host}:{running.port}"})
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["Content-Security-Policy"])
