"""The bridge as JavaScript sees it: plain values in and out, errors as data, handles, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from roomkey.bridge import Bridge
from roomkey.bridge.methods import METHODS
from roomkey.errors import CODES

from tests.support.simulator import SimulatedHost, Simulation, origin_of, until

PROFILE = "SRTP_AEAD_AES_128_GCM"


def assert_plain(value: object) -> None:
    """Nothing but what crosses to JavaScript as it is."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            assert isinstance(name, str)
            assert_plain(item)
    elif isinstance(value, list):
        for item in value:
            assert_plain(item)
    else:
        assert value is None or type(value) in (str, int, float, bool, bytes), type(value)


@dataclass
class Page:
    """One page's worker."""

    host: SimulatedHost
    bridge: Bridge
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0

    async def answer(self, method: str, **args: object) -> dict[str, Any]:
        self.calls += 1
        answer = await self.bridge.call(self.calls, method, args)
        assert_plain(answer)
        return answer

    async def ok(self, method: str, **args: object) -> Any:
        answer = await self.answer(method, **args)
        assert answer["ok"], answer
        return answer["value"]

    async def code(self, method: str, **args: object) -> str:
        answer = await self.answer(method, **args)
        assert not answer["ok"], answer
        assert answer["error"]["code"] in CODES
        return str(answer["error"]["code"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    async def wait(self, kind: str, count: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.of(kind)) >= count, f"{count} {kind}")
        return self.of(kind)[count - 1]


def page(simulation: Simulation, host: SimulatedHost | None = None, *, export_keys: bool = False) -> Page:
    host = host or simulation.device()
    events: list[dict[str, Any]] = []
    return Page(host, Bridge(host, events.append, export_keys=export_keys), events)


async def person(simulation: Simulation, name: str, *, export_keys: bool = False) -> tuple[Page, int]:
    made = page(simulation, export_keys=export_keys)
    for domain in simulation.domains:
        described = await made.ok("setDeliveryService", url=origin_of(domain))
        assert described == {"url": origin_of(domain), "domain": domain, "domains": [domain], "fanout": "client"}
    identity = await made.ok("createIdentity", identity=name, enrolment=await simulation.code(name))
    assert identity["identity"] == name
    await made.ok("identity.publishInitKeys", handle=identity["handle"], count=2)
    return made, identity["handle"]


@pytest.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[Simulation]:
    async with Simulation(tmp_path) as made:
        yield made


async def test_the_story_in_plain_values(simulation: Simulation) -> None:
    alice, alice_id = await person(simulation, "alice@email1.example", export_keys=True)
    bob, bob_id = await person(simulation, "bob@email2.example")
    fetched = await alice.ok(
        "identity.fetchInitKeys", handle=alice_id, identities=["bob@email2.example", "x@email1.example"]
    )
    assert [item["error"]["code"] for item in fetched["missing"]] == ["no-keys"]
    (keys,) = fetched["keys"]
    assert keys["service"] == {"url": origin_of("email2.example"), "domain": "email2.example"}
    conference = await alice.ok("identity.createConference", handle=alice_id, name="stand-up")
    added = await alice.ok("conference.invite", handle=conference["handle"], keys=[keys["handle"]])
    assert added["epoch"] == 1
    assert await alice.code("conference.invite", handle=conference["handle"], keys=[keys["handle"]]) == "init-keys-used"

    invitation = (await bob.wait("invitation"))["detail"]
    assert invitation["from"]["identity"] == "alice@email1.example"
    joined = await bob.ok("invitation.accept", handle=invitation["handle"])
    assert joined["id"] == conference["id"]
    snapshot = await alice.ok("conference.snapshot", handle=conference["handle"])
    assert snapshot["verification"] == joined["verification"]
    assert await bob.code("invitation.accept", handle=invitation["handle"]) == "closed"

    sent = await alice.ok("conference.send", handle=conference["handle"], data=b"hello")
    assert sent == {"seq": 1, "epoch": 1}
    message = (await bob.wait("message"))["detail"]
    assert (message["data"], message["from"]["identity"], message["own"]) == (b"hello", "alice@email1.example", False)
    assert await bob.ok("conference.messages", handle=joined["handle"]) == [message]
    await bob.ok("conference.forget", handle=joined["handle"], seq=1)
    assert await bob.ok("conference.messages", handle=joined["handle"], after=0) == []

    prints = [
        (await who.ok("conference.keyFingerprints", handle=handle, profile=PROFILE))["keys"]
        for who, handle in ((alice, conference["handle"]), (bob, joined["handle"]))
    ]
    assert [key["fingerprint"] for key in prints[0]] == [key["fingerprint"] for key in prints[1]]
    keys = await alice.ok("conference.srtpKeys", handle=conference["handle"], profile=PROFILE)
    assert [len(key["masterKey"]) for key in keys["keys"]] == [16, 16]
    assert await bob.code("conference.srtpKeys", handle=joined["handle"], profile=PROFILE) == "export-not-allowed"
    assert await bob.code("conference.exportSecret", handle=joined["handle"], label="x", context=b"", length=8) == (
        "export-not-allowed"
    )
    assert (await bob.ok("media.sframeKeys", handle=joined["handle"]))["members"] == [0, 1]

    await alice.ok("conference.remove", handle=conference["handle"], identity="bob@email2.example")
    ended = (await bob.wait("ended"))["detail"]
    assert (ended["reason"], ended["by"]["identity"]) == ("removed", "alice@email1.example")
    (after,) = await bob.ok("identity.conferences", handle=bob_id)
    assert (after["status"], after["verification"]["digits"]) == ("removed", "")
    assert await bob.code("conference.keyFingerprints", handle=joined["handle"], profile=PROFILE) == "not-a-member"
    for event in (*alice.events, *bob.events):
        assert_plain(event)
    kinds = {event["detail"]["kind"] for event in alice.of("traffic")}
    assert kinds >= {"discover", "enrol", "publish", "claim", "register", "commit-order", "welcome", "message"}
    await alice.bridge.close()
    await bob.bridge.close()
    assert await bob.code("identities") == "closed"


async def test_an_identity_is_opened_once_and_again_after_it_was_closed(simulation: Simulation) -> None:
    first, handle = await person(simulation, "alice@email1.example")
    await first.ok("identity.createConference", handle=handle, name="a")
    assert await first.ok("identities") == [{"identity": "alice@email1.example", "open": True}]
    second = page(simulation, simulation.device(first.host.disks))
    assert await second.code("openIdentity", identity="alice@email1.example") == "in-use-in-another-tab"
    assert await second.code("openIdentity", identity="bob@email1.example") == "no-such-identity"
    await first.ok("identity.close", handle=handle)
    assert await first.code("identity.stock", handle=handle) == "closed"
    identity = await second.ok("openIdentity", identity="Alice@EMAIL1.example")
    (conference,) = await second.ok("identity.conferences", handle=identity["handle"])
    assert (conference["name"], conference["status"], conference["epoch"]) == ("a", "active", 0)
    assert await second.code("createIdentity", identity="alice@email1.example", enrolment="x") == "identity-exists"
    await second.bridge.close()


async def test_enrolment_that_is_refused_leaves_nothing(simulation: Simulation) -> None:
    made = page(simulation)
    assert await made.code("createIdentity", identity="alice@email1.example", enrolment="x") == "no-route"
    await made.ok("setDeliveryService", url=origin_of("email1.example"))
    assert await made.code("createIdentity", identity="alice@email1.example", enrolment="x") == "enrolment-refused"
    assert await made.ok("identities") == []
    await made.bridge.close()


async def test_enrolment_whose_answer_was_lost_is_taken_up(simulation: Simulation) -> None:
    made = page(simulation)
    await made.ok("setDeliveryService", url=origin_of("email1.example"))
    code = await simulation.code("alice@email1.example")
    simulation.network.lose_answers.add("https://ds.email1.example /v1/clients")
    assert await made.code("createIdentity", identity="alice@email1.example", enrolment=code) == "timeout"
    simulation.network.lose_answers.clear()
    await made.ok("createIdentity", identity="alice@email1.example", enrolment=code)
    await made.bridge.close()


async def test_a_call_can_be_cancelled(simulation: Simulation) -> None:
    made, handle = await person(simulation, "alice@email1.example")
    made.host.stop_after(1)
    running = asyncio.ensure_future(made.bridge.call(99, "identity.stock", {"handle": handle}))
    await made.host.stopped.wait()
    made.bridge.cancel(99)
    answer = await running
    assert (answer["ok"], answer["error"]["code"]) == (False, "aborted")
    await made.host.bury()


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_every_method_answers_nonsense_with_a_typed_error(simulation: Simulation, method: str) -> None:
    made = page(simulation)
    if method == "identities":
        assert await made.ok(method) == []
    else:
        for args in ({}, {"handle": 7}, {"handle": "x", "identity": 1, "url": [], "enrolment": None}):
            assert await made.code(method, **args) in (
                "bad-argument",
                "closed",
                "invalid-identity",
                "export-not-allowed",
            )
    assert await made.code(method + "x") == "no-such-method"
    await made.bridge.close()


async def test_exceptions_that_are_none_of_ours_show_no_text(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = page(simulation)

    async def fails() -> list[str]:
        raise ValueError("a secret")

    monkeypatch.setattr(made.host, "identities", fails)
    answer = await made.answer("identities")
    assert answer["error"]["code"] == "internal-error"
    assert "secret" not in str(answer)
    assert "ValueError in" in answer["error"]["text"]


async def test_who_was_removed_comes_back_by_a_new_handle(simulation: Simulation) -> None:
    alice, alice_id = await person(simulation, "alice@email1.example")
    bob, bob_id = await person(simulation, "bob@email2.example")
    conference = (await alice.ok("identity.createConference", handle=alice_id, name=""))["handle"]
    handles: list[int] = []
    for turn in range(2):
        fetched = await alice.ok("identity.fetchInitKeys", handle=alice_id, identities=["bob@email2.example"])
        await alice.ok("conference.invite", handle=conference, keys=[item["handle"] for item in fetched["keys"]])
        invitation = (await bob.wait("invitation", turn + 1))["detail"]
        handles.append((await bob.ok("invitation.accept", handle=invitation["handle"]))["handle"])
        if turn == 0:
            await bob.ok("conference.send", handle=handles[0], data=b"before")
            await alice.ok("conference.remove", handle=conference, identity="bob@email2.example")
            await bob.wait("ended")
    (listed,) = await bob.ok("identity.conferences", handle=bob_id)
    assert (listed["handle"], listed["status"]) == (handles[1], "active")
    said = await bob.ok("conference.messages", handle=handles[1], after=0, limit=10)
    assert [message["data"] for message in said] == [b"before"]
    assert await bob.code("conference.snapshot", handle=handles[0]) in ("closed", "bad-argument")
