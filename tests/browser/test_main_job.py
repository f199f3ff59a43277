"""The main job in real browsers: from two delivery services' addresses to one keyed conference of three."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser

from tests.browser.support.people import PROFILE, Person, start_services
from tests.browser.support.server import Site, asset_site, serving
from tests.delivery.processes import Services

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = start_services(tmp_path_factory.mktemp("services"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(assets: Path, services: Services) -> Iterator[Site]:
    site = asset_site(assets, [service.url for service in services.running])
    with serving(site) as running:
        yield running


def test_three_people_hold_the_same_keys(chromium: PlaywrightBrowser, served: Site, services: Services) -> None:
    alice, bob, carol = (Person(chromium, served, services, name) for name in (ALICE, BOB, CAROL))
    for person in (alice, bob, carol):
        person.enrol()

    alice.do("hear(await me.createConference({ name: 'stand-up' }))")
    assert alice.invite(BOB, CAROL) == {"code": "none", "value": [BOB, CAROL]}
    bob.accept()
    carol.accept()
    together = alice.state()
    assert together["members"] == [ALICE, BOB, CAROL]
    assert len(together["digits"]) == 30
    assert len(set(together["fingerprints"])) == 3
    assert bob.state() == carol.state() == together

    bob.do("const { seq } = await call.send(new TextEncoder().encode('hello')); return seq")
    for person in (alice, carol):
        person.page.wait_for_function("() => told.some(([kind, text]) => kind === 'message' && text === 'hello')")
    read = """
    for await (const message of call.messages()) return [message.from.identity, new TextDecoder().decode(message.data)];
    """
    assert alice.do(read) == [BOB, "hello"]

    alice.do("await call.remove(it)", CAROL)
    bob.wait_for_epoch(together["epoch"] + 1)
    carol.page.wait_for_function("() => call.status === 'removed'")
    apart = alice.state()
    assert apart == bob.state()
    assert apart["members"] == [ALICE, BOB]
    assert not set(apart["fingerprints"]) & set(together["fingerprints"])
    assert carol.do("return [call.verification.digits, (await attempt(call.update())).code]") == ["", "not-a-member"]

    refused = [
        (await_code, "export-not-allowed")
        for await_code in ("srtpKeys({ profile: it })", "exportSecret('a', new Uint8Array(), 16)")
    ]
    for call, code in refused:
        assert alice.do(f"return (await attempt(call.{call})).code", PROFILE) == code
    for person in (alice, bob, carol):
        assert not person.do("return told.filter(([kind]) => kind.includes('error'))")
        person.close()


def test_a_reload_stays_in_the_conference(chromium: PlaywrightBrowser, served: Site, services: Services) -> None:
    dora, erik = (Person(chromium, served, services, name) for name in ("dora@email1.example", "erik@email2.example"))
    for person in (dora, erik):
        person.enrol()
    dora.do("hear(await me.createConference({ name: 'reload' }))")
    assert dora.invite(erik.identity)["code"] == "none"
    erik.accept()
    before = erik.state()

    second = erik.open_tab()
    opening = "(name) => attempt(roomkey.openIdentity(name)).then(({ code }) => code)"
    assert second.evaluate(opening, erik.identity) == "in-use-in-another-tab"
    erik.page.close()
    erik.page = second
    erik.do("meet(await roomkey.openIdentity(it)); hear((await me.conferences())[0])", erik.identity)
    assert erik.state() == before

    erik.do("await call.update()")
    dora.wait_for_epoch(before["epoch"] + 1)
    assert dora.state() == erik.state()
    for person in (dora, erik):
        person.close()
