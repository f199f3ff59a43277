"""Delivery services that are not there, are something else, or refuse us: each has its code, and the page goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.delivery.processes import Running
from tests.support.native_people import Publisher
from tests.support.person_browser import World, expect, until, world_of
from tests.support.services import free_ports

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"
SET = "await roomkey.setDeliveryService(values)"
FETCH = "const { keys, missing } = await me.fetchInitKeys(values); return { keys, missing }"


@contextmanager
def web_server(**fields: str) -> Iterator[str]:
    """The address of a web server that greets whoever asks for whatever, with these header fields."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {"Content-Type": "text/html", **fields}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>hello</title>")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(assets, chromium, tmp_path_factory.mktemp("services"), ["http://127.0.0.1:*"]) as made:
        made.person(ALICE).load().enrol(publish=2)
        made.person(BOB).load().enrol(publish=20)
        carol = Publisher(made.services.at(CAROL), CAROL, tmp_path_factory.mktemp("publishers")).enrol()
        carol.publish(carol.sets(20))
        yield made


def test_a_service_that_does_not_answer(world: World) -> None:
    alice = world.people[0]
    (port,) = free_ports(1)
    error = alice.refused("service-unreachable", SET, f"http://127.0.0.1:{port}")
    assert error["retryable"]
    alice.set_services()


def test_a_service_that_takes_other_websites_only(world: World, tmp_path: Path) -> None:
    alice = world.people[0]
    with ExitStack() as stack:
        service = Running("email3.example", tmp_path / "3.db", "--allow-origin", "https://elsewhere.example")
        stack.callback(service.errors.close)
        stack.callback(service.kill)
        alice.refused("origin-not-allowed", SET, service.url)
        service.stop()
        service.options = ("--allow-origin", alice.origin)
        service.restart()
        assert alice.do(f"return {SET}", service.url)["domain"] == "email3.example"


@pytest.mark.parametrize(
    "fields", [{}, {"Access_Control_Allow_Origin": "*"}, {"Content_Type": "application/json"}], ids=str
)
def test_a_web_server_that_is_no_delivery_service(world: World, fields: dict[str, str]) -> None:
    alice = world.people[0]
    with web_server(**fields) as address:
        alice.refused("not-a-delivery-service", SET, address)
    alice.refused("not-a-delivery-service", SET, alice.origin)  # our own page
    alice.set_services()


@pytest.mark.parametrize(
    "address", ["ds.email1.example", "ftp://ds.email1.example", "http://ds.email1.example", "", "https://"]
)
def test_what_is_no_address(world: World, address: str) -> None:
    world.people[0].refused("invalid-address", SET, address)
    world.people[0].set_services()


def test_an_address_that_the_page_forbids_itself(world: World) -> None:
    error = world.people[0].refused("blocked-by-csp", SET, "https://ds.elsewhere.example")
    assert error["details"]["origin"] == "https://ds.elsewhere.example"
    world.people[0].set_services()


def test_unknown_people_among_known_ones(world: World) -> None:
    alice = world.people[0]
    nobody, nowhere, nonsense = "nobody@email2.example", "dora@email9.example", "not an address"
    result = alice.do(FETCH, [nobody, BOB, nowhere, CAROL, nonsense])
    assert [item["identity"] for item in result["keys"]] == [BOB, CAROL]
    codes = {item["identity"]: item["error"]["code"] for item in result["missing"]}
    assert codes == {nobody: "no-keys", nowhere: "no-route", nonsense: "invalid-identity"}
    for item in result["missing"]:
        expect(item["error"], codes[item["identity"]])
    alice.refused("no-route", FETCH, [nowhere])  # nothing could be tried
    alice.refused("invalid-identity", FETCH, nonsense)
    alice.do("await me.createConference({ name: 'known' })")
    alice.invite("known", BOB, CAROL)
    assert alice.look("known")["members"] == [ALICE, BOB, CAROL]
    world.people[1].accept("known")


def test_enrolment_that_is_refused(world: World) -> None:
    frank = world.person("frank@email1.example").load()
    create = "await create(values[0], values[1])"
    frank.refused("enrolment-refused", create, [frank.identity, "AAAAA-AAAAA-AAAAA-AAAAA"])
    assert frank.do("roomkey.identities()") == []
    frank.refused("no-such-identity", "await open(values)", frank.identity)
    frank.refused("no-route", create, ["frank@email9.example", "AAAAA-AAAAA-AAAAA-AAAAA"])
    code = world.services.at(frank.identity).enrolment_code(frank.identity)
    frank.do(create, [frank.identity, code])
    frank.refused("identity-exists", create, [frank.identity, code])
    other = world.person(frank.identity).load()  # another browser with a code that was used
    other.refused("already-enrolled", create, [frank.identity, code])
    assert frank.do("me.publishInitKeys({ count: 1 })")["available"] == 1


def test_a_service_that_goes_down_and_comes_back(world: World) -> None:
    alice, bob = world.people[:2]
    alice.call("outage", bob)
    home, foreign = world.services.at(ALICE), world.services.at(BOB)
    foreign.kill()
    # the others' service: only its people are missing, messages wait
    result = alice.do(FETCH, [BOB, CAROL])
    assert [item["identity"] for item in result["keys"]] == [CAROL]
    assert [
        (item["identity"], expect(item["error"], "service-unreachable")["retryable"]) for item in result["missing"]
    ] == [(BOB, True)]
    alice.say("outage", "while you were out")
    until("bob to hear that his service is gone", lambda: bob.heard(BOB, "error"))
    assert {error["code"] for error in bob.heard(BOB, "error")} == {"service-unreachable"}
    bob.refused("service-unreachable", "me.publishInitKeys({ count: 25 })")
    # our own service, too: no conference, no change
    home.kill()
    alice.refused("service-unreachable", "await me.createConference({ name: 'nowhere' })")
    alice.refused("service-unreachable", "await calls.outage.update()")
    assert alice.do("me.conferences()").__len__() == len(alice.do("Object.keys(calls)"))
    home.restart()
    foreign.restart()
    bob.hears("outage", "while you were out")
    alice.do("await me.createConference({ name: 'nowhere' })")
    alice.do("await calls.outage.update()")
    until("both to be in one epoch", lambda: alice.look("outage") == bob.look("outage"))
    bob.say("outage", "back again")
    alice.hears("outage", "back again")
