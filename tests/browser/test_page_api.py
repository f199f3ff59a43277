"""The page's side: errors that travel, calls given up, messages from nowhere, and nothing left lying about."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.support.server import Site, hang

# Keeps the port to the worker where the test can reach it, as hostile code that runs first could.
CATCH_WORKER = """
globalThis.Worker = class extends Worker {
  constructor(...rest) { super(...rest); globalThis.port = this; }
};
"""
START = """async (options) => {
  Object.assign(globalThis, await import("/roomkey/index.js"));
  globalThis.roomkey = await load({ assets: "/roomkey/", ...options });
  globalThis.attempt = (work) => work.then(() => "none", (error) => RoomkeyError.is(error) ? error.code : error.name);
}"""


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def started(site: Site, page: Page) -> Page:
    page.add_init_script(CATCH_WORKER)
    page.goto(site.address)
    page.evaluate(START, {})
    return page


def test_errors_survive_a_message(started: Page) -> None:
    found: dict[str, Any] = started.evaluate("""async () => {
      const error = await roomkey.openIdentity("nobody@email1.example").catch((error) => error);
      const copy = RoomkeyError.from(structuredClone(error.toJSON()));
      const of = ({ code, fault, retryable, sentence, message }) => ({ code, fault, retryable, sentence, message });
      return {
        one: of(error), other: of(copy), both: RoomkeyError.is(error) && RoomkeyError.is(copy) && copy instanceof Error,
        strangers: [null, "closed", new Error("closed"), { code: "closed" }].some((value) => RoomkeyError.is(value)),
      };
    }""")
    assert found["one"] == found["other"]
    assert found["one"]["code"] == "no-such-identity"
    assert found["one"]["sentence"]
    assert (found["both"], found["strangers"]) == (True, False)


def test_a_call_can_be_given_up(site: Site, started: Page, release: threading.Event) -> None:
    site.files["/v1/service"] = b"{}" * 100
    site.faults["/v1/service"] = hang(release)
    names = started.evaluate("""async () => {
      const controller = new AbortController();
      const waiting = attempt(roomkey.setDeliveryService(location.origin, { signal: controller.signal }));
      setTimeout(() => controller.abort(), 200);
      const before = attempt(roomkey.setDeliveryService(location.origin, { signal: AbortSignal.abort() }));
      return [await waiting, await before, await attempt(roomkey.identities())];
    }""")
    assert names == ["AbortError", "AbortError", "none"]


def test_bad_arguments_are_refused_by_code(started: Page) -> None:
    codes = started.evaluate("""async () => [
      await attempt(roomkey.setDeliveryService("no address")),
      await attempt(roomkey.openIdentity(7)),
      await attempt(roomkey.createIdentity("not an identity", { enrolment: "code" })),
      await attempt(load({ assets: "/roomkey/", exportKeys: true })),
      await attempt(load({ assets: "http://[" })),
    ]""")
    assert codes == ["invalid-address", "bad-argument", "invalid-identity", "bad-argument", "bad-argument"]


def test_messages_from_nowhere_change_nothing(started: Page) -> None:
    answers = started.evaluate("""async () => {
      const answers = [];
      port.addEventListener("message", ({ data }) => {
        if (data.id > 900) answers.push([data.id, data.answer.error?.code]);
      });
      for (const junk of [null, "text", 7, [], {}, { kind: "call" },
        { kind: "call", id: "1", method: "identities", args: {} },
        { kind: "call", id: 901, method: "media.srtpKeys", args: { handle: 1 } },
        { kind: "call", id: 902, method: "__init__", args: {} },
        { kind: "call", id: 903, method: "identity.stock", args: { handle: 1e9 } },
        { kind: "call", id: 904, method: "identity.stock", args: [] },
        { kind: "call", id: 905, method: "conference.srtpKeys", args: { handle: 1 } },
        { kind: "call", id: 906, method: "conference.exportSecret", args: { handle: 1 } },
        { kind: "cancel", id: 5000 }, { kind: "start" }, { kind: "unknown" }]) port.postMessage(junk);
      await roomkey.identities();
      return answers;
    }""")
    assert dict(answers) == {
        901: "no-such-method",
        902: "no-such-method",
        903: "closed",
        904: "bad-argument",
        905: "export-not-allowed",
        906: "export-not-allowed",
    }


def test_closing_ends_the_worker_and_leaves_nothing(site: Site, page: Page) -> None:
    page.goto(site.address)
    before = page.evaluate("Object.getOwnPropertyNames(globalThis).sort()")
    assert (
        page.evaluate("""async () => {
      const { load } = await import("/roomkey/index.js");
      const roomkey = await load({ assets: "/roomkey/" });
      await Promise.all([roomkey.close(), roomkey.close()]);
      return roomkey.identities().then(() => "none", (error) => error.code);
    }""")
        == "closed"
    )
    assert page.workers == []
    assert page.evaluate("Object.getOwnPropertyNames(globalThis).sort()") == before
    assert page.evaluate("navigator.locks.query().then(({ held, pending }) => [held.length, pending.length])") == [0, 0]
