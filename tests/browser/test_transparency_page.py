"""Services that keep logs, as a page sees them: proofs, devices, recovery, resets, and what comes of lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.evidence import ForkEvidence, verify_evidence
from roomkey.transparency.notes import VerifierKey
from roomkey.transparency.trust_text import trust_values

from build_scripts.demo_lies import NOTICED
from build_scripts.demo_malicious import ATTACKS, Attack, Malice
from build_scripts.demo_proxy import LyingProxy
from build_scripts.demo_server import running
from tests.support.logged_services import LoggedServices, logged_services
from tests.support.native_people import run
from tests.support.person_browser import Person, World, expect, until, world_on

# The keys are kept: were they collected as garbage, the next fetch would get the same ones again.
FETCH = """const { keys, missing } = await me.fetchInitKeys(values);
  (globalThis.kept ??= []).push(keys);
  const seen = ({ identity, verified, clients, absent }) =>
    ({ identity, by: verified.by, clients: clients.length, absent });
  return { keys: keys.map(seen), missing };"""
DEVICES = "(await me.devices()).map(({ clientId, own, logged }) => ({ clientId, own, logged }))"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedServices]:
    with logged_services(tmp_path_factory.mktemp("services")) as services:
        yield services


@pytest.fixture(scope="module")
def world(services: LoggedServices, assets: Path, chromium: Browser) -> Iterator[World]:
    with world_on(services, assets, chromium, ["http://127.0.0.1:*"]) as world:
        world.transparency = {domain: trust_values(trust) for domain, trust in services.trusts.items()}
        yield world


def fetched(person: Person, identity: str) -> dict[str, Any]:
    """What a fetch of one person brings: {"by", "clients"} or the error."""
    result = person.do(FETCH, [identity])
    found: dict[str, Any] = (result["keys"] or [item["error"] for item in result["missing"]])[0]
    return found


def test_people_are_proved_by_the_log(world: World) -> None:
    alice = world.person("anna@email1.example").load().enrol()
    bob = world.person("ben@email2.example").load().enrol(publish=3)
    assert fetched(alice, bob.identity) == {"identity": bob.identity, "by": "transparency", "clients": 1, "absent": []}
    alice.call("proved", bob)
    for person in (alice, bob):
        by = person.do("calls.proved.members.map(({ own, verified }) => [own, verified.by])")
        assert sorted(by) == [[False, "transparency"], [True, "self"]]


def test_who_is_configured_wrongly_believes_nobody(world: World) -> None:
    alice = world.person("alma@email1.example").load().enrol()
    bob = world.person("bert@email2.example").load().enrol(publish=2)
    right, other = (dict(world.transparency[domain]) for domain in ("email2.example", "email1.example"))
    log = VerifierKey.decode(right["log"])
    wrong = {**right, "log": VerifierKey(log.name, log.kind, VerifierKey.decode(other["log"]).public).encode()}
    alice.do("await roomkey.setTransparency('email2.example', values)", wrong)
    expect(fetched(alice, bob.identity), "invalid-signature")
    for field, value in (("log", other["log"]), ("log", "x"), ("vrfKey", ""), ("auditors", [])):
        told = {**wrong, field: value}
        error = alice.refused("bad-argument", "await roomkey.setTransparency('email2.example', values)", told)
        assert error["details"] == {"field": field}
    alice.do("await roomkey.setTransparency('email2.example', values)", dict(world.transparency["email2.example"]))
    assert fetched(alice, bob.identity)["by"] == "transparency"


def listed(person: Person, count: int) -> list[dict[str, Any]]:
    """The person's devices, once the log was proved to list so many."""

    def all_logged() -> list[dict[str, Any]] | None:
        known: list[dict[str, Any]] = person.do(DEVICES)
        return known if len(known) == count and all(device["logged"] for device in known) else None

    return until(f"{count} devices in the log", all_logged)


def test_a_further_device_comes_and_goes(world: World) -> None:
    alice = world.person("ada@email1.example").load().enrol()
    old = world.person("bodo@email2.example").load().enrol(publish=2)
    (only,) = listed(old, 1)
    assert only == {"clientId": old.do("me.clientId"), "own": True, "logged": True}
    new = world.person("bodo@email2.example").load()
    request = new.do("return globalThis.request = await roomkey.prepareDevice(values);", new.identity)
    assert request == new.do("await roomkey.prepareDevice(values)", new.identity)
    new.refused("enrolment-refused", "await roomkey.createIdentity(values)", new.identity)
    # The request travels as people carry it: its bytes, here by the test.
    admit = "await me.admitDevice(Uint8Array.from(values.match(/../g), (byte) => parseInt(byte, 16)))"
    admitted = old.do(admit, request)
    new.do("await create(values)", new.identity)
    assert new.do("me.clientId") == admitted
    assert {device["clientId"] for device in listed(new, 2)} == {only["clientId"], admitted}
    before = fetched(alice, old.identity)
    assert (before["clients"], before["absent"]) == (1, [admitted])  # it has published nothing yet
    new.do("await me.publishInitKeys({ count: 2 })")
    both = fetched(alice, old.identity)
    assert (both["clients"], both["absent"]) == (2, [])
    old.refused("bad-argument", "await me.removeDevice(me.clientId)")
    old.refused("no-such-device", "await me.removeDevice(new Uint8Array(32))")
    remove = "await me.removeDevice(Uint8Array.from(values.match(/../g), (byte) => parseInt(byte, 16)))"
    old.do(remove, admitted)
    listed(old, 1)
    until("the keys of one device alone", lambda: fetched(alice, old.identity).get("clients") == 1)


def test_who_lost_every_device_comes_back_by_the_recovery_key(world: World) -> None:
    alice = world.person("agnes@email1.example").load().enrol()
    old = world.person("bruno@email2.example").load().enrol(publish=2)
    listed(old, 1)
    assert fetched(alice, old.identity)["by"] == "transparency"
    letters = old.do("await me.recoveryKey()")
    assert [len(group) for group in letters.split(" ")] == [5] * 12
    old.do("await me.forgetRecoveryKey()")
    old.refused("recovery-key-taken", "await me.recoveryKey()")
    new = world.person("bruno@email2.example").load()
    recover = "await roomkey.createIdentity(values.name, { recoveryKey: values.letters })"
    swapped = letters[1] + letters[0] + letters[2:] if letters[0] != letters[1] else "B" + letters[1:]
    for typed, details in ((swapped, {}), (letters[:-1], {"letters": 59}), ("1" + letters[1:], {"group": 1})):
        error = new.refused("recovery-key-wrong", recover, {"name": new.identity, "letters": typed})
        assert error["details"] == details
    new.do("became(await roomkey.createIdentity(values.name, { recoveryKey: values.letters }))",
           {"name": new.identity, "letters": letters.lower().replace(" ", "-")})  # fmt: skip
    new.do("await me.publishInitKeys({ count: 2 })")
    (device,) = listed(new, 1)
    assert device["clientId"] == new.do("me.clientId") != old.do("me.clientId")
    assert (fetched(alice, new.identity)["by"], fetched(alice, new.identity)["clients"]) == ("transparency", 1)
    assert new.do("await me.recoveryKey()") != letters


def test_who_begins_anew_is_believed_after_consent_alone(world: World) -> None:
    alice = world.person("adele@email1.example").load().enrol()
    old = world.person("bela@email2.example").load().enrol(publish=2)
    assert fetched(alice, old.identity)["by"] == "transparency"
    new = world.person("bela@email2.example").load()
    begin = "became(await roomkey.createIdentity(values.name, { enrolment: values.code, reset: values.reset }))"
    service = world.services.at(new.identity)
    code = service.enrolment_code(new.identity, "--reset")
    new.refused("enrolment-refused", begin, {"name": new.identity, "code": code, "reset": False})
    code = service.enrolment_code(new.identity, "--reset")
    new.do(begin, {"name": new.identity, "code": code, "reset": True})
    new.do("await me.publishInitKeys({ count: 2 })")
    old.reopen()
    until("the old device to notice", lambda: "identity-hijacked" in errors(old))
    error = expect(fetched(alice, new.identity), "identity-reset")
    assert error["details"]["version"] == 2
    accept = "await me.acceptReset(values.name, values.manifest)"
    other = {"name": new.identity, "manifest": "00" * 32}
    alice.refused("identity-reset", accept, other)
    expect(fetched(alice, new.identity), "identity-reset")
    alice.do(accept, {"name": new.identity, "manifest": error["details"]["manifest"]})
    assert fetched(alice, new.identity)["by"] == "transparency"


def errors(person: Person) -> list[str]:
    return [error["code"] for error in person.heard(person.identity, "error")]


class Lied:
    """Alice and Carol of email1.example, Bob of email2.example, which is reached through what lies for it."""

    def __init__(self, world: World, malice: Malice, people: tuple[Person, Person, Person]) -> None:
        self.malice = malice
        self.alice, self.bob, self.carol = people
        self.alice.call("before", self.bob, self.carol)

    def victim(self, attack: Attack) -> Person:
        return self.carol if NOTICED[attack][1] == "carol" else self.alice


@pytest.fixture(scope="module")
def lied(world: World, services: LoggedServices) -> Iterator[Lied]:
    domain = "email2.example"
    carol = world.person("carol@email1.example")
    malice = Malice(services.keys[domain], "bob@email2.example", carol.origin)
    port = services.proxies[domain]
    with running(LyingProxy(services.at(domain).url, malice), port):
        world.addresses[domain] = f"http://127.0.0.1:{port}"
        alice = world.person("alice@email1.example").load().enrol()
        bob = world.person("bob@email2.example").load().enrol(publish=8)
        yield Lied(world, malice, (alice, bob, carol.load().enrol(publish=2)))
        world.addresses.clear()


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_lie_is_noticed_and_the_truth_is_taken_again(lied: Lied, attack: Attack) -> None:
    victim, bob, code = lied.victim(attack), lied.bob, NOTICED[attack][0]
    assert fetched(victim, bob.identity)["by"] == "transparency"
    lied.malice.attack = attack
    error = expect(fetched(victim, bob.identity), code)
    assert bob.identity not in error["message"]
    lied.malice.attack = None
    if code == "log-fork":
        expect(fetched(victim, bob.identity), code)  # who was shown two truths believes neither
        (evidence,) = victim.do("await me.forkEvidence()")
        assert evidence["origin"] == "email2.example/roomkey"
        proved = run(verify_evidence(NativeCrypto(), ForkEvidence.decode(evidence["text"])))
        assert proved.log.name == evidence["origin"]
        assert "@" not in evidence["text"]
        victim.reopen()
        expect(fetched(victim, bob.identity), code)
    else:
        assert victim.do("await me.forkEvidence()") == []
        assert fetched(victim, bob.identity)["by"] == "transparency"
    assert errors(bob) == []
